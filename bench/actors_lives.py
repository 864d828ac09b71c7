"""Actors that come, crash and go, and the same with bare tasks. Each function returns seconds."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import trio

from actors import Actor, DynamicSupervisor, Ref, Reply, Restart, Supervisor, actor_child
from bench.actors_messages import BATCH, DEADLINE_S, Echo, Question, ask, echo_questions
from bench.meters import Stopwatch
from bench.trees import WIDE_OPEN, dynamic, running

# How many are called by one caller each, and how many more crash beside them.
CALLED: Final = 16
CRASHING: Final = 16
CRASHES_PER_S: Final = 200


class Boom(Exception):  # noqa: N818 - it is no error that it crashes
    """What they crash with."""


# Start and stop -----------------------------------------------------------------------------------


async def starts_and_stops(count: int) -> float:
    """Actors, each started and terminated before the next."""
    async with dynamic() as supervisor:
        with Stopwatch() as watch:
            for _ in range(count):
                await supervisor.start_child(actor_child("one", Echo))
                await supervisor.terminate_child("one")
    return watch.seconds


class BareLife:
    """A task that loops on a channel of its own, and can be cancelled and waited for.

    Attributes:
        channel: what it reads.
        gone: set when it has ended.
    """

    __slots__ = ("_receive", "_scope", "channel", "gone")

    def __init__(self) -> None:
        self.channel, self._receive = trio.open_memory_channel[Question](BATCH)
        self.gone = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Live."""
        with self._scope:
            task_status.started()
            await echo_questions(self._receive)
        self.gone.set()

    async def stop(self) -> None:
        """End it."""
        self._scope.cancel()
        await self.gone.wait()


async def bare_starts_and_stops(count: int) -> float:
    """Tasks, each started and cancelled before the next."""
    async with trio.open_nursery() as nursery:
        with Stopwatch() as watch:
            for _ in range(count):
                life = BareLife()
                await nursery.start(life.run)
                await life.stop()
    return watch.seconds


# Crash and restart --------------------------------------------------------------------------------


class Crashes:
    """Whoever waits for a next life, and how to crash it.

    Attributes:
        born: set by each life that begins.
        crash: crashes the life that began last.
    """

    __slots__ = ("born", "crash")

    def __init__(self) -> None:
        self.born = trio.Event()
        self.crash: Callable[[], object] = self.born.is_set

    async def again(self, count: int) -> float:
        """Crash a life and wait for the next, so many times."""
        await self.born.wait()
        with Stopwatch() as watch:
            for _ in range(count):
                self.born = trio.Event()
                self.crash()
                await self.born.wait()
        return watch.seconds


class Crasher(Actor[None]):
    """Crashes when told to."""

    __slots__ = ("_crashes",)

    def __init__(self, crashes: Crashes) -> None:
        self._crashes = crashes

    async def started(self) -> None:
        """Tell of the new life."""
        self._crashes.crash = partial(self.ref.cast, None)
        self._crashes.born.set()

    async def handle(self, message: None, reply: Reply) -> None:
        """Crash."""
        raise Boom


async def restarts(count: int) -> float:
    """Crashes under a supervisor of children that come and go."""
    crashes = Crashes()
    async with dynamic() as supervisor:
        await supervisor.start_child(actor_child("one", partial(Crasher, crashes)))
        return await crashes.again(count)


async def ordered_restarts(count: int) -> float:
    """Crashes of one of ten children under a supervisor that keeps an order."""
    crashes = Crashes()
    specs = [actor_child(str(place), Echo) for place in range(9)]
    specs.append(actor_child("one", partial(Crasher, crashes)))
    async with running(Supervisor("bench", specs, intensity=WIDE_OPEN)):
        return await crashes.again(count)


async def bare_restarts(count: int) -> float:
    """Crashes of a task that has itself started again."""
    crashes = Crashes()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(respawning, nursery, crashes)
        seconds = await crashes.again(count)
        nursery.cancel_scope.cancel()
    return seconds


async def respawning(nursery: trio.Nursery, crashes: Crashes) -> None:
    """One life of a bare task that crashes when told to, and is then started again."""
    try:
        await _crashing(crashes)
    except Boom:
        nursery.start_soon(respawning, nursery, crashes)


# Calls beside crashes -----------------------------------------------------------------------------


async def _call_all(
    asks: Sequence[Callable[[int], Awaitable[object]]],
    count: int,
    crash: Callable[[], object] | None,
) -> float:
    """Have each of these called by one caller, while others crash.

    Crashes are paced by processor time, so that a machine with other work does not see more of
    them to a call. Where nothing crashes there is the same look at the clock.
    """
    async with trio.open_nursery() as beside:
        beside.start_soon(_pace, crash or (lambda: None))
        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for each in asks:
                    nursery.start_soon(_call_often, each, count // len(asks))
        beside.cancel_scope.cancel()
    return watch.seconds


async def _call_often(each: Callable[[int], Awaitable[object]], count: int) -> None:
    for number in range(count):
        await each(number)


async def _pace(crash: Callable[[], object]) -> None:
    due = time.thread_time()
    while True:
        if time.thread_time() >= due:
            due += 1 / CRASHES_PER_S
            crash()
        await trio.lowlevel.checkpoint()


def _one_after_the_other(all_crashes: list[Crashes]) -> Callable[[], None]:
    """What crashes each of them in turn."""
    turn = 0

    def crash() -> None:
        nonlocal turn
        turn += 1
        all_crashes[turn % len(all_crashes)].crash()

    return crash


async def _calls_beside(count: int, *, crashing: bool) -> float:
    crashes = [Crashes() for _ in range(CRASHING)]
    async with dynamic() as supervisor:
        refs = [
            await supervisor.start_child(actor_child(f"called {place}", Echo))
            for place in range(CALLED)
        ]
        for place, each in enumerate(crashes):
            await supervisor.start_child(actor_child(f"crashing {place}", partial(Crasher, each)))
        asks = [partial(_call, ref) for ref in refs]
        return await _call_all(asks, count, _one_after_the_other(crashes) if crashing else None)


async def _call(ref: Ref[Any], message: int) -> object:
    return await ref.call(message, deadline_s=DEADLINE_S)


async def calls_beside_crashes(count: int) -> float:
    """Calls of actors while others of their supervisor crash."""
    return await _calls_beside(count, crashing=True)


async def calls_beside_none(count: int) -> float:
    """Calls of actors while nothing crashes."""
    return await _calls_beside(count, crashing=False)


async def asks_beside_crashes(count: int) -> float:
    """Questions to tasks while others of their nursery crash."""
    crashes = [Crashes() for _ in range(CRASHING)]
    async with trio.open_nursery() as nursery:
        lives = [BareLife() for _ in range(CALLED)]
        for life in lives:
            await nursery.start(life.run)
        for each in crashes:
            nursery.start_soon(respawning, nursery, each)
            await each.born.wait()
        asks = [partial(ask, life.channel) for life in lives]
        seconds = await _call_all(asks, count, _one_after_the_other(crashes))
        nursery.cancel_scope.cancel()
    return seconds


# Monitors and links -------------------------------------------------------------------------------


class Watcher(Actor[Ref[Any]]):
    """Monitors whom it is told to, and counts their ends."""

    __slots__ = ("_all_down", "_left")

    def __init__(self, left: int, all_down: trio.Event) -> None:
        self._left = left
        self._all_down = all_down

    async def handle(self, message: Ref[Any], reply: Reply) -> None:
        """Monitor."""
        self.monitor(message)
        reply.send(None)

    async def handle_down(self, down: object) -> None:
        """One less."""
        self._left -= 1
        if not self._left:
            self._all_down.set()


async def monitors(count: int) -> float:
    """Actors that one other monitors, and that are stopped then; until it was told of all."""
    all_down = trio.Event()
    async with dynamic() as supervisor:
        refs = [
            await supervisor.start_child(actor_child(str(place), Echo)) for place in range(count)
        ]
        watcher = await supervisor.start_child(
            actor_child("watcher", partial(Watcher, count, all_down))
        )
        with Stopwatch() as watch:
            for ref in refs:
                await watcher.call(ref, deadline_s=DEADLINE_S)
            for place in range(count):
                await supervisor.terminate_child(str(place))
            await all_down.wait()
    return watch.seconds


async def bare_monitors(count: int) -> float:
    """Tasks whose ends one other is told of: for each, a task waits until it is gone."""
    lives = [BareLife() for _ in range(count)]
    watch_this, watched = trio.open_memory_channel[Question](BATCH)
    tell, told = trio.open_memory_channel[BareLife](count)

    async def notice(life: BareLife) -> None:
        await life.gone.wait()
        tell.send_nowait(life)

    async with trio.open_nursery() as nursery:

        async def watcher() -> None:
            async for question in watched:
                nursery.start_soon(notice, question.message)
                question.answered.set()

        nursery.start_soon(watcher)
        for life in lives:
            await nursery.start(life.run)
        with Stopwatch() as watch:
            for life in lives:
                await ask(watch_this, life)
            for life in lives:
                await life.stop()
            for _ in lives:
                await told.receive()
        nursery.cancel_scope.cancel()
    return watch.seconds


class Linked(Actor[Any]):
    """Links itself to whom it is told; crashes when told of none."""

    __slots__ = ()

    async def handle(self, message: Any, reply: Reply) -> None:
        """Link or crash."""
        if message is None:
            raise Boom
        self.link(message)


async def links(count: int) -> float:
    """Pairs of actors, linked; one crashes, until both are down."""
    async with dynamic() as supervisor:
        with Stopwatch() as watch:
            for _ in range(count):
                one, other = (
                    await _start_linked(supervisor, "one"),
                    await _start_linked(supervisor, "other"),
                )
                one.cast(other)
                one.cast(None)
                await one.wait_down()
                await other.wait_down()
    return watch.seconds


async def _start_linked(supervisor: DynamicSupervisor, name: str) -> Ref[Any]:
    spec = actor_child(name, Linked, restart=Restart.TEMPORARY)
    ref: Ref[Any] = await supervisor.start_child(spec)
    return ref


async def bare_links(count: int) -> float:
    """Pairs of tasks in a nursery of their own; one crashes, until both are gone."""
    with Stopwatch() as watch:
        for _ in range(count):
            crashes = Crashes()
            try:
                async with trio.open_nursery() as pair:
                    await pair.start(BareLife().run)
                    pair.start_soon(_crashing, crashes)
                    await crashes.born.wait()
                    crashes.crash()
            except* Boom:
                pass
    return watch.seconds


async def _crashing(crashes: Crashes) -> None:
    send, receive = trio.open_memory_channel[None](BATCH)
    crashes.crash = partial(send.send_nowait, None)
    crashes.born.set()
    async for _ in receive:
        raise Boom
