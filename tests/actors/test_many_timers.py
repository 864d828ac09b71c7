"""Many timers: what wakes, what the loop feels of a crowd, and that each fires in its tick."""

from functools import partial
from math import inf

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.limits import TIMER_BATCH
from actors.timer_wheel import tick_time
from actors.timers import Timer, Timers
from tests.actors.timing import DAY_S, TICK_S, Fires, Turns, running

# Waking -------------------------------------------------------------------------------------------


async def test_nothing_wakes_before_a_timer_is_due(autojump_clock: MockClock) -> None:
    """One run of the task for a timer a week away, whatever digits lie on the way."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers) as steps:
        timers.after(7 * DAY_S + 1234.5, fires)
        timers.after(DAY_S + 0.3, fires)
        await trio.sleep(DAY_S)
        assert 0 == steps.take()
        await trio.sleep(1)
        assert 1 == steps.take()
        await trio.sleep(7 * DAY_S)
        assert 1 == steps.take()
        assert [tick_time(DAY_S + 0.3), 7 * DAY_S + 1234.5] == fires.times
        assert inf == trio.lowlevel.current_statistics().seconds_to_next_deadline


async def test_an_earlier_timer_is_in_time(autojump_clock: MockClock) -> None:
    """Setting one brings the end of the sleep forward, and wakes nobody before."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers) as steps:
        for delay_s in (60, 30, 40, 1, 5):
            timers.after(delay_s, fires)
        await trio.sleep(0.5)
        assert 0 == steps.take()
        await trio.sleep(60)
        assert ([1, 5, 30, 40, 60], 5) == (fires.times, steps.take())


async def test_a_timer_set_as_the_task_is_woken_is_in_time(autojump_clock: MockClock) -> None:
    """Between the end of the sleep and the task's turn, setting and cancelling work as ever."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timers.after(1, fires.named("a"))
        last = timers.after(3, fires.named("never"))
        # At 1 s, this task and the task of the timers are woken together, in either order.
        await trio.sleep(1)
        last.cancel()
        timers.after(0.5, fires.named("b"))
        await trio.sleep(9)
    assert (["a", "b"], [1, 1.5]) == (fires.names, fires.times)


@pytest.mark.slow
async def test_timers_that_are_cancelled_leave_no_wake_up(autojump_clock: MockClock) -> None:
    """A hundred thousand set and cancelled, and nothing is left to wake for."""
    timers = Timers()
    async with running(timers) as steps:
        for first in range(0, 100_000, 1000):
            waiting = [timers.after((first + n) % 977 + 1, print) for n in range(1000)]
            await trio.lowlevel.checkpoint()
            assert all(timer.cancel() for timer in waiting)
        assert inf == trio.lowlevel.current_statistics().seconds_to_next_deadline
        await trio.sleep(1000)
        assert (0, 1000) == (steps.take(), autojump_clock.current_time())
        told = timers.statistics()
    assert (0, 1000, 100_000) == (told.waiting, told.waiting_peak, told.cancelled)


async def test_the_earliest_leaves_one_wake_up_at_most(autojump_clock: MockClock) -> None:
    """Where others wait, cancelling does not look for the next one: the sleep's end does."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers) as steps:
        early = [timers.after(delay_s, fires) for delay_s in (1, 2, 3)]
        timers.after(10, fires)
        for timer in early:
            timer.cancel()
        await trio.sleep(9)
        assert 1 == steps.take()
        await trio.sleep(2)
        assert (1, [10]) == (steps.take(), fires.times)


# A crowd ------------------------------------------------------------------------------------------


def test_a_crowd_that_is_due_lets_others_run() -> None:
    """Ten thousand callbacks of one tick come in batches, in order."""
    clock, timers, turns, order = MockClock(), Timers(), Turns(), list[int]()
    crowd = 10_000

    def fire(number: int) -> None:
        turns.work()
        order.append(number)
        if len(order) == crowd:
            done.set()

    async def play() -> None:
        for number in range(crowd):
            timers.after(5, partial(fire, number))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turns.take)
            nursery.start_soon(timers.run)
            clock.jump(5)
            await done.wait()
            nursery.cancel_scope.cancel()

    done = trio.Event()
    trio.run(play, clock=clock)
    assert list(range(crowd)) == order
    assert 0 < turns.longest <= TIMER_BATCH * 2, "of two tasks that run, each may be first"


async def test_a_crowd_that_lies_ahead_lets_others_run(autojump_clock: MockClock) -> None:
    """Handing ten thousand down takes as many turns of the task as so many callbacks would."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers) as steps:
        for number in range(10_000):
            timers.after(100 + number / 10_000, fires)
        await trio.sleep(99)
        assert steps.take() >= 10_000 / TIMER_BATCH
        assert [] == fires.times
        await trio.sleep(3)
    assert [tick_time(100 + number / 10_000) for number in range(10_000)] == fires.times


async def test_others_cancel_what_is_due_between_two_batches(autojump_clock: MockClock) -> None:
    """Who has a turn while a crowd fires can still call off the rest of it."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        crowd = [timers.after(1, fires) for _ in range(TIMER_BATCH * 3)]

        async def cancel() -> None:
            while not fires.names:
                await trio.lowlevel.checkpoint()
            cancelled.extend(timer.cancel() for timer in crowd)

        cancelled: list[bool] = []
        async with trio.open_nursery() as nursery:
            autojump_clock.jump(1)
            nursery.start_soon(cancel)
    assert cancelled.count(False) == len(fires.names) < len(crowd)
    assert timers.statistics().cancelled + len(fires.names) == len(crowd)


# Against what is expected -------------------------------------------------------------------------

settings_of_timers = st.tuples(
    st.one_of(st.floats(0, 0.05), st.floats(0, 10), st.floats(0, 10_000)),  # delay
    st.one_of(st.none(), st.floats(0, 20)),  # when it is cancelled
    st.sampled_from([0.0, 0.0, 0.003, 1.7]),  # time that passes before the next one is set
)


class Play:
    """Sets timers one after the other, each perhaps to be cancelled, and keeps what came of it."""

    def __init__(self) -> None:
        self.made: list[Timer] = []
        self.cancelled: set[Timer] = set()
        self.fired: list[tuple[float, Timer]] = []

    async def run(self, script: list[tuple[float, float | None, float]]) -> None:
        """Play until no timer waits."""
        timers = Timers()
        async with running(timers), trio.open_nursery() as nursery:
            for number, (delay_s, cancel_s, pause_s) in enumerate(script):
                self.made.append(timers.after(delay_s, partial(self._fire, number)))
                if cancel_s is not None:
                    nursery.start_soon(self._cancel, self.made[-1], cancel_s)
                await trio.sleep(pause_s)
            await trio.sleep(10_001)
        assert 0 == timers.statistics().waiting

    def _fire(self, number: int) -> None:
        self.fired.append((trio.current_time(), self.made[number]))

    async def _cancel(self, timer: Timer, delay_s: float) -> None:
        await trio.sleep(delay_s)
        if timer.cancel():
            self.cancelled.add(timer)


@given(st.lists(settings_of_timers, max_size=30))
def test_every_timer_fires_in_its_tick_or_was_cancelled(
    script: list[tuple[float, float | None, float]],
) -> None:
    """Never early, at most a tick late, exactly once, and in order."""
    play = Play()
    trio.run(play.run, script, clock=MockClock(autojump_threshold=0))
    fired = [timer for _, timer in play.fired]
    assert {*play.made} - play.cancelled == {*fired}
    assert len(play.made) == len(play.cancelled) + len(fired)
    assert all(timer.due <= time <= timer.due + TICK_S for time, timer in play.fired)
    assert [timer.due for timer in fired] == sorted(timer.due for timer in fired)
