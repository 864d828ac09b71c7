"""What all parts of one tree share: where events go, the wheel of timers, chance, what was lost.

A system is made by whoever runs the tree, and handed down from supervisor to child on their
lifelines. So there is nothing global: two trees in one process share nothing.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Protocol

from actors.events import Emit, drop_event
from actors.limits import TREE_CHILDREN_MAX
from actors.mailbox_statistics import Tally
from actors.quarantine import Quarantine
from actors.timers import Timers
from actors.tree import Vitals


class Living(Protocol):
    """A life in the tree, as whoever looks at the tree sees it."""

    name: str
    """Its own, among its siblings."""

    def vitals(self, children_max: int) -> Vitals:
        """It and what is below it, as plain data."""

    def walk(self) -> "Iterator[tuple[str, Living]]":
        """It and all below it, each with its path: names joined by slashes."""

    def crash(self, error: Exception) -> None:
        """End it at once, as if this error had left it. Not for the root, nor for a part."""


class System:
    """What all parts of one tree share.

    Attributes:
        emit: where events go.
        timers: the one wheel; it turns while `run_root` runs the tree.
        chance: what jitter is drawn from; seed it in tests.
        quarantine: messages that are not retried any more.
        tally: messages that nobody handled.
    """

    __slots__ = ("_root", "chance", "emit", "quarantine", "tally", "timers")

    def __init__(self, emit: Emit = drop_event, *, chance: random.Random | None = None) -> None:
        self.emit: Final = emit
        self.timers: Final = Timers(emit)
        self.chance: Final = chance or random.Random()  # noqa: S311 - jitter is no secret
        self.quarantine: Final = Quarantine()
        self.tally: Final = Tally()
        self._root: Living | None = None

    def tree(self, *, children_max: int = TREE_CHILDREN_MAX) -> Vitals | None:
        """Every supervisor and actor, now; None where no tree runs.

        Args:
            children_max: how many children of one supervisor are listed.
        """
        return None if self._root is None else self._root.vitals(children_max)

    def lives(self) -> Iterator[tuple[str, Living]]:
        """Every life there is now, each with its path; none where no tree runs.

        Each is one life: whoever lives there after a restart is another. A look at the tree is
        `tree`; this is for who wants to do something about one, such as to end it.
        """
        # All of one moment: whoever ends one changes what would be walked next.
        return iter(()) if self._root is None else iter(tuple(self._root.walk()))

    def show(self, root: Living | None) -> None:
        """For the root: this is the tree."""
        self._root = root

    def statistics(self) -> Tally:
        """What nobody handled, until now."""
        return replace(self.tally)
