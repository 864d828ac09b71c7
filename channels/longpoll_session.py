"""One client that polls: what waits for its polls, what it was given, and when it is over.

Theory of operation. A session is the sink of its client's outbox, and its polls are the writer:
what a poll is given is the batch being written, and it counts as delivered when the next poll says,
by its ticket, that the client has it. Until then the batch is kept, and a poll with the older
ticket is given the same batch again: a response that is lost loses nothing. One batch is kept at a
time, which is part of what the outbox holds, so the outbox's bound is the bound.

At most one poll waits. A second one takes its place, and the first is answered with nothing.

The session ends by a verdict, as any connection, or when nobody has polled for a while. A poll that
waits then is given what there is, or told that the session is gone; that last batch is never
acknowledged, and so counts as lost on its way.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Final

import trio

from channels.connection import Connection
from channels.limits import (
    LONGPOLL_ANSWER_BYTES,
    LONGPOLL_IDLE_WINDOWS,
    LONGPOLL_LINES_A_TURN,
    Limits,
)
from channels.longpoll_wire import GONE, NO_CONTENT, OK, TIMED_OUT, Line, body_of
from channels.outbox import Outbox, Totals
from channels.verdict import IDLE, SLOW_READER, TOO_LARGE

_LINE_END: Final = b"\n"


@dataclass(slots=True)
class PollTally:
    """Counters that the sessions of a node share.

    Attributes:
        polls: asked of a session.
        posts: taken by a session, or refused because it was over.
        repeated: polls that were given again what an earlier one was given.
        superseded: polls whose place another one took.
    """

    polls: int = 0
    posts: int = 0
    repeated: int = 0
    superseded: int = 0


class _Poll:
    """A poll that waits.

    Attributes:
        body: what it is answered with; None: the session is gone.
        told: set when it is.
    """

    __slots__ = ("body", "told")

    def __init__(self) -> None:
        self.body: bytes | None = None
        self.told = trio.Event()

    def tell(self, body: bytes | None) -> None:
        self.body = body
        self.told.set()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a poll was given.

    Attributes:
        size: bytes of the outbox.
        body: the answer.
    """

    size: int
    body: bytes


class PollSession:
    """A client that was let in. The sink of its outbox."""

    def __init__(
        self, sign: Callable[[int], str], limits: Limits, totals: Totals, tally: PollTally
    ) -> None:
        """A session whose connection is still to come.

        Args:
            sign: makes the ticket of a client that has got that far.
            limits: of the endpoint.
            totals: where the outbox counts.
            tally: where polls count.
        """
        self.outbox = Outbox(self, totals)
        self._sign = sign
        self._limits = limits
        self._tally = tally
        self._connection: Connection | None = None
        self._scope = trio.CancelScope()  # cancelled by the verdict
        self._handed = 0  # the number of the last batch
        self._kept: _Batch | None = None  # that batch, while it is not acknowledged
        self._rest: deque[bytes] = deque()  # messages taken from the outbox for batches to come
        self._waiting: _Poll | None = None
        self._taking = trio.StrictFIFOLock()

    @property
    def ticket(self) -> str:
        """Of a client that has got as far as it was given messages."""
        return self._sign(self._handed)

    async def run(self, connection: Connection) -> None:
        """Be there for the client until the end, and end its channels.

        Raises:
            Exception: a bug of ours that ended the connection.
        """
        self._connection = connection
        connection.interrupt = self._scope.cancel
        if connection.verdict is not None:
            self._scope.cancel()
        try:
            with self._scope:
                self._expect_poll()
                await trio.sleep_forever()
            connection.end(IDLE)  # unless there was another reason
        finally:
            self._end()
        await connection.end_channels()
        if connection.failure is not None:
            raise connection.failure

    async def poll(self, seen: int) -> bytes | None:
        """Answer a poll, within the window.

        Args:
            seen: the number of the last batch that the client has got.

        Returns:
            The body; None where the session is over, or can no longer give what comes after that.
        """
        await trio.lowlevel.checkpoint()
        if self._is_over() or not self._acknowledge(seen):
            return None
        self._tally.polls += 1
        self._supersede()
        body = self._again() or self._next()
        if body is None:
            body = await self._wait()
        self._expect_poll()
        return body

    async def take(self, lines: Iterable[Line]) -> int:
        """Act on what the client posted, after what it posted before. Returns the status."""
        self._tally.posts += 1
        with trio.move_on_after(self._limits.poll_s):
            async with self._taking:
                for number, line in enumerate(lines, 1):
                    if self._is_over():
                        break
                    self._receive(line)
                    if number % LONGPOLL_LINES_A_TURN == 0:
                        await trio.lowlevel.checkpoint()
                return GONE if self._is_over() else OK
        return TIMED_OUT

    # For the outbox.

    def start_writer(self) -> None:
        """There is something for the poll that waits, or for the next."""
        self.outbox.busy = True
        if self._waiting is not None:
            poll, self._waiting = self._waiting, None
            poll.tell(self._next())

    def overflowed(self) -> None:
        """The client does not poll, or not fast enough."""
        assert self._connection is not None, "who is sent something is connected"
        self._connection.end(SLOW_READER)

    def broke(self) -> None:
        """Nothing can: a poll is given what it takes."""

    def _is_over(self) -> bool:
        return self._connection is None or self._connection.verdict is not None

    def _receive(self, line: Line) -> None:
        connection = self._connection
        assert connection is not None, "who posts is connected"
        if line is None:
            connection.count_offence()
        elif len(line[0]) > self._limits.message_bytes:
            connection.end(TOO_LARGE)
        else:
            connection.receive(*line)

    def _acknowledge(self, seen: int) -> bool:
        """The client has got that batch. False: what it has to be given next is not there."""
        if seen != self._handed:
            return self._kept is not None and seen == self._handed - 1
        if self._kept is not None:
            self.outbox.wrote(self._kept.size)
            self._kept = None
            if not self._rest:
                self.outbox.done()
                self.outbox.busy = False
        return True

    def _supersede(self) -> None:
        if self._waiting is not None:
            self._tally.superseded += 1
            self._waiting.tell(body_of(NO_CONTENT, self.ticket))

    def _again(self) -> bytes | None:
        """What was given before, and not acknowledged."""
        if self._kept is None:
            return None
        self._tally.repeated += 1
        return self._kept.body

    def _next(self) -> bytes | None:
        """The next batch, if there is one."""
        if not self._rest:
            if not self.outbox.queue:
                return None
            self.outbox.busy = True
            self._rest.extend(self.outbox.take().split(_LINE_END)[:-1])
        messages = [self._rest.popleft()]
        size = len(messages[0]) + 1
        while self._rest and size + len(self._rest[0]) < LONGPOLL_ANSWER_BYTES:
            messages.append(self._rest.popleft())
            size += len(messages[-1]) + 1
        self._handed += 1
        self._kept = _Batch(size, body_of(OK, self.ticket, messages))
        return self._kept.body

    async def _wait(self) -> bytes | None:
        poll = self._waiting = _Poll()
        self._scope.deadline = inf
        try:
            with trio.move_on_after(self._limits.poll_s):
                await poll.told.wait()
        finally:
            if self._waiting is poll:
                self._waiting = None
                self._expect_poll()
        return poll.body if poll.told.is_set() else body_of(NO_CONTENT, self.ticket)

    def _expect_poll(self) -> None:
        """From now on the client has so long to poll again, unless a poll waits."""
        if self._waiting is None:
            window = self._limits.poll_s * LONGPOLL_IDLE_WINDOWS
            self._scope.deadline = trio.current_time() + window

    def _end(self) -> None:
        poll, self._waiting = self._waiting, None
        if poll is not None:
            poll.tell(self._next())
        self.outbox.close()
