"""The relay: reads the event log in commit order and publishes it to every node's feed.

Theory of operation. Every node runs one, and one in the cluster leads: the one whose session holds
the advisory lock. PostgreSQL lets go of the lock when the session ends, however it ends, and
another relay, which tries every `RELAY_LEAD_S`, takes over. The session runs on the annex and does
three things: it takes the lock, it LISTENs for commits that wrote events, and every `RELAY_POLL_S`
it reads the head, which proves that it is alive and wakes the reader if a notification was lost.

The reader runs on the trio loop. It reads what lies after the last position it published, in
batches, until nothing is left, and then waits to be woken. It never asks whether it still leads:
when the session breaks, so does this run, and two leaders for a moment only publish some batches
twice, which feeds do not mind. Positions become visible in order and without gaps (`store`), so a
reader that has seen one has seen all before it.

A new leader starts at the log's head. What was written after the old leader's last batch is not its
concern: each feed notices the gap and reads it.

A wake-up crosses to trio once for any number of commits: the mark says that one is on its way, and
is cleared before the log is read.
"""

import asyncio
from dataclasses import dataclass

import trio

from actors import Lifeline
from app.domain.cursor import Cursor
from app.events import store
from app.events.feed import LOG
from app.events.feed_state import Batch, encode
from app.limits import EVENTS_A_BATCH, RELAY_LEAD_S, RELAY_POLL_S
from app.storage import Annex, Database, SessionConnection
from channels.broker import Broker


@dataclass(frozen=True, slots=True)
class RelayStatistics:
    """What the relay has done since it was made.

    Attributes:
        leading: whether this node's relay is the one that publishes.
        position: the last position it published, or began after; 0 before it ever led.
        published: events published.
    """

    leading: bool
    position: int
    published: int


class Relay:
    """Publishes the event log while its session holds the leader's lock."""

    def __init__(self, annex: Annex, database: Database, broker: Broker) -> None:
        """A relay not running yet; it may run again after a crash.

        Args:
            annex: where the session runs.
            database: where the log and the lock are.
            broker: what carries batches to the feeds.
        """
        self._annex = annex
        self._database = database
        self._broker = broker
        self._leads_from: Cursor | None = None
        self._woken = trio.Event()
        self._wake_under_way = False
        self._position = 0
        self._published = 0

    def __repr__(self) -> str:
        return f"<Relay {'leads' if self._leads_from else 'stands by'}, at {self._position}>"

    def statistics(self) -> RelayStatistics:
        """What it has done."""
        return RelayStatistics(self._leads_from is not None, self._position, self._published)

    async def run(self, life: Lifeline) -> None:
        """Lead, or stand by to lead, until asked to stop; ready at once.

        Raises, in a group:
            StorageDown: the session broke, or a read failed.
        """
        self._woken = trio.Event()
        self._wake_under_way = False
        life.ready()
        try:
            async with trio.open_nursery() as nursery:
                life.on_stop(nursery.cancel_scope.cancel)
                nursery.start_soon(self._database.session, self._hold_session)
                nursery.start_soon(self._read_on)
        finally:
            self._leads_from = None

    # On the annex --------------------------------------------------------------------------------

    async def _hold_session(self, conn: SessionConnection) -> None:
        """Take the lock when it is free, then wake the reader until the session breaks."""
        while not await store.try_lead(conn):  # noqa: ASYNC110 - nothing tells of a free lock
            await asyncio.sleep(RELAY_LEAD_S)
        await conn.add_listener(store.CHANNEL, self._hear)
        head = await store.head(conn)
        self._annex.post(self._lead, head)
        while True:
            await asyncio.sleep(RELAY_POLL_S)
            if head != (head := await store.head(conn)):
                self._hear()

    def _hear(self, *_: object) -> None:
        """Events were committed."""
        if not self._wake_under_way:
            self._wake_under_way = True
            self._annex.post(self._wake)

    # On the trio loop ----------------------------------------------------------------------------

    def _lead(self, head: Cursor) -> None:
        """This node leads now, and goes on after `head`."""
        self._leads_from = head
        self._position = head.position
        self._woken.set()

    def _wake(self) -> None:
        self._woken.set()

    async def _read_on(self) -> None:
        """Publish whatever the log has more, each time there may be some."""
        while True:
            await self._woken.wait()
            self._woken = trio.Event()
            self._wake_under_way = False
            while self._leads_from and await self._publish_next(self._leads_from.epoch):
                pass

    async def _publish_next(self, epoch: str) -> bool:
        """Publish one batch; False where the log had no more."""
        events = await self._database.read(store.read_after, self._position, EVENTS_A_BATCH)
        if events:
            self._broker.publish_raw(LOG, encode(Batch.of(epoch, events)))
            self._position = events[-1].position
            self._published += len(events)
        return len(events) == EVENTS_A_BATCH
