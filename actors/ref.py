"""How others reach an actor: casts, sends and calls, and the news of its end.

Theory of operation. A Ref belongs to one life of an actor; the next life has another (ask the
registry for it). It knows the mailbox and every call that is not answered yet, whether it still
waits in the mailbox, is being handled, or was put aside to be answered later. So the end of the
actor reaches all of them at once: nobody waits for the dead.

A cast travels as the bare message, a call as an envelope that is the reply itself. A call is over
once it is answered, failed, or its caller went away; whatever comes later is ignored.
"""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Generic, TypeVar

import outcome
import trio

from actors.errors import ActorDown, CallTimeout, MailboxClosed, MailboxFull, caused
from actors.mailbox import Mailbox, MailboxStatistics

M = TypeVar("M")


class Reply:
    """Where the answer to a message goes. This one is a cast's: nobody wants it."""

    __slots__ = ()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the answer now."""
        return False

    def send(self, value: object) -> None:
        """Answer: while the message is handled or any time later, from any task, once."""


NO_REPLY = Reply()


class Call(Reply):
    """A message whose sender waits for the answer, and the way back to it."""

    __slots__ = ("_answered", "_caller", "_open", "_outcome", "callee", "message")

    def __init__(self, callee: str, message: Any) -> None:
        self.callee = callee
        self.message = message
        self._answered = False
        self._open = True
        self._caller: trio.lowlevel.Task | None = None
        self._outcome: outcome.Outcome[Any] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the caller still waits."""
        return self._open

    def send(self, value: object) -> None:
        """Answer. Ignored if the caller went away."""
        assert not self._answered, f"{self.message!r} was answered already"
        self._answered = True
        self._end(outcome.Value(value))

    def fail(self, error: Exception) -> None:
        """End the call with an error; its caller raises it. Ignored if it is over."""
        self._end(outcome.Error(error))

    def abandon(self) -> None:
        """The caller went away. Ignored if it is over."""
        self._open = False

    async def wait(self) -> Any:
        """Wait for the answer, in the task of the caller."""
        if self._outcome is None:
            self._caller = trio.lowlevel.current_task()
            return await trio.lowlevel.wait_task_rescheduled(self._abort)
        return self._outcome.unwrap()

    def _end(self, result: outcome.Outcome[Any]) -> None:
        if not self._open:
            return
        self._open = False
        self._outcome = result
        if self._caller is not None:
            trio.lowlevel.reschedule(self._caller, result)

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._open = False
        self._caller = None
        return trio.lowlevel.Abort.SUCCEEDED


def refuse_dropped(item: object) -> None:
    """A mailbox dropped this one; if it is a call, its caller learns it."""
    if isinstance(item, Call):
        item.fail(MailboxFull(item.callee))


class Ref(Generic[M]):
    """The address of one life of an actor. Holding it does not keep the actor alive."""

    __slots__ = ("_calls", "_crash", "_down", "_mailbox", "_on_down", "_task", "alive", "name")

    def __init__(self, name: str, mailbox: Mailbox[M | Call]) -> None:
        """For the actor's host: the address of an actor about to start, in the current task."""
        self.name = name
        self.alive = True
        self._task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        self._mailbox = mailbox
        self._calls: set[Call] | None = None  # not answered yet; made with the first
        self._crash: Exception | None = None
        self._down: trio.Event | None = None  # made when somebody waits
        self._on_down: list[Callable[[], object]] | None = None  # made with the first

    def cast(self, message: M) -> None:
        """Hand a message over and go on. To a dead actor it is lost, and counted.

        Raises:
            MailboxFull: no room, under BLOCK and REJECT.
        """
        try:
            self._mailbox.put_nowait(message)
        except MailboxClosed:
            return

    async def send(self, message: M) -> None:
        """Hand a message over, under BLOCK after waiting for room.

        Raises:
            ActorDown: the actor is dead, or died before there was room.
            MailboxFull: no room, under REJECT.
        """
        try:
            await self._mailbox.put(message)
        except MailboxClosed:
            raise self._down_error() from self._crash

    async def call(self, message: M, *, deadline_s: float) -> Any:
        """Hand a message over and wait for its answer.

        Args:
            message: what to ask.
            deadline_s: seconds for all of it, waiting for room included.

        Raises:
            ActorDown: the actor is dead, or died before it answered.
            CallTimeout: no answer in time.
            MailboxFull: no room, under REJECT; or dropped, under DROP_NEWEST and DROP_OLDEST.
        """
        assert isfinite(deadline_s), f"a call of {self.name} must end"
        assert trio.lowlevel.current_task() is not self._task, f"{self.name} calls itself"
        call = Call(self.name, message)
        if self._calls is None:
            self._calls = set()
        self._calls.add(call)
        try:
            with trio.move_on_after(deadline_s):
                return await self._ask(call)
        except MailboxClosed:
            raise self._down_error() from self._crash
        finally:
            self._calls.discard(call)
            call.abandon()
        raise CallTimeout(self.name, deadline_s)

    async def wait_down(self) -> None:
        """Wait until the actor is dead. Returns at once if it is."""
        if self._down is None:
            self._down = trio.Event()
            if not self.alive:
                self._down.set()
        await self._down.wait()

    def statistics(self) -> MailboxStatistics:
        """The mailbox of the actor, now; its last numbers once it is dead."""
        return self._mailbox.statistics()

    def on_down(self, callback: Callable[[], object]) -> None:
        """Have `callback()` called in the moment the actor dies, before calls to it fail."""
        assert self.alive, f"{self} is dead already"
        if self._on_down is None:
            self._on_down = []
        self._on_down.append(callback)

    def hang_up(self, unhandled: Iterable[M | Call], crash: Exception | None) -> tuple[int, int]:
        """For the actor's host: take no more messages; calls that nobody handles fail now.

        Args:
            unhandled: messages drained that the actor did not come to.
            crash: what ended it, None for an end in peace.

        Returns:
            How many casts and calls were lost by this.
        """
        self._crash = self._crash or crash
        lost = self._mailbox.close(unhandled)
        calls = [item for item in lost if isinstance(item, Call)]
        for call in calls:
            call.fail(self._down_error())
        return len(lost) - len(calls), len(calls)

    def mark_down(self, crash: Exception | None) -> None:
        """For the actor's host: the actor is dead, so its calls fail. Again changes nothing."""
        if not self.alive:
            return
        self.alive = False
        self._task = None  # a Ref that is kept does not keep the frames of the dead
        self._crash = crash
        for callback in self._on_down or ():
            callback()
        for call in self._calls or ():
            call.fail(self._down_error())
        if self._down is not None:
            self._down.set()

    def __repr__(self) -> str:
        return f"<Ref {self.name} [{'alive' if self.alive else 'down'}]>"

    async def _ask(self, call: Call) -> Any:
        """Get the call into the mailbox, sparing the task switch where there is room."""
        if self._mailbox.has_room:
            self._mailbox.put_nowait(call)
        elif not await self._mailbox.put(call):
            raise MailboxFull(self.name)
        return await call.wait()

    def _down_error(self) -> ActorDown:
        return caused(ActorDown(self.name), self._crash)
