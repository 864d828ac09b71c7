"""Topics whose members miss nothing: publishing with a place, healing, and joining by a cursor.

Theory of operation. The store numbers what is published on a topic with history, keeps the newest
messages, and tells every node. Each node follows the topics that it has members of: its
`recovery_state` holds how far they were given everything, and says what comes next. Three things
come in:

- *live messages*, over the broker, and as the answer to this node's own publishing. They may be
  lost, doubled or late. One that leaves a gap waits, and if the gap has not closed by itself after
  `HISTORY_GRACE_S`, what is missing is read.
- *reads*. One task reads, and at most one read of a topic is under way; whoever wants to know
  something of a topic, a gap or a thousand joins, shares the next read that begins.
- *heads*. Now and then, and at once upon a sign that something was lost, the node compares how far
  its members are with the heads of the histories. So a message that was lost without a trace is
  found, too, and so is a store that lost everything.

What cannot be given any more is told as `reload`, an event on the topic with the new cursor. So a
member sees every message once, in order, or a reload; never a silent gap.

While its history is away nothing is published on a topic, and nobody joins it: both are refused,
since neither could be made good later. Who has joined stays, and is given what he missed, or told
to reload, when it is back. Topics whose histories are elsewhere do not notice.

A run that ends in the middle loses nothing: the object keeps what was wanted, and the next run
goes on.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from actors import Emit, Lifeline, Wakeup, drop_event
from channels.additions import Additions
from channels.cursor import Cursor, parse_cursor
from channels.errors import HistoryDown
from channels.following import Followed, Reading, Waiter
from channels.history import AWAY, PLACED, Addition, Away, History, HistoryStore, Kept
from channels.hub import Hub
from channels.limits import (
    HISTORY_APPEND_S,
    HISTORY_CHECK_MAX_S,
    HISTORY_CHECK_MIN_S,
    HISTORY_GRACE_S,
    HISTORY_HEADS_MAX,
    HISTORY_READS_MAX,
    HISTORY_SIGN_CHECKS,
    HISTORY_SIGN_S,
)
from channels.past import Past
from channels.recovery_state import Due
from channels.resting import Resting

RELOAD: Final = "reload"


@dataclass(frozen=True, slots=True)
class RecoveryStatistics:
    """Recovery now, and its counts since it was made.

    Attributes:
        topics: topics with history that have members here.
        waiting: messages that wait to be appended.
        appended: messages that got their place.
        refused: messages that did not, since the histories were away or too much waited.
        given: messages given to this node's members, once for each topic.
        healed: of these, those that had to be read from a history.
        gaps: times that a topic was found to be behind its history, and did not catch up by itself.
        reloads: times that the members of a topic were told to reload.
        checked: heads compared.
        reads: histories read, for joins and gaps together.
    """

    topics: int
    waiting: int
    appended: int
    refused: int
    given: int
    healed: int
    gaps: int
    reloads: int
    checked: int
    reads: int


class Recovery:
    """The topics with history, as one node sees them."""

    def __init__(
        self,
        store: HistoryStore,
        hub: Hub,
        node: str = "alone",
        *,
        sign: Callable[[], object] = lambda: None,
    ) -> None:
        """Recovery not running yet; what is published meanwhile waits.

        Args:
            store: where histories are.
            hub: of this node.
            node: its name, like no other's of the same store.
            sign: anything that changes when messages from other nodes may have been lost.
        """
        self._store = store
        self._hub = hub
        self._sign = sign
        self._emit: Emit = drop_event
        self._additions = Additions(store, node, self._appended)
        self._followed: dict[str, Followed] = {}
        self._wanted: dict[str, None] = {}  # topics to be read, the longest wanted first
        self._wants = Wakeup()
        self._resting = Resting(self._want)  # those that could not be read
        self._suspected: dict[str, float] = {}  # topics with a gap, and until when it may close
        self._suspects = Wakeup()
        self._given = 0
        self._healed = 0
        self._gaps = 0
        self._reloads = 0
        self._checked = 0
        self._reads = 0

    def statistics(self) -> RecoveryStatistics:
        """Recovery now."""
        return RecoveryStatistics(
            topics=len(self._followed),
            waiting=len(self._additions),
            appended=self._additions.appended,
            refused=self._additions.refused,
            given=self._given,
            healed=self._healed,
            gaps=self._gaps,
            reloads=self._reloads,
            checked=self._checked,
            reads=self._reads,
        )

    async def run(self, life: Lifeline) -> None:
        """Append, read and compare until asked to stop."""
        self._emit = life.system.emit
        self._wants.set()  # an earlier run may have ended in the middle of something
        self._suspects.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._additions.run)
            nursery.start_soon(self._read_forever)
            nursery.start_soon(self._resting.run)
            nursery.start_soon(self._suspect_forever)
            nursery.start_soon(self._check_forever)
            life.ready()
            await life.stop_requested.wait()
            nursery.cancel_scope.cancel()

    # Publishing.

    def publish_nowait(self, topic: str, history: History, broadcast: bytes) -> None:
        """Publish without waiting for the place. Where it is refused, that counts and no more."""
        self._additions.add(topic, history, broadcast)

    async def publish(self, topic: str, history: History, broadcast: bytes) -> Cursor:
        """Publish a broadcast that V2 encoded, to the members of a topic on every node.

        Returns:
            Its place. It is on its way to the members then.

        Raises:
            HistoryDown: it was refused; nobody will see it, unless the store fell silent in the
                very moment of appending it.
        """
        waiting = self._additions.add(topic, history, broadcast)
        with trio.move_on_after(2 * HISTORY_APPEND_S):  # if nobody appends, nobody answers
            await waiting.over.wait()
        if waiting.cursor is None:
            raise HistoryDown("the message was not appended")
        return waiting.cursor

    def hear(self, topic: str, data: bytes) -> None:
        """Take a message with its place, as the broker brought it."""
        spelt, _, broadcast = data.removeprefix(PLACED).partition(b" ")
        cursor = parse_cursor(spelt.decode("ascii", "replace"))
        followed = self._followed.get(topic)
        if cursor is not None and followed is not None:
            self._hear(topic, followed, cursor, broadcast)

    def _appended(self, addition: Addition, cursor: Cursor) -> None:
        """A message of this node has its place. The bus brings it too, or, alone, there is none."""
        followed = self._followed.get(addition.topic)
        if followed is not None:
            self._hear(addition.topic, followed, cursor, addition.broadcast)

    def _hear(self, topic: str, followed: Followed, cursor: Cursor, broadcast: bytes) -> None:
        state = followed.state
        self._give(topic, state.hear(cursor, broadcast))
        if state.behind:
            self._suspect(topic)

    def _give(self, topic: str, due: Sequence[Due]) -> None:
        for message in due:
            self._hub.publish_encoded(
                topic, message.broadcast, message.place, cursor=str(message.cursor)
            )
        self._given += len(due)

    # Members.

    def follow(self, topic: str, history: History) -> None:
        """Count one more member of a topic. Its broadcasts reach this node already."""
        followed = self._followed.get(topic)
        if followed is None:
            followed = self._followed[topic] = Followed(history)
        followed.members += 1

    def leave(self, topic: str) -> None:
        """Count one member less."""
        followed = self._followed[topic]
        followed.members -= 1
        if not followed.members:
            del self._followed[topic]

    async def past(self, topic: str, after: int | None) -> Past:
        """Read a followed topic's history: what is kept above a position; None for the head alone.

        The read begins after this call. When it returns, members of this node were given all that
        it has brought.

        Raises:
            HistoryDown: not now.
        """
        waiter = Waiter(after)
        self._followed[topic].waiters.append(waiter)
        self._want(topic)
        await waiter.done.wait()
        if waiter.past is None:
            raise HistoryDown("the history cannot be read")
        return waiter.past

    # Reading.

    def _want(self, topic: str) -> None:
        if topic not in self._resting:  # or else it comes when its rest is over
            self._wanted[topic] = None
            self._wants.set()

    async def _read_forever(self) -> None:
        while True:
            await self._wants.wait()
            while self._wanted:
                await self._read(list(self._wanted)[:HISTORY_READS_MAX])

    async def _read(self, topics: Sequence[str]) -> None:
        """Read the histories of some topics."""
        readings = [
            Reading(topic, self._followed[topic]) for topic in topics if topic in self._followed
        ]
        for topic in topics:
            del self._wanted[topic]
            if topic not in self._followed:
                self._resting.forget(topic)
        answers: Sequence[Kept | Away] | None = None
        try:
            answers = await self._store.read([reading.question for reading in readings])
        finally:
            if answers is None:  # the next run reads again
                for reading in readings:
                    reading.put_back()
                    self._wanted[reading.topic] = None
        reloads = sum(map(self._take, readings, answers))
        if reloads:
            self._emit("history.reloaded", {"topics": reloads})

    def _take(self, reading: Reading, kept: Kept | Away) -> bool:
        """Take what was read of one topic; whether it was a reload."""
        if kept is AWAY:  # who waits is told; what members lack stays wanted
            self._resting.rest(reading.topic)
            reading.answer(None)
            return False
        self._resting.forget(reading.topic)
        self._reads += 1
        return self._learn(reading, kept)

    def _learn(self, reading: Reading, kept: Kept) -> bool:
        """Give members what was read, then answer who waits for it; whether it was a reload."""
        topic, followed = reading.topic, reading.followed
        state = followed.state
        learned = state.learn(kept, reading.asked)
        place = state.place_of(kept.head)
        if self._followed.get(topic) is followed:
            if learned.reload:
                self._reloads += 1
                cursor = str(kept.head)
                self._hub.publish(topic, RELOAD, {"cursor": cursor}, place, cursor=cursor)
            self._healed += learned.healed
            self._give(topic, learned.due)
            if state.behind:
                self._want(topic)
        reading.answer(Past(kept, place))
        return learned.reload

    # Doubting.

    def _suspect(self, topic: str) -> None:
        """Something is missing, unless it comes in a moment."""
        self._suspected.setdefault(topic, trio.current_time() + HISTORY_GRACE_S)
        self._suspects.set()

    async def _suspect_forever(self) -> None:
        while True:
            await self._suspects.wait()
            while self._suspected:
                topic, due = next(iter(self._suspected.items()))
                await trio.sleep_until(due)
                del self._suspected[topic]
                followed = self._followed.get(topic)
                if followed is not None and followed.state.behind:
                    self._gaps += 1
                    self._want(topic)

    async def _check_forever(self) -> None:
        """Compare with the heads, now and then, and soon after a sign."""
        sign, soon, due = self._sign(), 0, trio.current_time() + _check_s()
        while True:
            await trio.sleep(HISTORY_SIGN_S)
            before, sign = sign, self._sign()
            if sign != before:
                soon = HISTORY_SIGN_CHECKS
            if soon or trio.current_time() >= due:
                soon = soon - 1 if await self._check() else HISTORY_SIGN_CHECKS
                due = trio.current_time() + _check_s()

    async def _check(self) -> bool:
        """Compare all topics with their histories; whether that went well."""
        topics, whole = list(self._followed), True
        for begin in range(0, len(topics), HISTORY_HEADS_MAX):
            chunk = [
                (topic, self._followed[topic])
                for topic in topics[begin : begin + HISTORY_HEADS_MAX]
                if topic in self._followed
            ]
            asked = [followed.state.ask() for _, followed in chunk]
            heads = await self._store.heads([topic for topic, _ in chunk])
            for (topic, followed), known, head in zip(chunk, asked, heads, strict=True):
                if head is AWAY:
                    whole = False
                    continue
                self._checked += 1
                followed.state.see(head, known)
                if followed.state.behind:
                    self._suspect(topic)
        return whole


def _check_s() -> float:
    return random.uniform(HISTORY_CHECK_MIN_S, HISTORY_CHECK_MAX_S)  # noqa: S311 - no secret
