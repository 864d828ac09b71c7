"""A supervisor of children that come and go, and know nothing of each other.

Theory of operation. Each child has one task of the supervisor's nursery, its keeper, which runs
life after life of it, so children start, wait for a restart and end side by side. The
supervisor's own task only waits for a stop or a verdict.

Whoever calls `start_child` does so in the middle of its own work, and a trio task inherits the
context variables of the task that spawns it. A child must not carry the request of whoever came
first for the rest of its life, so every child is spawned in the context that the supervisor
itself was started in.

A child counts against `max_children` from the call until its keeper ends, restarts included.
Stopping asks all children at once; each has its own time.
"""

import contextvars
import random
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import trio

from actors.child import Child
from actors.errors import (
    ActorDown,
    AlreadyStarted,
    RestartIntensityExceeded,
    StartFailed,
    TooManyChildren,
    caused,
)
from actors.events import Emit, drop_event
from actors.restart_state import Backoff, Delays, Failure, Intensity, Window
from actors.spec import ChildSpec, Lifeline, Restart
from actors.wakeup import Wakeup


@dataclass(frozen=True, slots=True)
class DynamicStatistics:
    """A dynamic supervisor, now.

    Attributes:
        name: its name.
        children: living children, with those starting, stopping and waiting for a restart.
        children_peak: the most there were at one time since it began.
        max_children: the bound.
        started: children ever started, restarts not counted.
        restarts: failures it answered with a restart since it began.
    """

    name: str
    children: int
    children_peak: int
    max_children: int
    started: int
    restarts: int


class DynamicSupervisor:
    """Starts children on request, restarts each alone, stops them all at the same time."""

    def __init__(
        self,
        name: str,
        *,
        max_children: int,
        intensity: Intensity | None = None,
        emit: Emit = drop_event,
        chance: random.Random | None = None,
    ) -> None:
        """A supervisor not running yet. It may run again after it ended.

        Args:
            name: for events and errors.
            max_children: how many may live at a time.
            intensity: how many restarts, all children together, before it gives up.
            emit: where its events and its children's go.
            chance: what the jitter of a backoff is drawn from; seed it in tests.
        """
        assert max_children > 0, f"{name} may have {max_children} children"
        self.name = name
        self._max_children = max_children
        self._intensity = intensity or Intensity()
        self._emit = emit
        self._chance = chance or random.Random()  # noqa: S311 - jitter is no secret
        self._nursery: trio.Nursery | None = None  # while children may start
        self._context = contextvars.Context()
        self._keepers: dict[str, _Keeper] = {}
        self._children_peak = 0
        self._begin()

    def as_child(
        self, *, restart: Restart = Restart.PERMANENT, backoff: Backoff | None = None
    ) -> ChildSpec:
        """This supervisor as a child of another, with all the time its children need to stop."""
        return ChildSpec(self.name, self.run, restart=restart, shutdown_s=inf, backoff=backoff)

    async def run(self, life: Lifeline) -> None:
        """Be ready at once, without children, and supervise until asked to stop.

        Raises:
            RestartIntensityExceeded: children failed too often; all of them were stopped.
            BaseException: what a child escalated, such as KeyboardInterrupt, after all were
            stopped.
        """
        assert not self._keepers, f"{self.name} is running"
        self._begin()
        life.on_stop(self._wakeup.set)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._context = contextvars.copy_context()
            try:
                life.ready(self)
                while self._verdict is None and not life.stopping:
                    await self._wakeup.wait()
            finally:
                self._nursery = None
            for keeper in self._keepers.values():
                keeper.stop()
        # Raised out here, because in there the nursery would wrap it.
        if self._verdict is not None:
            self._emit("supervisor.escalated", {"supervisor": self.name, "error": self._verdict})
            raise self._verdict

    async def start_child(self, spec: ChildSpec) -> Any:
        """Start a child and wait until it is ready. Cancelling this wait stops the child again.

        Returns:
            What the child gave to `ready`, such as its Ref.

        Raises:
            ActorDown: the supervisor is not running, or is stopping.
            AlreadyStarted: it has a child of this id; the error carries that child's value.
            TooManyChildren: it is full.
            StartFailed: the child ended before it was ready; `__cause__` is its crash.
        """
        if self._nursery is None:
            raise ActorDown(self.name)
        if spec.id in self._keepers:
            raise AlreadyStarted(spec.id, self._keepers[spec.id].value)
        if len(self._keepers) >= self._max_children:
            raise TooManyChildren(self.name, self._max_children)
        keeper = self._keepers[spec.id] = _Keeper(spec)
        self._started += 1
        self._children_peak = max(self._children_peak, len(self._keepers))
        self._context.run(partial(self._nursery.start_soon, self._keep, keeper, name=spec.id))
        return await keeper.first_ready()

    async def terminate_child(self, id: str) -> bool:  # noqa: A002 - a child spec's own word
        """Stop a child, also one that waits for its restart, and wait until it is gone.

        Returns:
            False where there is no such child.
        """
        keeper = self._keepers.get(id)
        if keeper is None:
            return False
        keeper.stop()
        await keeper.wait_gone()
        return True

    def statistics(self) -> DynamicStatistics:
        """What it does now."""
        return DynamicStatistics(
            self.name,
            len(self._keepers),
            self._children_peak,
            self._max_children,
            self._started,
            self._restarts,
        )

    def __repr__(self) -> str:
        return f"<DynamicSupervisor {self.name} [{len(self._keepers)} of {self._max_children}]>"

    def _begin(self) -> None:
        """Forget an earlier run."""
        self._wakeup = Wakeup()
        self._window = Window(self._intensity)
        self._verdict: BaseException | None = None
        self._restarts = 0
        self._started = 0
        self._children_peak = 0

    async def _keep(self, keeper: "_Keeper") -> None:
        """A child's task: one life after another, until it ends for good."""
        try:
            while not keeper.stopping:
                child = keeper.child = Child(self.name, keeper.spec, self._emit, self._hear)
                await child.run()
                if not self._restarts_after(child, keeper):
                    break
                await keeper.pause(self._chance.random())
        finally:
            del self._keepers[keeper.spec.id]
            keeper.end()

    def _hear(self, child: Child) -> None:
        """A child is ready or has ended; called in its task."""
        if child.escalation is not None:
            self._verdict = child.escalation
            self._wakeup.set()
        keeper = self._keepers[child.spec.id]
        if not child.ended and keeper.became_ready():
            fields = {"supervisor": self.name, "child": child.spec.id, "restarts": keeper.restarts}
            self._emit("supervisor.restarted", fields)

    def _restarts_after(self, child: Child, keeper: "_Keeper") -> bool:
        """Whether another life follows this one."""
        if keeper.stopping or self._verdict is not None or not keeper.was_ready:
            return False
        if not child.spec.restart.wanted_after(child.crash):
            return False
        if self._window.admit(Failure(trio.current_time(), child.spec.id, child.crash)):
            self._restarts += 1
            return True
        gave_up = RestartIntensityExceeded(self.name, self._window.history)
        self._verdict = caused(gave_up, child.crash)
        self._wakeup.set()
        return False


class _Keeper:
    """What a dynamic supervisor knows of one child, through all its lives."""

    __slots__ = (
        "_delays",
        "_gone",
        "_pause",
        "_settled",
        "child",
        "restarts",
        "spec",
        "stopping",
        "was_ready",
    )

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.restarts = 0
        self.stopping = False
        self.was_ready = False
        self._delays = None if spec.backoff is None else Delays(spec.backoff)
        self._pause: trio.CancelScope | None = None
        self._settled: trio.Event | None = trio.Event()  # until the first start is over
        self._gone: trio.Event | None = None  # made when somebody waits

    @property
    def value(self) -> object:
        """What the child gave to `ready`, while it lives."""
        return None if self.child is None or self.child.ended else self.child.life.value

    async def first_ready(self) -> Any:
        """Wait until the first start is over.

        Raises:
            StartFailed: it ended before it was ready.
        """
        assert self._settled is not None
        try:
            await self._settled.wait()
        except trio.Cancelled:
            self.stop()
            raise
        if self.child is None:
            raise StartFailed(self.spec.id)  # stopped before it began
        if not self.was_ready:
            raise StartFailed(self.spec.id) from self.child.crash
        return self.child.life.value

    def became_ready(self) -> bool:
        """A life is ready. True when it is not the first."""
        if self.was_ready:
            return True
        self.was_ready = True
        self._settle()
        return False

    async def pause(self, chance: float) -> None:
        """Wait as the backoff says before the next life, unless stopped meanwhile."""
        assert self.child is not None
        self.restarts += 1
        lived_s = self.child.age_s()
        delay_s = 0.0 if self._delays is None else self._delays.after(lived_s, chance)
        with trio.CancelScope() as self._pause:
            await trio.sleep(delay_s)
        self._pause = None

    def stop(self) -> None:
        """End for good: the life there is within its time, a pause at once."""
        self.stopping = True
        if self._pause is not None:
            self._pause.cancel()
        if self.child is not None:
            self.child.stop()

    def end(self) -> None:
        """There is no next life."""
        self._settle()
        if self._gone is not None:
            self._gone.set()

    async def wait_gone(self) -> None:
        """Wait until it ended for good."""
        if self._gone is None:
            self._gone = trio.Event()
        await self._gone.wait()

    def _settle(self) -> None:
        if self._settled is not None:
            self._settled.set()
            self._settled = None
