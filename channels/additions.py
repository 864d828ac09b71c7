"""What waits to be appended to histories, in order, and what becomes of each message.

Theory of operation. One task appends, a batch at a time, so that what is published on a topic in an
order gets its places in that order. Topics whose histories are away are set aside, with all that
comes for them, so that they hold up nobody; another task tries them again, under the same ids,
until their messages are too old: then they are *refused*, and their publishers told. A message is
thus in its history or refused; only where the store fell silent in the very end may a refused one
turn up in it. A topic is in the hands of one of the two tasks at a time.

A message stays in its queue until its outcome is known. Where a run of a task ends in the middle,
the next one appends the same batch again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import TypeAlias

import trio

from actors import Wakeup
from channels.cursor import Cursor
from channels.history import AWAY, Addition, Away, History, HistoryStore
from channels.limits import (
    HISTORY_APPEND_S,
    HISTORY_BATCH_MAX,
    HISTORY_QUEUE_BYTES_MAX,
    HISTORY_QUEUE_MAX,
    HISTORY_RETRY_CEILING_S,
    HISTORY_RETRY_FIRST_S,
)

OnAppended: TypeAlias = Callable[[Addition, Cursor], None]
"""Called with each message that got its place; must neither block nor raise."""


class Waiting:
    """One message on its way into its history.

    Attributes:
        addition: the message.
        too_late: when it is refused.
        cursor: its place, once it has one.
        over: set when its outcome is known.
    """

    __slots__ = ("addition", "cursor", "over", "too_late")

    def __init__(self, addition: Addition) -> None:
        self.addition = addition
        self.too_late = trio.current_time() + HISTORY_APPEND_S
        self.cursor: Cursor | None = None
        self.over = trio.Event()


class Additions:
    """The queue to the store.

    Attributes:
        appended: messages that got a place.
        refused: messages that did not.
    """

    def __init__(self, store: HistoryStore, node: str, on_appended: OnAppended) -> None:
        """An empty queue.

        Args:
            store: where to.
            node: the name of this node, like no other's: ids begin with it.
            on_appended: told of each, in order.
        """
        self.appended = 0
        self.refused = 0
        self._store = store
        self._node = node
        self._on_appended = on_appended
        self._queue: deque[Waiting] = deque()
        self._aside: dict[str, deque[Waiting]] = {}  # by topic, the one to be tried next first
        self._count = 0
        self._bytes = 0
        self._filled = Wakeup()
        self._set_aside = Wakeup()
        self._serial = 0
        self._retry_s = HISTORY_RETRY_FIRST_S

    def __len__(self) -> int:
        return self._count

    def add(self, topic: str, history: History, broadcast: bytes) -> Waiting:
        """Put a message in the queue. Without room it is refused at once."""
        self._serial += 1
        waiting = Waiting(Addition(topic, history, broadcast, f"{self._node}:{self._serial}"))
        size = self._bytes + len(broadcast)
        if self._count >= HISTORY_QUEUE_MAX or size > HISTORY_QUEUE_BYTES_MAX:
            self.refused += 1
            waiting.over.set()
        else:
            self._queue.append(waiting)
            self._count += 1
            self._bytes = size
            self._filled.set()
        return waiting

    async def run(self) -> None:
        """Append for ever."""
        self._filled.set()  # an earlier run may have ended in the middle of something
        self._set_aside.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._append_forever)
            nursery.start_soon(self._retry_forever)

    async def _append_forever(self) -> None:
        while True:
            await self._filled.wait()
            while batch := self._next():
                cursors = await self._append(batch)
                for waiting, cursor in zip(batch, cursors, strict=True):
                    self._queue.popleft()
                    if cursor is AWAY:
                        self._put_aside(waiting)
                    else:
                        self._place(waiting, cursor)

    async def _retry_forever(self) -> None:
        """Try what is away: all at once again when something of it was not."""
        retry_s = HISTORY_RETRY_FIRST_S
        while True:
            await self._set_aside.wait()
            while self._aside:
                await trio.sleep(retry_s)
                self._refuse_old()
                retry_s = min(2 * retry_s, HISTORY_RETRY_CEILING_S)
                while self._aside and await self._retry():
                    retry_s = HISTORY_RETRY_FIRST_S
                self._refuse_old()
            retry_s = HISTORY_RETRY_FIRST_S

    def _next(self) -> list[Waiting]:
        """The oldest of those whose topics are not known to be away."""
        if self._aside:
            queued, self._queue = self._queue, deque()
            for waiting in queued:
                if waiting.addition.topic in self._aside:
                    self._put_aside(waiting)
                else:
                    self._queue.append(waiting)
        return list(islice(self._queue, HISTORY_BATCH_MAX))

    async def _retry(self) -> bool:
        """Append the oldest of those set aside; whether any got a place."""
        batch = list(islice(chain.from_iterable(self._aside.values()), HISTORY_BATCH_MAX))
        cursors = await self._append(batch)
        placed = 0
        for waiting, cursor in zip(batch, cursors, strict=True):
            topic = waiting.addition.topic
            queue = self._aside.pop(topic)
            if cursor is not AWAY:
                queue.remove(waiting)  # nearly always the first
                self._place(waiting, cursor)
                placed += 1
            if queue:
                self._aside[topic] = queue  # behind the others
        return placed > 0

    async def _append(self, batch: Sequence[Waiting]) -> Sequence[Cursor | Away]:
        return await self._store.append([waiting.addition for waiting in batch])

    def _put_aside(self, waiting: Waiting) -> None:
        self._aside.setdefault(waiting.addition.topic, deque()).append(waiting)
        self._set_aside.set()

    def _place(self, waiting: Waiting, cursor: Cursor) -> None:
        waiting.cursor = cursor
        self.appended += 1
        self._on_appended(waiting.addition, cursor)
        self._end(waiting)

    def _refuse_old(self) -> None:
        now = trio.current_time()
        for topic, queue in list(self._aside.items()):
            while queue and queue[0].too_late <= now:
                self.refused += 1
                self._end(queue.popleft())
            if not queue:
                del self._aside[topic]

    def _end(self, waiting: Waiting) -> None:
        self._count -= 1
        self._bytes -= len(waiting.addition.broadcast)
        waiting.over.set()
