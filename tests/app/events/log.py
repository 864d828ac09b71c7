"""A log to follow: ways to write events, and a hub that remembers what it was given."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio

from actors import System, run_root
from actors.root import Supervised
from app.domain.cursor import Cursor
from app.events import store
from app.events.feed import Publisher
from app.events.model import NewEvent
from app.storage import Database, ReadConnection, WriteConnection, load_queries

SQL: Final = load_queries(__package__)

# Far longer than anything here takes: a test that needs it has failed.
PATIENCE_S: Final = 20.0


def told(number: int, *topics: str) -> NewEvent:
    """An event that its number tells apart."""
    return NewEvent("told", topics or ("sale:a",), {"n": number})


async def tell(database: Database, *numbers: int) -> Cursor:
    """Commit one block with these events."""
    return await database.write(store.append, [told(number) for number in numbers])


async def head(database: Database) -> Cursor:
    """The log's head now."""
    return await database.read(store.head)


async def run_sql(database: Database, query: str, *args: object) -> None:
    """Commit one of this folder's statements."""

    async def run(conn: WriteConnection) -> None:
        await conn.execute(getattr(SQL, query), *args)

    await database.write(run)


async def ask_sql(database: Database, query: str, *args: object) -> Any:
    """The value of one of this folder's queries."""

    async def run(conn: ReadConnection) -> Any:
        return await conn.fetchval(getattr(SQL, query), *args)

    return await database.read(run)


class Remembering(Publisher):
    """A hub whose members are the test."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, Mapping[str, Any], int | None]] = []
        self._more = trio.Event()

    def publish(
        self,
        topic: str,
        event: str,
        payload: Mapping[str, Any],
        position: int | None = None,
        *,
        cursor: str | None = None,
    ) -> None:
        """Remember it; its cursor stands beside the payload's."""
        assert cursor == payload["cursor"]
        self.published.append((topic, event, payload, position))
        self._more.set()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events `told` so far, in order."""
        return [payload["n"] for _, _, payload, _ in self.published]

    async def wait(self, enough: Callable[[], bool]) -> None:
        """Wait until what was published is enough."""
        with trio.fail_after(PATIENCE_S):
            while not enough():
                self._more = trio.Event()
                await self._more.wait()

    async def wait_for(self, count: int) -> None:
        """Wait until so many events were published."""
        await self.wait(lambda: len(self.published) >= count)


@asynccontextmanager
async def running(part: Supervised, system: System | None = None) -> AsyncIterator[trio.Event]:
    """A part of the tree that runs for as long as the block, or until the yielded event is set."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE_S):
            await nursery.start(partial(run_root, part, system=system, stop=stop))
        yield stop
        stop.set()


async def wait_until(database: Database, condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, with a round trip to PostgreSQL between two looks."""
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await head(database)
