"""A supervisor of children known from the start, which may depend on each other.

Theory of operation. One task, `_supervise`, decides everything: children only append their ends
to a queue and wake it. So a decision is never interrupted by the next one, and there is nothing
to lock.

- Each place in the order is a slot. A slot has a living child, or a time at which it is due to
  start, or neither: its child ended for good.
- Starting is one rule for the first start and for every restart: the first slot in order that is
  due starts, alone, and the next waits until it is ready. A slot waits while an earlier one does,
  except in one_for_one after the first start.
- A failed child makes its strategy's slots stop in reverse order and all become due again together.
- An end that arrives for a child which was replaced or stopped meanwhile means nothing any more.
- A start that fails during the first start unwinds what was started and ends the supervisor. During
  a restart it is one more failure of that child.

A stop asked for while a child starts, or while slots wait, takes effect at once. When the
supervisor is cancelled instead of asked, trio cancels all of its children at the same time: order
is promised for stops, not for kills. That is why a supervisor has all the time it wants to stop
(`as_child`).
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import trio

from actors.child import Child
from actors.errors import RestartIntensityExceeded, StartFailed, caused
from actors.events import Emit, drop_event
from actors.restart_state import Backoff, Delays, Failure, Intensity, Window
from actors.spec import ChildSpec, Lifeline, Restart, Strategy
from actors.wakeup import Wakeup


@dataclass(frozen=True, slots=True)
class ChildStatistics:
    """One child, now.

    Attributes:
        id: its name.
        state: "starting", "running", "stopping", "waiting" for its restart, or "ended" for good.
        restarts: how often it was started again since the supervisor began.
        age_s: seconds since it was last ready; 0 where it does not live.
    """

    id: str
    state: str
    restarts: int
    age_s: float


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """A supervisor, now.

    Attributes:
        name: its name.
        strategy: what it does when a child fails.
        restarts: failures it answered with a restart since it began.
        children: every child, in the order of start.
    """

    name: str
    strategy: Strategy
    restarts: int
    children: tuple[ChildStatistics, ...]


class Supervisor:
    """Starts children in order, restarts them by its strategy, stops them in reverse order."""

    def __init__(
        self,
        name: str,
        children: Sequence[ChildSpec],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        emit: Emit = drop_event,
        chance: random.Random | None = None,
    ) -> None:
        """A supervisor not running yet. It may run again after it ended.

        Args:
            name: for events, errors and task names.
            children: in the order of start; each may depend on those before it. Ids are unique.
            strategy: which children restart when one fails.
            intensity: how many restarts, all children together, before it gives up.
            emit: where its events and its children's go.
            chance: what the jitter of a backoff is drawn from; seed it in tests.
        """
        ids = [spec.id for spec in children]
        assert len(ids) == len(set(ids)), f"{name} has two children of one id: {ids}"
        self.name = name
        self._specs = tuple(children)
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._emit = emit
        self._chance = chance or random.Random()  # noqa: S311 - jitter is no secret
        self._running = False
        self._begin()

    def as_child(
        self, *, restart: Restart = Restart.PERMANENT, backoff: Backoff | None = None
    ) -> ChildSpec:
        """This supervisor as a child of another, with all the time its children need to stop."""
        return ChildSpec(self.name, self.run, restart=restart, shutdown_s=inf, backoff=backoff)

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
        self._begin()
        life.on_stop(self._wakeup.set)
        try:
            async with trio.open_nursery() as nursery:
                await self._supervise(nursery, life)
        finally:
            self._running = False
        # Raised out here, because in there the nursery would wrap it.
        if self._verdict is not None:
            raise self._verdict

    def statistics(self) -> SupervisorStatistics:
        """What it does now."""
        children = tuple(slot.statistics() for slot in self._slots)
        return SupervisorStatistics(self.name, self._strategy, self._restarts, children)

    def __repr__(self) -> str:
        living = sum(slot.child is not None for slot in self._slots)
        return f"<Supervisor {self.name} [{living} of {len(self._slots)} children live]>"

    def _begin(self) -> None:
        """Forget an earlier run."""
        self._slots = [_Slot(spec) for spec in self._specs]
        self._ends: deque[Child] = deque()
        self._wakeup = Wakeup()
        self._window = Window(self._intensity)
        self._restarts = 0
        self._first_start = True
        self._verdict: BaseException | None = None

    async def _supervise(self, nursery: trio.Nursery, life: Lifeline) -> None:
        """Until asked to stop, or until there is a verdict; then stop everything."""
        for slot in self._slots:
            slot.due = trio.current_time()
        while self._verdict is None and not life.stopping:
            due = self._next_due()
            if self._ends:
                await self._judge(self._ends.popleft())
            elif due is not None and due.wait_s() <= 0:
                await self._start(due, nursery, life)
            elif due is None and self._first_start:
                self._first_start = False
                life.ready(self)
            else:
                with trio.move_on_after(inf if due is None else due.wait_s()):
                    await self._wakeup.wait()
        await self._stop(self._slots)
        if self._verdict is not None:
            self._emit("supervisor.escalated", {"supervisor": self.name, "error": self._verdict})

    async def _start(self, slot: "_Slot", nursery: trio.Nursery, life: Lifeline) -> None:
        """Start one child and wait until it is ready, has ended, or no longer matters."""
        child = Child(self.name, slot.spec, self._emit, self._hear)
        slot.begin(child)
        nursery.start_soon(child.run, name=f"{self.name}/{slot.spec.id}")
        while not (child.settled or life.stopping or self._verdict is not None):
            await self._wakeup.wait()
        if child.life.is_ready and slot.restarts:
            fields = {"supervisor": self.name, "child": slot.spec.id, "restarts": slot.restarts}
            self._emit("supervisor.restarted", fields)

    def _hear(self, child: Child) -> None:
        """A child is ready or has ended; called in its task."""
        if child.ended:
            self._ends.append(child)
        # Even while others are being stopped: an escalation is never lost.
        if child.escalation is not None:
            self._verdict = child.escalation
        self._wakeup.set()

    async def _judge(self, child: Child) -> None:
        """Decide what the end of a child means."""
        slot = next((slot for slot in self._slots if slot.child is child), None)
        if slot is None or self._verdict is not None:
            return
        slot.child = None
        if self._first_start and not child.life.is_ready:
            self._verdict = caused(StartFailed(slot.spec.id), child.crash)
        elif slot.spec.restart.wanted_after(child.crash):
            failure = Failure(trio.current_time(), slot.spec.id, child.crash)
            if self._window.admit(failure):
                await self._restart(slot, child.age_s())
            else:
                gave_up = RestartIntensityExceeded(self.name, self._window.history)
                self._verdict = caused(gave_up, child.crash)

    async def _restart(self, failed: "_Slot", lived_s: float) -> None:
        """Stop what the strategy says, in reverse order, and make it due again."""
        self._restarts += 1
        due = trio.current_time() + failed.delay_s(lived_s, self._chance.random())
        affected = self._affected(failed)
        await self._stop([slot for slot in affected if slot is not failed])
        for slot in affected:
            slot.become_due(due)

    def _affected(self, failed: "_Slot") -> list["_Slot"]:
        """The slots that restart with this one, in the order of start."""
        if self._strategy is Strategy.ONE_FOR_ALL:
            return self._slots
        first = self._slots.index(failed)
        alone = self._strategy is Strategy.ONE_FOR_ONE
        return self._slots[first : first + 1 if alone else None]

    def _next_due(self) -> "_Slot | None":
        """The slot to start next, now or later."""
        waiting = [slot for slot in self._slots if slot.due is not None]
        if self._strategy is Strategy.ONE_FOR_ONE and not self._first_start:
            return min(waiting, key=_Slot.wait_s, default=None)  # these know nothing of each other
        return waiting[0] if waiting else None

    async def _stop(self, slots: Sequence["_Slot"]) -> None:
        """Stop children one by one, the last first, each within its own time."""
        for slot in reversed(slots):
            child = slot.child
            if child is not None:
                child.stop()
                while not child.ended:
                    await self._wakeup.wait()
                slot.child = None


class _Slot:
    """A child's place in the order: living, waiting for a start, or ended for good."""

    __slots__ = ("_delays", "_started", "child", "due", "restarts", "spec")

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.due: float | None = None  # on the trio clock
        self.restarts = 0
        self._started = False
        self._delays = None if spec.backoff is None else Delays(spec.backoff)

    def wait_s(self) -> float:
        """Seconds until the start is due."""
        return inf if self.due is None else max(0.0, self.due - trio.current_time())

    def delay_s(self, lived_s: float, chance: float) -> float:
        """Seconds its backoff wants before the next restart."""
        return 0.0 if self._delays is None else self._delays.after(lived_s, chance)

    def begin(self, child: Child) -> None:
        """A life begins here."""
        self.restarts += self._started
        self._started = True
        self.due = None
        self.child = child

    def become_due(self, due: float) -> None:
        """Restart at that time, or at its own if that is later. A temporary child never does."""
        never_again = self._started and self.spec.restart is Restart.TEMPORARY
        if self.due is not None or not never_again:
            self.due = due if self.due is None else max(due, self.due)

    def statistics(self) -> ChildStatistics:
        """This place, now."""
        age_s = 0.0 if self.child is None else self.child.age_s()
        return ChildStatistics(self.spec.id, self._state(), self.restarts, age_s)

    def _state(self) -> str:
        if self.child is not None:
            return self.child.state
        return "ended" if self.due is None else "waiting"
