"""What is kept of topics so that nobody misses anything: the contract, and a store in memory.

A *history* is the newest messages of one topic, numbered from 1 without gaps, and bounded three
ways. A *store* holds the histories of all topics and numbers what is published: Redis is one
(`app.storage.redis_history`), for any number of nodes; `MemoryHistory` another, for a node that is
alone. What a history has forgotten, or a store has lost, can be told by the numbers and the epoch:
`recovery` reads them, and says `reload` rather than nothing.
"""

import secrets
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import trio

from actors import Lifeline
from channels.cursor import Cursor
from channels.limits import (
    HISTORY_BYTES_MAX,
    HISTORY_EPOCH_BYTES,
    HISTORY_SIZE_MAX,
    HISTORY_TOPICS_MAX,
)

# Before a message that has a place, on its way between nodes. No serializer's message begins so.
PLACED: Final = b"\x10"


@dataclass(frozen=True, slots=True)
class History:
    """How much is kept of a topic. Whichever bound is passed first, the oldest goes.

    Attributes:
        size: messages.
        ttl_s: seconds.
        size_bytes: bytes of all of them. The whole of it must find room in a client's outbox.
    """

    size: int = 100
    ttl_s: float = 3600.0
    size_bytes: int = 262_144

    def __post_init__(self) -> None:
        assert 1 <= self.size <= HISTORY_SIZE_MAX, f"a history has 1 to {HISTORY_SIZE_MAX} messages"
        assert 1 <= self.size_bytes <= HISTORY_BYTES_MAX, f"{HISTORY_BYTES_MAX} bytes are the most"
        assert self.ttl_s > 0, "a history lasts for some time"


@dataclass(frozen=True, slots=True)
class Addition:
    """A message to be appended to a history.

    Attributes:
        topic: whose history.
        history: its bounds.
        broadcast: the message, as V2 encodes a broadcast.
        id: like no other's. What is appended again under it is not appended twice.
    """

    topic: str
    history: History
    broadcast: bytes
    id: str


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know of a history.

    Attributes:
        topic: whose history.
        history: its bounds.
        after: messages above this position; None for no messages, only the head.
    """

    topic: str
    history: History
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer.

    Attributes:
        head: the place of the newest message that there ever was.
        messages: the newest ones that are kept, up to the head and without gaps, oldest first, but
            none at or below the position asked for. Where the first of them is not the next one
            after that position, what lies between is forgotten.
    """

    head: Cursor
    messages: Sequence[bytes] = ()


class Away(Enum):
    """That one history cannot be reached now. Others may be: they need not be on one server."""

    AWAY = auto()


AWAY: Final = Away.AWAY


class HistoryStore(Protocol):
    """Where histories are. A history begins, with an epoch of its own, when it is first met.

    Each answer stands by itself: it is AWAY for those alone that cannot be reached now.
    """

    async def run(self, life: Lifeline) -> None:
        """Work until asked to stop; ready at once, whether the histories can be reached or not."""

    async def append(self, additions: Sequence[Addition]) -> Sequence[Cursor | Away]:
        """Number these in order, keep them, and tell all nodes that listen to their topics.

        Returns:
            Their places. What is AWAY may have been appended; the same again is safe for
            `HISTORY_AGAIN_S` seconds. Where one of a topic is AWAY, those after it are, too.
        """

    async def read(self, questions: Sequence[Question]) -> Sequence[Kept | Away]:
        """What is kept, in the order of the questions."""

    async def heads(self, topics: Sequence[str]) -> Sequence[Cursor | Away | None]:
        """The places of the newest messages; None where there is no history."""


def placed(cursor: Cursor, broadcast: bytes) -> bytes:
    """A message with its place, as it travels between nodes."""
    return b"%b%b %b" % (PLACED, str(cursor).encode(), broadcast)


class _Log:
    """One history in memory."""

    __slots__ = ("broadcasts", "epoch", "position", "size_bytes")

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(HISTORY_EPOCH_BYTES)
        self.position = 0
        self.broadcasts: deque[tuple[float, bytes]] = deque()  # when, what
        self.size_bytes = 0

    @property
    def head(self) -> Cursor:
        return Cursor(self.epoch, self.position)

    def append(self, broadcast: bytes) -> Cursor:
        self.position += 1
        self.size_bytes += len(broadcast)
        self.broadcasts.append((trio.current_time(), broadcast))
        return self.head

    def forget(self, history: History) -> None:
        """Keep what the bounds allow."""
        oldest = trio.current_time() - history.ttl_s
        while self.broadcasts and (
            len(self.broadcasts) > history.size
            or self.size_bytes > history.size_bytes
            or self.broadcasts[0][0] <= oldest
        ):
            self.size_bytes -= len(self.broadcasts.popleft()[1])


class MemoryHistory:
    """The store of a node that is alone: histories live as long as its process."""

    def __init__(self, *, topics_max: int = HISTORY_TOPICS_MAX) -> None:
        """A store without histories.

        Args:
            topics_max: histories that are kept; the one not used for longest goes.
        """
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._topics_max = topics_max

    async def run(self, life: Lifeline) -> None:
        """Nothing to do but to be there."""
        life.ready()
        await life.stop_requested.wait()

    async def append(self, additions: Sequence[Addition]) -> Sequence[Cursor]:
        """Number these and keep them. It never fails, so nothing is ever appended again."""
        await trio.lowlevel.checkpoint()
        return [self._append(addition) for addition in additions]

    async def read(self, questions: Sequence[Question]) -> Sequence[Kept]:
        """What is kept."""
        await trio.lowlevel.checkpoint()
        return [self._read(question) for question in questions]

    async def heads(self, topics: Sequence[str]) -> Sequence[Cursor | None]:
        """The newest places."""
        await trio.lowlevel.checkpoint()
        return [self._logs[topic].head if topic in self._logs else None for topic in topics]

    def _append(self, addition: Addition) -> Cursor:
        log = self._log(addition.topic)
        cursor = log.append(addition.broadcast)
        log.forget(addition.history)
        return cursor

    def _read(self, question: Question) -> Kept:
        log = self._log(question.topic)
        log.forget(question.history)
        if question.after is None:
            return Kept(log.head)
        wanted = min(len(log.broadcasts), max(0, log.position - question.after))
        messages = [broadcast for _, broadcast in log.broadcasts]
        return Kept(log.head, messages[len(messages) - wanted :])

    def _log(self, topic: str) -> _Log:
        """The history of a topic, begun if there is none."""
        log = self._logs.get(topic)
        if log is None:
            log = self._logs[topic] = _Log()
            if len(self._logs) > self._topics_max:
                self._logs.popitem(last=False)
        else:
            self._logs.move_to_end(topic)
        return log
