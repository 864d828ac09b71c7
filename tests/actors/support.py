"""Children whose lives a test writes, and the running of trees."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
import trio.testing

from actors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    Restart,
    System,
    run_root,
)
from actors.root import Supervised


class Boom(Exception):  # noqa: N818 - a test's own word
    """What a test makes children raise."""


class Journal:
    """What happened, in order.

    Lines: `+a` a begins, `a!` a is ready, `-a` a was asked to stop, `xa` a was cancelled.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """An `Emit` that keeps everything."""
        self.events.append((event, dict(fields)))

    def take(self) -> str:
        """The lines since the last time, in one string."""
        lines, self.lines = self.lines, []
        return " ".join(lines)

    def told(self, event: str) -> list[dict[str, Any]]:
        """The fields of all events of this name."""
        return [fields for name, fields in self.events if name == event]


class Part:
    """A supervised child that does as it is told, life after life.

    Attributes:
        faults: for each life to come, what it raises before it is ready, or None.
        hold: what a life waits for before it is ready.
        stubborn: it does not end when asked.
        last_words: raised when it is asked to stop or cancelled.
    """

    def __init__(self, journal: Journal, name: str) -> None:
        self.name = name
        self.faults: list[BaseException | None] = []
        self.hold: trio.Event | None = None
        self.stubborn = False
        self.last_words: Exception | None = None
        self.alive = False
        self.lives = 0
        self.ready_at: list[float] = []
        self._journal = journal
        self._told = trio.Event()
        self._end: BaseException | None = None

    def spec(
        self,
        restart: Restart = Restart.PERMANENT,
        *,
        shutdown_s: float = 5.0,
        backoff: Backoff | None = None,
    ) -> ChildSpec:
        """How a supervisor runs it."""
        return ChildSpec(self.name, self.run, restart, shutdown_s, backoff)

    async def run(self, life: Lifeline) -> None:
        """One life."""
        self._note(f"+{self.name}")
        self.lives += 1
        self.alive = True
        try:
            await self._live(life)
        except trio.Cancelled:
            self._note(f"x{self.name}")
            if self.last_words is not None:
                raise self.last_words from None
            raise
        finally:
            self.alive = False

    async def die(self, error: BaseException | None) -> None:
        """End this life with an error, or with none, and wait until all has settled."""
        self.die_soon(error)
        await trio.testing.wait_all_tasks_blocked()

    async def crash(self) -> None:
        """End this life with a Boom, and wait until all has settled."""
        await self.die(Boom(self.name))

    def die_soon(self, error: BaseException | None) -> None:
        """End this life when it runs next."""
        self._end = error
        self._told.set()

    async def _live(self, life: Lifeline) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.hold is not None:
            await self.hold.wait()
        self._told, self._end = trio.Event(), None
        self._note(f"{self.name}!")
        self.ready_at.append(trio.current_time())
        life.ready(self)
        life.on_stop(self._told.set)
        await self._told.wait()
        if self._end is not None:
            raise self._end
        if life.stopping:
            self._note(f"-{self.name}")
            if self.stubborn:
                await trio.sleep_forever()
            if self.last_words is not None:
                raise self.last_words

    def _note(self, line: str) -> None:
        self._journal.lines.append(line)


def dynamic(*, max_children: int = 10, restarts: int = 3) -> DynamicSupervisor:
    """A dynamic supervisor without children."""
    return DynamicSupervisor("dyn", max_children=max_children, intensity=Intensity(restarts, 5))


def system_of(told: Journal | System | None) -> System:
    """What a tree shares that tells a journal."""
    if isinstance(told, System):
        return told
    return System() if told is None else System(told.emit)


@asynccontextmanager
async def running(
    supervisor: Supervised, told: Journal | System | None = None
) -> AsyncIterator[trio.Event]:
    """Run a tree while the block runs, then stop it in order. Gives the event that stops it."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, supervisor, system=system_of(told), stop=stop))
        yield stop
        stop.set()


async def end_of(
    supervisor: Supervised,
    script: Callable[[], Awaitable[None]],
    told: Journal | None = None,
    *,
    stop: trio.Event | None = None,
) -> BaseException:
    """Run a tree, play a script once it is ready, and give what ends the tree."""
    ends: list[BaseException] = []
    system = system_of(told)

    async def run(task_status: trio.TaskStatus[object]) -> None:
        try:
            await run_root(supervisor, system=system, stop=stop, task_status=task_status)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - given back
            ends.append(error)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await script()
    (end,) = ends
    return end
