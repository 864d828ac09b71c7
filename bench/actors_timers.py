"""Timers on the wheel, and what bare trio has instead: scopes with deadlines, and sleeping tasks.

Each function returns processor seconds.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from actors import Timers
from bench.meters import Stopwatch

# When timers are due that are not to fire.
_FAR_S: Final = 3600.0

# Those that do are due within such a time.
_SPREAD_S: Final = 1.0


@asynccontextmanager
async def turning() -> AsyncIterator[Timers]:
    """A wheel that turns."""
    timers = Timers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        yield timers
        nursery.cancel_scope.cancel()


def _delays(count: int, first_s: float) -> list[float]:
    chance = random.Random(count)
    return [first_s + chance.random() * _SPREAD_S for _ in range(count)]


def nothing() -> None:
    """What a timer does."""


async def short_timers(count: int) -> float:
    """Timers, each cancelled before the next."""
    async with turning() as timers:
        with Stopwatch() as watch:
            for delay_s in _delays(count, _FAR_S):
                timers.after(delay_s, nothing).cancel()
    return watch.seconds


async def short_scopes(count: int) -> float:
    """Scopes with a deadline, each left before the next."""
    with Stopwatch() as watch:
        for delay_s in _delays(count, _FAR_S):
            with trio.CancelScope(deadline=trio.current_time() + delay_s):  # noqa: ASYNC100 - that is what costs
                nothing()
    return watch.seconds


async def standing_timers(count: int) -> float:
    """Timers that all wait, and then are all cancelled."""
    delays = _delays(count, _FAR_S)
    async with turning() as timers:
        with Stopwatch() as watch:
            for timer in [timers.after(delay_s, nothing) for delay_s in delays]:
                timer.cancel()
    return watch.seconds


async def standing_tasks(count: int) -> float:
    """Tasks that all sleep, and then are all cancelled."""
    with Stopwatch() as watch:
        async with trio.open_nursery() as nursery:
            for delay_s in _delays(count, _FAR_S):
                nursery.start_soon(trio.sleep, delay_s)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    return watch.seconds


async def firing_timers(count: int) -> float:
    """Timers that are set and fire."""
    left = count
    over = trio.Event()

    def fire() -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    async with turning() as timers:
        with Stopwatch() as watch:
            for delay_s in _delays(count, 0.0):
                timers.after(delay_s, fire)
            await over.wait()
    return watch.seconds


async def waking_tasks(count: int) -> float:
    """Tasks that sleep and wake up."""
    with Stopwatch() as watch:
        async with trio.open_nursery() as nursery:
            for delay_s in _delays(count, 0.0):
                nursery.start_soon(trio.sleep, delay_s)
    return watch.seconds
