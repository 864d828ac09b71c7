"""A tree that runs while something is measured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from actors import DynamicSupervisor, Intensity, Supervised, run_root

# Nobody gives up in a bench.
WIDE_OPEN: Final = Intensity(restarts=1_000_000, window_s=1.0)


@asynccontextmanager
async def running(tree: Supervised) -> AsyncIterator[None]:
    """The tree, from when it is ready until it has stopped."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, tree, stop=stop))
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def dynamic() -> AsyncIterator[DynamicSupervisor]:
    """A running supervisor for as many actors as one wants."""
    supervisor = DynamicSupervisor("bench", max_children=1_000_000, intensity=WIDE_OPEN)
    async with running(supervisor):
        yield supervisor
