"""Waiting for a cursor before a read."""

import pytest
import trio

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.events.feed import Feed
from app.events.service import EventLog
from app.storage import Database
from channels.broker import MemoryBroker
from tests.app.events.log import PATIENCE_S, Remembering, running, tell

pytestmark = pytest.mark.servers


async def test_what_is_committed_is_reached_at_once(database: Database) -> None:
    """A cursor that was given out needs no waiting, whether the feed has seen it or runs at all."""
    feed = Feed(database, MemoryBroker(), Remembering())
    log = EventLog(database, feed)
    cursor = await tell(database, 1)
    assert await log.reach(str(cursor), PATIENCE_S) is None
    async with running(feed):
        later = await tell(database, 2)
        assert await log.reach(cursor, PATIENCE_S) is None
        assert await log.reach(later, PATIENCE_S) is None


async def test_a_place_ahead_is_waited_for(database: Database) -> None:
    """A cursor ahead of the log is reached when the log gets there."""
    feed = Feed(database, MemoryBroker(), Remembering())
    log = EventLog(database, feed)
    answers: list[Refusal | None] = []
    epoch = (await tell(database, 1)).epoch

    async def reach() -> None:
        answers.append(await log.reach(Cursor(epoch, 2), PATIENCE_S))

    async with running(feed), trio.open_nursery() as nursery:
        nursery.start_soon(reach)
        await tell(database, 2)
    assert answers == [None]


@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        ("rubbish", Code.INVALID_REQUEST),
        ("", Code.INVALID_REQUEST),
        ("another-1", Code.CURSOR_UNKNOWN),
        ("another-999999999999999999", Code.CURSOR_UNKNOWN),
    ],
)
async def test_what_is_no_cursor_of_this_log_is_refused(
    database: Database, cursor: str, code: Code
) -> None:
    """A malformed cursor, and one of another log, are refused without waiting."""
    feed = Feed(database, MemoryBroker(), Remembering())
    refusal = await EventLog(database, feed).reach(cursor, PATIENCE_S)
    assert isinstance(refusal, Refusal)
    assert code == refusal.code


async def test_a_place_that_is_not_reached_in_time_is_refused(database: Database) -> None:
    """When the deadline passes first, the caller may come again."""
    feed = Feed(database, MemoryBroker(), Remembering())
    async with running(feed):
        epoch = (await tell(database, 1)).epoch
        refusal = await EventLog(database, feed).reach(Cursor(epoch, 999), 0.05)
    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.CURSOR_NOT_REACHED
    assert refusal.retryable
