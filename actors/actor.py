"""The contract of an actor: what an application writes. `host.py` runs it."""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from actors.limits import MAILBOX_CAPACITY
from actors.mailbox import Overflow
from actors.ref import Ref, Reply

M = TypeVar("M")


class Actor(Generic[M]):
    """State of its own, changed by one message at a time.

    Whatever leaves `started` or `handle` crashes the actor; its supervisor decides what follows,
    and a next life begins with a new object. So an actor holds no truth that it cannot read back.

    Subclasses that come by the thousand do well to declare `__slots__`.
    """

    __slots__ = ("_stop", "ref")

    capacity: ClassVar[int] = MAILBOX_CAPACITY
    """The most messages that may wait."""

    overflow: ClassVar[Overflow] = Overflow.REJECT
    """What happens to one more."""

    ref: Ref[M]
    """Its own address, there before `started` is called."""

    _stop: Callable[[], None]

    async def started(self) -> None:
        """Get ready. Messages that come meanwhile wait; whoever started this actor waits too."""

    async def handle(self, message: M, reply: Reply) -> None:
        """Act on one message.

        Args:
            message: what was cast, sent or called.
            reply: takes the answer, now or later; for a cast, nobody's.
        """
        raise AssertionError(f"{type(self).__name__} takes no messages, and got {message!r}")

    async def stopping(self) -> None:
        """Say goodbye: before an end in peace, and after a crash of `handle`.

        It has the time its child spec gives for a shutdown. Calls put aside may still be
        answered, unless the actor crashed. It is not called when `started` failed, nor when the
        actor is cancelled.
        """

    def enter(self, ref: Ref[M], stop: Callable[[], None]) -> None:
        """For the actor's host: this is your address, and this is how to end."""
        self.ref = ref
        self._stop = stop

    def stop(self) -> None:
        """End in peace after the message being handled. Messages that wait are lost."""
        self._stop()
