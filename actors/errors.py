"""Everything this layer raises. A refusal by a mailbox or a supervisor is an exception here.

The layer below the product cannot know which of these a caller wants to turn into a value.
"""

# ruff: noqa: N818 - they name what happened, as in `except ActorDown`; each is an ActorError

from typing import TypeVar

from actors.restart_state import Failure


class ActorError(Exception):
    """The base of all of them."""


class ActorDown(ActorError):
    """The actor or supervisor asked is not there, or died before it answered.

    Whether it acted on the message is unknown. `__cause__` is the crash, where one ended it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is down")
        self.name = name


class MessageQuarantined(ActorDown):
    """The message called with crashed the actor too often, and is not retried any more.

    The actor itself may live on. `__cause__` is the last crash.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.args = (f"{name} crashed on it too often, so it is not tried again",)


class LinkedActorDown(ActorError):
    """An actor that this one is linked to crashed or was killed. `__cause__` is its crash."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}, which it is linked to, is down")
        self.name = name


class CallTimeout(ActorError):
    """The actor did not answer within the deadline. It may still act on the message."""

    def __init__(self, name: str, deadline_s: float) -> None:
        super().__init__(f"{name} did not answer within {deadline_s:g} s")
        self.name = name
        self.deadline_s = deadline_s


class MailboxFull(ActorError):
    """The mailbox had no room, and its policy is to say so. The message was not taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the mailbox of {name} is full")
        self.name = name


class MailboxClosed(ActorError):
    """Nobody will read this mailbox any more. The message was counted as lost."""


class NameTaken(ActorError):
    """A living actor is registered under this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is registered already")
        self.name = name


class StartFailed(ActorError):
    """A child ended before it was ready. `__cause__` says why, unless it simply returned."""

    def __init__(self, child: str) -> None:
        super().__init__(f"{child} ended before it was ready")
        self.child = child


class NoSuchChild(ActorError):
    """The supervisor has no child of this id."""

    def __init__(self, supervisor: str, child: str) -> None:
        super().__init__(f"{supervisor} has no child {child}")
        self.supervisor = supervisor
        self.child = child


class ChildRuns(ActorError):
    """The child is not terminated, so it cannot be started again or deleted."""

    def __init__(self, child: str) -> None:
        super().__init__(f"{child} is not terminated")
        self.child = child


class StartTimeout(ActorError):
    """A child was not ready in time, and was cancelled."""

    def __init__(self, child: str, start_s: float) -> None:
        super().__init__(f"{child} was not ready within {start_s:g} s")
        self.child = child
        self.start_s = start_s


class AlreadyStarted(ActorError):
    """The supervisor has a child of this id.

    Attributes:
        child: its id.
        value: what that child gave to `ready`, such as its Ref; None while it starts or restarts.
    """

    def __init__(self, child: str, value: object) -> None:
        super().__init__(f"{child} is started already")
        self.child = child
        self.value = value


class TooManyChildren(ActorError):
    """The dynamic supervisor is full; children that restart count."""

    def __init__(self, supervisor: str, max_children: int) -> None:
        super().__init__(f"{supervisor} has its {max_children} children")
        self.supervisor = supervisor
        self.max_children = max_children


class RestartIntensityExceeded(ActorError):
    """A supervisor's children failed too often in its window, so it stopped them and gave up.

    Attributes:
        supervisor: its name.
        history: the failures in the window, oldest first. Where a failed child was a supervisor,
            its own error carries its own history. `__cause__` is the last error.
    """

    def __init__(self, supervisor: str, history: tuple[Failure, ...]) -> None:
        told = "; ".join(f"{f.child} at {f.at:.3f}: {f.error!r}" for f in history)
        super().__init__(f"{supervisor} gave up after {len(history)} failures: {told}")
        self.supervisor = supervisor
        self.history = history


_E = TypeVar("_E", bound=ActorError)


def cancelled_after(error: BaseException, beyond: BaseException) -> BaseExceptionGroup:
    """An error whose way up was cut by a cancellation from further out: both go on."""
    return BaseExceptionGroup("cancelled after an error", [error, beyond])


def caused(error: _E, cause: BaseException | None) -> _E:
    """The error with its cause, for where it is kept or handed over before it is raised."""
    error.__cause__ = cause
    return error
