"""Which joins go on now, and which wait their turn: those of one node, in order of arrival. Pure.

However many clients join at once, only some joins are under way at a time: so a heartbeat waits for
that many and not for all, and as few stand before a purchase in the queue for the database. A join
that takes long waits for something else than this node: after a while it does not count any more,
so that one channel whose joins hang does not hold up those of all others.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final


class Turn:
    """One join's place in the queue.

    Attributes:
        begin: begins the join; called once, or never if the turn is ended before.
    """

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[], None]) -> None:
        self.begin = begin


class JoinQueue:
    """The joins of one node."""

    def __init__(self, at_once: int, waiting_max: int, patience_s: float) -> None:
        """A queue without joins.

        Args:
            at_once: joins under way.
            waiting_max: joins that wait.
            patience_s: a join that is under way for longer does not count.
        """
        self._at_once: Final = at_once
        self._waiting_max: Final = waiting_max
        self._patience_s: Final = patience_s
        self._under_way: OrderedDict[Turn, float] = OrderedDict()  # and since when
        self._waiting: OrderedDict[Turn, None] = OrderedDict()
        self._pumping = False

    @property
    def under_way(self) -> int:
        """Joins that are under way and count."""
        return len(self._under_way)

    @property
    def waiting(self) -> int:
        """Joins that wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether no more joins may wait."""
        return len(self._waiting) >= self._waiting_max

    def enter(self, turn: Turn, now: float) -> None:
        """Have a join begin in its turn, which may be now. Whoever enters sees to the room."""
        self._waiting[turn] = None
        self.pump(now)

    def end(self, turn: Turn, now: float) -> None:
        """A join was answered, or is not wanted any more; whoever comes next begins."""
        self._waiting.pop(turn, None)
        self._under_way.pop(turn, None)
        self.pump(now)

    def pump(self, now: float) -> None:
        """Let joins begin that may."""
        if self._pumping:  # by a join that ended as it began; whoever pumps goes on
            return
        self._pumping = True
        try:
            while self._waiting and self._has_room(now):
                turn, _ = self._waiting.popitem(last=False)
                self._under_way[turn] = now
                turn.begin()
        finally:
            self._pumping = False

    def next_due(self) -> float | None:
        """When to pump at the latest; None while nobody waits."""
        oldest = next(iter(self._under_way.values()), None)
        if oldest is None or not self._waiting:  # none is under way: somebody is pumping
            return None
        return oldest + self._patience_s

    def _has_room(self, now: float) -> bool:
        if len(self._under_way) < self._at_once:
            return True
        oldest, since = next(iter(self._under_way.items()))
        if now - since < self._patience_s:
            return False
        del self._under_way[oldest]
        return True
