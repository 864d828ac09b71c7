"""A cluster that is made once for all tests."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from actors import run_root
from app.storage.embedded import EmbeddedPostgres, StateFolder
from tests.support.folders import folder_for_servers, open_state


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A state folder with a PostgreSQL cluster in it, shared by a module's tests."""

    async def make(path: Path) -> None:
        with StateFolder(path) as state:
            stop = trio.Event()
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(run_root, EmbeddedPostgres(state), stop=stop))
                stop.set()

    with folder_for_servers() as folder:
        trio.run(make, folder / "state")
        yield folder / "state"


@pytest.fixture
def made(cluster: Path) -> Iterator[StateFolder]:
    """The shared cluster's state folder, open."""
    with open_state(cluster) as state:
        yield state
