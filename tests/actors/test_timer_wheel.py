"""The timing wheel: nothing early, nothing late, nothing out of order, over any time."""

import weakref
from itertools import islice
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.limits import TIMER_CROWD, TIMER_TICKS_PER_S
from actors.timer_wheel import Entry, TimerWheel, tick_time

TICK_S = 1 / TIMER_TICKS_PER_S
WEEK_S = 7 * 24 * 3600


class Named(Entry):
    """An entry that knows when it was added, and that others can watch go."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, due: float, number: int = 0) -> None:
        super().__init__(due)
        self.number = number


def at_tick(tick: float, number: int = 0) -> Named:
    """An entry that is due at a tick, or between two."""
    return Named(tick * TICK_S, number)


def wheel_of(*entries: Named) -> TimerWheel[Named]:
    """A wheel with these entries."""
    wheel: TimerWheel[Named] = TimerWheel()
    for entry in entries:
        wheel.add(entry)
    return wheel


def taken(wheel: TimerWheel[Named], now: float) -> list[Named]:
    """All that is due."""
    return [entry for entry in wheel.due(now) if entry is not None]


def numbers(wheel: TimerWheel[Named], now: float) -> list[int]:
    """The numbers of all that is due."""
    return [entry.number for entry in taken(wheel, now)]


# One entry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", [0, 1, 63, 64, 64**2 - 1, 64**3 + 65, 12_345_678])
@pytest.mark.parametrize("beside", [-1, 0, 1])
@pytest.mark.parametrize("level", range(1, 8))
def test_level_boundaries_are_no_boundaries(level: int, beside: int, since: int) -> None:
    """A tick before it there is nothing to do; at its tick an entry is due."""
    wheel = wheel_of()
    assert [] == taken(wheel, since * TICK_S)
    for tick in (since + 64**level + beside, (since // 64**level + 1) * 64**level + beside):
        if tick > since:
            entry = at_tick(tick)
            wheel.add(entry)
            assert tick * TICK_S == wheel.next_due()
            wheel.remove(entry)
    wheel.add(at_tick(tick := since + 64**level + beside))
    assert [] == taken(wheel, (tick - 1) * TICK_S)
    assert tick * TICK_S == wheel.next_due()
    assert [0] == numbers(wheel, tick * TICK_S)
    assert inf == wheel.next_due()


def test_an_entry_between_two_ticks_is_due_at_the_later_one() -> None:
    """Not at the tick before it, however near."""
    wheel = wheel_of(at_tick(5.001))
    assert [] == taken(wheel, 5.999 * TICK_S)
    assert 6 * TICK_S == wheel.next_due() == tick_time(5.001 * TICK_S)
    assert [0] == numbers(wheel, 6 * TICK_S)


def test_an_entry_of_now_is_due_now() -> None:
    """At a tick there is no need to wait for the next one."""
    wheel = wheel_of()
    assert [] == taken(wheel, 2.0)
    wheel.add(Named(2.0))
    assert [0] == numbers(wheel, 2.0)


@pytest.mark.parametrize("due", [WEEK_S * 52 * 1000.0, 1e300])
def test_the_far_future_is_a_slot_like_any_other(due: float) -> None:
    """A thousand years and the end of floating point: kept, in their order, and due in the end."""
    wheel = wheel_of(Named(due, 2), Named(WEEK_S, 1), Named(due, 3))
    assert [1] == numbers(wheel, due / 2)
    assert [2, 3] == numbers(wheel, due)


def test_an_entry_moves_at_most_once_per_digit() -> None:
    """From weeks away to due in a handful of steps, though time goes by tick by tick at the end."""
    due = 64**4 * 3 + 64**3 * 2 + 64**2 * 5 + 64 * 9 + 7
    wheel = wheel_of(at_tick(due))
    steps = [len(list(wheel.due((due - before) * TICK_S))) for before in (64**4, 64**3, 64**2)]
    steps += [len(list(wheel.due((due - before) * TICK_S))) for before in range(300, -1, -1)]
    assert (5, 1) == (sum(steps), steps[-1])


def test_an_entry_near_is_found_at_once_however_long_nothing_was_due() -> None:
    """A look brings the wheel up to the time, so what is near then needs no handing down."""
    wheel = wheel_of()
    assert [] == list(wheel.due(WEEK_S))
    entry = Named(WEEK_S + TICK_S * 9)
    wheel.add(entry)
    assert [entry] == list(wheel.due(WEEK_S + 1))


# Order --------------------------------------------------------------------------------------------


def test_one_tick_gives_by_due_time_then_by_addition() -> None:
    """Within a tick, too, what is due first comes first."""
    wheel = wheel_of(at_tick(9.9, 3), at_tick(9.1, 1), at_tick(9.9, 4), at_tick(9.5, 2))
    wheel.add(at_tick(10.0, 5))
    assert [1, 2, 3, 4, 5] == numbers(wheel, 10 * TICK_S)


def test_a_late_look_gives_tick_after_tick() -> None:
    """Whoever looks after a long time gets all in order, over all levels."""
    ticks = [64**3, 1, 64, 63, 64**2 + 1, 64**2, 5]
    wheel = wheel_of(*(at_tick(tick, tick) for tick in ticks))
    assert sorted(ticks) == numbers(wheel, 1e6)


def test_what_was_added_early_comes_before_its_equal_added_late() -> None:
    """An entry that was handed down stands before one that was added at the lower level."""
    wheel = wheel_of(at_tick(64**2 + 70, 1))
    for now in (64**2 - 1, 64**2, 64**2 + 64, 64**2 + 69):
        assert [] == taken(wheel, now * TICK_S)
        wheel.add(at_tick(64**2 + 70, now))
    expected = [1, 64**2 - 1, 64**2, 64**2 + 64, 64**2 + 69]
    assert expected == numbers(wheel, (64**2 + 70) * TICK_S)


@pytest.mark.parametrize("steps", range(1, 9))
def test_an_addition_while_a_slot_is_handed_down_keeps_its_place(steps: int) -> None:
    """Whoever comes in the middle stands behind its equals that were not handed down yet."""
    wheel = wheel_of(*(at_tick(100, number) for number in range(5)))
    first = [entry for entry in islice(wheel.due(100 * TICK_S), steps) if entry is not None]
    wheel.add(at_tick(100, 9))
    wheel.add(at_tick(5000, 8))
    assert [0, 1, 2, 3, 4, 9] == [entry.number for entry in first] + numbers(wheel, 100 * TICK_S)
    assert [8] == numbers(wheel, 5000 * TICK_S)


# Removal ------------------------------------------------------------------------------------------


def test_what_is_removed_is_gone() -> None:
    """Nothing holds it any more, and its slot with it."""
    entry = at_tick(3000)
    wheel, watched = wheel_of(entry), weakref.ref(entry)
    wheel.remove(entry)
    del entry
    assert (None, inf, {}, 0) == (watched(), wheel.next_due(), wheel._slots, wheel._occupied)


def test_what_is_removed_while_its_slot_is_open_is_not_given_out() -> None:
    """What was due with another and is removed before its turn does not come."""
    entries = [at_tick(7, number) for number in range(4)]
    wheel, got = wheel_of(*entries), []
    for entry in wheel.due(7 * TICK_S):
        if entry is not None:
            got.append(entry.number)
        if got == [0] and entries[2].slot is not None:
            wheel.remove(entries[2])
    assert [0, 1, 3] == got


def test_what_is_moved_while_its_slot_is_open_stays_where_it_is_now() -> None:
    """An entry that is removed and added again for later is not due with those it lay beside."""
    entries = [at_tick(7, number) for number in range(3)]
    wheel = wheel_of(*entries)
    assert [entries[0]] == list(islice(wheel.due(7 * TICK_S), 1))
    wheel.remove(entries[1])
    entries[1].due = 8 * TICK_S
    wheel.add(entries[1])
    assert [2] == numbers(wheel, 7 * TICK_S)
    assert [1] == numbers(wheel, 8 * TICK_S)


def test_a_slot_that_is_emptied_from_outside_while_it_is_handed_down_is_done() -> None:
    """The rest of it moved on, and what is added then finds the wheel where its slot began."""
    entries = [at_tick(5000 + number, number) for number in range(3)]
    wheel = wheel_of(*entries)
    assert [None] == list(islice(wheel.due(5003 * TICK_S), 1))
    assert 5003 * TICK_S == wheel.next_due(), "there is more to do now"
    watched = [weakref.ref(entry) for entry in entries[1:]]
    wheel.remove(entries[1])
    wheel.remove(entries[2])
    del entries[1:]
    assert [None, None] == [entry() for entry in watched]
    wheel.add(at_tick(5003, 9))
    wheel.add(at_tick(5300, 10))
    assert [0, 9] == numbers(wheel, 5003 * TICK_S)
    assert [10] == numbers(wheel, 5300 * TICK_S)


# What to sleep for --------------------------------------------------------------------------------


def test_a_crowd_is_met_where_its_slot_begins() -> None:
    """A few far entries need no look before they are due; many are handed down on the way."""
    wheel = wheel_of(
        *(at_tick(64 * 3 + 10 + number / TIMER_CROWD) for number in range(1, TIMER_CROWD))
    )
    assert (64 * 3 + 11) * TICK_S == wheel.next_due()
    assert TIMER_CROWD == wheel.add(at_tick(64 * 3 + 10))
    assert 64 * 3 * TICK_S == wheel.next_due()
    assert [] == taken(wheel, 64 * 3 * TICK_S)
    assert (64 * 3 + 10) * TICK_S == wheel.next_due()


def test_nonsense_is_a_bug_of_ours() -> None:
    """What is in cannot be added, what is not in cannot be removed, and the past is over."""
    entry = at_tick(5)
    wheel = wheel_of(entry)
    with pytest.raises(AssertionError, match="one slot"):
        wheel.add(entry)
    assert [entry] == taken(wheel, 1.0)
    with pytest.raises(AssertionError, match="not in the wheel"):
        wheel.remove(entry)
    with pytest.raises(AssertionError, match="due at"):
        wheel.add(entry)


# Against a sorted list ----------------------------------------------------------------------------


class Model:
    """A wheel and the sorted list that it must behave like."""

    def __init__(self) -> None:
        self.wheel: TimerWheel[Named] = TimerWheel()
        self.waiting: list[Named] = []
        self.now = 0.0
        self._added = 0

    def add(self, delay_s: float) -> None:
        """Add an entry to both."""
        self._added += 1
        entry = Named(self.now + delay_s, self._added)
        self.wheel.add(entry)
        self.waiting.append(entry)

    def remove(self, choice: int) -> None:
        """Remove some entry from both."""
        if self.waiting:
            self.wheel.remove(self.waiting.pop(choice % len(self.waiting)))

    def advance(self, delay_s: float, steps: int | None) -> None:
        """Let time pass; look at all that is due, or leave after some steps."""
        self.now += delay_s
        got = [entry for entry in islice(self.wheel.due(self.now), steps) if entry is not None]
        due = [entry for entry in self.waiting if tick_time(entry.due) <= self.now]
        due.sort(key=lambda entry: (tick_time(entry.due), entry.due, entry.number))
        assert due[: len(got)] == got
        assert steps is not None or len(due) == len(got)
        self.waiting = [entry for entry in self.waiting if entry not in got]

    def check(self) -> None:
        """The wheel holds what the list holds, knows when to look, and keeps its books."""
        wheel = self.wheel
        held = [entry for slot in wheel._slots.values() for entry in slot]
        assert {*held} == {*self.waiting}
        assert len(held) == len(self.waiting)
        assert wheel._occupied == sum(1 << number for number in wheel._slots)
        assert all(slot.number == number and slot for number, slot in wheel._slots.items())
        soonest = min((tick_time(entry.due) for entry in self.waiting), default=inf)
        assert wheel.next_due() <= max(soonest, self.now)

    def check_sleep(self) -> None:
        """Nothing is due, and the next look is when something is."""
        soonest = min((tick_time(entry.due) for entry in self.waiting), default=inf)
        assert self.now < soonest
        if len(self.waiting) < TIMER_CROWD:
            assert soonest == self.wheel.next_due()


delays = st.one_of(
    st.integers(0, 200).map(lambda tick: tick * TICK_S),
    st.builds(
        lambda level, slots, beside: max(0, 64**level * slots + beside) * TICK_S,
        st.integers(1, 5),
        st.integers(1, 3),
        st.sampled_from([-1, -0.5, 0, 0.5, 1]),
    ),
    st.floats(0, 0.1),
    st.floats(0, 60),
    st.floats(0, 3 * WEEK_S),
)
commands = st.one_of(
    st.tuples(st.just("add"), delays, st.just(0)),
    st.tuples(st.just("add"), delays, st.just(0)),
    st.tuples(st.just("remove"), st.just(0.0), st.integers(0, 99)),
    st.tuples(st.just("advance"), delays, st.just(0)),
    st.tuples(st.just("steps"), delays, st.integers(1, 5)),
)


@given(st.lists(commands, max_size=60))
@example([("add", 39.1, 0), ("add", 39.1, 0), ("steps", 40.0, 1), ("remove", 0.0, 1)])
def test_the_wheel_is_a_sorted_list(script: list[tuple[str, float, int]]) -> None:
    """Whatever is added, removed and waited for, both say the same, and both end empty."""
    model = Model()
    for command, delay_s, number in script:
        if command == "add":
            model.add(delay_s)
        elif command == "remove":
            model.remove(number)
        else:
            model.advance(delay_s, number or None)
        model.check()
        if command == "advance":
            model.check_sleep()
    model.advance(10 * WEEK_S * 52, None)
    model.check()
    assert [] == model.waiting
