"""The top of a tree: what runs a supervisor that has no supervisor above it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import trio

from actors.spec import ChildSpec, Lifeline
from actors.supervisor import Supervisor
from actors.system import System


class Supervised(Protocol):
    """Anything with a supervised life: a supervisor, or a single part of a tree in a test."""

    async def run(self, life: Lifeline) -> None:
        """Live until asked to stop."""


async def run_root(
    supervisor: Supervised,
    *,
    system: System | None = None,
    stop: trio.Event | None = None,
    task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a tree, and its wheel of timers, until it is stopped or gives up.

    Under `nursery.start` this returns, once the tree is ready, what it gave to `ready`.

    Args:
        supervisor: the root.
        system: what the tree shares; by default one of its own, which tells nobody.
        stop: set by anybody to stop the tree in order; without it the tree ends by escalation or by
            being cancelled.
        task_status: trio's, filled in by `nursery.start`.

    Raises:
        StartFailed, RestartIntensityExceeded: the root gave up, after it stopped all children.
        KeyboardInterrupt, SystemExit: a child raised it, or it came to this task, and all children
            were stopped.
    """
    system = system or System()
    life = Lifeline(getattr(supervisor, "name", "root"), system=system)
    life.on_ready(lambda: task_status.started(life.value))
    trouble: BaseException | None = None
    system.show(life)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.timers.run)
            if stop is not None:
                nursery.start_soon(_stop_when, stop, life)
            try:
                await supervisor.run(life)
            except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised below
                trouble = error
            nursery.cancel_scope.cancel()
    except BaseException:  # cancelled from outside meanwhile: the trouble comes out all the same
        if trouble is None:
            raise
    finally:
        system.show(None)
    # Raised out here, because in there the nursery would wrap it.
    if trouble is not None:
        raise trouble


@asynccontextmanager
async def running(
    tree: Supervised | ChildSpec, system: System | None = None
) -> AsyncIterator[System]:
    """Run a tree while the block runs, then stop it in order. Gives its system.

    Args:
        tree: a supervisor, anything else with a supervised life, or one child, which is given a
            supervisor named `root`.
        system: what the tree shares; by default one of its own, which tells nobody.

    Raises:
        ExceptionGroup: of what `run_root` raises, and of what leaves the block: that cancels the
            tree, for something is wrong. Not so where it is a KeyboardInterrupt, which stops the
            tree in order, and is raised by itself.
    """
    system = system or System()
    root = Supervisor("root", [tree]) if isinstance(tree, ChildSpec) else tree
    stop = trio.Event()
    interrupt: KeyboardInterrupt | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, root, system=system, stop=stop))
        try:
            yield system
        except KeyboardInterrupt as error:  # trio has it come to the main task, and that is here
            interrupt = error
        stop.set()
    # Raised out here, because in there the nursery would wrap it.
    if interrupt is not None:
        raise interrupt


async def _stop_when(stop: trio.Event, life: Lifeline) -> None:
    await stop.wait()
    life.request_stop()
