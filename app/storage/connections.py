"""What a store function may do with a connection, said in types.

`Database.read` hands out a `ReadConnection`, `Database.write` a `WriteConnection`, which can be
given wherever a `ReadConnection` is asked for, but not the other way. `Database.session` hands out
a `SessionConnection`, for work that needs a connection of its own. All three are
`asyncpg.Connection` beneath; rows are read by column name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Row = Mapping[str, Any]


class ReadConnection(Protocol):
    """Runs queries."""

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Every row."""

    async def fetchrow(self, query: str, *args: object) -> Row | None:
        """The first row, if any."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row, or None without rows."""


class WriteConnection(ReadConnection, Protocol):
    """Runs queries and changes data."""

    async def execute(
        self,
        query: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's own word
    ) -> str:
        """Run it and return PostgreSQL's status, such as `UPDATE 1`."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str:
        """COPY rows into a table."""

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[None]:
        """An atomic block; inside one, a savepoint."""


class SessionConnection(WriteConnection, Protocol):
    """A connection of one's own: it may LISTEN and hold advisory locks."""

    async def add_listener(self, channel: str, callback: Callable[..., object]) -> None:
        """LISTEN; `callback(connection, pid, channel, payload)` runs on the annex."""
