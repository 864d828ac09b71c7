"""Actors that are always there to talk to, and live only while somebody does.

Theory of operation. A virtual actor is addressed by its key. The first message to a key makes its
address, puts the message there, and starts an actor behind it, without waiting for that: messages
gather at the address meanwhile. An actor that nobody talks to for a while ends in peace; so does
one that stops itself. Only when it has ended, and in one step with that, is it decided whether
anything came for it after all: then another life begins at the same address, else the address is
given up. So there is never a moment at which a message could fall between two lives.

What an actor knows does not live as long as its key: it reads its state back when it starts, or has
it brought by the message.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from actors.actor import Actor
from actors.address import Address
from actors.dynamic import DynamicSupervisor
from actors.errors import ActorError
from actors.host import Plan
from actors.limits import SHUTDOWN_S
from actors.ref import Ref
from actors.restart_state import Backoff, Intensity
from actors.spec import ChildSpec, Lifeline, Restart
from actors.system import System

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class VirtualStatistics:
    """Virtual actors, now.

    Attributes:
        live: actors that live, with those starting, stopping and waiting for a restart.
        live_peak: the most there were at one time.
        live_max: the bound.
        activated: times that a message began a life; restarts are not counted.
        passivated: times that an actor ended in peace and nothing waited for it.
        restarts: failures that were answered with a restart.
    """

    live: int
    live_peak: int
    live_max: int
    activated: int
    passivated: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Lives:
    """How virtual actors live.

    Attributes:
        idle_s: seconds without a message after which one ends in peace, or up to twice as many.
        max_live: how many live at a time.
        restart: whether one that crashed is started again; one that ended in peace is not.
        shutdown_s: seconds for the message being handled and for `stopping`, at the end.
        backoff: how long to wait before a restart.
        intensity: how many restarts, all together, before their supervisor gives up.
    """

    idle_s: float
    max_live: int
    restart: Restart = Restart.TRANSIENT
    shutdown_s: float = SHUTDOWN_S
    backoff: Backoff | None = None
    intensity: Intensity | None = None

    def __post_init__(self) -> None:
        assert self.idle_s > 0, f"idle after {self.idle_s} s"
        permanent = self.restart is Restart.PERMANENT
        assert not permanent, "a permanent actor never goes, so it is not virtual"


class VirtualActors(Generic[M]):
    """One actor for each key, as long as somebody talks to it."""

    def __init__(
        self, name: str, kind: type[Actor[M]], make: Callable[[str], Actor[M]], lives: Lives
    ) -> None:
        """A supervisor of virtual actors, not running yet.

        Args:
            name: for events and errors; an actor's is this and a number. Its key stays out of logs
                and pictures, which show all actors to whoever may look: it may say who somebody is.
            kind: the class of the actors; it has a `stash`.
            make: makes the actor of a key, for each of its lives.
            lives: how they live.
        """
        assert kind.stash, f"{kind.__name__} has no stash, in which messages wait for its next life"
        self.name = name
        self._kind = kind
        self._make = make
        self._lives = lives
        self._addresses: dict[str, Address[M]] = {}
        self._supervisor = DynamicSupervisor(
            name, max_children=lives.max_live, intensity=lives.intensity
        )
        self._system = System()
        self._serial = 0
        self._activated = 0
        self._passivated = 0

    def as_child(
        self, *, restart: Restart = Restart.PERMANENT, backoff: Backoff | None = None
    ) -> ChildSpec:
        """These actors as a child of a supervisor, with all the time that they need to stop."""
        spec = self._supervisor.as_child(restart=restart, backoff=backoff)
        return replace(spec, start=self.run)

    async def run(self, life: Lifeline) -> None:
        """Take messages until asked to stop; as a `DynamicSupervisor`."""
        self._system = life.system
        await self._supervisor.run(life)

    def cast(self, key: str, message: M) -> None:
        """Hand a message over and go on.

        Raises:
            ActorDown: the supervisor is not running, or is stopping.
            TooManyChildren: too many live.
            MailboxFull: no room, under BLOCK and REJECT.
        """
        self._ref(key).cast(message)

    async def call(self, key: str, message: M, *, deadline_s: float) -> Any:
        """Hand a message over and wait for its answer.

        Args:
            key: whom to ask.
            message: what to ask.
            deadline_s: seconds for all of it, the actor's start included.

        Raises:
            ActorDown: the supervisor is not running; or the actor could not start, or died before
                it answered, for good.
            TooManyChildren: too many live.
            CallTimeout: no answer in time.
            MailboxFull: no room, or dropped, as the policy says.
        """
        return await self._ref(key).call(message, deadline_s=deadline_s)

    def whereis(self, key: str) -> Ref[M] | None:
        """The actor of this key, if it lives."""
        address = self._addresses.get(key)
        return None if address is None else address.ref

    def keys(self) -> tuple[str, ...]:
        """The keys of all that live, in the order in which they began."""
        return tuple(self._addresses)

    def statistics(self) -> VirtualStatistics:
        """How many live, and ever did."""
        children = self._supervisor.statistics()
        return VirtualStatistics(
            live=children.children,
            live_peak=children.children_peak,
            live_max=children.max_children,
            activated=self._activated,
            passivated=self._passivated,
            restarts=children.restarts,
        )

    def __repr__(self) -> str:
        return f"<VirtualActors {self.name} [{len(self._addresses)} live]>"

    def _ref(self, key: str) -> Ref[M]:
        """The address of a key, behind which an actor lives or is starting."""
        address = self._addresses.get(key)
        if address is None:
            self._serial += 1
            name = f"{self.name}-{self._serial}"
            address = _VirtualAddress(self, key, name, self._kind, self._system)
            self.activate(key, address)
            self._addresses[key] = address
        return address.ref

    # For its addresses.

    def activate(self, key: str, address: Address[M]) -> None:
        """Begin a life at an address.

        Raises:
            ActorDown, TooManyChildren: none can begin.
        """
        lives = self._lives
        plan = Plan(
            address.ref.name, partial(self._make, key), lives.shutdown_s, idle_s=lives.idle_s
        )
        spec = ChildSpec(plan.name, plan, lives.restart, lives.shutdown_s, lives.backoff)
        self._supervisor.start_child_nowait(spec, legacy=address)
        self._activated += 1

    def forget(self, key: str, *, in_peace: bool) -> None:
        """Nobody lives there any more, and nothing waits."""
        del self._addresses[key]
        self._passivated += in_peace


class _VirtualAddress(Address[M]):
    """An address that begins another life, where something waits at the end of one in peace."""

    __slots__ = ("_actors", "_key")

    def __init__(
        self, actors: VirtualActors[M], key: str, name: str, kind: type[Actor[M]], system: System
    ) -> None:
        super().__init__(name, kind, actors.name, system)
        self._actors = actors
        self._key = key

    def dissolve(self) -> None:
        """There is no next life, unless a message asks for one."""
        in_peace = self.left_in_peace
        if in_peace and self.ref.mailbox.has_messages:
            with suppress(ActorError):  # the supervisor is stopping
                self._actors.activate(self._key, self)
                self.expect_life()
                return
        self._actors.forget(self._key, in_peace=in_peace and not self.ref.mailbox.has_messages)
        super().dissolve()
