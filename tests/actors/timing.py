"""Timers that run in a test, and what is seen of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.limits import TIMER_TICKS_PER_S
from actors.timers import Timers

TICK_S: Final = 1 / TIMER_TICKS_PER_S
DAY_S: Final = 24 * 3600.0


class Steps(trio.abc.Instrument):
    """Counts how often the timers' task ran."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Some task runs."""
        self.count += task.name == "timers"

    def take(self) -> int:
        """How often since the last time."""
        count, self.count = self.count, 0
        return count


@asynccontextmanager
async def running(timers: Timers) -> AsyncIterator[Steps]:
    """Run timers while the block runs. Gives how often their task ran, once it slept."""
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run, name="timers")
        await wait_all_tasks_blocked()
        steps.take()
        yield steps
        nursery.cancel_scope.cancel()
    trio.lowlevel.remove_instrument(steps)


class Fires:
    """What fired, and when by this clock."""

    def __init__(self, clock: MockClock) -> None:
        self.names: list[str] = []
        self.times: list[float] = []
        self._clock = clock

    def __call__(self) -> None:
        """Something without a name fires."""
        self.fire("")

    def fire(self, name: str) -> None:
        """Something fires."""
        self.names.append(name)
        self.times.append(self._clock.current_time())

    def named(self, name: str) -> Callable[[], None]:
        """A callback that leaves this name."""
        return partial(self.fire, name)


class Turns:
    """A task that runs whenever it may, and how much work others did in between."""

    def __init__(self) -> None:
        self.longest = 0
        self._since = 0

    def work(self) -> None:
        """One piece of somebody else's work."""
        self._since += 1
        self.longest = max(self.longest, self._since)

    async def take(self) -> None:
        """Take turn after turn."""
        while True:
            self._since = 0
            await trio.lowlevel.checkpoint()
