"""What waits to be appended to histories, in order, and what becomes of each message.

Theory of operation. One task appends, a batch at a time, so that what is published in an order gets
its places in that order. A batch that fails is tried again, under the same ids, until its messages
are too old: then they are *refused*, and their publishers told. A message is thus in its history or
refused; only where the store fell silent in the very end may a refused one turn up in it.

A batch stays in the queue until its outcome is known. Where a run of the task ends in the middle,
the next one appends the same batch again.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TypeAlias

import trio

from actors import Wakeup
from channels.cursor import Cursor
from channels.errors import HistoryDown
from channels.history import Addition, History, HistoryStore
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
        self._queue_bytes = 0
        self._filled = Wakeup()
        self._serial = 0
        self._retry_s = HISTORY_RETRY_FIRST_S

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, topic: str, history: History, broadcast: bytes) -> Waiting:
        """Put a message in the queue. Without room it is refused at once."""
        self._serial += 1
        waiting = Waiting(Addition(topic, history, broadcast, f"{self._node}:{self._serial}"))
        size = self._queue_bytes + len(broadcast)
        if len(self._queue) >= HISTORY_QUEUE_MAX or size > HISTORY_QUEUE_BYTES_MAX:
            self.refused += 1
            waiting.over.set()
        else:
            self._queue.append(waiting)
            self._queue_bytes = size
            self._filled.set()
        return waiting

    async def run(self) -> None:
        """Append for ever."""
        self._filled.set()  # an earlier run may have ended in the middle of something
        while True:
            await self._filled.wait()
            while self._queue:
                await self._append_batch()

    async def _append_batch(self) -> None:
        """Append the oldest, and refuse those that are too old."""
        batch = list(islice(self._queue, HISTORY_BATCH_MAX))
        try:
            cursors = await self._store.append([waiting.addition for waiting in batch])
        except HistoryDown:
            self._refuse_old()
            await trio.sleep(self._retry_s)
            self._retry_s = min(2 * self._retry_s, HISTORY_RETRY_CEILING_S)
            self._refuse_old()
            return
        self._retry_s = HISTORY_RETRY_FIRST_S
        for cursor in cursors:
            waiting = self._take()
            waiting.cursor = cursor
            self.appended += 1
            self._on_appended(waiting.addition, cursor)
            waiting.over.set()

    def _refuse_old(self) -> None:
        now = trio.current_time()
        while self._queue and self._queue[0].too_late <= now:
            self.refused += 1
            self._take().over.set()

    def _take(self) -> Waiting:
        waiting = self._queue.popleft()
        self._queue_bytes -= len(waiting.addition.broadcast)
        return waiting
