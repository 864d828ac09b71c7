"""Virtual actors: always there to talk to, alive only while somebody does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Actor,
    ActorDown,
    Lives,
    MailboxFull,
    Reply,
    Restart,
    System,
    TooManyChildren,
    VirtualActors,
)
from tests.actors.support import Boom, Journal, running

IDLE_S = 10.0


class Counter(Actor[str]):
    """Counts what it is told; does more for some words."""

    stash = True
    attempts = 2
    capacity = 4
    runs_tasks = True

    def __init__(self, key: str, world: "World") -> None:
        self.key = key
        self.world = world
        self.count = 0

    async def started(self) -> None:
        """Say so; fail or wait where the world wants it."""
        self.world.lines.append(f"+{self.key}")
        await self.world.gate.wait()
        if self.world.broken:
            raise Boom("cannot start")

    async def handle(self, message: str, reply: Reply) -> None:
        """Count, and answer with the count."""
        self.count += 1
        match message:
            case "stop":
                self.stop()
            case "crash":
                raise Boom("told to")
            case "later":
                self.world.kept.append(reply)
                return
            case "work":
                self.start_soon(self.world.work.wait)
        reply.send(self.count)

    async def stopping(self) -> None:
        """Say so, and take as long as the world wants."""
        self.world.lines.append(f"-{self.key}")
        await self.world.exit.wait()


class World:
    """What the counters do and see."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kept: list[Reply] = []
        self.broken = False
        self.gate, self.exit, self.work = trio.Event(), trio.Event(), trio.Event()
        self.gate.set()
        self.exit.set()

    def take(self) -> str:
        """The lines since the last time, in one string."""
        lines, self.lines = self.lines, []
        return " ".join(lines)


@pytest.fixture
def world() -> World:
    """A world that waits for nothing."""
    return World()


@asynccontextmanager
async def counters(
    world: World,
    told: Journal | System | None = None,
    *,
    max_live: int = 10,
    restart: Restart = Restart.TRANSIENT,
) -> AsyncIterator[VirtualActors[str]]:
    """Virtual counters, as long as the block runs."""
    lives = Lives(idle_s=IDLE_S, max_live=max_live, restart=restart, shutdown_s=5)
    actors = VirtualActors("counters", Counter, lambda key: Counter(key, world), lives)
    async with running(actors, told):
        yield actors


async def ask(actors: VirtualActors[str], key: str, message: str = "count") -> Any:
    """Call with patience."""
    return await actors.call(key, message, deadline_s=100)


async def test_the_first_message_begins_a_life(world: World) -> None:
    """Nobody lives before; each key has one actor, which stays."""
    async with counters(world) as actors:
        assert (None, ()) == (actors.whereis("a"), actors.keys())
        answers = [await ask(actors, key) for key in ("a", "a", "b", "a")]
        assert ([1, 2, 1, 3], "+a +b") == (answers, world.take())
        assert ("a", "b") == actors.keys()
        ref = actors.whereis("a")
        assert ref is not None
        assert "counters-1" == ref.name


async def test_messages_gather_while_one_starts(world: World) -> None:
    """A burst begins one life, and is handled in order when it is ready."""
    world.gate = trio.Event()
    async with counters(world) as actors, trio.open_nursery() as nursery:
        answers: list[int] = []

        async def call() -> None:
            answers.append(await ask(actors, "a"))

        actors.cast("a", "count")
        for _ in range(3):
            nursery.start_soon(call)
        await wait_all_tasks_blocked()
        with pytest.raises(MailboxFull):
            actors.cast("a", "count")
        world.gate.set()
    assert ([2, 3, 4], "+a -a") == (sorted(answers), world.take())


async def test_who_is_idle_goes_and_comes_back(world: World, autojump_clock: MockClock) -> None:
    """After its idle time one ends in peace; the next message begins another, with a new state."""
    async with counters(world) as actors:
        await ask(actors, "a")
        await trio.sleep(2 * IDLE_S + 1)
        assert ("+a -a", ()) == (world.take(), actors.keys())
        assert 1 == await ask(actors, "a")
        told = actors.statistics()
        assert (1, 1, 2, 1) == (told.live, told.live_peak, told.activated, told.passivated)
        assert autojump_clock.current_time() > 2 * IDLE_S


async def test_who_is_talked_to_stays(world: World, autojump_clock: MockClock) -> None:
    """However long it lives."""
    async with counters(world) as actors:
        for _ in range(20):
            await ask(actors, "a")
            await trio.sleep(IDLE_S * 0.9)
        assert ("+a", 21) == (world.take(), await ask(actors, "a"))
    assert autojump_clock.current_time() >= 18 * IDLE_S


@pytest.mark.parametrize("business", ["later", "work"])
async def test_who_has_business_left_is_not_idle(
    world: World, business: str, autojump_clock: MockClock
) -> None:
    """One that owes an answer, or works in a task of its own, stays until that is done."""
    async with counters(world) as actors, trio.open_nursery() as nursery:
        nursery.start_soon(ask, actors, "a", business)
        await trio.sleep(5 * IDLE_S)
        assert ("+a", ("a",)) == (world.take(), actors.keys())
        world.work.set()
        for reply in world.kept:
            reply.send(0)
        await trio.sleep(2 * IDLE_S + 1)
        assert "-a" == world.take()
    assert autojump_clock.current_time() > 7 * IDLE_S


async def test_a_message_during_the_goodbye_begins_another_life(
    world: World, autojump_clock: MockClock
) -> None:
    """What comes while an idle actor says goodbye is handled by the next."""
    world.exit = trio.Event()
    async with counters(world) as actors, trio.open_nursery() as nursery:
        await ask(actors, "a")
        await trio.sleep(2 * IDLE_S + 1)
        assert "+a -a" == world.take()
        before, answers = actors.whereis("a"), list[int]()

        async def call() -> None:
            answers.append(await ask(actors, "a"))

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        assert [] == answers
        world.exit.set()
        await wait_all_tasks_blocked()
        assert ([1], "+a", before) == (answers, world.take(), actors.whereis("a"))
        assert (2, 0) == (actors.statistics().activated, actors.statistics().passivated)
    assert autojump_clock.current_time() > 2 * IDLE_S


async def test_one_that_stops_itself_leaves_the_rest_to_the_next(world: World) -> None:
    """Messages behind its last one begin another life."""
    async with counters(world) as actors:
        for message in ("count", "stop", "count"):
            actors.cast("a", message)
        assert 2 == await ask(actors, "a")
        assert "+a -a +a" == world.take()


async def test_a_crash_is_restarted_and_poison_is_not_retried_for_ever(
    world: World, journal: Journal
) -> None:
    """The next message is handled by the life after the last crash."""
    async with counters(world, journal) as actors:
        actors.cast("a", "crash")
        assert 1 == await ask(actors, "a")
        assert ("+a -a +a -a +a", 2) == (world.take(), actors.statistics().restarts)
        ref = actors.whereis("a")
        assert ref is not None
        assert 1 == ref.statistics().quarantined


async def test_temporary_ones_end_with_a_crash(world: World) -> None:
    """Their callers are told, and the next caller begins anew."""
    async with counters(world, restart=Restart.TEMPORARY) as actors:
        with pytest.raises(ActorDown) as caught:
            await ask(actors, "a", "crash")
        assert "Boom('told to')" == repr(caught.value.__cause__)
        assert (1, 0) == (await ask(actors, "a"), actors.statistics().restarts)


async def test_one_that_cannot_start_is_told_to_its_callers(world: World) -> None:
    """Nothing is left behind, and the key can be tried again."""
    world.broken = True
    async with counters(world) as actors:
        with pytest.raises(ActorDown) as caught:
            await ask(actors, "a")
        assert ("Boom('cannot start')", ()) == (repr(caught.value.__cause__), actors.keys())
        world.broken = False
        assert 1 == await ask(actors, "a")


async def test_a_make_that_fails_is_told_to_its_callers() -> None:
    """As a start that failed."""

    def make(key: str) -> Counter:
        raise Boom(key)

    actors = VirtualActors("counters", Counter, make, Lives(idle_s=1, max_live=1))
    async with running(actors):
        with pytest.raises(ActorDown) as caught:
            await ask(actors, "a")
    assert "Boom('a')" == repr(caught.value.__cause__)


async def test_lives_are_bounded(world: World) -> None:
    """One more is refused, to casts and calls, and nothing is left of it."""
    async with counters(world, max_live=1) as actors:
        await ask(actors, "a")
        with pytest.raises(TooManyChildren):
            actors.cast("b", "count")
        with pytest.raises(TooManyChildren):
            await ask(actors, "b")
        assert ("a",) == actors.keys()
        actors.cast("a", "stop")
        await wait_all_tasks_blocked()
        assert 1 == await ask(actors, "b")


async def test_before_and_after_it_runs_nobody_is_there(world: World) -> None:
    """Callers are told at once."""
    async with counters(world) as actors:
        await ask(actors, "a")
    assert ("+a -a", ()) == (world.take(), actors.keys())
    with pytest.raises(ActorDown):
        actors.cast("a", "count")
    with pytest.raises(ActorDown):
        await ask(actors, "a")
    assert () == actors.keys()


async def test_a_stop_does_not_begin_lives(world: World) -> None:
    """What waits when the supervisor stops is lost, and callers are told."""
    world.exit = trio.Event()
    lives = Lives(idle_s=IDLE_S, max_live=1)
    actors = VirtualActors("counters", Counter, lambda key: Counter(key, world), lives)
    async with trio.open_nursery() as nursery, running(actors) as stopping:

        async def call() -> None:
            with pytest.raises(ActorDown):
                await ask(actors, "a")

        actors.cast("a", "stop")
        await wait_all_tasks_blocked()
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        stopping.set()
        await wait_all_tasks_blocked()
        world.exit.set()
    assert ("+a -a", ()) == (world.take(), actors.keys())


async def test_it_may_run_again(world: World) -> None:
    """A second run knows nothing of the first."""
    lives = Lives(idle_s=IDLE_S, max_live=1)
    actors = VirtualActors("counters", Counter, lambda key: Counter(key, world), lives)
    for _ in range(2):
        async with running(actors):
            assert 1 == await ask(actors, "a")


def test_what_makes_no_sense_is_a_bug(world: World) -> None:
    """No stash, no idle time, or no end."""

    class Forgetful(Counter):
        stash = False

    make = lambda key: Forgetful(key, world)  # noqa: E731 - as short as it gets
    with pytest.raises(AssertionError, match="no stash"):
        VirtualActors("counters", Forgetful, make, Lives(idle_s=1, max_live=1))
    with pytest.raises(AssertionError, match="idle after 0 s"):
        Lives(idle_s=0, max_live=1)
    with pytest.raises(AssertionError, match="never goes"):
        Lives(idle_s=1, max_live=1, restart=Restart.PERMANENT)


async def test_repr_is_a_status_line(world: World) -> None:
    """An operator sees how many live."""
    async with counters(world) as actors:
        await ask(actors, "a")
        assert "<VirtualActors counters [1 live]>" == repr(actors)
