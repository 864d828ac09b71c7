"""What a supervisor is told about a child, and what a child is handed by its supervisor."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final, Protocol, TypeAlias

import trio

from actors.limits import SHUTDOWN_S, START_S
from actors.mailbox_statistics import MailboxStatistics
from actors.restart_state import Backoff
from actors.system import System
from actors.tree import Vitals

# For `ChildSpec.shutdown_s`: cancelled at once, or waited for however long it takes. The second for
# `start_s`, too.
BRUTAL: Final = 0.0
INFINITE: Final = inf


class Restart(Enum):
    """Whether a child that ended by itself is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # after a crash only
    TEMPORARY = "temporary"  # never

    def wanted_after(self, crash: Exception | None) -> bool:
        """Whether an end with this crash, or with none, is followed by a restart."""
        return self is Restart.PERMANENT or (self is Restart.TRANSIENT and crash is not None)


class Strategy(Enum):
    """Which children are stopped and started again when one of them fails."""

    ONE_FOR_ONE = "one_for_one"  # that one
    ONE_FOR_ALL = "one_for_all"  # all of them
    REST_FOR_ONE = "rest_for_one"  # that one and those started after it


class AutoShutdown(Enum):
    """Whether a supervisor ends in peace when significant children have ended for good."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"  # with the first of them
    ALL_SIGNIFICANT = "all_significant"  # with the last of them


class Subject(Protocol):
    """What a life is the life of, where a picture of the tree can tell more than that it runs."""

    @property
    def kind(self) -> str:
        """One word: supervisor or actor."""

    @property
    def detail(self) -> str:
        """What kind of that."""

    def census(self, children_max: int) -> tuple[tuple[Vitals, ...], int]:
        """At most so many of its children, and how many more there are."""

    def mail(self) -> MailboxStatistics | None:
        """Its mailbox, where it has one."""

    def lives(self) -> "Iterable[Lifeline]":
        """The lives of its children, in the order of start."""


class Legacy(Protocol):
    """What one life of a child leaves to the next."""

    def dissolve(self) -> None:
        """There is no next life. It must not raise: there is nobody left whose crash that is."""


class Lifeline:
    """What ties a child to its supervisor: one says it is ready, the other asks it to stop.

    A child does whatever must succeed first, calls `ready` once, and ends soon after
    `stop_requested` is set; one that does not is cancelled when its time to shut down has passed.

    Attributes:
        name: the child's, among its siblings.
        supervisor: its supervisor's.
        system: what the whole tree shares.
        subject: what lives, for a picture of the tree; set by whoever lives.
        legacy: what the life before left; what is there at the end is left to the next.
        imposed: the error of `crash`, if that ends this life.
        stopping: whether a stop was requested.
        is_ready: whether `ready` was called.
    """

    __slots__ = (
        "_on_ready",
        "_on_stop",
        "_parts",
        "_ready_at",
        "_ready_value",
        "_stop_requested",
        "imposed",
        "is_ready",
        "legacy",
        "name",
        "stopping",
        "subject",
        "supervisor",
        "system",
    )

    def __init__(
        self,
        name: str = "root",
        *,
        supervisor: str = "",
        system: System | None = None,
        legacy: Legacy | None = None,
    ) -> None:
        """A lifeline not in use yet. Without a system it has one of its own, whose timers rest."""
        self.name = name
        self.supervisor = supervisor
        self.system = system or System()
        self.subject: Subject | None = None
        self.legacy = legacy
        self.imposed: Exception | None = None
        self.is_ready = False
        self.stopping = False
        self._on_ready: Callable[[], None] | None = None
        self._on_stop: Callable[[], None] | None = None
        self._parts: dict[str, Lifeline] | None = None
        self._ready_at = inf  # on the trio clock
        self._ready_value: object = None
        self._stop_requested: trio.Event | None = None  # made when asked for: actors never do

    # For the child.

    def ready(self, value: object = None) -> None:
        """Say that the start is over and the next child may start. Once.

        Args:
            value: handed to whoever started this child, such as a Ref.
        """
        assert not self.is_ready, "a child is ready once"
        self.is_ready = True
        self._ready_at = trio.current_time()
        self._ready_value = value
        if self._on_ready is not None:
            self._on_ready()

    @property
    def stop_requested(self) -> trio.Event:
        """Set when the child should end in peace."""
        if self._stop_requested is None:
            self._stop_requested = trio.Event()
            if self.stopping:
                self._stop_requested.set()
        return self._stop_requested

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called when the stop is requested; at once if it was. One per life."""
        assert self._on_stop is None, "a lifeline has one callback for the stop"
        self._on_stop = callback
        if self.stopping:
            callback()

    def part(self, name: str) -> "Lifeline":
        """A lifeline for something that this child runs itself, shown below it in the tree.

        It is the child's own business to run it, to ask it to stop, and to `part_with` it.
        """
        part = Lifeline(name, supervisor=self.name, system=self.system)
        if self._parts is None:
            self._parts = {}
        assert name not in self._parts, f"{self.name} has two parts named {name}"
        self._parts[name] = part
        return part

    def part_with(self, name: str) -> None:
        """Show a part that has ended no more."""
        assert self._parts is not None, f"{self.name} has no parts"
        del self._parts[name]

    # For whoever runs the child.

    @property
    def value(self) -> object:
        """What the child gave to `ready`."""
        return self._ready_value

    @property
    def state(self) -> str:
        """One word: starting, running, stopping or ended."""
        if self.stopping:
            return "stopping"
        return "running" if self.is_ready else "starting"

    def age_s(self) -> float:
        """Seconds it is ready, or was until its end; 0 if it never was."""
        return max(0.0, trio.current_time() - self._ready_at)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called from within `ready`. One per life."""
        assert self._on_ready is None, "a lifeline has one callback for being ready"
        assert not self.is_ready, f"{self.name} is ready already"
        self._on_ready = callback

    def request_stop(self) -> None:
        """Ask the child to end in peace. For the supervisor; asking again changes nothing."""
        if self.stopping:
            return
        self.stopping = True
        if self._stop_requested is not None:
            self._stop_requested.set()
        if self._on_stop is not None:
            self._on_stop()

    def crash(self, error: Exception) -> None:
        """End this life at once, as if this error had left it. A life that has ended stays so."""
        raise AssertionError(f"{self.name} has no supervisor to crash under: {error!r}")

    def give_up(self) -> None:
        """End this life at once, cancelled, and in peace: for a child that waits in vain."""
        raise AssertionError(f"{self.name} has no supervisor that would cancel it")

    def vitals(self, children_max: int, restarts: int = 0) -> Vitals:
        """This life and what is below it, for a picture of the tree."""
        subject = self.subject
        children, hidden = ((), 0) if subject is None else subject.census(children_max)
        parts = tuple(part.vitals(children_max) for part in (self._parts or {}).values())
        return Vitals(
            name=self.name,
            kind="task" if subject is None else subject.kind,
            detail="" if subject is None else subject.detail,
            state=self.state,
            age_s=self.age_s(),
            restarts=restarts,
            mailbox=None if subject is None else subject.mail(),
            children=(*children, *parts),
            hidden=hidden,
        )

    def walk(self, path: str = "") -> "Iterator[tuple[str, Lifeline]]":
        """This life and all below it, each with its path: names joined by slashes."""
        here = f"{path}/{self.name}" if path else self.name
        yield here, self
        for child in () if self.subject is None else self.subject.lives():
            yield from child.walk(here)
        for part in (self._parts or {}).values():
            yield from part.walk(here)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} [{self.state}]>"


Start: TypeAlias = Callable[[Lifeline], Awaitable[None]]


@dataclass(slots=True)  # frozen, it would cost three times as much, and each client has some
class ChildSpec:
    """How to start, restart and stop one child.

    Attributes:
        id: its name among its siblings.
        start: the whole life of the child, as a function of its lifeline. It runs again, from the
            top, at each restart.
        restart: whether it is started again when it ends by itself.
        shutdown_s: seconds between the request to stop and the cancellation. `BRUTAL` cancels at
            once; `INFINITE` never does, which suits supervisors: their children have their own.
        backoff: how long to wait before a restart; None restarts at once.
        significant: whether its end for good counts for its supervisor's `AutoShutdown`. Not for a
            permanent child, which has no such end.
        start_s: seconds until it must be ready; one that is not is cancelled, which is a crash.
    """

    id: str
    start: Start
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = SHUTDOWN_S
    backoff: Backoff | None = None
    significant: bool = False
    start_s: float = START_S

    def __post_init__(self) -> None:
        assert self.id, "a child has an id"
        assert self.shutdown_s >= 0, f"{self.id}: {self.shutdown_s} s to shut down"
        assert self.start_s > 0, f"{self.id}: {self.start_s} s to start"
        ends = self.restart is not Restart.PERMANENT
        assert ends or not self.significant, f"{self.id} is permanent, so its end signifies nothing"
