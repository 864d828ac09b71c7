"""One life of one child, from its start to its end.

Theory of operation. A child runs in a task of its supervisor's nursery and in a cancel scope of its
own, so cancelling one child never reaches another. Nothing it raises reaches the nursery: an end
is sorted here and reported to the supervisor as a value.

- An Exception, or a group of them, is one crash.
- KeyboardInterrupt and SystemExit are an escalation: the supervisor stops in order and raises them.
- `Cancelled` of the child's own scope is the supervisor's doing, and no crash. `Cancelled` of a
  scope further out goes on, for somebody out there waits for it; errors beside it are told to
  `emit`.

Stopping needs no task that watches a clock: the request to stop puts the deadline on the child's
own scope, and trio does the rest, even if the one who asked went away.
"""

from collections.abc import Callable

import trio

from actors.events import Emit
from actors.spec import ChildSpec, Lifeline


class Child:
    """One life. `crash` and `escalation` tell how it ended, once `ended`."""

    __slots__ = (
        "_ended_at",
        "_ready_at",
        "_scope",
        "_tell",
        "crash",
        "ended",
        "escalation",
        "life",
        "spec",
    )

    def __init__(
        self, supervisor: str, spec: ChildSpec, emit: Emit, tell: Callable[["Child"], None]
    ) -> None:
        """A life not begun.

        Args:
            supervisor: the supervisor's name, for events.
            spec: what to run.
            emit: where events go.
            tell: called with this child when it is ready and when it ended.
        """
        self.spec = spec
        self.life = Lifeline(supervisor=supervisor, emit=emit, on_ready=self._was_ready)
        self.ended = False
        self.crash: Exception | None = None
        self.escalation: BaseException | None = None
        self._ready_at: float | None = None  # on the trio clock
        self._ended_at: float | None = None
        self._scope = trio.CancelScope()
        self._tell = tell

    @property
    def settled(self) -> bool:
        """Whether the start is over, one way or the other."""
        return self.ended or self.life.is_ready

    @property
    def state(self) -> str:
        """One word: starting, running, stopping or ended."""
        if self.ended:
            return "ended"
        if self.life.stopping:
            return "stopping"
        return "running" if self.life.is_ready else "starting"

    def age_s(self) -> float:
        """Seconds it is ready, or was until its end; 0 if it never was."""
        if self._ready_at is None:
            return 0.0
        return (trio.current_time() if self._ended_at is None else self._ended_at) - self._ready_at

    def stop(self) -> None:
        """Ask it to end, and have it cancelled when its time to shut down has passed."""
        if self.life.stopping or self.ended:
            return
        if self.spec.shutdown_s == 0:
            self._scope.cancel()
        else:
            self._scope.deadline = trio.current_time() + self.spec.shutdown_s
        self.life.request_stop()

    async def run(self) -> None:
        """Live, and report the end. Raises only what belongs to a scope further out."""
        beyond: BaseException | None = None
        try:
            with self._scope:
                await self.spec.start(self.life)
        except Exception as crash:  # noqa: BLE001 - whatever it is, the supervisor decides
            self.crash = crash
        except BaseException as error:  # noqa: BLE001 - sorted here, and none is lost
            self.crash, rest = _crash_part(error)
            if _holds_cancelled(rest):
                beyond = rest
            else:
                self.escalation = rest
        self._report()
        if beyond is not None:
            raise beyond

    def _was_ready(self) -> None:
        self._ready_at = trio.current_time()
        self._emit("actor.started")
        self._tell(self)

    def _report(self) -> None:
        self.ended = True
        self._ended_at = trio.current_time()
        if self.crash is not None:
            self._emit("actor.crashed", error=self.crash, ready=self.life.is_ready)
        elif self._scope.cancelled_caught and self.spec.shutdown_s > 0:
            # One that is given no time ends like this as it should, and is not told of.
            self._emit("actor.killed", shutdown_s=self.spec.shutdown_s)
        else:
            self._emit("actor.stopped")
        self._tell(self)

    def _emit(self, event: str, **fields: object) -> None:
        self.life.emit(event, {"supervisor": self.life.supervisor, "child": self.spec.id, **fields})


def _crash_part(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """The crash within an error, and the rest that is none, where it may be a group of both."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(Exception)
    return None, error


def _holds_cancelled(error: BaseException | None) -> bool:
    """Whether some scope is waiting for this error."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[0] is not None
    return isinstance(error, trio.Cancelled)
