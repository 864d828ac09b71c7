"""A bounded queue with one reader, which takes everything that waits at each wake-up.

Theory of operation. Handing a message over is an append to a list; waking the reader costs a task
switch, many times that, so it is paid once for all messages that came meanwhile. The reader gets
the list itself and the mailbox goes on with a new one. At most `capacity` messages wait, beside
those that the reader took and is working on: as many at most, and after a crash they wait again.

Everything the statistics tell is kept off the path of an accepted message: what came is what was
taken plus what waits, and since the queue only grows between two takings, its peak is seen at
these.

A closed mailbox has a capacity of zero messages, so that the fast path needs no question of its
own for it. Writers that wait for room stand in a line of their own; taking moves them in, in the
order they came.

Beside the queue there is a lane for signals, which the reader heeds before the next message. It
needs no bound of its own: each signal answers something that its reader asked for, a monitor, a
link or a timer, and comes once for each.

The reader's sleep is no method of the mailbox that could be awaited, but the two halves of one: a
coroutine for each idle actor would cost more memory than its mailbox.
"""

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

import outcome
import trio

from actors.errors import MailboxClosed, MailboxFull
from actors.mailbox_statistics import MailboxStatistics, Tally

M = TypeVar("M")


class Overflow(Enum):
    """What happens to a message for which there is no room."""

    BLOCK = "block"  # `put` waits for room; `put_nowait` refuses
    REJECT = "reject"  # both refuse
    DROP_NEWEST = "drop_newest"  # it is dropped
    DROP_OLDEST = "drop_oldest"  # the one that waits longest is dropped in its favour
    KEEP_LATEST = "keep_latest"  # of each key the latest waits; one of a new key drops the oldest


# What the reader of a mailbox has in hand before it first took something. Nobody adds to it.
_NO_BATCH: Final[list[Any]] = []


class Owner(Protocol):
    """Whose mailbox it is; told of what does not get through."""

    def overflowed(self, overflow: Overflow) -> None:
        """A message found no room, for the first time since the reader came by."""

    def dropped(self, message: Any) -> None:
        """A message that was accepted was dropped after all, or replaced."""


class Mailbox(Generic[M]):
    """A bounded queue. Any task may put; one task reads: `sleep` while `quiet`, then `take`.

    Attributes:
        name: whose it is, for errors.
        alert: whether the reader should look at `interrupted` and `take_signals`, before the next
            message.
        interrupted: whether the reader should stop.
    """

    __slots__ = (
        "_batch",
        "_capacity",
        "_overflow",
        "_overflowing",
        "_owner",
        "_peak",
        "_queue",
        "_room",
        "_signals",
        "_sleeper",
        "_taken",
        "_tally",
        "_total",
        "_writers",
        "alert",
        "interrupted",
        "name",
    )

    def __init__(
        self,
        capacity: int,
        overflow: Overflow,
        *,
        name: str = "mailbox",
        owner: Owner | None = None,
        total: Tally | None = None,
    ) -> None:
        """An empty mailbox.

        Args:
            capacity: the most messages that may wait.
            overflow: what to do with one more.
            name: whose it is, for errors.
            owner: told of what does not get through.
            total: counts it, too, with that of other mailboxes.
        """
        assert capacity > 0, f"{name} has room for {capacity} messages"
        self.name = name
        self.alert = False
        self.interrupted = False
        self._capacity = capacity
        self._room = capacity  # 0 once closed
        self._overflow = overflow
        self._overflowing = False
        self._owner = owner
        self._queue: list[M] = []
        self._batch: list[M] = _NO_BATCH  # taken and not handled yet, the next one last
        self._signals: deque[Any] | None = None  # made with the first
        self._sleeper: trio.lowlevel.Task | None = None
        self._writers: dict[trio.lowlevel.Task, M] | None = None  # made when one waits
        self._taken = 0
        self._peak = 0
        self._tally: Tally | None = None  # made with the first loss
        self._total = total

    # For writers.

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

    def signal(self, signal: Any) -> None:
        """Have the reader heed this before its next message. Nothing where nobody reads."""
        if self.closed:
            return
        if self._signals is None:
            self._signals = deque()
        self._signals.append(signal)
        self.alarm()

    def alarm(self) -> None:
        """Have the reader look up before its next message, and wake it where it sleeps."""
        self.alert = True
        if self._sleeper is not None:
            self._wake()

    # For the reader.

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to do but sleep."""
        return not (self._queue or self.alert)

    @property
    def has_messages(self) -> bool:
        """Whether messages wait."""
        return bool(self._queue)

    @property
    def taken(self) -> int:
        """Messages the reader took so far."""
        return self._taken

    @property
    def slept_through(self) -> bool:
        """Whether its reader sleeps and nothing is there to wake it."""
        return self._sleeper is not None and self.quiet

    def sleep(self) -> Callable[[object], trio.lowlevel.Abort]:
        """Have the current task woken by what comes next: `wait_task_rescheduled(box.sleep())`."""
        assert self._sleeper is None, f"two tasks read {self.name}"
        self._sleeper = trio.lowlevel.current_task()
        return self._abort_sleep

    def take(self) -> list[M]:
        """What waits, up to the capacity, the oldest last. What is left in the list is unhandled.

        The list is the mailbox's own: the reader pops from it what it handles, and takes again
        only when it is empty.
        """
        assert not self._batch, f"the reader of {self.name} has messages in hand"
        self._overflowing = False
        batch, self._queue = self._queue, []
        self._peak = max(self._peak, len(batch))
        if len(batch) > self._capacity:
            # With what was put back. Were all of it taken, each crash could add a mailbox more.
            self._queue = batch[self._capacity :]
            del batch[self._capacity :]
        self._taken += len(batch)
        if self._writers:
            self._admit_writers(self._writers)
        batch.reverse()
        self._batch = batch
        return batch

    def take_signals(self) -> deque[Any]:
        """Every signal that waits, the oldest first."""
        signals, self._signals = self._signals or deque(), None
        self.alert = self.interrupted
        return signals

    def interrupt(self) -> None:
        """Ask the reader to stop. What waits stays."""
        self.interrupted = True
        self.alarm()

    def resume(self) -> None:
        """A new reader begins, with what the last one left. Signals were for that one."""
        self._signals = None
        self.alert = self.interrupted = False

    def put_back(self, messages: Sequence[M] = ()) -> None:
        """Give back what was taken and not handled: these, and then what is left of the batch."""
        returned = [*messages, *reversed(self._batch)]
        self._batch = _NO_BATCH
        self._taken -= len(returned)
        self._queue = returned + self._queue

    def waiting(self) -> tuple[M, ...]:
        """What waits, and then what writers in line bring; what was taken is not among it."""
        return (*self._queue, *(self._writers or {}).values())

    def set_aside(self) -> None:
        """Count a message that was taken as quarantined instead."""
        self._taken -= 1
        for tally in self._tallies():
            tally.quarantined += 1

    def close(self) -> list[M]:
        """Refuse every message from now on. Closing again changes nothing.

        Returns:
            The messages nobody will handle: what was left of the batch, and then what waited. All
            are counted as lost.
        """
        self._peak = max(self._peak, len(self._queue))
        self.put_back()
        lost, self._queue = self._queue, []
        self._room = 0
        self._signals = self._owner = None
        writers, self._writers = self._writers or {}, None
        for tally in self._tallies() if lost or writers else ():
            tally.lost += len(lost) + len(writers)
        for writer in writers:
            trio.lowlevel.reschedule(writer, outcome.Error(MailboxClosed(self._closed_text())))
        return lost

    def statistics(self) -> MailboxStatistics:
        """What went through it so far, and what waits."""
        tally = self._tally or Tally()
        waiting = len(self._queue)
        return MailboxStatistics(
            capacity=self._capacity,
            peak=max(self._peak, waiting),
            writers_waiting=len(self._writers or ()),
            signals_waiting=len(self._signals or ()),
            waiting=waiting,
            taken=self._taken,
            dropped=tally.dropped,
            replaced=tally.replaced,
            refused=tally.refused,
            lost=tally.lost,
            quarantined=tally.quarantined,
        )

    def __repr__(self) -> str:
        return f"<Mailbox {self.name} [{len(self._queue)} of {self._capacity} wait]>"

    def _admit_writers(self, writers: dict[trio.lowlevel.Task, M]) -> None:
        while writers and len(self._queue) < self._room:
            writer = next(iter(writers))
            self._queue.append(writers.pop(writer))
            trio.lowlevel.reschedule(writer)

    def _overflowed(self, message: M) -> bool:
        if self.closed:
            for tally in self._tallies():
                tally.lost += 1
            raise MailboxClosed(self._closed_text())
        if not self._overflowing and self._owner is not None:
            self._overflowing = True
            self._owner.overflowed(self._overflow)
        if self._overflow in (Overflow.BLOCK, Overflow.REJECT):
            for tally in self._tallies():
                tally.refused += 1
            raise MailboxFull(self.name)
        for tally in self._tallies():
            tally.dropped += 1
        if self._overflow is Overflow.DROP_NEWEST:
            return False
        self._drop_oldest()
        self._queue.append(message)
        return True

    def _drop_oldest(self) -> None:
        oldest = self._queue.pop(0)
        if self._owner is not None:
            self._owner.dropped(oldest)

    def _tallies(self) -> tuple[Tally, ...]:
        """Where a loss is counted."""
        if self._tally is None:
            self._tally = Tally()
        return (self._tally,) if self._total is None else (self._tally, self._total)

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
