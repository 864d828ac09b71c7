"""The feed: brings the event log to this node's subscribers, each event once, in order.

Theory of operation. Every node runs one. The relay's batches come over the broker, which is fast
and promises nothing: a batch may be lost, doubled or late. The feed knows the last position it
applied (`feed_state`, the pure part) and reads from PostgreSQL whatever lies between that and the
batch it got. Twice over nothing depends on the broker: each feed also looks at the log's head by
itself, every `FEED_LOOK_S`. A lost Redis or a cluster without a leader only delays.

Two tasks. `_follow` alone applies events, so their order is that of one loop: what the broker
brought waits in a short queue, and where it overflows the oldest goes, to be read from the database
like anything lost. `_look_often` only moves the target. The broker's callback only appends.

A crash loses nothing. The object outlives its runs: the position stays, and the next run goes on
from there. The position moves after an event was published; where publishing raises, the same event
is tried again by the next run, so that trouble shows instead of leaving a gap.

The first run starts at the log's head, for members who join later get what came before with their
snapshot. A log that is another one than before, or shorter, cannot be followed: what members hold
is then not true. No restart of the feed helps against that, and a patient supervisor would hide it,
so `LogReplacedError` is a way to exit: supervisors stop everything in order and the process ends.
Its clients come back to a new one, whose log their cursors are foreign to, and get snapshots.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from actors import Lifeline
from app.domain.cursor import Cursor
from app.events import store
from app.events.feed_state import FeedState, decode
from app.events.model import CURSOR, StoredEvent
from app.limits import EVENTS_A_BATCH, FEED_BATCHES_MAX, FEED_LOOK_S
from app.storage import Database
from channels.broker import Broker

# The broker's raw channel that batches travel on.
LOG: Final = "log"


class Publisher(Protocol):
    """Whoever gives events to the members of a topic: the hub."""

    def publish(
        self,
        topic: str,
        event: str,
        payload: Mapping[str, Any],
        position: int | None = None,
        *,
        cursor: str | None = None,
    ) -> None:
        """Give one event to the members of `topic` on this node. Never waits."""


class LogReplacedError(SystemExit):
    """The database's event log is not the one that this node has followed: the process must end."""


@dataclass(frozen=True, slots=True)
class FeedStatistics:
    """What the feed has done since it was made.

    Attributes:
        position: the last position applied; 0 before the first run.
        behind: events known to be in the log and not applied yet.
        looked: times that the log's head was looked at, whatever the broker brought.
        late: of these, times that the log was found to go on beyond what was known.
        applied: events given out.
        healed: those of them that had to be read from the database.
        batches_unread: batches that were dropped in the queue, or not understood.
    """

    position: int
    behind: int
    looked: int
    late: int
    applied: int
    healed: int
    batches_unread: int


class Feed:
    """Follows the event log and publishes it to this node's hub."""

    def __init__(self, database: Database, broker: Broker, hub: Publisher) -> None:
        """A feed not running yet; it may run again after a crash, and goes on where it was.

        Args:
            database: where the log is.
            broker: what brings batches from the relay.
            hub: gives events to members.
        """
        self._database = database
        self._hub = hub
        self._epoch = ""
        self._state: FeedState | None = None
        self._inbox: deque[bytes] = deque()
        self._woken = trio.Event()
        self._moved = trio.lowlevel.ParkingLot()
        self._looked = 0
        self._late = 0
        self._applied = 0
        self._healed = 0
        self._batches_unread = 0
        broker.subscribe_raw(LOG, self._hear)

    def __repr__(self) -> str:
        return f"<Feed at {self.cursor}>"

    @property
    def cursor(self) -> Cursor | None:
        """The place up to which this node's members were told; None before the first run."""
        return Cursor(self._epoch, self._state.position) if self._state else None

    def statistics(self) -> FeedStatistics:
        """What it has done."""
        state = self._state or FeedState(0)
        return FeedStatistics(
            position=state.position,
            behind=state.target - state.position,
            looked=self._looked,
            late=self._late,
            applied=self._applied,
            healed=self._healed,
            batches_unread=self._batches_unread,
        )

    async def wait_for(self, position: int, deadline_s: float) -> bool:
        """Wait until this node has applied `position`; False where `deadline_s` passed first."""
        with trio.move_on_after(deadline_s):
            while self._state is None or self._state.position < position:
                await self._moved.park()
            return True
        return False

    async def run(self, life: Lifeline) -> None:
        """Follow the log until asked to stop; ready once its head was seen.

        Raises:
            StorageDown: PostgreSQL failed; in a group, unless it was at the start. The next run
                goes on from the same place.
            LogReplacedError: the log is another one; a new process is needed.
        """
        await self._look()
        life.ready()
        try:
            async with trio.open_nursery() as nursery:
                life.on_stop(nursery.cancel_scope.cancel)
                nursery.start_soon(self._follow)
                nursery.start_soon(self._look_often)
        except BaseExceptionGroup as group:
            replaced: BaseException | None = group.subgroup(LogReplacedError)
            if replaced is None:
                raise
            while isinstance(replaced, BaseExceptionGroup):
                replaced = replaced.exceptions[0]
            raise replaced from None  # plain, as supervisors know an exit

    def _hear(self, data: bytes) -> None:
        """The broker has a batch."""
        if len(self._inbox) >= FEED_BATCHES_MAX:
            self._inbox.popleft()
            self._batches_unread += 1
        self._inbox.append(data)
        self._woken.set()

    async def _follow(self) -> None:
        """Apply what comes, and read what is missing."""
        state = self._state
        assert state is not None, "the head was looked at first"
        while True:
            self._woken = trio.Event()
            while self._inbox:
                self._take(state, self._inbox.popleft())
                await trio.lowlevel.checkpoint()
            while state.behind:
                await self._read_missing(state)
            if not self._inbox:
                await self._woken.wait()

    def _take(self, state: FeedState, data: bytes) -> None:
        """Apply a batch where it joins on; else it tells how far the log goes."""
        batch = decode(data)
        if batch is None or batch.epoch != self._epoch:
            self._batches_unread += 1
            return
        self._publish(state, state.next_of([event.stored() for event in batch.events]))

    async def _read_missing(self, state: FeedState) -> None:
        """Apply the next events from the database."""
        events = await self._database.read(store.read_after, state.position, EVENTS_A_BATCH)
        if not events:
            raise LogReplacedError(f"the log ends before {state.target}, which it reached once")
        missing = state.next_of(events)
        self._healed += len(missing)
        self._publish(state, missing)

    def _publish(self, state: FeedState, events: Sequence[StoredEvent]) -> None:
        """Give out events that come next."""
        for event in events:
            payload = event.payload(self._epoch)
            for topic in event.topics:
                self._hub.publish(
                    topic, event.type, payload, event.position, cursor=payload[CURSOR]
                )
            state.apply(event)
        if events:
            self._applied += len(events)
            self._moved.unpark_all()

    async def _look_often(self) -> None:
        """Look at the head again and again, whatever the broker brings."""
        while True:
            await trio.sleep(FEED_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """See how far the log goes; the first time, begin there."""
        seen = self._state.position if self._state else 0
        head = await self._database.read(store.head)
        if self._state is None:
            self._epoch = head.epoch
            self._state = FeedState(head.position)
            self._moved.unpark_all()
        if head.epoch != self._epoch or head.position < seen:
            raise LogReplacedError(f"the log is at {head}; this node was at {self.cursor}")
        self._looked += 1
        self._late += head.position > self._state.target
        self._state.see(head.position)
        if self._state.behind:
            self._woken.set()
