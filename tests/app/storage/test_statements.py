"""One statement by itself: what it gives, how it fails, and what is left of its connection."""

from functools import partial
from typing import Any, Final

import asyncpg
import pytest
import trio

from app.storage import Annex, Database, ReadConnection, StorageDown, load_queries

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.storage")


@pytest.fixture
def database_url(owner_url: str) -> str:
    """As the owner, who may make tables."""
    return owner_url


async def _rows(database: Database, query: str, *args: object) -> list[dict[str, Any]]:
    return [dict(row) for row in await database.statement(query, *args)]


async def _pid(database: Database) -> int:
    (row,) = await database.statement(_SQL.my_pid)
    return int(row["pg_backend_pid"])


async def test_its_rows(database: Database) -> None:
    """All of them; it is committed when it is over, and one that gives none has none."""
    assert await _rows(database, _SQL.make_note) == []
    assert await _rows(database, _SQL.every_note) == []
    for number in (1, 2):
        assert await _rows(database, _SQL.add_note, number, "a note") == []
    assert await _rows(database, _SQL.every_note) == [{"id": 1}, {"id": 2}]
    assert database.statistics().in_use == 0


async def test_it_runs_outside_any_block(database: Database) -> None:
    """With the deadlines of every connection, and on one that a block used before."""

    async def pid(connection: ReadConnection) -> int:
        return int(await connection.fetchval(_SQL.my_pid))

    before = await database.read(pid)
    (session,) = await _rows(database, _SQL.my_session)
    assert session["statement_timeout"] == "10s"
    assert (session["isolation"], session["read_only"]) == ("read committed", "off")
    assert await _pid(database) == before
    assert await database.write(pid) == before


async def test_a_violation_comes_out_as_it_is(database: Database) -> None:
    """Nothing of the statement stays, and its connection is used again."""
    await database.statement(_SQL.make_note)
    await database.statement(_SQL.add_note, 1, "a note")
    before = await _pid(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.statement(_SQL.add_notes, [2, 1])
    assert await _rows(database, _SQL.every_note) == [{"id": 1}]
    assert await _pid(database) == before
    assert database.statistics().blocks_down == 0


async def test_a_conflict_is_not_tried_again(database: Database) -> None:
    """It is StorageDown: whoever asked knows better what may be asked again."""
    with pytest.raises(StorageDown) as caught:
        await database.statement(_SQL.conflict)
    assert isinstance(caught.value.__cause__, asyncpg.SerializationError)
    assert database.statistics().blocks_retried == 0
    assert await _pid(database) > 0


async def test_a_connection_that_breaks_is_storage_down(database: Database) -> None:
    """It is not used again, and the next statement has another."""
    before = await _pid(database)
    with pytest.raises(StorageDown):
        await database.statement(_SQL.end_myself)
    assert database.statistics().in_use == 0
    assert database.statistics().blocks_down == 1
    assert await _pid(database) not in {0, before}


async def test_a_connection_that_broke_while_it_was_idle(
    annex: Annex, database: Database, admin_url: str
) -> None:
    """It fails no more than one statement, and not as a mistake of ours."""
    before = await _pid(database)

    async def end_all() -> int:
        admin = await asyncpg.connect(admin_url)
        ended = await admin.fetchval(_SQL.end_client, "agio-test")
        await admin.close()
        return int(ended)

    assert await annex.call(end_all) == 1
    try:
        after = await _pid(database)
    except StorageDown:
        after = await _pid(database)
    assert after != before
    assert database.statistics().in_use == 0


async def test_a_cancelled_statement_gives_its_connection_back(database: Database) -> None:
    """Its statement ends on the server, and the pool is whole afterwards."""
    for _ in range(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(database.statement, _SQL.sleep_long))
            while not database.statistics().in_use:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert database.statistics().in_use == 0
    assert await _pid(database) > 0


async def test_a_pool_that_is_not_open(annex: Annex, database_url: str) -> None:
    """It says so."""
    database = Database(annex, database_url)
    with pytest.raises(StorageDown, match="not open"):
        await database.statement(_SQL.my_pid)
