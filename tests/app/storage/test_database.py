"""PostgreSQL through the annex: blocks, deadlines, failures and healing."""

import asyncio
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest
import trio

from actors import run_root
from app.storage import (
    Annex,
    Database,
    ReadConnection,
    SessionConnection,
    StorageDown,
    WriteConnection,
    load_queries,
)
from app.storage.limits import (
    WRITE_ATTEMPTS_MAX,
)

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.storage")


@pytest.fixture
def database_url(owner_url: str) -> str:
    """As the owner, who may make tables."""
    return owner_url


async def _make_note(connection: WriteConnection) -> None:
    await connection.execute(_SQL.make_note)


async def _add(connection: WriteConnection, number: int) -> None:
    await connection.execute(_SQL.add_note, number, "a note")


async def _count(connection: ReadConnection) -> int:
    return int(await connection.fetchval(_SQL.count_notes))


async def _settings(connection: ReadConnection) -> dict[str, str]:
    return dict(await connection.fetchrow(_SQL.my_session) or {})


async def _pid(connection: ReadConnection) -> int:
    return int(await connection.fetchval(_SQL.my_pid))


async def _clients(connection: ReadConnection, name: str) -> int:
    return int(await connection.fetchval(_SQL.count_clients, name))


async def _break(connection: WriteConnection) -> None:
    await connection.execute(_SQL.end_myself)


async def _sleep_long(connection: ReadConnection) -> None:
    await connection.fetchval(_SQL.sleep_long)


async def test_a_write_is_committed(database: Database) -> None:
    """What a block wrote is there for the next one."""
    await database.write(_make_note)
    await database.write(_add, 1)
    assert await database.read(_count) == 1


async def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    """An exception undoes the whole block and comes out as it is."""
    await database.write(_make_note)

    async def add_and_fail(connection: WriteConnection) -> None:
        await _add(connection, 1)
        raise ValueError("after the insert")

    with pytest.raises(ValueError, match="after the insert"):
        await database.write(add_and_fail)
    assert await database.read(_count) == 0


async def test_a_violated_constraint_is_the_drivers_exception(database: Database) -> None:
    """What is no failure of the server comes out unchanged."""
    await database.write(_make_note)
    await database.write(_add, 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.write(_add, 1)
    assert database.statistics().blocks_down == 0


async def test_a_read_cannot_write(database: Database) -> None:
    """A read block refuses changes, whatever its function does."""
    await database.write(_make_note)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await database.read(_add, 1)  # type: ignore[arg-type] # what the types forbid, too


async def test_a_read_sees_one_snapshot(database: Database, database_url: str) -> None:
    """What is committed during a read block is not seen by it."""
    await database.write(_make_note)

    async def count_around_a_write(connection: ReadConnection) -> tuple[int, int]:
        before = await _count(connection)
        other = await asyncpg.connect(database_url)
        await _add(other, 1)
        await other.close()
        return before, await _count(connection)

    assert await database.read(count_around_a_write) == (0, 0)
    assert await database.read(_count) == 1


async def test_connections_are_set_up(database: Database) -> None:
    """Each connection has our time zone, name and deadlines, and each block its isolation."""
    ours = {
        "timezone": "UTC",
        "application_name": "agio-test",
        "jit": "off",
        "statement_timeout": "10s",
        "lock_timeout": "5s",
    }
    reads = {"isolation": "repeatable read", "read_only": "on"}
    writes = {"isolation": "read committed", "read_only": "off"}
    assert await database.read(_settings) == ours | reads
    assert await database.write(_settings) == ours | writes


async def test_a_conflict_is_tried_again(database: Database) -> None:
    """A block that PostgreSQL gave up runs again from its start, on a clean connection."""
    await database.write(_make_note)
    attempts: list[int] = []

    async def succeed_at_third(connection: WriteConnection) -> int:
        attempts.append(len(attempts))
        await _add(connection, 1)
        if len(attempts) < 3:
            await connection.execute(_SQL.conflict)
        return len(attempts)

    assert await database.write(succeed_at_third) == 3
    assert await database.read(_count) == 1
    assert database.statistics().blocks_retried == 2


async def test_conflicts_are_tried_a_bounded_number_of_times(database: Database) -> None:
    """A block that always conflicts ends as StorageDown."""
    attempts: list[int] = []

    async def conflict(connection: WriteConnection) -> None:
        attempts.append(1)
        await connection.execute(_SQL.conflict)

    with pytest.raises(StorageDown) as caught:
        await database.write(conflict)
    assert isinstance(caught.value.__cause__, asyncpg.SerializationError)
    assert len(attempts) == WRITE_ATTEMPTS_MAX


async def test_a_broken_connection_is_storage_down_and_heals(database: Database) -> None:
    """A connection that ends during a block fails that block alone."""
    with pytest.raises(StorageDown) as caught:
        await database.write(_break)
    assert caught.value.__cause__ is not None
    assert await database.read(_pid) > 0
    assert database.statistics().in_use == 0


async def test_the_pool_heals_when_all_its_connections_were_ended(
    database: Database, admin_url: str
) -> None:
    """After the server ended every connection, a block succeeds as soon as it noticed."""
    gathered = 0

    async def hold() -> None:
        async def work(connection: ReadConnection) -> None:
            nonlocal gathered
            gathered += 1
            while gathered < 4:
                await _pid(connection)

        await database.read(work)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(hold)

    async def end_all() -> int:
        admin = await asyncpg.connect(admin_url)
        ended = await admin.fetchval(_SQL.end_client, "agio-test")
        await admin.close()
        return int(ended)

    assert await database._annex.call(end_all) == 4
    downs = 0
    with trio.fail_after(5):
        while True:
            try:
                assert await database.read(_pid) > 0
                break
            except StorageDown:
                downs += 1
    assert downs <= 4


async def test_a_statement_has_a_deadline(database: Database) -> None:
    """A statement that runs for too long is ended by the server, and the connection is kept."""

    async def hurry(connection: WriteConnection) -> None:
        await connection.execute(_SQL.hurry)
        await _sleep_long(connection)

    before = await database.read(_pid)
    with pytest.raises(StorageDown) as caught:
        await database.write(hurry)
    assert isinstance(caught.value.__cause__, asyncpg.QueryCanceledError)
    assert await database.read(_pid) == before


async def test_a_server_that_does_not_answer_has_a_deadline(
    annex: Annex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the server's own deadline ours ends the statement."""
    monkeypatch.setattr("app.storage.database.POSTGRES_ANSWER_LATER_S", 0.05)
    database = Database(annex, database_url, statement_s=0)  # to the server: without a deadline
    with pytest.raises(StorageDown) as caught:
        await database.session(_sleep_long)
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_waiting_for_a_connection_has_a_deadline(
    annex: Annex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that finds every connection in use waits for a bounded time."""
    monkeypatch.setattr("app.storage.pool.POSTGRES_ACQUIRE_S", 0.05)
    database = Database(annex, database_url, pool_size=1)
    stop = trio.Event()

    async def hold(_: ReadConnection) -> None:
        with pytest.raises(StorageDown):
            await database._guard(database._read, _pid, ())

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, database, stop=stop))
        await database.read(hold)
        assert database.statistics().waiting == 0
        stop.set()


async def test_a_cancelled_block_gives_its_connection_back(database: Database) -> None:
    """Cancelling a block ends its statement on the server, and the pool is whole afterwards."""
    for _ in range(10):
        started = trio.Event()

        async def sleep(connection: ReadConnection, started: trio.Event) -> None:
            database._annex.post(started.set)
            await _sleep_long(connection)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(database.read, sleep, started))
            await started.wait()
            nursery.cancel_scope.cancel()
        assert database.statistics().in_use == 0
    assert await database.read(_clients, "agio-test") <= 8


async def test_run_fails_where_nobody_answers(annex: Annex) -> None:
    """A server that cannot be reached is StorageDown, with its place and without the password."""
    database = Database(annex, "postgresql://agio:hush-hush@127.0.0.1:1/nowhere")
    with pytest.raises(StorageDown) as caught:
        await run_root(database)
    assert str(caught.value) == "PostgreSQL at 127.0.0.1:1/nowhere failed: ConnectionRefusedError"
    assert "hush" not in repr(caught.value.__cause__) + repr(database)


async def test_run_fails_where_the_password_is_wrong(annex: Annex, database_url: str) -> None:
    """Being refused by the server is StorageDown, without the password."""
    right = urlsplit(database_url).password or ""
    database = Database(annex, database_url.replace(right, "hush-hush"))
    with pytest.raises(StorageDown) as caught:
        await run_root(database)
    assert isinstance(caught.value.__cause__, asyncpg.InvalidPasswordError)
    assert "hush" not in str(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize("wrong", ["no_such_setting=1", "sslmode=none_such"])
async def test_run_fails_where_the_url_asks_for_what_is_not_there(
    annex: Annex, database_url: str, wrong: str
) -> None:
    """A setting that the server or the driver does not know is StorageDown, in one line."""
    database = Database(annex, f"{database_url}?{wrong}")
    with pytest.raises(StorageDown, match=r"^PostgreSQL at \S+ failed: \w+$"):
        await run_root(database)


async def test_blocks_outside_its_life_are_storage_down(annex: Annex, database_url: str) -> None:
    """A pool that is not open yet, or not any more, says so."""
    database = Database(annex, database_url)
    with pytest.raises(StorageDown):
        await database.read(_pid)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, database, stop=stop))
        assert await database.read(_pid) > 0
        stop.set()
    with pytest.raises(StorageDown):
        await database.write(_pid)


async def test_a_session_has_a_connection_of_its_own(database: Database) -> None:
    """A session hears notifications, and its connection is closed when it ends."""

    async def listen(connection: SessionConnection) -> str:
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await connection.add_listener("bell", lambda *message: heard.set_result(message[3]))
        await connection.execute(_SQL.notify, "bell", "ding")
        return await heard

    before = await database.read(_clients, "agio-test")
    assert await database.session(listen) == "ding"
    with trio.fail_after(5):
        while await database.read(_clients, "agio-test") > before:
            pass


async def test_a_session_ends_with_its_connection(database: Database) -> None:
    """Work that waits for something else is ended when its connection breaks."""

    async def wait(connection: SessionConnection) -> None:
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(_SQL.end_myself)
        await asyncio.Event().wait()

    with trio.fail_after(5), pytest.raises(StorageDown):
        await database.session(wait)


async def test_a_cancelled_session_closes_its_connection(database: Database) -> None:
    """A session that is cancelled leaves nothing behind on the server."""
    started = trio.Event()

    async def wait(_: SessionConnection) -> None:
        database._annex.post(started.set)
        await asyncio.Event().wait()

    before = await database.read(_clients, "agio-test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.session, wait)
        await started.wait()
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        while await database.read(_clients, "agio-test") > before:
            pass
