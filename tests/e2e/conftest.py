"""What the end-to-end tests share: a server over a fresh database with the demo sale in it."""

from collections.abc import AsyncIterator

import pytest

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.server import AgioServer, agio_server


@pytest.fixture
async def server(
    database_url: str, valkey_url: str, database: Database
) -> AsyncIterator[AgioServer]:
    """`agio serve`, with the demo data loaded and the load rooms open."""
    await database.write(load_demo)
    async with agio_server(database_url, valkey_url, AGIO_BENCH_ROOMS="1") as running:
        yield running
