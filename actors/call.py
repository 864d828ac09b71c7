"""A message whose sender waits for the answer, and the way back to it."""

from typing import Any

import outcome
import trio

from actors.trace import Envelope


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


class Call(Envelope, Reply):
    """A call under way. It is over once it is answered, failed, or its caller went away.

    Whatever comes later is ignored.
    """

    __slots__ = ("_answered", "_caller", "_open", "_outcome", "callee")

    def __init__(self, callee: str, message: Any, trace: object | None = None) -> None:
        super().__init__(message, trace)
        self.callee = callee
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
