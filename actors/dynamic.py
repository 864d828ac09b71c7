"""A supervisor of children that come and go, and know nothing of each other.

Theory of operation. Each life of a child is a task of the supervisor's nursery. When it ends, it is
decided in its own last step whether another follows: so children start, wait for a restart and end
side by side, and what is kept of a child while it lives is one *keeper*. The supervisor's own task
only waits for a stop or a verdict.

Whoever starts a child does so in the middle of its own work, and a trio task inherits the
context variables of the task that spawns it. A child must not carry the request of whoever came
first for the rest of its life, so every child is spawned in the context that the supervisor
itself was started in.

A child counts against `max_children` from the call until its keeper ends, restarts included.
Stopping asks all children at once; each has its own time.
"""

import contextvars
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import trio

from actors.child import Child
from actors.errors import (
    ActorDown,
    AlreadyStarted,
    RestartIntensityExceeded,
    TooManyChildren,
    cancelled_after,
    caused,
)
from actors.keeper import Keeper
from actors.mailbox_statistics import MailboxStatistics
from actors.restart_state import Backoff, Failure, Intensity, Window
from actors.spec import INFINITE, ChildSpec, Legacy, Lifeline, Restart
from actors.system import System
from actors.tree import Vitals
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

    def __init__(self, name: str, *, max_children: int, intensity: Intensity | None = None) -> None:
        """A supervisor not running yet. It may run again after it ended.

        Args:
            name: for events and errors.
            max_children: how many may live at a time.
            intensity: how many restarts, all children together, before it gives up.
        """
        assert max_children > 0, f"{name} may have {max_children} children"
        self.name = name
        self._max_children = max_children
        self._intensity = intensity or Intensity()
        self._nursery: trio.Nursery | None = None  # while children may start
        self._context = contextvars.Context()
        self._keepers: dict[str, Keeper] = {}
        self._ear = self._hear  # one for all children: each would keep a method of its own
        self._life: Lifeline | None = None  # of the last run
        self._begin()

    def as_child(
        self,
        *,
        restart: Restart = Restart.PERMANENT,
        backoff: Backoff | None = None,
        significant: bool = False,
    ) -> ChildSpec:
        """This supervisor as a child of another, with all the time its children need to stop."""
        return ChildSpec(self.name, self.run, restart, INFINITE, backoff, significant, INFINITE)

    async def run(self, life: Lifeline) -> None:
        """Be ready at once, without children, and supervise until asked to stop.

        Raises:
            RestartIntensityExceeded: children failed too often; all of them were stopped.
            BaseException: what a child escalated, such as KeyboardInterrupt, after all were
            stopped.
        """
        idle = self._nursery is None and not self._keepers
        assert idle, f"{self.name} is running"
        self._begin()
        self._life = life
        life.subject = self
        life.on_stop(self._wakeup.set)
        try:
            async with trio.open_nursery() as nursery:
                await self._supervise(nursery, life)
        except BaseException as beyond:
            if self._verdict is None:
                raise
            raise cancelled_after(self._verdict, beyond) from None
        # Raised out here, because in there the nursery would wrap it.
        if self._verdict is not None:
            self._tell("supervisor.escalated", error=self._verdict)
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
        return await self._admit(spec, None).first_ready()

    def start_child_nowait(self, spec: ChildSpec, *, legacy: Legacy | None = None) -> None:
        """Start a child, and do not wait until it is ready.

        Args:
            spec: the child's.
            legacy: what its first life finds as if one before had left it. It is dissolved when
                the child has ended for good, ready or not, and its id is free again.

        Raises:
            ActorDown: the supervisor is not running, or is stopping.
            AlreadyStarted: it has a child of this id; the error carries that child's value.
            TooManyChildren: it is full.
        """
        self._admit(spec, legacy)

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

    # For a picture of the tree.

    @property
    def kind(self) -> str:
        """What it is."""
        return "supervisor"

    @property
    def detail(self) -> str:
        """Its strategy."""
        return "dynamic"

    def census(self, children_max: int) -> tuple[tuple[Vitals, ...], int]:
        """Its children in the order of start, at most so many, and how many more there are."""
        listed = tuple(
            keeper.vitals(children_max) for keeper in islice(self._keepers.values(), children_max)
        )
        return listed, len(self._keepers) - len(listed)

    def mail(self) -> MailboxStatistics | None:
        """It has no mailbox."""
        return None

    def lives(self) -> Iterator[Child]:
        """The lives of its children, in the order of start."""
        return (keeper.life for keeper in self._keepers.values() if keeper.life is not None)

    def __repr__(self) -> str:
        return f"<DynamicSupervisor {self.name} [{len(self._keepers)} of {self._max_children}]>"

    # One run.

    async def _supervise(self, nursery: trio.Nursery, life: Lifeline) -> None:
        """Until asked to stop, or until it is over; then ask all children to."""
        self._nursery = nursery
        self._context = contextvars.copy_context()
        try:
            life.ready(self)
            while self._verdict is None and not life.stopping:
                await self._wakeup.wait()
        except (KeyboardInterrupt, SystemExit) as escalation:  # it came to this task, not a child's
            self._give_up(escalation)
        finally:
            self._nursery = None
        for keeper in list(self._keepers.values()):
            keeper.stop()

    def _begin(self) -> None:
        """Forget an earlier run."""
        self._wakeup = Wakeup()
        self._window = Window(self._intensity)
        self._verdict: BaseException | None = None
        self._restarts = 0
        self._started = 0
        self._children_peak = 0

    @property
    def _system(self) -> System:
        """What the tree shares that this is a part of."""
        assert self._life is not None, f"{self.name} never ran"
        return self._life.system

    def _admit(self, spec: ChildSpec, legacy: Legacy | None) -> Keeper:
        assert not spec.significant, f"{self.name} is dynamic: none of its children is significant"
        if self._nursery is None:
            raise ActorDown(self.name)
        if spec.id in self._keepers:
            raise AlreadyStarted(spec.id, self._keepers[spec.id].value)
        if len(self._keepers) >= self._max_children:
            raise TooManyChildren(self.name, self._max_children)
        keeper = self._keepers[spec.id] = Keeper(spec, legacy)
        self._started += 1
        self._children_peak = max(self._children_peak, len(self._keepers))
        self._start(keeper, self._nursery)
        return keeper

    def _start(self, keeper: Keeper, nursery: trio.Nursery) -> None:
        """Begin a life."""
        child = Child(
            keeper.spec,
            supervisor=self.name,
            system=self._system,
            legacy=keeper.legacy,
            tell=self._ear,
        )
        keeper.begin(child)
        self._context.run(partial(nursery.start_soon, child.run, name=keeper.spec.id))

    def _hear(self, child: Child) -> None:
        """A child is ready or has ended; called in its task."""
        keeper = self._keepers[child.name]
        if child.ended:
            self._conclude(keeper, child)
        elif keeper.became_ready():
            self._tell("supervisor.restarted", child=child.name, restarts=keeper.restarts)

    def _conclude(self, keeper: Keeper, child: Child) -> None:
        """A life is over: another follows, at once or later, or none."""
        keeper.end_life()
        if child.escalation is not None:
            self._give_up(child.escalation)
        nursery = self._nursery
        if nursery is None or not self._restarts_after(child, keeper):
            self._forget(keeper)
            return
        delay_s = keeper.delay_s(child.age_s(), self._system.chance.random())
        if delay_s > 0:
            nursery.start_soon(self._start_later, keeper, delay_s, nursery, name=keeper.spec.id)
        else:
            self._start(keeper, nursery)

    def _restarts_after(self, child: Child, keeper: Keeper) -> bool:
        """Whether another life follows this one."""
        if keeper.stopping or child.was_cancelled or self._verdict is not None:
            return False
        if not keeper.was_ready or not child.spec.restart.wanted_after(child.error):
            return False
        if self._window.admit(Failure(trio.current_time(), child.name, child.error)):
            self._restarts += 1
            return True
        gave_up = RestartIntensityExceeded(self.name, self._window.history)
        self._give_up(caused(gave_up, child.error))
        return False

    async def _start_later(self, keeper: Keeper, delay_s: float, nursery: trio.Nursery) -> None:
        """Wait as the backoff says before the next life, unless stopped meanwhile."""
        begun = False
        try:
            await keeper.pause(delay_s)
            if not keeper.stopping:
                self._start(keeper, nursery)
                begun = True
        finally:
            if not begun:
                self._forget(keeper)

    def _forget(self, keeper: Keeper) -> None:
        del self._keepers[keeper.spec.id]
        keeper.end()

    def _give_up(self, verdict: BaseException) -> None:
        self._verdict = verdict
        self._wakeup.set()

    def _tell(self, event: str, **fields: object) -> None:
        self._system.emit(event, {"supervisor": self.name, **fields})
