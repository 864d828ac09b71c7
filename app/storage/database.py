"""PostgreSQL, as the rest of Agio sees it: atomic blocks that cross to the annex whole.

A store function is an async function whose first parameter is a connection. `read` runs it in one
REPEATABLE READ, READ ONLY block, so that all it sees is one snapshot; `write` in one READ COMMITTED
block, and again from the start where PostgreSQL gave the block up for a deadlock or a conflict: it
must have no effect but through its connection. `session` lends a connection of its own.

What fails. A connection that cannot be had or that broke, a deadline that passed, a server that is
full or shutting down: each is `StorageDown`, with the driver's exception chained. When it comes out
of `write`, whether the block was committed is not known. All else (a violated constraint, SQL that
is wrong) is the driver's own exception. The pool opens connections when they are needed, so it
heals by itself when PostgreSQL comes back.

The pool's connections are not reset when given back: that would cost a statement a block. Blocks
therefore leave no session state behind: no SET (SET LOCAL is fine), no LISTEN, no session advisory
lock. Those are for `session`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar, TypeVarTuple

import asyncpg
import trio

from actors import Lifeline
from app.storage.annex import Annex, end_with_annex
from app.storage.connections import ReadConnection, Row, SessionConnection, WriteConnection
from app.storage.errors import AnnexDown, StorageDown
from app.storage.limits import (
    POSTGRES_ANSWER_LATER_S,
    POSTGRES_CLOSE_S,
    POSTGRES_CONNECT_S,
    POSTGRES_IDLE_IN_BLOCK_S,
    POSTGRES_LOCK_S,
    POSTGRES_POOL_SIZE,
    POSTGRES_STATEMENT_S,
    WRITE_ATTEMPTS_MAX,
    WRITE_RETRY_S,
)
from app.storage.place import place_of
from app.storage.pool import Connection, Pool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# PostgreSQL gave the block up so that another could go on: the same block may succeed now.
_CONFLICTS: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

# The server or the way to it failed; whether it did what it was asked is not known.
_DOWN: Final = (
    OSError,  # which TimeoutError is, too
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    *_CONFLICTS,
)

# The driver finds a connection in a state in which it cannot be used.
_UNUSABLE: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)

# How a connection that broke while it was idle shows itself.
_BROKE_IDLE: Final = (
    *_UNUSABLE,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    ConnectionError,
)


@dataclass(frozen=True, slots=True)
class DatabaseStatistics:
    """What the pool is doing.

    Attributes:
        place: where it connects to, `host:port/database`.
        pool_size: connections there may be.
        in_use: blocks that hold a connection.
        waiting: blocks that wait for one.
        blocks_retried: blocks run again for a conflict, since the start.
        blocks_down: blocks that ended with `StorageDown`, since the start.
    """

    place: str
    pool_size: int
    in_use: int
    waiting: int
    blocks_retried: int
    blocks_down: int


class Database:
    """A bounded pool of connections to one PostgreSQL database."""

    def __init__(
        self,
        annex: Annex,
        url: str,
        *,
        pool_size: int = POSTGRES_POOL_SIZE,
        application_name: str = "agio",
        statement_s: float = POSTGRES_STATEMENT_S,
    ) -> None:
        """Describe the pool; `run` opens it.

        Args:
            annex: where the driver runs; it must be running whenever this is used.
            url: `postgresql://user:password@host:port/database`, with libpq's parameters.
            pool_size: how many connections there may be at once.
            application_name: what PostgreSQL shows as the client.
            statement_s: seconds that one statement may run.
        """
        self.place = place_of(url)
        self._annex = annex
        self._url = url
        self._pool_size = pool_size
        self._connect_options = {
            "timeout": POSTGRES_CONNECT_S,
            "command_timeout": statement_s + POSTGRES_ANSWER_LATER_S,
            "server_settings": _server_settings(application_name, statement_s),
        }
        # The annex's side.
        self._pool: Pool | None = None
        self._blocks_retried = 0
        self._blocks_down = 0

    def __repr__(self) -> str:
        statistics = self.statistics()
        return f"<Database {self.place}, {statistics.in_use} of {self._pool_size} in use>"

    def statistics(self) -> DatabaseStatistics:
        """What it is doing now."""
        pool = self._pool
        return DatabaseStatistics(
            place=self.place,
            pool_size=self._pool_size,
            in_use=pool.in_use if pool else 0,
            waiting=pool.waiting if pool else 0,
            blocks_retried=self._blocks_retried,
            blocks_down=self._blocks_down,
        )

    async def run(self, life: Lifeline) -> None:
        """Keep the pool until a stop is asked for; ready once a connection answered.

        Raises:
            StorageDown: no connection could be had.
        """
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            try:
                await self._annex.call(self._keep_pool, life.ready)
            except AnnexDown as down:
                await end_with_annex(life, down)

    async def read(self, fn: Callable[[ReadConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in one REPEATABLE READ, READ ONLY atomic block.

        Raises:
            StorageDown: PostgreSQL cannot be reached, or failed meanwhile.
        """
        return await self._annex.call(self._guard, self._read, fn, args)

    async def write(self, fn: Callable[[WriteConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `fn(connection, *args)` in one READ COMMITTED atomic block, committed on return.

        After a deadlock or a serialization failure it runs again, at most `WRITE_ATTEMPTS_MAX`
        times in all.

        Raises:
            StorageDown: PostgreSQL cannot be reached, or failed meanwhile; whether the block was
                committed is then not known.
        """
        return await self._annex.call(self._guard, self._write, fn, args)

    async def statement(self, query: str, *args: object) -> list[Row]:
        """Run one statement, which is atomic by itself, and give every row.

        That spares the two crossings in which a block begins and is committed. It is not run again
        after a conflict.

        Raises:
            StorageDown: PostgreSQL cannot be reached, or failed meanwhile; whether the statement
                did what it says is then not known.
        """
        return await self._annex.call(self._guard, self._alone, _rows, (query, *args))

    async def session(self, fn: Callable[[SessionConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run `fn(connection, *args)` with a connection of its own, closed when `fn` ends.

        It works without the pool, before `run` and beside it. `fn` is ended as soon as the
        connection breaks, also where it waits for something else.

        Raises:
            StorageDown: the connection could not be had, or broke.
        """
        return await self._annex.call(self._guard, self._session, fn, args)

    # On the annex --------------------------------------------------------------------------------

    async def _guard(
        self,
        work: Callable[[Callable[..., Awaitable[T]], tuple[Any, ...]], Awaitable[T]],
        fn: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
    ) -> T:
        """Turn each failure of the server, or of the way to it, into `StorageDown`."""
        try:
            return await work(fn, args)
        except _DOWN as error:
            self._blocks_down += 1
            raise self._down(error) from error
        except StorageDown:
            self._blocks_down += 1
            raise

    def _down(self, error: BaseException) -> StorageDown:
        return StorageDown(f"PostgreSQL at {self.place} failed: {type(error).__name__}")

    async def _keep_pool(self, opened: Callable[[], None]) -> None:
        """Make the pool, prove it with one connection, and keep it until cancelled."""
        pool = self._pool = Pool(self._connect, self._pool_size)
        try:
            await self._guard(self._read, _prove, ())
            self._annex.post(opened)
            await asyncio.Event().wait()
        finally:
            self._pool = None
            await pool.close()

    async def _connect(self) -> Connection:
        try:
            return await asyncpg.connect(self._url, **self._connect_options)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Whatever the server, or the driver, does not like about how it is asked for.
            raise self._down(error) from error

    async def _read(self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        return await self._block(fn, args, isolation="repeatable_read", readonly=True)

    async def _write(self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        for attempt in range(1, WRITE_ATTEMPTS_MAX):
            try:
                return await self._block(fn, args, isolation="read_committed", readonly=False)
            except _CONFLICTS:
                self._blocks_retried += 1
            # Apart, so that the same blocks do not meet again at once.
            await asyncio.sleep(random.uniform(0, WRITE_RETRY_S * 2**attempt))  # noqa: S311 - no secret
        return await self._block(fn, args, isolation="read_committed", readonly=False)

    async def _block(
        self,
        fn: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        *,
        isolation: str,
        readonly: bool,
    ) -> T:
        """Run `fn` in one atomic block on a connection of the pool."""
        pool = self._pool
        if pool is None:
            raise StorageDown(f"the pool of PostgreSQL at {self.place} is not open")
        connection, block = await self._begin(pool, isolation, readonly=readonly)
        with self._lent(pool, connection):
            async with _ending(block):
                return await fn(connection, *args)

    async def _alone(self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        """Run `fn` on a connection of the pool, outside any block."""
        pool = self._pool
        if pool is None:
            raise StorageDown(f"the pool of PostgreSQL at {self.place} is not open")
        connection = await pool.acquire()
        with self._lent(pool, connection):
            return await fn(connection, *args)

    @contextmanager
    def _lent(self, pool: Pool, connection: Connection) -> Iterator[None]:
        """Give the connection back in the end, and turn it into `StorageDown` if it broke."""
        try:
            yield
        except _UNUSABLE as error:
            # The driver says so where a connection broke earlier; else we misused it.
            if not isinstance(error, asyncpg.InternalClientError) and not connection.is_closed():
                raise
            connection.terminate()
            raise self._down(error) from error
        finally:
            pool.release(connection)

    async def _begin(self, pool: Pool, isolation: str, *, readonly: bool) -> tuple[Connection, Any]:
        """A connection, and the block that was begun on it.

        That no block begins on it is how an idle connection that broke is noticed, and all break
        when the server restarts. Nothing was done on it, so the next is tried, and at last one that
        is new.
        """
        for _ in range(self._pool_size):
            connection = await pool.acquire()
            block = connection.transaction(isolation=isolation, readonly=readonly)
            try:
                await block.start()
            except _BROKE_IDLE:
                connection.terminate()
                pool.release(connection)
            except BaseException:
                pool.release(connection)
                raise
            else:
                return connection, block
        raise StorageDown(f"PostgreSQL at {self.place} ends every connection")

    async def _session(self, fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        """Run `fn` on a new connection, until it ends or the connection does."""
        connection = await self._connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        work = asyncio.ensure_future(fn(connection, *args))
        watch = asyncio.ensure_future(lost.wait())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if lost.is_set():
                raise StorageDown(f"PostgreSQL at {self.place} closed the connection")
            return await work
        finally:
            try:
                for task in (work, watch):
                    task.cancel()
                await asyncio.gather(work, watch, return_exceptions=True)
                await connection.close(timeout=POSTGRES_CLOSE_S)
            finally:
                connection.terminate()  # where that was cancelled once more


def _server_settings(application_name: str, statement_s: float) -> dict[str, str]:
    """What each connection sets at its start."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        # Statements here are small: compiling one costs more than it saves.
        "jit": "off",
        "statement_timeout": _milliseconds(statement_s),
        "lock_timeout": _milliseconds(POSTGRES_LOCK_S),
        "idle_in_transaction_session_timeout": _milliseconds(POSTGRES_IDLE_IN_BLOCK_S),
    }


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


async def _rows(connection: ReadConnection, query: str, *args: object) -> list[Row]:
    return await connection.fetch(query, *args)


async def _prove(connection: ReadConnection) -> None:
    """A block that began has had an answer."""


@asynccontextmanager
async def _ending(block: Any) -> AsyncIterator[None]:
    """Commit the block, or roll it back where something was raised, and raise that on."""
    try:
        yield
    except BaseException:
        # Where this fails the connection is broken, and the pool does not keep it.
        with suppress(Exception):
            await block.rollback()
        raise
    await block.commit()
