"""What a supervisor is told about a child, and what a child is handed by its supervisor."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import trio

from actors.events import Emit, drop_event
from actors.limits import SHUTDOWN_S
from actors.restart_state import Backoff


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


class Lifeline:
    """What ties a child to its supervisor: one says it is ready, the other asks it to stop.

    A child does whatever must succeed first, calls `ready` once, and ends soon after
    `stop_requested` is set; one that does not is cancelled when its time to shut down has passed.
    """

    __slots__ = (
        "_on_ready",
        "_on_stop",
        "_ready_value",
        "_stop_requested",
        "emit",
        "is_ready",
        "stopping",
        "supervisor",
    )

    def __init__(
        self,
        *,
        supervisor: str = "",
        emit: Emit = drop_event,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """A lifeline not in use yet.

        Args:
            supervisor: the name of the supervisor, for events.
            emit: where the child's events go.
            on_ready: called once, from within `ready`.
        """
        self.supervisor = supervisor
        self.emit = emit
        self.is_ready = False
        self.stopping = False
        self._on_ready = on_ready
        self._on_stop: Callable[[], None] | None = None
        self._ready_value: object = None
        self._stop_requested: trio.Event | None = None  # made when asked for: actors never do

    def ready(self, value: object = None) -> None:
        """Say that the start is over and the next child may start. Once.

        Args:
            value: handed to whoever started this child, such as a Ref.
        """
        assert not self.is_ready, "a child is ready once"
        self.is_ready = True
        self._ready_value = value
        if self._on_ready is not None:
            self._on_ready()

    @property
    def value(self) -> object:
        """What the child gave to `ready`."""
        return self._ready_value

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
        assert self._on_stop is None, "a lifeline has one callback"
        self._on_stop = callback
        if self.stopping:
            callback()

    def request_stop(self) -> None:
        """Ask the child to end in peace. For the supervisor; asking again changes nothing."""
        if self.stopping:
            return
        self.stopping = True
        if self._stop_requested is not None:
            self._stop_requested.set()
        if self._on_stop is not None:
            self._on_stop()


Start: TypeAlias = Callable[[Lifeline], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, restart and stop one child.

    Attributes:
        id: its name among its siblings.
        start: the whole life of the child, as a function of its lifeline. It runs again, from the
            top, at each restart.
        restart: whether it is started again when it ends by itself.
        shutdown_s: seconds between the request to stop and the cancellation. 0 cancels at once;
            `math.inf` never does, which suits supervisors: their children have their own.
        backoff: how long to wait before a restart; None restarts at once.
    """

    id: str
    start: Start
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = SHUTDOWN_S
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        assert self.id, "a child has an id"
        assert self.shutdown_s >= 0, f"{self.id}: {self.shutdown_s} s to shut down"
