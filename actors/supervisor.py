"""A supervisor of children known from the start, which may depend on each other.

Here is what it is told and asked; what it decides is in `supervision`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from actors.child import Child
from actors.errors import ActorDown
from actors.mailbox_statistics import MailboxStatistics
from actors.restart_state import Backoff, Intensity
from actors.slot import Slot
from actors.spec import INFINITE, AutoShutdown, ChildSpec, Lifeline, Restart, Strategy
from actors.supervision import Rules, Supervision
from actors.tree import Vitals


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """A supervisor, now.

    Attributes:
        name: its name.
        strategy: what it does when a child fails.
        children: places in the order of start, those of ended children included.
        living: children that live, starting and stopping ones included.
        waiting: children that wait for their start.
        restarts: failures it answered with a restart since it began.
    """

    name: str
    strategy: Strategy
    children: int
    living: int
    waiting: int
    restarts: int


class Supervisor:
    """Starts children in order, restarts them by its strategy, stops them in reverse order."""

    def __init__(
        self,
        name: str,
        children: Sequence[ChildSpec],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        """A supervisor not running yet. It may run again after it ended.

        Args:
            name: for events, errors and task names.
            children: in the order of start; each may depend on those before it. Ids are unique.
            strategy: which children restart when one fails.
            intensity: how many restarts, all children together, before it gives up.
            auto_shutdown: whether it ends in peace, all its children stopped, when significant
                ones have ended by themselves and for good.
        """
        ids = [spec.id for spec in children]
        assert len(ids) == len(set(ids)), f"{name} has two children of one id: {ids}"
        self.name = name
        self._specs = tuple(children)
        self._rules = Rules(strategy, intensity or Intensity(), auto_shutdown)
        for spec in children:
            self._check(spec)
        self._run: Supervision | None = None
        self._running = False

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
        """Start all children, be ready, and supervise until asked to stop.

        Raises:
            StartFailed: a child ended before it was ready; those started before it were stopped.
            RestartIntensityExceeded: children failed too often; all of them were stopped.
            BaseException: what a child escalated, such as KeyboardInterrupt, after all were
            stopped.
        """
        assert not self._running, f"{self.name} is running"
        self._running = True
        life.subject = self
        self._run = Supervision(self.name, self._specs, self._rules, life)
        try:
            await self._run.run(self)
        finally:
            self._running = False

    # Children that come and go while it runs.

    async def start_child(self, spec: ChildSpec) -> Any:
        """Add a child after all others and wait until it is ready.

        Returns:
            What the child gave to `ready`.

        Raises:
            ActorDown: the supervisor is not running, or ends before this is done.
            AlreadyStarted: it has a child of this id, even if that ended. A temporary child that
                ended is forgotten.
            StartFailed: the child ended before it was ready, and is not added; `__cause__` is its
                crash.
        """
        self._check(spec)
        run = self._living()
        return await run.ask(partial(run.add, spec))

    async def terminate_child(self, id: str) -> None:  # noqa: A002 - a child spec's own word
        """Stop a child and wait until it is gone. It stays in the order, for `restart_child`.

        Nothing but that brings it back. A temporary child is forgotten. Again changes nothing.

        Raises:
            ActorDown: the supervisor is not running, or ends before this is done.
            NoSuchChild: there is none of this id.
        """
        run = self._living()
        await run.ask(partial(run.terminate, id))

    async def restart_child(self, id: str) -> Any:  # noqa: A002 - a child spec's own word
        """Start a child again that was terminated, or ended for good, and wait until it is ready.

        Returns:
            What the child gave to `ready`.

        Raises:
            ActorDown: the supervisor is not running, or ends before this is done.
            NoSuchChild: there is none of this id.
            ChildRuns: it lives, or waits for its restart.
            StartFailed: the child ended before it was ready; `__cause__` is its crash.
        """
        run = self._living()
        return await run.ask(partial(run.revive, id))

    async def delete_child(self, id: str) -> None:  # noqa: A002 - a child spec's own word
        """Forget a child that was terminated, or ended for good.

        Raises:
            ActorDown: the supervisor is not running, or ends before this is done.
            NoSuchChild: there is none of this id.
            ChildRuns: it lives, or waits for its restart.
        """
        run = self._living()
        await run.ask(partial(run.delete, id))

    # Children that are there.

    def value_of(self, id: str) -> Any:  # noqa: A002 - a child spec's own word
        """What a child gave to `ready`, such as its Ref, while it lives.

        Raises:
            NoSuchChild: there is none of this id.
            ActorDown: it is not ready, or the supervisor is not running.
        """
        slot = self._living().slot(id)
        if slot.child is None or not slot.child.is_ready:
            raise ActorDown(f"{self.name}/{id}")
        return slot.child.value

    def values(self) -> tuple[Any, ...]:
        """What the children that are ready gave to `ready`, in the order of start."""
        living = [slot.child for slot in self._slots() if slot.child is not None]
        return tuple(child.value for child in living if child.is_ready)

    # For a picture of the tree.

    @property
    def kind(self) -> str:
        """What it is."""
        return "supervisor"

    @property
    def detail(self) -> str:
        """Its strategy."""
        return self._rules.strategy.value

    def census(self, children_max: int) -> tuple[tuple[Vitals, ...], int]:
        """Its children in the order of start, at most so many, and how many more there are."""
        slots = self._slots()
        listed = tuple(slot.vitals(children_max) for slot in slots[:children_max])
        return listed, len(slots) - len(listed)

    def mail(self) -> MailboxStatistics | None:
        """It has no mailbox."""
        return None

    def lives(self) -> Iterator[Child]:
        """The lives of its children, in the order of start."""
        return (each.child for each in self._slots() if each.child and not each.child.ended)

    def statistics(self) -> SupervisorStatistics:
        """What it does now."""
        slots = self._slots()
        return SupervisorStatistics(
            name=self.name,
            strategy=self._rules.strategy,
            children=len(slots),
            living=sum(slot.child is not None for slot in slots),
            waiting=sum(slot.due is not None for slot in slots),
            restarts=0 if self._run is None else self._run.restarts,
        )

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Supervisor {self.name} [{now.living} of {now.children} children live]>"

    def _slots(self) -> list[Slot]:
        return [] if self._run is None else self._run.slots

    def _living(self) -> Supervision:
        """The run that is under way."""
        if self._run is None or not self._running:
            raise ActorDown(self.name)
        return self._run

    def _check(self, spec: ChildSpec) -> None:
        counts = self._rules.auto_shutdown is not AutoShutdown.NEVER
        assert counts or not spec.significant, f"{self.name} never shuts down by itself"
