"""PostgreSQL through the annex."""

import pytest

from app.storage import Database, ReadConnection

pytestmark = pytest.mark.servers


async def _epoch(connection: ReadConnection) -> object:
    return await connection.fetchval("table log_head")


async def test_it(database: Database) -> None:
    """A read sees the migrated schema."""
    assert await database.read(_epoch) is True
