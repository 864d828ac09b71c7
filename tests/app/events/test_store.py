"""The log inside atomic blocks: positions in commit order, without gaps, whoever commits when."""

import asyncio
from dataclasses import replace

import pytest
import trio

from app.domain.cursor import Cursor
from app.events import store
from app.events.model import NewEvent, StoredEvent
from app.storage import Annex, Database, ReadConnection, WriteConnection
from tests.app.events.log import PATIENCE_S, ask_sql, head, tell, told

pytestmark = pytest.mark.servers


class Undone(Exception):  # noqa: N818 - it says what happens to the block
    """Rolls a block back."""


async def test_a_new_log_is_empty(database: Database) -> None:
    """The head of a log without events is position 0, in an epoch of its own."""
    cursor = await head(database)
    assert cursor.position == 0
    assert cursor == await head(database)
    assert await database.read(store.read_after, 0, 10) == ()


async def test_events_are_read_as_they_were_written(database: Database) -> None:
    """A block's events get the next positions, in its order, with all their topics."""
    written = [
        NewEvent("told", ("sale:b", "sale:a"), {"n": 1, "deep": {"list": [1, None, "é"]}}),
        NewEvent("changed", ("sale:b",), {}),
    ]
    await tell(database, 0)
    cursor = await database.write(store.append, written)
    assert cursor == replace(await head(database), position=3)
    expected = (
        StoredEvent(2, "told", ("sale:a", "sale:b"), written[0].data),
        StoredEvent(3, "changed", ("sale:b",), {}),
    )
    assert expected == await database.read(store.read_after, 1, 10)
    assert expected[:1] == await database.read(store.read_after, 1, 1)


async def test_a_topic_is_read_between_two_places(database: Database) -> None:
    """Reading a topic leaves out other topics, what lies outside, and what is beyond the limit."""
    both = [told(n, "sale:a" if n % 2 else "sale:b") for n in range(1, 11)]
    await database.write(store.append, both)

    async def read(after: int, until: int, limit: int) -> list[int]:
        events = await database.read(store.read_topic, "sale:a", after, until, limit)
        return [event.position for event in events]

    assert [3, 5, 7] == await read(1, 8, 10)
    assert [3, 5] == await read(1, 8, 2)
    assert [] == await read(9, 10, 10)


async def test_a_block_that_is_undone_leaves_no_gap(database: Database) -> None:
    """The position of an event whose block was rolled back goes to the next one."""

    async def undone(conn: WriteConnection) -> None:
        await store.append(conn, [told(1)])
        raise Undone

    with pytest.raises(Undone):
        await database.write(undone)
    assert (await tell(database, 2)).position == 1
    assert await ask_sql(database, "gaps") == 0


class Steps:
    """A block that appends and then stands still, before its commit, until told to go on."""

    def __init__(self, annex: Annex) -> None:
        self._annex = annex
        self._appended = asyncio.Event()
        self._may_end = asyncio.Event()
        self.undo = False

    async def block(self, conn: WriteConnection) -> Cursor:
        """On the annex."""
        cursor = await store.append(conn, [told(1)])
        self._appended.set()
        await self._may_end.wait()
        if self.undo:
            raise Undone
        return cursor

    async def wait_appended(self) -> None:
        """Wait until it has appended."""
        await self._annex.call(self._appended.wait)

    async def go_on(self) -> None:
        """Let it end."""

        async def end() -> None:
            self._may_end.set()

        await self._annex.call(end)


async def _wait_for_waiter(database: Database) -> None:
    """Wait until some block waits for a lock."""
    with trio.fail_after(PATIENCE_S):
        while await ask_sql(database, "waiting_for_locks") == 0:
            pass


@pytest.mark.parametrize("undo", [False, True])
async def test_who_appends_second_commits_second(
    annex: Annex, database: Database, *, undo: bool
) -> None:
    """A block that wants to append waits for the one that has, and a reader sees neither before."""
    steps = Steps(annex)
    steps.undo = undo
    cursors: list[Cursor] = []

    async def first() -> None:
        try:
            cursors.append(await database.write(steps.block))
        except Undone:
            assert undo

    async def second() -> None:
        cursors.append(await tell(database, 2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await steps.wait_appended()
        nursery.start_soon(second)
        await _wait_for_waiter(database)
        assert (0, ()) == (
            (await head(database)).position,
            await database.read(store.read_after, 0, 10),
        )
        await steps.go_on()
    assert [1] if undo else [1, 2] == [cursor.position for cursor in cursors]
    events = await database.read(store.read_after, 0, 10)
    assert ([2] if undo else [1, 2]) == [event.data["n"] for event in events]


async def test_a_block_that_began_first_and_appends_last_is_last(
    annex: Annex, database: Database
) -> None:
    """The order of the log is that of the commits, not that of the beginnings."""
    begun, may_append = asyncio.Event(), asyncio.Event()

    async def slow(conn: WriteConnection) -> Cursor:
        await store.head(conn)
        begun.set()
        await may_append.wait()
        return await store.append(conn, [told(1)])

    async def let() -> None:
        may_append.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, slow)
        await annex.call(begun.wait)
        await tell(database, 2)
        await annex.call(let)
    events = await database.read(store.read_after, 0, 10)
    assert [2, 1] == [event.data["n"] for event in events]


async def test_a_reader_that_tails_the_log_skips_nothing(database: Database) -> None:
    """While many blocks commit or are undone in any order, a tailing reader sees 1, 2, 3 …."""
    seen: list[int] = []
    done = trio.Event()
    blocks = 60

    async def write(number: int) -> None:
        async def block(conn: WriteConnection) -> None:
            await store.append(conn, [told(number), told(-number)])
            if number % 5 == 0:
                raise Undone

        try:
            await database.write(block)
        except Undone:
            assert number % 5 == 0

    async def tail() -> None:
        finished = False
        while not finished:
            finished = done.is_set()
            events = await database.read(store.read_after, seen[-1] if seen else 0, 7)
            finished = finished and not events
            seen.extend(event.position for event in events)

    async def look(conn: ReadConnection) -> tuple[int, int]:
        cursor = await store.head(conn)
        await asyncio.sleep(0)
        return cursor.position, len(await store.read_after(conn, 0, 1_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tail)
        async with trio.open_nursery() as writers:
            for number in range(blocks):
                writers.start_soon(write, number)
            for _ in range(20):
                position, events = await database.read(look)
                assert position == events, "a snapshot's head is exactly what it contains"
        done.set()
    assert list(range(1, 2 * (blocks - blocks // 5) + 1)) == seen
    assert await ask_sql(database, "gaps") == 0
