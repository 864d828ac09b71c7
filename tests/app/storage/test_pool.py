"""The pool: which connections are used again, and which are closed."""

import asyncio
from typing import Final

import asyncpg
import pytest

from app.storage import Annex, StorageDown, load_queries
from app.storage.pool import Connection, Pool

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.storage")


def _pool(url: str, size: int) -> Pool:
    async def connect() -> Connection:
        return await asyncpg.connect(url)

    return Pool(connect, size)


async def test_the_connection_used_last_is_used_next(annex: Annex, database_url: str) -> None:
    """Connections are made only when all are in use, and the freshest is taken first."""

    async def work() -> None:
        pool = _pool(database_url, 3)
        first, second = await pool.acquire(), await pool.acquire()
        assert pool.in_use == 2
        pool.release(first)
        pool.release(second)
        assert await pool.acquire() is second
        assert await pool.acquire() is first
        await pool.close()

    await annex.call(work)


async def test_a_connection_left_in_a_block_is_not_used_again(
    annex: Annex, database_url: str
) -> None:
    """Whatever went wrong, the next block does not begin inside another."""

    async def work() -> None:
        pool = _pool(database_url, 1)
        connection = await pool.acquire()
        await connection.transaction().start()
        pool.release(connection)
        assert connection.is_closed()
        assert await pool.acquire() is not connection
        await pool.close()

    await annex.call(work)


async def test_a_connection_idle_for_too_long_is_closed(
    annex: Annex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies between us and the server may have forgotten an old connection."""
    monkeypatch.setattr("app.storage.pool.POSTGRES_IDLE_S", -1.0)

    async def work() -> None:
        pool = _pool(database_url, 1)
        connection = await pool.acquire()
        pool.release(connection)
        assert await pool.acquire() is not connection
        assert connection.is_closed()
        await pool.close()

    await annex.call(work)


async def test_a_connection_that_cannot_be_made_leaves_its_room(annex: Annex) -> None:
    """Failing to connect does not use up the pool."""

    async def refuse() -> Connection:
        raise ConnectionRefusedError

    async def work() -> int:
        pool = Pool(refuse, 1)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await pool.acquire()
        return pool.in_use

    assert await annex.call(work) == 0


async def test_closing_waits_for_a_while_and_then_cuts(
    annex: Annex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection given back in time is closed, one that is not is cut."""
    monkeypatch.setattr("app.storage.pool.POSTGRES_CLOSE_S", 0.2)

    async def work() -> None:
        pool = _pool(database_url, 2)
        prompt, late = await pool.acquire(), await pool.acquire()
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        pool.release(prompt)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await late.fetchval(_SQL.sleep_long)
        await closing
        assert prompt.is_closed()
        assert late.is_closed()

    await annex.call(work)


async def test_a_closed_pool_lets_nobody_wait(annex: Annex, database_url: str) -> None:
    """Whoever waits for a connection, or asks for one, is told when the pool has closed."""

    async def work() -> None:
        pool = _pool(database_url, 1)
        kept = await pool.acquire()
        closing = asyncio.ensure_future(pool.close())
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(pool.acquire())
        await closing
        assert kept.is_closed()
        with pytest.raises(StorageDown):
            await waiting
        with pytest.raises(StorageDown):
            await pool.acquire()
        pool.release(kept)

    await annex.call(work)


async def test_a_connection_that_comes_too_late_is_closed(annex: Annex, database_url: str) -> None:
    """One that was being made while the pool closed is not left open."""
    made: list[Connection] = []

    async def work() -> None:
        there, let_go = asyncio.Event(), asyncio.Event()

        async def connect() -> Connection:
            made.append(await asyncpg.connect(database_url))
            there.set()
            await let_go.wait()
            return made[0]

        pool = Pool(connect, 1)
        late = asyncio.ensure_future(pool.acquire())
        await there.wait()
        await pool.close()
        let_go.set()
        with pytest.raises(StorageDown):
            await late
        assert made[0].is_closed()

    await annex.call(work)
