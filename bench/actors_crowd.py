"""Very many idle actors, and as many bare tasks: what one takes, and how long they take together.

    python -m bench.actors_crowd actors 100000

Each crowd has a process of its own, which prints its costs: a process does not give back memory
that it used once, so the second crowd would find room that the first had made.
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from actors import Actor, DynamicSupervisor, Ref, Timer, actor_child
from bench.actors_messages import BATCH, Sink, Zero, iterate
from bench.actors_timers import nothing, turning
from bench.meters import Scales, resident_bytes
from bench.trees import dynamic, running

_FAR_S: Final = 3600.0


# One, byte by byte: the functions return bytes ----------------------------------------------------


class Idle(Actor[int]):
    """Does nothing, and keeps nothing."""

    __slots__ = ()


async def idle_actors(count: int) -> float:
    """Actors that wait for a message."""
    refs: list[Ref[int] | None] = [None] * count
    async with dynamic() as supervisor:
        with Scales() as scales:
            for place in range(count):
                refs[place] = await supervisor.start_child(actor_child(str(place), Idle))
            await _let_all_run()
    return scales.bytes


async def idle_tasks(count: int) -> float:
    """Tasks that sleep."""
    async with trio.open_nursery() as nursery:
        with Scales() as scales:
            for _ in range(count):
                nursery.start_soon(trio.sleep_forever)
            await _let_all_run()
        nursery.cancel_scope.cancel()
    return scales.bytes


async def listening_tasks(count: int) -> float:
    """Tasks that each wait for a message in a channel."""
    channels: list[trio.MemorySendChannel[int] | None] = [None] * count
    async with trio.open_nursery() as nursery:
        with Scales() as scales:
            for place in range(count):
                channels[place], receive = trio.open_memory_channel[int](BATCH)
                nursery.start_soon(iterate, receive, Zero(-1))
            await _let_all_run()
        nursery.cancel_scope.cancel()
    return scales.bytes


async def waiting_timers(count: int) -> float:
    """Timers that wait."""
    all_set: list[Timer | None] = [None] * count
    async with turning() as timers:
        with Scales() as scales:
            for place in range(count):
                all_set[place] = timers.after(_FAR_S + place, nothing)
    return scales.bytes


async def sleeping_tasks(count: int) -> float:
    """Tasks that sleep until some time."""
    async with trio.open_nursery() as nursery:
        with Scales() as scales:
            for place in range(count):
                nursery.start_soon(trio.sleep, _FAR_S + place)
            await _let_all_run()
        nursery.cancel_scope.cancel()
    return scales.bytes


async def _let_all_run() -> None:
    for _ in range(3):
        await trio.lowlevel.checkpoint()


# All of them --------------------------------------------------------------------------------------


class Stages:
    """Costs of the stages of a crowd, processor seconds each, and its memory.

    Attributes:
        seconds: of each stage.
        bytes: by which the process grew.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.bytes = -resident_bytes()
        self._since = time.thread_time()

    def end(self) -> None:
        """A stage is over and the next begins."""
        self.seconds.append(time.thread_time() - self._since)
        self._since = time.thread_time()

    def weigh(self) -> None:
        """All are there; this belongs to no stage."""
        self.bytes += resident_bytes()
        self._since = time.thread_time()

    @property
    def costs(self) -> tuple[float, ...]:
        """The memory, and then each stage."""
        return (self.bytes, *self.seconds)


async def actors(count: int) -> Stages:
    """Actors under one supervisor: all start, all handle a message, all stop."""
    zero = Zero(count)
    make = partial(Sink, zero)
    supervisor = DynamicSupervisor("bench", max_children=count)
    stages = Stages()
    async with running(supervisor):
        refs = [
            await supervisor.start_child(actor_child(str(place), make)) for place in range(count)
        ]
        stages.end()
        stages.weigh()
        for ref in refs:
            ref.cast(0)
        await zero.reached.wait()
        stages.end()
    stages.end()
    return stages


async def tasks(count: int) -> Stages:
    """Tasks in one nursery, each with a channel: the same."""
    zero = Zero(count)

    async def listen(*, task_status: trio.TaskStatus[trio.MemorySendChannel[int]]) -> None:
        send, receive = trio.open_memory_channel[int](BATCH)
        task_status.started(send)
        await iterate(receive, zero)

    stages = Stages()
    async with trio.open_nursery() as nursery:
        channels = [await nursery.start(listen) for _ in range(count)]
        stages.end()
        stages.weigh()
        for channel in channels:
            channel.send_nowait(0)
        await zero.reached.wait()
        stages.end()
        nursery.cancel_scope.cancel()
    stages.end()
    return stages


_KINDS: Final[dict[str, Callable[[int], Awaitable[Stages]]]] = {"actors": actors, "tasks": tasks}


async def costs(kind: str, count: int) -> tuple[float, ...]:
    """Costs of such a crowd in a process of its own: resident bytes, seconds of each stage."""
    command = [sys.executable, "-m", "bench.actors_crowd", kind, str(count)]
    done = await trio.run_process(command, capture_stdout=True)
    return tuple(json.loads(done.stdout))


async def main(kind: str, count: int) -> None:
    """Measure and print."""
    stages = await _KINDS[kind](count)
    print(json.dumps(stages.costs))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
