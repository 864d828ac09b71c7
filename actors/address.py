"""Where an actor is reached, and what of that is left from one life to the next."""

from typing import Any, Final, Generic, TypeVar

import trio

from actors.actor import Actor
from actors.call import Call
from actors.errors import MessageQuarantined, caused
from actors.keep_latest import KeepLatestMailbox
from actors.mailbox import Mailbox, Overflow
from actors.quarantine import Quarantined
from actors.ref import End, Ref
from actors.system import System
from actors.trace import Envelope, unwrap

M = TypeVar("M")

# In place of a message, where there is none.
NOTHING: Final = object()


def new_ref(name: str, kind: type[Actor[M]], system: System) -> Ref[M]:
    """An address at which messages can wait from now on, as this kind of actor wants it."""
    ref: Ref[M] = Ref(name)
    mailbox: Mailbox[Any]
    if kind.overflow is Overflow.KEEP_LATEST:
        mailbox = KeepLatestMailbox(
            kind.capacity, _key_of(kind), name=name, owner=ref, total=system.tally
        )
    else:
        mailbox = Mailbox(kind.capacity, kind.overflow, name=name, owner=ref, total=system.tally)
    ref.open(mailbox)
    return ref


def hang_up(ref: Ref[Any], supervisor: str, system: System, crash: Exception | None) -> None:
    """Take no more messages, and tell of those that nobody will handle. Again changes nothing."""
    casts, calls = ref.hang_up(crash)
    if casts or calls:
        told = {"supervisor": supervisor, "actor": ref.name, "casts": casts, "calls": calls}
        system.emit("actor.messages_lost", told)


def bury(ref: Ref[Any], supervisor: str, system: System, end: End, crash: Exception | None) -> None:
    """The actor is dead: fail its calls, and tell all who watch it. Again changes nothing."""
    for error in ref.mark_down(end, crash):
        told = {"supervisor": supervisor, "actor": ref.name, "error": error}
        system.emit("watch.crashed", told)


class Inheritance:
    """What a life handed over, where the address ended with it."""

    __slots__ = ("state",)

    def __init__(self, state: object) -> None:
        self.state = state

    def dissolve(self) -> None:
        """Nobody takes it up."""


class Address(Generic[M]):
    """The address of an actor with a stash, through all its lives.

    Attributes:
        ref: the address itself.
        state: what the last life handed over.
    """

    __slots__ = (
        "_attempts",
        "_attempts_max",
        "_crash",
        "_end",
        "_supervisor",
        "_suspect",
        "_system",
        "ref",
        "state",
    )

    def __init__(self, name: str, kind: type[Actor[M]], supervisor: str, system: System) -> None:
        """An address where messages can wait for the first life.

        Args:
            name: of its Ref.
            kind: of actor that will live there.
            supervisor: of the actor, for events.
            system: what the tree shares.
        """
        self.ref: Ref[M] = new_ref(name, kind, system)
        self.state: object = None
        self._supervisor = supervisor
        self._system = system
        self._attempts_max = kind.attempts
        self._attempts = 0
        self._suspect: object = None  # in whose handling so many lives ended, one after the other
        self._end = End.KILL
        self._crash: Exception | None = None

    def expect_life(self) -> None:
        """Another life is to begin here; how the last one ended says nothing of that."""
        self._end, self._crash = End.KILL, None

    def leave(self, in_hand: Any, end: End, crash: Exception | None) -> None:
        """A life is over: what it did not handle waits for the next.

        Args:
            in_hand: the message in whose handling it ended, or `NOTHING`.
            end: how it ended.
            crash: what ended it.
        """
        self._end, self._crash = end, crash
        mailbox = self.ref.mailbox
        if in_hand is NOTHING or (isinstance(in_hand, Call) and not in_hand.wanted):
            mailbox.put_back()  # nobody wants that one again
        elif self._is_to_be_tried_again(in_hand):
            mailbox.put_back([self._suspect])
        else:
            mailbox.put_back()
            mailbox.set_aside()
            self._quarantine(in_hand, crash)
        self.ref.suspend(crash)

    @property
    def left_in_peace(self) -> bool:
        """Whether the last life ended by itself and without a crash."""
        return self._end is End.PEACE

    def dissolve(self) -> None:
        """There is no next life: what waits is lost, and the Ref is dead."""
        hang_up(self.ref, self._supervisor, self._system, self._crash)
        bury(self.ref, self._supervisor, self._system, self._end, self._crash)

    def _is_to_be_tried_again(self, item: Any) -> bool:
        """Count one more life that ended with this message."""
        if item is not self._suspect:
            # In an envelope it is one of a kind: a bare message may be equal to the next one.
            self._suspect = item if isinstance(item, Envelope) else Envelope(item, None)
            self._attempts = 0
        self._attempts += 1
        return self._attempts < self._attempts_max

    def _quarantine(self, item: Any, crash: Exception | None) -> None:
        name, message, attempts = self.ref.name, unwrap(item), self._attempts
        self._suspect = None
        if isinstance(item, Call):
            item.fail(caused(MessageQuarantined(name), crash))
        case = Quarantined(name, message, attempts, crash, trio.current_time())
        self._system.quarantine.admit(case)
        told = {"supervisor": self._supervisor, "actor": name, "attempts": attempts}
        told |= {"message": type(message).__name__, "error": crash}
        self._system.emit("actor.quarantined", told)


def _key_of(kind: type[Actor[Any]]) -> Any:
    """The key of what travels: a call has none, since somebody waits for its answer."""
    return lambda item: None if isinstance(item, Call) else kind.key_of(unwrap(item))
