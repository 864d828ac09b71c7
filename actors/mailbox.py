"""A bounded queue with one reader, which takes everything that waits at each wake-up.

Theory of operation. Handing a message over is an append to a list; waking the reader costs a task
switch, many times that, so it is paid once for all messages that came meanwhile. The reader gets
the list itself and the mailbox goes on with a new one. At most `capacity` messages wait, beside
those that the reader took and is working on.

Everything the statistics tell is kept off the path of an accepted message: what came is what was
taken plus what waits, and since the queue only grows between two takings, its peak is seen at
these.

A closed mailbox has a capacity of zero messages, so that the fast path needs no question of its
own for it. Writers that wait for room stand in a line of their own; taking moves them in, in the
order they came.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

import outcome
import trio

from actors.errors import MailboxClosed, MailboxFull

M = TypeVar("M")


class Overflow(Enum):
    """What happens to a message for which there is no room."""

    BLOCK = "block"  # `put` waits for room; `put_nowait` refuses
    REJECT = "reject"  # both refuse
    DROP_NEWEST = "drop_newest"  # it is dropped
    DROP_OLDEST = "drop_oldest"  # the one that waits longest is dropped in its favour


@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    """A mailbox, now. Every message ever offered is in one of the last five numbers.

    Attributes:
        capacity: the most messages that may wait.
        peak: the most that did wait at one time.
        writers_waiting: tasks waiting for room; their messages are not counted yet.
        waiting: messages the reader has not taken.
        taken: messages the reader took.
        dropped: messages lost to the overflow policy.
        refused: messages whose sender was told that there is no room.
        lost: messages that nobody will read, because the reader is gone.
    """

    capacity: int
    peak: int
    writers_waiting: int
    waiting: int
    taken: int
    dropped: int
    refused: int
    lost: int


class Mailbox(Generic[M]):
    """A bounded queue. Any task may put; one task drains."""

    __slots__ = (
        "_capacity",
        "_dropped",
        "_lost",
        "_on_drop",
        "_overflow",
        "_peak",
        "_queue",
        "_refused",
        "_room",
        "_sleeper",
        "_taken",
        "_writers",
        "interrupted",
        "name",
    )

    def __init__(
        self,
        capacity: int,
        overflow: Overflow,
        *,
        name: str = "mailbox",
        on_drop: Callable[[M], None] | None = None,
    ) -> None:
        """An empty mailbox.

        Args:
            capacity: the most messages that may wait.
            overflow: what to do with one more.
            name: whose it is, for errors.
            on_drop: called with each message that was accepted and then dropped.
        """
        assert capacity > 0, f"{name} has room for {capacity} messages"
        self.name = name
        self.interrupted = False
        self._capacity = capacity
        self._room = capacity  # 0 once closed
        self._overflow = overflow
        self._on_drop = on_drop
        self._queue: list[M] = []
        self._sleeper: trio.lowlevel.Task | None = None
        self._writers: dict[trio.lowlevel.Task, M] | None = None  # made when one waits
        self._taken = self._dropped = self._refused = self._lost = self._peak = 0

    @property
    def closed(self) -> bool:
        """Whether nobody will read it any more."""
        return self._room == 0

    @property
    def has_room(self) -> bool:
        """Whether the next message is accepted at once and costs no other its place."""
        return len(self._queue) < self._room

    def put_nowait(self, message: M) -> bool:
        """Add a message, or do as the overflow policy says.

        Returns:
            False if it was dropped.

        Raises:
            MailboxFull: there is no room, under BLOCK and REJECT.
            MailboxClosed: nobody will read it.
        """
        queue = self._queue
        if len(queue) >= self._room:
            return self._overflowed(message)
        queue.append(message)
        if self._sleeper is not None:
            self._wake()
        return True

    async def put(self, message: M) -> bool:
        """Add a message, under BLOCK after waiting for room. A checkpoint in any case.

        Returns:
            False if it was dropped.

        Raises:
            MailboxFull: there is no room, under REJECT.
            MailboxClosed: nobody will read it.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        must_wait = self._overflow is Overflow.BLOCK and len(self._queue) >= self._room > 0
        if must_wait:
            await self._wait_for_room(message)
            return True
        kept = self.put_nowait(message)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return kept

    async def drain(self) -> list[M]:
        """Take everything that waits, at least one message. A checkpoint in any case.

        Returns:
            The messages in order; none only if interrupted.
        """
        assert self._sleeper is None, f"two tasks drain {self.name}"
        if self._queue or self.interrupted:
            await trio.lowlevel.checkpoint()
        else:
            self._sleeper = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_sleep)
        return [] if self.interrupted else self._take()

    def interrupt(self) -> None:
        """Have `drain` return with nothing, now and from now on. What waits stays."""
        self.interrupted = True
        if self._sleeper is not None:
            self._wake()

    def close(self, unhandled: Iterable[M] = ()) -> list[M]:
        """Refuse every message from now on. Closing again changes nothing.

        Args:
            unhandled: messages taken that the reader did not come to.

        Returns:
            The messages nobody will handle: those, and then what waited. All are counted as lost.
        """
        lost = list(unhandled)
        self._taken -= len(lost)
        self._peak = max(self._peak, len(self._queue))
        lost += self._queue
        self._lost += len(lost)
        self._queue = []
        self._room = 0
        writers, self._writers = self._writers, None
        for writer in writers or ():
            self._lost += 1
            trio.lowlevel.reschedule(writer, outcome.Error(MailboxClosed(self._closed_text())))
        return lost

    def statistics(self) -> MailboxStatistics:
        """What went through it so far, and what waits."""
        waiting = len(self._queue)
        return MailboxStatistics(
            capacity=self._capacity,
            peak=max(self._peak, waiting),
            writers_waiting=len(self._writers or ()),
            waiting=waiting,
            taken=self._taken,
            dropped=self._dropped,
            refused=self._refused,
            lost=self._lost,
        )

    def __repr__(self) -> str:
        return f"<Mailbox {self.name} [{len(self._queue)} of {self._capacity} wait]>"

    def _take(self) -> list[M]:
        taken, self._queue = self._queue, []
        self._taken += len(taken)
        self._peak = max(self._peak, len(taken))
        if self._writers:
            self._admit_writers(self._writers)
        return taken

    def _admit_writers(self, writers: dict[trio.lowlevel.Task, M]) -> None:
        while writers and len(self._queue) < self._room:
            writer = next(iter(writers))
            self._queue.append(writers.pop(writer))
            trio.lowlevel.reschedule(writer)

    def _overflowed(self, message: M) -> bool:
        if self.closed:
            self._lost += 1
            raise MailboxClosed(self._closed_text())
        if self._overflow is Overflow.DROP_NEWEST:
            self._dropped += 1
            return False
        if self._overflow is Overflow.DROP_OLDEST:
            self._dropped += 1
            oldest = self._queue.pop(0)
            self._queue.append(message)
            if self._on_drop is not None:
                self._on_drop(oldest)
            return True
        self._refused += 1
        raise MailboxFull(self.name)

    async def _wait_for_room(self, message: M) -> None:
        task = trio.lowlevel.current_task()
        if self._writers is None:
            self._writers = {}
        self._writers[task] = message

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            assert self._writers is not None
            del self._writers[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        assert self._sleeper is not None
        trio.lowlevel.reschedule(self._sleeper)
        self._sleeper = None

    def _abort_sleep(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _closed_text(self) -> str:
        return f"nobody reads the mailbox of {self.name} any more"
