"""The contract of an actor: what an application writes. `host.py` runs it."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import trio

from actors.belongings import Belonging
from actors.call import Reply
from actors.limits import ATTEMPTS_MAX, MAILBOX_CAPACITY
from actors.mailbox import Overflow
from actors.ref import Down, Ref

M = TypeVar("M")


class Surroundings(Protocol):
    """What an actor may ask of its host."""

    @property
    def stop_requested(self) -> trio.Event:
        """Set when the actor is asked to end."""

    def stop(self) -> None:
        """End in peace after the message being handled."""

    def give_up(self) -> None:
        """End at once, whatever is awaited."""

    def monitor(self, ref: Ref[Any]) -> Belonging:
        """Be told of another's end."""

    def link(self, ref: Ref[Any]) -> None:
        """Share a crash with another."""

    def unlink(self, ref: Ref[Any]) -> None:
        """Share it no more."""

    def send_after(self, delay_s: float, message: object) -> Belonging:
        """Get a message later."""

    def send_every(self, period_s: float, message: object) -> Belonging:
        """Get a message again and again."""

    def start_soon(self, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task of the actor."""


class Actor(Generic[M]):
    """State of its own, changed by one message at a time.

    Whatever leaves `started` or `handle` crashes the actor; its supervisor decides what follows,
    and a next life begins with a new object. So an actor holds no truth that it cannot read back.

    Subclasses that come by the thousand do well to declare `__slots__`.
    """

    __slots__ = ("_host", "inherited", "ref")

    capacity: ClassVar[int] = MAILBOX_CAPACITY
    """The most messages that may wait."""

    overflow: ClassVar[Overflow] = Overflow.REJECT
    """What happens to one more."""

    stash: ClassVar[bool] = False
    """Whether messages wait for the next life when this one ends and another follows.

    The Ref then lives as long as its supervisor starts the actor again, and a message that crashes
    a life is given to the next one. Without a stash, messages and Ref end with the life.
    """

    attempts: ClassVar[int] = ATTEMPTS_MAX
    """With a stash: a message in whose handling so many lives crashed is quarantined. 1 retries
    nothing: then a message is handled at most once; else it may be handled in part before.

    Each of these crashes counts for the `Intensity` of its supervisor: one that is to outlive some
    poisoned messages in a row allows so many restarts for each of them.
    """

    traps_links: ClassVar[bool] = False
    """Whether the crash of a linked actor comes to `handle_down` instead of crashing this one."""

    runs_tasks: ClassVar[bool] = False
    """Whether it has tasks of its own, see `start_soon`."""

    ref: Ref[M]
    """Its own address, there before `started` is called."""

    inherited: Any
    """What the life before left by `hand_over`; None in the first."""

    _host: Surroundings

    # What an application writes.

    async def started(self) -> None:
        """Get ready. Messages that come meanwhile wait; whoever started this actor waits too."""

    async def handle(self, message: M, reply: Reply) -> None:
        """Act on one message.

        Args:
            message: what was cast, sent or called, or what a timer of its own brings.
            reply: takes the answer, now or later; for a cast and a timer, nobody's.
        """
        raise AssertionError(f"{type(self).__name__} takes no messages, and got {message!r}")

    async def handle_down(self, down: Down) -> None:
        """Act on the end of an actor that it monitors, or is linked to and `traps_links`."""
        raise AssertionError(f"{type(self).__name__} monitors, but does not act on {down!r}")

    async def stopping(self) -> None:
        """Say goodbye: before an end in peace, and after a crash of `handle`.

        It has the time its child spec gives for a shutdown. Calls put aside may still be
        answered, unless the actor crashed. It is not called when `started` failed, nor when the
        actor is cancelled.
        """

    def hand_over(self) -> object:
        """What the next life finds in `inherited`, if there is one. Called last, after a crash too.

        After a crash, hand over nothing that the crash may have left half changed. It is not called
        when `started` failed, so that the next try inherits the same; nor when the actor is
        cancelled, as by a crash that somebody else imposed: then the next life inherits nothing.
        """
        return None

    @classmethod
    def key_of(cls, message: M) -> Hashable | None:
        """With `Overflow.KEEP_LATEST`: what a message is news of; None is never replaced."""
        raise AssertionError(f"{cls.__name__} keeps the latest, but knows no key of {message!r}")

    # What it may do.

    def stop(self) -> None:
        """End in peace after the message being handled. Messages that wait are lost.

        With a stash they wait for the next life, if one follows.
        """
        self._host.stop()

    def give_up(self) -> None:
        """End at once: what it awaits is cancelled, and `stopping` is not called.

        For one that waits for what nobody wants any more; for its supervisor it is an end in peace.
        """
        self._host.give_up()

    @property
    def stop_requested(self) -> trio.Event:
        """Set when its supervisor asked it to end; for tasks of its own."""
        return self._host.stop_requested

    def monitor(self, ref: Ref[Any]) -> Belonging:
        """Have `handle_down` called once when another actor ends; soon, if it is dead.

        Ahead of messages that wait. Each monitor is told by itself.
        """
        return self._host.monitor(ref)

    def link(self, ref: Ref[Any]) -> None:
        """From now on, a crash of either is a crash of both; linking again changes nothing.

        Crashes and kills reach through a link, ends in peace and shutdowns do not.
        """
        self._host.link(ref)

    def unlink(self, ref: Ref[Any]) -> None:
        """Undo a link; nothing where there is none."""
        self._host.unlink(ref)

    def send_after(self, delay_s: float, message: M) -> Belonging:
        """Have this message handled in so many seconds, ahead of those that wait then."""
        return self._host.send_after(delay_s, message)

    def send_every(self, period_s: float, message: M) -> Belonging:
        """Have this message handled every so many seconds; never two at a time wait."""
        return self._host.send_every(period_s, message)

    def start_soon(self, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task that belongs to this life. Needs `runs_tasks`.

        It may change the actor's state between two of its own awaits, as `handle` may. What leaves
        it crashes the actor; it is cancelled when the actor has ended, after `stopping`.
        """
        self._host.start_soon(work, *args)

    def enter(self, ref: Ref[M], host: Surroundings, inherited: object) -> None:
        """For the actor's host: this is your address, and this is what you may ask of me."""
        self.ref = ref
        self.inherited = inherited
        self._host = host
