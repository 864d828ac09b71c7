"""Timers: when they fire and when not, and what a callback may do."""

import weakref
from math import inf, nan

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.limits import TIMER_TICKS_PER_S
from actors.timers import Timers
from tests.actors.support import Boom, Journal
from tests.actors.timing import DAY_S, TICK_S, Fires, running

# Firing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_s", [0.0, 0.25, 1.0, 30.0, 3600.0, 7.0 * DAY_S, 1000.0 * DAY_S])
async def test_what_is_due_at_a_tick_fires_at_its_time(
    delay_s: float, autojump_clock: MockClock
) -> None:
    """Whole seconds and their quarters are ticks: exactly then."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timer = timers.after(delay_s, fires)
        assert (True, delay_s) == (timer.active, timer.due)
        await trio.sleep(delay_s + 1)
    assert [delay_s] == fires.times
    assert (False, False) == (timer.active, timer.cancel())


async def test_nothing_fires_within_the_call_that_sets_it(autojump_clock: MockClock) -> None:
    """Without a delay a callback is called soon, by the task of the timers."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timers.after(0, fires)
        assert [] == fires.times
        await wait_all_tasks_blocked()
        assert [0.0] == fires.times


async def test_timers_fire_in_order(autojump_clock: MockClock) -> None:
    """By due time, also within one tick, then as they were set."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        for delay_s, name in ((0.5, "d"), (0.499, "b"), (0.498, "a"), (0.499, "c"), (9, "e")):
            timers.after(delay_s, fires.named(name))
        await trio.sleep(10)
    assert ["a", "b", "c", "d", "e"] == fires.names
    assert [0.5, 0.5, 0.5, 0.5, 9] == fires.times


async def test_timers_set_before_they_run_fire_once_they_do(autojump_clock: MockClock) -> None:
    """What came due meanwhile fires at once, in order, the rest at its time; also the next time."""
    timers, fires = Timers(), Fires(autojump_clock)
    for _ in range(2):
        started = autojump_clock.current_time()
        for delay_s, name in ((7, "d"), (2, "b"), (1, "a"), (3, "c")):
            timers.after(delay_s, fires.named(name))
        await trio.sleep(4)
        assert [] == fires.names
        async with running(timers):
            assert ["a", "b", "c"] == fires.names
            await trio.sleep(5)
        assert (["a", "b", "c", "d"], started + 7) == (fires.names, fires.times[-1])
        fires.names.clear()


async def test_one_task_runs_the_timers() -> None:
    """A second one is a bug."""
    timers = Timers()
    async with running(timers):
        with pytest.raises(AssertionError, match="one task"):
            await timers.run()


@pytest.mark.parametrize("delay_s", [-0.001, inf, nan])
async def test_nonsense_is_a_bug_of_ours(delay_s: float) -> None:
    """A delay is finite and not negative, and a period is not nothing either."""
    with pytest.raises(AssertionError, match="a delay of"):
        Timers().after(delay_s, print)
    for period_s in (delay_s, 0):
        with pytest.raises(AssertionError, match="a period of"):
            Timers().every(period_s, print)


# Cancelling ---------------------------------------------------------------------------------------


async def test_a_cancelled_timer_does_not_fire(autojump_clock: MockClock) -> None:
    """The first cancel says so, and the second has nothing to do."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timer = timers.after(1, fires)
        assert (True, False, False) == (timer.cancel(), timer.active, timer.cancel())
        await trio.sleep(2)
    assert [] == fires.names


async def test_a_timer_that_is_over_holds_nothing(autojump_clock: MockClock) -> None:
    """Whoever keeps a timer that fired or was cancelled does not keep what it would call."""
    timers = Timers()
    async with running(timers):
        callbacks = [Fires(autojump_clock), Fires(autojump_clock)]
        watched = [weakref.ref(callback) for callback in callbacks]
        kept = [timers.after(1, callback) for callback in callbacks]
        kept[0].cancel()
        await trio.sleep(2)
        callbacks.clear()
        assert ([None, None], 2) == ([callback() for callback in watched], len(kept))


async def test_a_callback_cancels_what_is_due_with_it(autojump_clock: MockClock) -> None:
    """What an earlier callback of the same tick cancelled does not fire, whatever its kind."""
    timers, fires = Timers(), Fires(autojump_clock)
    told: list[bool] = []

    def cancel() -> None:
        told.extend(timer.cancel() for timer in (first, once, periodic))

    async with running(timers):
        first = timers.after(1, cancel)
        once, periodic = timers.after(1, fires), timers.every(1, fires)
        timers.after(1, fires.named("last"))
        await trio.sleep(5)
    assert (["last"], [False, True, True]) == (fires.names, told)


async def test_a_callback_sets_timers(autojump_clock: MockClock) -> None:
    """For now, after all that is due; for later, at its time."""
    timers, fires = Timers(), Fires(autojump_clock)

    def more() -> None:
        fires.fire("more")
        timers.after(0, fires.named("now"))
        timers.after(2, fires.named("later"))

    async with running(timers):
        timers.after(1, more)
        timers.after(1, fires.named("same"))
        await trio.sleep(5)
    assert (["more", "same", "now", "later"], [1, 1, 1, 3]) == (fires.names, fires.times)


# Periodic timers ----------------------------------------------------------------------------------


async def test_a_periodic_timer_does_not_drift(autojump_clock: MockClock) -> None:
    """Each firing is due a whole number of periods after the start, though ticks round it up."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timer = timers.every(0.1, fires)
        await trio.sleep(100.05)
        assert 100.1 == pytest.approx(timer.due, abs=1e-9)
        assert (True, True, False) == (timer.active, timer.cancel(), timer.active)
        await trio.sleep(10)
    assert 1000 == len(fires.times)
    late = [time - 0.1 * (number + 1) for number, time in enumerate(fires.times)]
    assert all(-1e-9 < by < TICK_S + 1e-9 for by in late)


async def test_missed_periods_are_skipped(autojump_clock: MockClock) -> None:
    """After the loop was held for long: one call for what was missed, then as from the start."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timers.every(2, fires)
        await trio.sleep(3)
        autojump_clock.jump(8.5)
        await trio.sleep(5)
    assert [2, 11.5, 12, 14, 16] == fires.times


async def test_a_period_on_time_is_not_skipped(autojump_clock: MockClock) -> None:
    """Who fires exactly when the next one is due was late by one."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timers.every(2, fires)
        autojump_clock.jump(4)
        await trio.sleep(3)
    assert [4, 6] == fires.times


@pytest.mark.parametrize("period_s", [TICK_S / 3, 1e-9, 1e-30])
async def test_no_period_is_shorter_than_a_tick(period_s: float, autojump_clock: MockClock) -> None:
    """Shorter ones fire once a tick, and never hold the clock."""
    timers, fires = Timers(), Fires(autojump_clock)
    async with running(timers):
        timers.every(period_s, fires)
        await trio.sleep(1)
    assert TIMER_TICKS_PER_S == pytest.approx(len(fires.times), abs=1)
    assert len(fires.times) == len({*fires.times})


async def test_a_callback_ends_its_own_period(autojump_clock: MockClock) -> None:
    """It is set again before its callback is called, which may cancel it."""
    timers, ends = Timers(), list[tuple[bool, bool]]()

    def end() -> None:
        ends.append((timer.active, timer.cancel()))

    async with running(timers):
        timer = timers.every(1, end)
        await trio.sleep(5)
    assert ([(True, True)], 5) == (ends, autojump_clock.current_time())


# What goes wrong ----------------------------------------------------------------------------------


async def test_a_callback_that_raises_is_told_and_stops_nobody(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Those after it fire, and a periodic one goes on."""
    timers, fires, error = Timers(journal.emit), Fires(autojump_clock), Boom()

    def fail() -> None:
        raise error

    async with running(timers):
        timers.every(1, fail)
        timers.after(1, fail)
        timers.after(1, fires)
        await trio.sleep(2.5)
    assert [("timer.crashed", {"error": error})] * 3 == journal.events
    assert ([1], 3, 4) == (fires.times, timers.statistics().crashed, timers.statistics().fired)


async def test_what_is_no_error_ends_the_run_and_loses_no_timer(autojump_clock: MockClock) -> None:
    """A keyboard interrupt is nobody's bug: it goes up, and what was due fires when run again."""
    timers, fires = Timers(), Fires(autojump_clock)

    def interrupt() -> None:
        raise KeyboardInterrupt

    timers.after(0, interrupt)
    timers.after(0, fires)
    with pytest.raises(KeyboardInterrupt):
        await timers.run()
    async with running(timers):
        assert [0] == fires.times


# Numbers ------------------------------------------------------------------------------------------


async def test_statistics_count_everything(autojump_clock: MockClock) -> None:
    """A periodic timer is started once, fires often, and waits until it is cancelled."""
    timers = Timers()
    async with running(timers):
        periodic = timers.every(1, Fires(autojump_clock))
        once, never = timers.after(1, Fires(autojump_clock)), timers.after(9, Fires(autojump_clock))
        await trio.sleep(3.5)
        assert (True, False) == (never.cancel(), once.cancel())
        told = timers.statistics()
        assert (1, 3, 3, 4, 1, 0) == (
            told.waiting,
            told.waiting_peak,
            told.started,
            told.fired,
            told.cancelled,
            told.crashed,
        )
        assert ("<Timers [1 wait]>", "<Timer due at 4.000 every 1 s>") == (
            repr(timers),
            repr(periodic),
        )
        assert "<Timer due at 1.000, over>" == repr(once)
