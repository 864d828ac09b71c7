"""What all parts of one tree share: where events go, the wheel of timers, chance, what was lost.

A system is made by whoever runs the tree, and handed down from supervisor to child on their
lifelines. So there is nothing global: two trees in one process share nothing.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from actors.events import Emit, drop_event
from actors.limits import TREE_CHILDREN_MAX
from actors.mailbox import Tally
from actors.quarantine import Quarantine
from actors.timers import Timers
from actors.tree import Vitals


class System:
    """What all parts of one tree share.

    Attributes:
        emit: where events go.
        timers: the one wheel; it turns while `run_root` runs the tree.
        chance: what jitter is drawn from; seed it in tests.
        quarantine: messages that are not retried any more.
        tally: messages that nobody handled.
    """

    __slots__ = ("_look", "chance", "emit", "quarantine", "tally", "timers")

    def __init__(self, emit: Emit = drop_event, *, chance: random.Random | None = None) -> None:
        self.emit: Final = emit
        self.timers: Final = Timers(emit)
        self.chance: Final = chance or random.Random()  # noqa: S311 - jitter is no secret
        self.quarantine: Final = Quarantine()
        self.tally: Final = Tally()
        self._look: Callable[[int], Vitals] | None = None

    def tree(self, *, children_max: int = TREE_CHILDREN_MAX) -> Vitals | None:
        """Every supervisor and actor, now; None where no tree runs.

        Args:
            children_max: how many children of one supervisor are listed.
        """
        return None if self._look is None else self._look(children_max)

    def show(self, look: Callable[[int], Vitals] | None) -> None:
        """For the root: this is how to look at the tree."""
        self._look = look

    def statistics(self) -> Tally:
        """What nobody handled, until now."""
        return replace(self.tally)
