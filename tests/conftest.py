"""Fixtures for all tests: real PostgreSQL and Valkey, started only when a test asks for them.

The servers run once for the whole suite, in a process of their own (`tests.support.servers`) that
ends when this one does, however it does. Each test that asks for `database_url` has a database of
its own, copied from a migrated template in some 15 ms.

Tests that use these servers cannot use `autojump_clock`: trio would take waiting for another
thread's answer for idleness and jump over every deadline.
"""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio
from hypothesis import HealthCheck, settings

from actors import run_root
from actors.step_watch import run_watched
from app.storage import Annex, Database
from app.storage.embedded import StateFolder
from tests.support.databases import Databases
from tests.support.folders import folder_for_servers, open_state

# What PostgreSQL shows as the client.
_NAME: Final = "agio-test"

# No test is timed, least of all on a machine that others use: an example may take what it takes.
settings.register_profile("agio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("agio")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have every trio test run under the watch for blocked loops, unless it names its own run."""
    for item in items:
        runs = [marker.kwargs.get("run", trio.run) for marker in item.iter_markers("trio")]
        if runs and all(run is trio.run for run in runs):
            item.add_marker(pytest.mark.trio(run=run_watched), append=False)


@pytest.fixture
def state_path() -> Iterator[Path]:
    """Where a state folder can be made, and embedded servers reach it as root, too; then removed.

    Not `tmp_path`, which is closed to the user they run as: their data would go to /var/lib.
    """
    with folder_for_servers() as folder:
        yield folder / "state"


@pytest.fixture
def state(state_path: Path) -> Iterator[StateFolder]:
    """An open state folder."""
    with open_state(state_path) as state:
        yield state


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str | None]]:
    """The URLs of the servers, `{"postgres": url, "owner": url, "valkey": url or None}`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.servers"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the servers did not start; what they said is above"
        yield json.loads(line)
        # Leaving the block closes its standard input, which ends it, and waits.


@pytest.fixture(scope="session")
def admin_url(servers: dict[str, str | None]) -> str:
    """The URL of a PostgreSQL database as a superuser, for tests about the server itself."""
    url = servers["owner"]
    assert url is not None
    return url


@pytest.fixture(scope="session")
def valkey_url(servers: dict[str, str | None]) -> str:
    """The URL of a Valkey that all tests share: take channel names and keys of your own."""
    url = servers["valkey"]
    if url is None:
        pytest.skip("there is no Valkey for this machine")
    return url


@pytest.fixture(scope="session")
def databases(admin_url: str, servers: dict[str, str | None]) -> Iterator[Databases]:
    """Makes databases on the suite's server."""
    server_url = servers["postgres"]
    assert server_url is not None
    databases = Databases(admin_url, server_url)
    yield databases
    databases.close()


@pytest.fixture
def owner_url(databases: Databases) -> Iterator[str]:
    """The URL of a fresh, migrated database, as its owner: for tests that tamper with it."""
    url = databases.make(migrated=True)
    yield url
    databases.remove(url)


@pytest.fixture
def database_url(databases: Databases, owner_url: str) -> str:
    """The URL of a fresh, migrated database, as the role that serves."""
    return databases.as_server(owner_url)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """The URL of a database without anything in it, as its owner."""
    url = databases.make(migrated=False)
    yield url
    databases.remove(url)


@pytest.fixture
async def annex() -> AsyncIterator[Annex]:
    """A running annex."""
    annex = Annex()
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, annex, stop=stop))
        yield annex
        stop.set()


@pytest.fixture
async def database(annex: Annex, database_url: str) -> AsyncIterator[Database]:
    """A running pool on a fresh, migrated database, as the role that serves."""
    async with _running(Database(annex, database_url, pool_size=8, application_name=_NAME)) as pool:
        yield pool


@pytest.fixture
async def owner(annex: Annex, owner_url: str) -> AsyncIterator[Database]:
    """A running pool on the same database, as its owner: for tests that tamper with it."""
    async with _running(Database(annex, owner_url, pool_size=2, application_name=_NAME)) as pool:
        yield pool


@asynccontextmanager
async def _running(database: Database) -> AsyncIterator[Database]:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, database, stop=stop))
        yield database
        stop.set()
