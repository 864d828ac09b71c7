"""A bounded pool of connections to PostgreSQL, on the annex.

It is small because of what it leaves out. asyncpg's own pool resets each connection when it is
given back, wraps it in a proxy, and starts two asyncio tasks a use; for blocks of a few statements
that is as much work as the statements. Here a connection that comes back outside any block is used
again as it is, and one that does not is closed.

The connection used last is used next, so a quiet node lets the others grow old; one that was idle
for too long is closed instead of used, since what lies between may have forgotten it.

A pool that is closed gives out nothing more, not even to those who waited, and closes what comes
back late.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from app.storage.errors import StorageDown
from app.storage.limits import (
    POSTGRES_ACQUIRE_S,
    POSTGRES_CLOSE_S,
    POSTGRES_IDLE_S,
)

Connection: TypeAlias = Any
"""An `asyncpg.Connection`; the driver ships no types."""


class Pool:
    """Connections, at most `size` of them, made when they are needed."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._room = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._in_use: set[Connection] = set()
        self._waiting = 0
        self._closed = False

    @property
    def in_use(self) -> int:
        """Connections that were acquired and not released."""
        return len(self._in_use)

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection."""
        return self._waiting

    async def acquire(self) -> Connection:
        """A connection, to be given to `release` in the end.

        Raises:
            StorageDown: the pool is closed.
            TimeoutError: none became free within `POSTGRES_ACQUIRE_S`.
            OSError, asyncpg.PostgresError: a new one could not be made.
        """
        if self._room.locked():
            await self._wait_for_room()
        else:
            await self._room.acquire()  # at once
        try:
            connection = await self._find()
        except BaseException:
            self._room.release()
            raise
        self._in_use.add(connection)
        return connection

    async def _wait_for_room(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(POSTGRES_ACQUIRE_S):
                await self._room.acquire()
        finally:
            self._waiting -= 1

    async def _find(self) -> Connection:
        """One that is idle, or a new one."""
        self._check_open()
        connection = self._take_idle() or await self._connect()
        try:
            self._check_open()
        except StorageDown:
            connection.terminate()
            raise
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise StorageDown("the pool is closed")

    def _take_idle(self) -> Connection | None:
        """The connection that was used last, if it is still good."""
        oldest = asyncio.get_running_loop().time() - POSTGRES_IDLE_S
        while self._idle:
            connection, since = self._idle.pop()
            if since >= oldest and not connection.is_closed():
                return connection
            connection.terminate()
        return None

    def release(self, connection: Connection) -> None:
        """Take a connection back."""
        self._in_use.remove(connection)
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        self._room.release()

    async def close(self) -> None:
        """Close every connection; those still in use after `POSTGRES_CLOSE_S` are cut."""
        try:
            async with asyncio.timeout(POSTGRES_CLOSE_S):
                for _ in range(self._size):
                    await self._room.acquire()
                await asyncio.gather(*(connection.close() for connection, _ in self._idle))
        except TimeoutError:
            pass
        finally:
            for connection in (*self._in_use, *(connection for connection, _ in self._idle)):
                connection.terminate()
            self._idle.clear()
            self._closed = True
            for _ in range(self._size):  # whoever still waits is not to wait for nothing
                self._room.release()
