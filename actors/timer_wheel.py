"""A hierarchical timing wheel: what is due when, in constant time per timer. Pure.

Theory of operation. Time is cut into ticks, and a tick's number is read in digits of six bits, as
Varghese and Lauck proposed and as kernels and runtimes do since. A timer lies at the level of the
highest digit in which its tick differs from the wheel's own, in the slot which that digit names:
slots of level 0 are one tick wide, of level 1 they are 64 ticks, of level 2 they are 4,096, and so
on. There is no top level, hence nothing to overflow: a slot is made when a timer comes to it and
goes with the last, and numbers have as many digits as they need.

So every timer of a lower level is due before every timer of a higher one, and within a level the
slots lie in the order of time, all of them ahead of the wheel's own digit. Numbered level by level
and kept as one bit each of a single number, the lowest bit set is the slot that comes next.

When its time has come, a slot is opened. One of level 0 gives its timers out, sorted by when they
are due; any other hands its timers down, each to a lower level, so a timer moves at most once for
each of its digits. All timers of one tick are in one slot at any time, in the order in which they
were added, and handing down keeps that order.

Opening goes one timer at a time, since a slot may hold a hundred thousand and whoever turns the
wheel has other work, too. Until the slot is empty, what is added or removed meanwhile finds the
wheel as it was before: the wheel's own tick moves on only then.
"""

from collections.abc import Iterator
from math import ceil, inf
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from actors.limits import TIMER_CROWD, TIMER_TICKS_PER_S

_DIGIT_BITS: Final = 6
_SLOTS: Final = 1 << _DIGIT_BITS  # of one level

_due_of = attrgetter("due")


class Entry:
    """Something that is due at a time.

    Attributes:
        due: when, in seconds of the clock that turns the wheel.
        slot: where it lies in the wheel; None where it does not. The wheel's to set.
    """

    __slots__ = ("due", "slot")

    def __init__(self, due: float) -> None:
        self.due = due
        self.slot: Slot[Any] | None = None


E = TypeVar("E", bound=Entry)


class Slot(dict[E, None]):
    """The timers of one slot in the order they came in, and the slot's number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class TimerWheel(Generic[E]):
    """Entries by when they are due. Its clock must not go back."""

    __slots__ = ("_now", "_occupied", "_opened", "_rest", "_slots", "_start", "_tick")

    def __init__(self) -> None:
        self._now = 0.0  # seconds, as last told
        self._tick = 0  # the wheel's own: every entry lies where it does relative to this
        self._slots: dict[int, Slot[E]] = {}  # by number, none empty
        self._occupied = 0  # a bit for each of these
        self._opened: Slot[E] | None = None
        self._rest: list[E] = []  # of the opened slot, the next one last
        self._start = 0  # the tick at which the opened slot begins

    def add(self, entry: E) -> int:
        """Put an entry in. It must not be due before the time last told to `due`.

        Returns:
            How many are in its slot now.
        """
        assert entry.slot is None, "an entry lies in one slot"
        assert entry.due >= self._now, f"due at {entry.due}, and it is {self._now}"
        return self._place(entry, self._tick)

    def remove(self, entry: E) -> None:
        """Take an entry out that is in."""
        slot = entry.slot
        assert slot is not None, "the entry is not in the wheel"
        del slot[entry]
        entry.slot = None
        if not slot:
            self._drop(slot)

    def due(self, now: float) -> Iterator[E | None]:
        """Take out what is due, in the order of due ticks, due times and additions.

        It may be left at any step, and begun again. Entries may be added and removed between steps.

        Args:
            now: the clock, in seconds.

        Yields:
            An entry that is due; None for a step that only came closer to one.
        """
        self._now = now
        while self._opened is not None or self._open_next(int(now * TIMER_TICKS_PER_S)):
            yield self._step()

    def next_due(self) -> float:
        """When `due` has something to do.

        Returns:
            Seconds: the tick of the first entry, or some time before if many are due about then,
            so it may be over; infinity where there is none.
        """
        if not self._occupied:
            return inf
        if self._opened is not None:
            return self._now
        first = self._first()
        if len(first) >= TIMER_CROWD:
            return self._start_of(first) / TIMER_TICKS_PER_S
        return tick_time(min(map(_due_of, first)))

    def _place(self, entry: E, since: int) -> int:
        """Put an entry where it lies relative to a tick. How many are there now."""
        tick = ceil(entry.due * TIMER_TICKS_PER_S)
        level = (((tick ^ since) | 1).bit_length() - 1) // _DIGIT_BITS
        number = level * _SLOTS + (tick >> level * _DIGIT_BITS) % _SLOTS
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = Slot(number)
            self._occupied |= 1 << number
        slot[entry] = None
        entry.slot = slot
        return len(slot)

    def _drop(self, slot: Slot[E]) -> None:
        """Forget a slot that became empty."""
        del self._slots[slot.number]
        self._occupied ^= 1 << slot.number
        if slot is self._opened:
            self._opened = None
            self._rest.clear()
            self._tick = self._start

    def _first(self) -> Slot[E]:
        """The slot that comes next."""
        return self._slots[(self._occupied & -self._occupied).bit_length() - 1]

    def _start_of(self, slot: Slot[E]) -> int:
        """The tick at which a slot begins: digits above its own are the wheel's, below are zero."""
        level, digit = divmod(slot.number, _SLOTS)
        shift = level * _DIGIT_BITS
        above = self._tick >> shift + _DIGIT_BITS
        return (above << _DIGIT_BITS | digit) << shift

    def _open_next(self, tick: int) -> bool:
        """Open the next slot, or have the wheel at this tick if none begins until then."""
        if self._occupied:
            first = self._first()
            start = self._start_of(first)
            if start <= tick:
                self._opened, self._start = first, start
                return True
        self._tick = tick
        return False

    def _step(self) -> E | None:
        """Give out or hand down one entry of the opened slot."""
        slot, start = self._opened, self._start
        assert slot is not None
        is_due = slot.number < _SLOTS
        if not self._rest:
            self._rest = sorted(slot, key=_due_of) if is_due else list(slot)
            self._rest.reverse()
        entry = self._rest.pop()
        if entry.slot is not slot:
            return None  # removed since
        self.remove(entry)
        if is_due:
            return entry
        self._place(entry, start)
        return None


def tick_time(due: float) -> float:
    """The first tick that is not before this time, both in seconds."""
    return ceil(due * TIMER_TICKS_PER_S) / TIMER_TICKS_PER_S
