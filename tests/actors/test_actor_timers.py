"""Timers of an actor: messages to itself that come later, and end with its life."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Belonging,
    DynamicSupervisor,
    Ref,
    Reply,
    Restart,
    StartFailed,
    System,
    actor_child,
)
from tests.actors.company import Social, Tasked, boom, stop_in_peace, tell
from tests.actors.doers import Do, Doer, answer, crash, stop, wait_for
from tests.actors.support import Boom, running


class Clocked(Social):
    """One that notes when what happened."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def note(self, what: str, *, busy_s: float = 0) -> Do:
        """A message that is noted with its second, and takes so long."""

        async def handle(_doer: Doer, reply: Reply) -> None:
            assert not reply.wanted
            self.seen.append((what, round(trio.current_time())))
            if busy_s:
                await trio.sleep(busy_s)

        return handle


@asynccontextmanager
async def clocked(
    make: Callable[[], Doer] = Clocked,
    *,
    system: System | None = None,
    restart: Restart = Restart.TEMPORARY,
) -> AsyncIterator[Ref[Do]]:
    """One actor, as long as the block runs."""
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree, system):
        yield await tree.start_child(actor_child("clocked", make, restart=restart))


def seen(clocked: Clocked) -> list[tuple[str, int]]:
    """What it noted."""
    return clocked.seen


async def test_a_message_comes_after_its_delay(autojump_clock: MockClock) -> None:
    """Each at its time, once; it wants no answer."""
    async with clocked() as ref:

        def act(actor: Clocked) -> None:
            for delay_s in (3, 1, 2):
                actor.send_after(delay_s, actor.note(f"after {delay_s}"))

        await tell(ref, act)
        await trio.sleep(2.5)
        assert [("after 1", 1), ("after 2", 2)] == await tell(ref, seen)
        await trio.sleep(20)
        assert [("after 1", 1), ("after 2", 2), ("after 3", 3)] == await tell(ref, seen)
    assert 22 < autojump_clock.current_time() < 23


async def test_a_message_now_comes_after_the_one_being_handled(autojump_clock: MockClock) -> None:
    """With no delay it comes soon, never within the call that asked for it."""
    async with clocked() as ref:

        def act(actor: Clocked) -> int:
            actor.send_after(0, actor.note("now"))
            return len(actor.seen)

        assert 0 == await tell(ref, act)
        await trio.sleep(1)
        assert [("now", 0)] == await tell(ref, seen)
    assert 1 == autojump_clock.current_time()


async def test_a_message_comes_every_period(autojump_clock: MockClock) -> None:
    """For the first time after one period, until cancelled, also from within the tick."""
    async with clocked() as ref:
        timers: list[Belonging] = []

        def twice(actor: Doer, _reply: Reply) -> None:
            assert isinstance(actor, Clocked)
            actor.seen.append(("tick", round(trio.current_time())))
            if len(actor.seen) == 2:
                timers[0].cancel()

        await tell(ref, lambda actor: timers.append(actor.send_every(5, twice)))
        await trio.sleep(100)
        assert [("tick", 5), ("tick", 10)] == await tell(ref, seen)
        timers[0].cancel()
    assert 100 == autojump_clock.current_time()


async def test_timers_come_ahead_of_messages_that_wait(autojump_clock: MockClock) -> None:
    """One that falls due while a message is handled is next, before all that wait."""
    async with clocked() as ref:

        def act(actor: Clocked) -> None:
            actor.send_after(1, actor.note("timer"))
            ref.cast(actor.note("first", busy_s=2))
            ref.cast(actor.note("second"))
            ref.cast(actor.note("third"))

        await tell(ref, act)
        await trio.sleep(3)
        expected = [("first", 0), ("timer", 2), ("second", 2), ("third", 2)]
        assert expected == await tell(ref, seen)
    assert 3 == autojump_clock.current_time()


async def test_a_cancelled_timer_does_not_come(autojump_clock: MockClock) -> None:
    """Nor is it kept; one that waits in the mailbox already is delivered."""
    system = System()
    go = trio.Event()
    async with clocked(system=system) as ref:
        timers: list[Belonging] = []

        def act(actor: Clocked) -> None:
            timers.extend(actor.send_after(s, actor.note(f"after {s}")) for s in (1, 5))

        await tell(ref, act)
        ref.cast(wait_for(go))
        await trio.sleep(2)
        for timer in (*timers, *timers):
            timer.cancel()
        assert (0, 1) == (system.timers.statistics().waiting, ref.statistics().signals_waiting)
        go.set()
        await trio.sleep(9)
        assert [("after 1", 2)] == await tell(ref, seen)
    assert 11 == autojump_clock.current_time()


async def test_never_two_ticks_of_a_timer_wait(autojump_clock: MockClock) -> None:
    """Whoever is slower than its timers has one tick of each ahead of it, not a heap of them."""
    async with clocked() as ref:

        def act(actor: Clocked) -> None:
            for what in ("a", "b"):
                actor.send_every(1, actor.note(what, busy_s=3.5))

        await tell(ref, act)
        waiting: list[int] = []
        for _ in range(40):
            await trio.sleep(0.5)
            waiting.append(ref.statistics().signals_waiting)
        whats = [what for what, _ in await tell(ref, seen)]
        assert ["a", "b"] * 3 == whats[:6]
    assert 2 == max(waiting)
    assert autojump_clock.current_time() > 20


async def test_ticks_leave_room_for_messages(autojump_clock: MockClock) -> None:
    """An actor slower than its timer still comes to its messages: one between two ticks."""
    async with clocked() as ref:

        def act(actor: Clocked) -> None:
            actor.send_every(1, actor.note("tick", busy_s=3))
            for what in ("x", "y"):
                ref.cast(actor.note(what, busy_s=2))

        await tell(ref, act)
        await trio.sleep(9)
        expected = [("x", 0), ("tick", 2), ("y", 5), ("tick", 7)]
        assert expected == (await tell(ref, seen))[:4]
    assert autojump_clock.current_time() > 9


async def test_a_tick_that_waits_behind_another_signal_is_not_doubled(
    autojump_clock: MockClock,
) -> None:
    """It waits still while the signal that came before it is handled, so no second one comes."""
    async with clocked() as ref:

        def act(actor: Clocked) -> None:
            actor.send_after(3, actor.note("long", busy_s=10))
            actor.send_every(5, actor.note("tick"))
            ref.cast(actor.note("busy", busy_s=6))

        await tell(ref, act)
        await trio.sleep(21)
        expected = [("busy", 0), ("long", 6), ("tick", 16), ("tick", 20)]
        assert expected == await tell(ref, seen)
    assert 21 == autojump_clock.current_time()


@pytest.mark.parametrize("make", [Clocked, type("Both", (Clocked, Tasked), {})])
@pytest.mark.parametrize("end", [stop, crash], ids=["peace", "crash"])
async def test_timers_end_with_the_life(make: type[Clocked], end: Do) -> None:
    """However it ended, the wheel forgets them at once."""
    system = System()
    async with clocked(make, system=system) as ref:

        def act(actor: Clocked) -> None:
            actor.send_after(1, boom())
            actor.send_every(1, boom())
            actor.send_after(1, boom()).cancel()

        await tell(ref, act)
        assert 2 == system.timers.statistics().waiting
        ref.cast(end)
        await ref.wait_down()
        await wait_all_tasks_blocked()
        assert (0, 3) == (system.timers.statistics().waiting, system.timers.statistics().cancelled)


async def test_timers_end_with_a_life_that_is_crashed_or_never_began() -> None:
    """Also where the actor itself had no say."""
    system = System()

    class Hapless(Clocked):
        async def started(self) -> None:
            self.send_every(1, answer(None))
            raise Boom("cannot start")

    async with clocked(system=system) as ref:
        await tell(ref, lambda actor: actor.send_every(1, answer(None)))
        ref.crash(Boom("imposed"))
        await ref.wait_down()
    assert 0 == system.timers.statistics().waiting
    with pytest.RaisesGroup(StartFailed, flatten_subgroups=True):
        async with clocked(Hapless, system=system):
            raise AssertionError("it started")
    assert (2, 0) == (system.timers.statistics().started, system.timers.statistics().waiting)


async def test_timers_of_a_goodbye_end_with_it(autojump_clock: MockClock) -> None:
    """A timer set while stopping, and one that fires then, come to nobody."""
    system = System()

    class Slow(Clocked):
        async def stopping(self) -> None:
            self.send_after(1, boom())
            self.send_after(9, boom())
            await trio.sleep(2)

    for end in (stop, crash):
        async with clocked(Slow, system=system) as ref:
            await tell(ref, lambda actor: actor.send_every(1, boom()))
            ref.cast(end)
            await ref.wait_down()
            await trio.sleep(3)
            assert 0 == system.timers.statistics().waiting
    assert system.timers.statistics().crashed == 0
    assert autojump_clock.current_time() > 5


async def test_timers_of_one_life_do_not_come_in_the_next(autojump_clock: MockClock) -> None:
    """Also with a stash, where the mailbox lives on, and for a timer that waits in it."""

    class Lasting(Clocked):
        stash = True
        attempts = 1

    async with clocked(Lasting, restart=Restart.PERMANENT) as ref:

        async def busy_then_crash(actor: Doer, _reply: Reply) -> None:
            actor.send_after(1, answer("late"))
            actor.send_every(1, crash)
            actor.send_after(9, crash)
            await trio.sleep(2)
            raise Boom("told to")

        ref.cast(busy_then_crash)
        await trio.sleep(20)
        assert ([], 0) == (await tell(ref, seen), ref.statistics().signals_waiting)
        assert 1 == ref.statistics().quarantined
    assert 20 == autojump_clock.current_time()


async def test_a_timer_that_fires_as_the_actor_stops_is_not_handled(
    autojump_clock: MockClock,
) -> None:
    """A stop comes before everything that waits."""
    clockeds: list[Clocked] = []

    class Noting(Clocked):
        async def stopping(self) -> None:
            clockeds.append(self)

    async with clocked(Noting) as ref:

        async def act(actor: Doer, _reply: Reply) -> None:
            assert isinstance(actor, Clocked)
            actor.send_after(1, actor.note("timer"))
            await trio.sleep(2)
            actor.stop()

        ref.cast(act)
        await stop_in_peace(ref)
    assert [[]] == [each.seen for each in clockeds]
    assert 2 == autojump_clock.current_time()
