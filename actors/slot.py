"""A child's place in the order of a supervisor: living, waiting for a start, or ended for good."""

from math import inf

import trio

from actors.child import Child
from actors.restart_state import Delays
from actors.spec import ChildSpec, Legacy, Restart
from actors.tree import Vitals


class Slot:
    """One place.

    Attributes:
        spec: what lives there.
        child: the one that lives now.
        due: when the next is to start, on the trio clock; None if none is.
        restarts: how often one was started again.
        terminated: whether somebody asked for its end, so that no failure brings it back.
    """

    __slots__ = ("_delays", "_legacy", "_started", "child", "due", "restarts", "spec", "terminated")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.due: float | None = None
        self.restarts = 0
        self.terminated = False
        self._started = False
        self._legacy: Legacy | None = None
        self._delays = None if spec.backoff is None else Delays(spec.backoff)

    @property
    def over(self) -> bool:
        """Whether nothing lives there, or is to."""
        return self.child is None and self.due is None

    @property
    def legacy(self) -> Legacy | None:
        """What the last life left, for the next."""
        return self._legacy

    def wait_s(self) -> float:
        """Seconds until the start is due."""
        return inf if self.due is None else max(0.0, self.due - trio.current_time())

    def delay_s(self, lived_s: float, chance: float) -> float:
        """Seconds its backoff wants before the next restart."""
        return 0.0 if self._delays is None else self._delays.after(lived_s, chance)

    def begin(self, child: Child) -> None:
        """A life begins here."""
        self.restarts += self._started
        self._started = True
        self.due = None
        self.child = child
        self._legacy = None

    def end(self) -> None:
        """The life there was is over."""
        assert self.child is not None, f"{self.spec.id} does not live"
        self._legacy = self.child.legacy
        self.child = None

    def become_due(self, due: float) -> None:
        """Restart at that time, or at its own if that is later. A temporary child never does."""
        never_again = self.terminated or (
            self._started and self.spec.restart is Restart.TEMPORARY and self.due is None
        )
        if not never_again:
            self.due = due if self.due is None else max(due, self.due)

    def dissolve(self) -> None:
        """No life follows: neither a start that was due, nor what the last one left."""
        self.due = None
        legacy, self._legacy = self._legacy, None
        if legacy is not None:
            legacy.dissolve()

    def vitals(self, children_max: int) -> Vitals:
        """This place, for a picture of the tree."""
        if self.child is not None:
            return self.child.vitals(children_max, self.restarts)
        return absent(self.spec.id, "ended" if self.due is None else "waiting", self.restarts)


def absent(name: str, state: str, restarts: int) -> Vitals:
    """What a picture of the tree shows in the place of a child that does not live."""
    return Vitals(
        name=name,
        kind="task",
        detail="",
        state=state,
        age_s=0.0,
        restarts=restarts,
        mailbox=None,
        children=(),
        hidden=0,
    )
