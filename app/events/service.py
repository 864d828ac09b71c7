"""Waiting for a place in the log: what `min_cursor` promises a reader."""

import trio

from app.domain.cursor import Cursor, parse_cursor
from app.domain.errors import Code, Refusal
from app.events import store
from app.events.feed import Feed
from app.storage import Database


class EventLog:
    """The event log as the edges see it."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed

    async def reach(self, cursor: str | Cursor, deadline_s: float) -> Refusal | None:
        """Wait until a read on this node contains everything up to `cursor`.

        What is in the database can be read, whether this node's members were told of it or not:
        the feed is only asked first because it answers without a round trip, and waited for
        because it is the first to hear.

        Returns:
            invalid_request where it spells no cursor, cursor_unknown where it is of another log,
            cursor_not_reached where `deadline_s` passed first.

        Raises:
            StorageDown: PostgreSQL cannot be reached.
        """
        wanted = parse_cursor(cursor) if isinstance(cursor, str) else cursor
        if wanted is None:
            return Refusal(Code.INVALID_REQUEST, "This is not a cursor.")
        with trio.move_on_after(deadline_s):
            seen = self._feed.cursor
            if seen is None or (seen.epoch == wanted.epoch and seen.position < wanted.position):
                seen = await self._database.read(store.head)
            if seen.epoch != wanted.epoch:
                return Refusal(Code.CURSOR_UNKNOWN)
            if seen.position >= wanted.position:
                return None
            if await self._feed.wait_for(wanted.position, deadline_s):
                return None
        return Refusal(Code.CURSOR_NOT_REACHED)
