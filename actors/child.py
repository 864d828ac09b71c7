"""One life of one child, from its start to its end.

Theory of operation. A child runs in a task of its supervisor's nursery and in a cancel scope of its
own, so cancelling one child never reaches another. Nothing it raises reaches the nursery: an end
is sorted here and reported to the supervisor as a value.

- An Exception, or a group of them, is one crash. So is an error imposed on it from outside.
- KeyboardInterrupt and SystemExit are an escalation: the supervisor stops in order and raises them.
- `Cancelled` of the child's own scope is the supervisor's doing, or that it gave up, and no crash.
  `Cancelled` of a scope further out goes on, for somebody out there waits for it; errors beside it
  are told to `emit`.

Neither starting nor stopping needs a task that watches a clock: the deadline of the start, and then
that of the stop, is put on the child's own scope, and trio does the rest, even if the one who asked
went away.
"""

from collections.abc import Callable
from math import inf

import trio

from actors.errors import StartTimeout
from actors.spec import BRUTAL, ChildSpec, Legacy, Lifeline
from actors.system import System


class Child(Lifeline):
    """One life. `crash_error` and `escalation` tell how it ended, once `ended`.

    Attributes:
        spec: what runs.
        ended: whether it is over.
        was_cancelled: whether it ended because a scope further out was cancelled.
        error: the crash that ended it, if one did.
        escalation: what it raised that is for its supervisor to raise, if anything.
    """

    __slots__ = (
        "_ended_at",
        "_gave_up",
        "_scope",
        "_tell",
        "ended",
        "error",
        "escalation",
        "spec",
        "was_cancelled",
    )

    def __init__(
        self,
        spec: ChildSpec,
        *,
        supervisor: str,
        system: System,
        legacy: Legacy | None,
        tell: Callable[["Child"], None],
    ) -> None:
        """A life not begun.

        Args:
            spec: what to run.
            supervisor: the supervisor's name, for events.
            system: what the tree shares.
            legacy: what the life before left.
            tell: called with this child when it is ready and when it ended.
        """
        super().__init__(spec.id, supervisor=supervisor, system=system, legacy=legacy)
        self.spec = spec
        self.ended = False
        self.was_cancelled = False
        self.error: Exception | None = None
        self.escalation: BaseException | None = None
        self._ended_at = inf  # on the trio clock
        self._gave_up = False
        # Made with its deadline: to move it costs as much as to make the scope.
        ready_by = inf if spec.start_s == inf else trio.current_time() + spec.start_s
        self._scope = trio.CancelScope(deadline=ready_by)
        self._tell = tell

    @property
    def settled(self) -> bool:
        """Whether the start is over, one way or the other."""
        return self.ended or self.is_ready

    @property
    def in_peace(self) -> bool:
        """Whether it ended by itself, or as asked and in time, and not by an error."""
        forced = self.was_cancelled or self._is_forced
        return self.ended and not forced and self.error is None and self.escalation is None

    @property
    def _is_forced(self) -> bool:
        """Whether it was cancelled, and not because it gave up."""
        return self._scope.cancelled_caught and not self._gave_up

    @property
    def state(self) -> str:
        """One word: starting, running, stopping or ended."""
        return "ended" if self.ended else super().state

    def age_s(self) -> float:
        """Seconds it is ready, or was until its end; 0 if it never was."""
        return max(0.0, min(self._ended_at, trio.current_time()) - self._ready_at)

    def stop(self) -> None:
        """Ask it to end, and have it cancelled when its time to shut down has passed."""
        if self.stopping or self.ended:
            return
        if self.spec.shutdown_s == BRUTAL:
            self._scope.cancel()
        else:
            self._scope.deadline = trio.current_time() + self.spec.shutdown_s
        self.request_stop()

    def crash(self, error: Exception) -> None:
        """End this life at once, as if this error had left it. The first one counts."""
        if self.ended or self.imposed is not None:
            return
        self.imposed = error
        self._scope.cancel()

    def give_up(self) -> None:
        """End this life at once, cancelled, and in peace."""
        self._gave_up = True
        self._scope.cancel()

    async def run(self) -> None:
        """Live, and report the end. Raises only what belongs to a scope further out."""
        beyond: BaseException | None = None
        try:
            with self._scope:
                if not self.stopping:  # asked to end before it began
                    await self.spec.start(self)
        except Exception as crash:  # noqa: BLE001 - whatever it is, the supervisor decides
            self.error = crash
        except BaseException as error:  # noqa: BLE001 - sorted here, and none is lost
            self.error, rest = _crash_part(error)
            if _holds_cancelled(rest):
                beyond = rest
                self.was_cancelled = True
            else:
                self.escalation = rest
        if self.error is None:
            # One that was told to crash, and made of it an end in peace, has crashed all the same.
            self.error = self._why_cancelled() if self._scope.cancelled_caught else self.imposed
        self._report()
        if beyond is not None:
            raise beyond

    def ready(self, value: object = None) -> None:
        """Say that the start is over and the next child may start. Once."""
        super().ready(value)
        if not self.stopping and self._scope.deadline != inf:
            self._scope.deadline = inf
        self.system.emit("actor.started", {"supervisor": self.supervisor, "child": self.name})
        self._tell(self)

    def _why_cancelled(self) -> Exception | None:
        """The crash that it is to be cancelled, if it is one."""
        # It may be ready all the same, if it was not to be cancelled in that moment.
        if self.imposed is None and not self.stopping and not self._gave_up:
            return StartTimeout(self.name, self.spec.start_s)
        return self.imposed

    def _report(self) -> None:
        self.ended = True
        self._ended_at = trio.current_time()
        if self.error is not None:
            self._emit("actor.crashed", error=self.error, ready=self.is_ready)
        elif self._is_forced and self.spec.shutdown_s > BRUTAL:
            # One that is given no time ends like this as it should, and is not told of.
            self._emit("actor.killed", shutdown_s=self.spec.shutdown_s)
        else:
            self._emit("actor.stopped")
        self._tell(self)

    def _emit(self, event: str, **fields: object) -> None:
        told = {"supervisor": self.supervisor, "child": self.name, **fields}
        self.system.emit(event, told)


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
