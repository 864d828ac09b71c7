"""The event log inside an atomic block: what is written with a change, and how it is read.

`append` takes the row lock of the log's head and holds it until the block ends, so that positions
become visible in their own order, without gaps. Every block that writes events queues for that row:
`append` is called last, when all other locks are held and nothing is left that takes time.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.domain.cursor import Cursor
from app.events.model import NewEvent, StoredEvent
from app.storage import ReadConnection, Row, WriteConnection, load_queries

_SQL: Final = load_queries(__package__)

# What PostgreSQL is told to wake listeners by, at the commit of every block that appended.
CHANNEL: Final = "agio_log"

# The advisory lock of the session that leads: "agio" in ASCII, then the first of its kind.
_LEADER_KEY: Final = 0x6167_696F_0000_0001


async def append(conn: WriteConnection, events: Sequence[NewEvent]) -> Cursor:
    """Writes `events`, at least one, at the log's end; they appear when the block commits.

    The last statements of a block: whoever else wants to append waits from here to the commit.

    Returns:
        The place of the last of them.
    """
    assert events, "a block without events has no place in the log"
    row = await conn.fetchrow(
        _SQL.append,
        [event.type for event in events],
        [_json(event.topics) for event in events],
        [_json(event.data) for event in events],
        CHANNEL,
    )
    assert row is not None, "the schema gives the log a head"
    return _to_cursor(row)


async def head(conn: ReadConnection) -> Cursor:
    """The place up to which this block's snapshot contains the log, exactly."""
    row = await conn.fetchrow(_SQL.head)
    assert row is not None, "the schema gives the log a head"
    return _to_cursor(row)


async def read_topic(
    conn: ReadConnection, topic: str, after: int, until: int, limit: int
) -> tuple[StoredEvent, ...]:
    """What happened on a topic at positions above `after`, up to `until`; oldest first."""
    rows = await conn.fetch(_SQL.read_topic, topic, after, until, limit)
    return tuple(_to_event(row) for row in rows)


async def read_after(conn: ReadConnection, position: int, limit: int) -> tuple[StoredEvent, ...]:
    """What happened anywhere at positions above `position`; oldest first, without gaps."""
    rows = await conn.fetch(_SQL.read_after, position, limit)
    return tuple(_to_event(row) for row in rows)


async def try_lead(conn: ReadConnection) -> bool:
    """Whether this session is the cluster's leader now; it stays so until the session ends."""
    return bool(await conn.fetchval(_SQL.try_lead, _LEADER_KEY))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _to_cursor(row: Row) -> Cursor:
    return Cursor(row["epoch"], row["position"])


def _to_event(row: Row) -> StoredEvent:
    return StoredEvent(
        position=row["position"],
        type=row["type"],
        topics=tuple(row["topics"]),
        data=msgspec.json.decode(row["data"]),
    )
