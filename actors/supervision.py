"""One run of a supervisor: what it decides, from the first start to the last stop.

Theory of operation. One task, `_supervise`, decides everything: children only append their ends
to a queue and wake it, and so do those who want a child terminated or started. So a decision is
never interrupted by the next one, and there is nothing to lock.

- Each place in the order is a slot. A slot has a living child, or a time at which it is due to
  start, or neither: its child ended for good, or was terminated.
- Starting is one rule for the first start and for every restart: the first slot in order that is
  due starts, alone, and the next waits until it is ready. A slot waits while an earlier one does,
  except in one_for_one after the first start.
- A failed child makes its strategy's slots stop in reverse order and all become due again together.
- An end that arrives for a child which was replaced or stopped meanwhile means nothing any more.
- A start that fails during the first start unwinds what was started and ends the supervisor. During
  a restart it is one more failure of that child.
- A group comes back before anything that was asked for is done; but where it fails to, whoever
  asked has their turn before the next try. So a child that fails for ever can be terminated.

A stop asked for while a child starts, or while slots wait, takes effect at once. When the
supervisor is cancelled instead of asked, trio cancels all of its children at the same time: order
is promised for stops, not for kills. That is why a supervisor has all the time it wants to stop
(`as_child`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import trio

from actors.child import Child
from actors.command import Command, Work
from actors.errors import (
    ActorDown,
    AlreadyStarted,
    ChildRuns,
    NoSuchChild,
    RestartIntensityExceeded,
    StartFailed,
    cancelled_after,
    caused,
)
from actors.restart_state import Failure, Intensity, Window
from actors.slot import Slot
from actors.spec import AutoShutdown, ChildSpec, Lifeline, Restart, Strategy
from actors.wakeup import Wakeup


@dataclass(frozen=True, slots=True)
class Rules:
    """What a supervisor goes by.

    Attributes:
        strategy: which children restart when one fails.
        intensity: how many restarts, all children together, before it gives up.
        auto_shutdown: whether it ends when significant children have.
    """

    strategy: Strategy
    intensity: Intensity
    auto_shutdown: AutoShutdown


class Supervision:
    """One run.

    Attributes:
        slots: its children's places, in the order of start.
        restarts: failures it answered with a restart.
    """

    def __init__(self, name: str, specs: Sequence[ChildSpec], rules: Rules, life: Lifeline) -> None:
        """A run not begun.

        Args:
            name: the supervisor's.
            specs: its first children.
            rules: what it goes by.
            life: the supervisor's.
        """
        self.slots = [Slot(spec) for spec in specs]
        self.restarts = 0
        self._name = name
        self._rules = rules
        self._life = life
        self._ends: deque[Child] = deque()
        self._commands: deque[Command] = deque()
        self._wakeup = Wakeup()
        self._window = Window(rules.intensity)
        self._first_start = True
        self._failing = False  # whether the last start failed
        self._over = False
        self._verdict: BaseException | None = None
        life.on_stop(self._wakeup.set)

    async def run(self, supervisor: object) -> None:
        """Start all children, have the life ready with its supervisor, and supervise.

        Raises what a supervisor raises.
        """
        try:
            async with trio.open_nursery() as nursery:
                await self._supervise(nursery, supervisor)
        except BaseException as beyond:
            if self._verdict is None:
                raise
            raise cancelled_after(self._verdict, beyond) from None
        finally:
            self._let_go()
        # Raised out here, because in there the nursery would wrap it.
        if self._verdict is not None:
            raise self._verdict

    async def ask(self, work: Work) -> Any:
        """Have the supervising task do something, and wait until it is done.

        Raises:
            ActorDown: the run ends before that.
        """
        command = Command(work, ActorDown(self._name))
        self._commands.append(command)
        self._wakeup.set()
        return await command.result()

    # Commands, carried out by the supervising task.

    async def add(self, spec: ChildSpec, nursery: trio.Nursery) -> Any:
        """Start a child after all others."""
        there = next((slot for slot in self.slots if slot.spec.id == spec.id), None)
        if there is not None:
            raise AlreadyStarted(spec.id, None if there.child is None else there.child.value)
        slot = Slot(spec)
        self.slots.append(slot)
        try:
            return await self._start_by_hand(slot, nursery)
        except StartFailed:
            self.slots.remove(slot)
            raise

    async def terminate(self, id: str, _nursery: trio.Nursery) -> None:  # noqa: A002 - as in specs
        """Stop a child, and have only `revive` bring it back."""
        slot = self.slot(id)
        slot.terminated = True
        await self._stop([slot])
        self._vacate(slot)

    async def revive(self, id: str, nursery: trio.Nursery) -> Any:  # noqa: A002 - as in specs
        """Start a child again that was terminated, or ended for good."""
        slot = self.slot(id)
        if not slot.over:
            raise ChildRuns(id)
        return await self._start_by_hand(slot, nursery)

    async def delete(self, id: str, _nursery: trio.Nursery) -> None:  # noqa: A002 - as in specs
        """Forget such a child."""
        slot = self.slot(id)
        if not slot.over:
            raise ChildRuns(id)
        self.slots.remove(slot)

    async def _start_by_hand(self, slot: Slot, nursery: trio.Nursery) -> Any:
        """Start a child that somebody asked for. If that fails it is not tried again."""
        slot.terminated = False
        await self._start(slot, nursery)
        child = slot.child
        assert child is not None, "only the supervising task takes a child away"
        if child.is_ready:
            return child.value
        if not child.ended:
            raise ActorDown(self._name)  # it is ending itself
        self._ends.remove(child)
        slot.terminated = True
        slot.end()
        slot.dissolve()
        raise caused(StartFailed(slot.spec.id), child.error)

    def slot(self, id: str) -> Slot:  # noqa: A002 - as in specs
        """The place of a child.

        Raises:
            NoSuchChild: there is none of this id.
        """
        for slot in self.slots:
            if slot.spec.id == id:
                return slot
        raise NoSuchChild(self._name, id)

    # The supervising task.

    async def _supervise(self, nursery: trio.Nursery, supervisor: object) -> None:
        """Until asked to stop, or until it is over; then stop everything."""
        try:
            await self._decide(nursery, supervisor)
        except (KeyboardInterrupt, SystemExit) as escalation:  # it came to this task, not a child's
            self._give_up(escalation)
        await self._stop(self.slots)
        if self._verdict is not None:
            self._tell("supervisor.escalated", error=self._verdict)

    async def _decide(self, nursery: trio.Nursery, supervisor: object) -> None:
        """Do what is next, until asked to stop, or until it is over."""
        life = self._life
        for slot in self.slots:
            slot.due = trio.current_time()
        while not (self._over or life.stopping):
            due = self._next_due()
            if self._ends:
                await self._judge(self._ends.popleft())
            elif due is not None and due.wait_s() <= 0 and not (self._failing and self._commands):
                await self._start(due, nursery)
            elif due is None and self._first_start:
                self._first_start = False
                life.ready(supervisor)
            elif self._commands:
                await self._commands.popleft().carry_out(nursery)
            elif due is None:
                await self._wakeup.wait()
            else:
                with trio.move_on_after(due.wait_s()):
                    await self._wakeup.wait()

    def _let_go(self) -> None:
        """The run is over: nobody waits any more for what it would have done."""
        for command in self._commands:
            command.give_up()
        for slot in self.slots:
            if slot.child is not None:
                slot.end()
            slot.dissolve()

    async def _start(self, slot: Slot, nursery: trio.Nursery) -> None:
        """Start one child and wait until it is ready, has ended, or no longer matters."""
        child = Child(
            slot.spec,
            supervisor=self._name,
            system=self._life.system,
            legacy=slot.legacy,
            tell=self._hear,
        )
        slot.begin(child)
        self._failing = False
        nursery.start_soon(child.run, name=f"{self._name}/{slot.spec.id}")
        while not (child.settled or self._life.stopping or self._over):
            await self._wakeup.wait()
        if child.is_ready and slot.restarts:
            self._tell("supervisor.restarted", child=slot.spec.id, restarts=slot.restarts)

    def _hear(self, child: Child) -> None:
        """A child is ready or has ended; called in its task."""
        if child.ended:
            self._ends.append(child)
        # Even while others are being stopped: an escalation is never lost.
        if child.escalation is not None:
            self._give_up(child.escalation)
        self._wakeup.set()

    def _give_up(self, verdict: BaseException) -> None:
        self._verdict = verdict
        self._over = True

    # Decisions.

    async def _judge(self, child: Child) -> None:
        """Decide what the end of a child means."""
        slot = next((slot for slot in self.slots if slot.child is child), None)
        if slot is None or self._over:
            return
        slot.end()
        self._failing = not child.is_ready
        if self._first_start and self._failing:
            self._give_up(caused(StartFailed(slot.spec.id), child.error))
        elif not slot.spec.restart.wanted_after(child.error):
            self._ended_for_good(slot)
        elif self._window.admit(Failure(trio.current_time(), slot.spec.id, child.error)):
            await self._restart(slot, child.age_s())
        else:
            gave_up = RestartIntensityExceeded(self._name, self._window.history)
            self._give_up(caused(gave_up, child.error))

    def _ended_for_good(self, slot: Slot) -> None:
        """A child ended by itself, and none follows."""
        self._vacate(slot)
        if not slot.spec.significant:
            return
        others = [each for each in self.slots if each.spec.significant and not each.over]
        if self._rules.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or not others:
            self._tell("supervisor.shut_down", child=slot.spec.id)
            self._over = True

    async def _restart(self, failed: Slot, lived_s: float) -> None:
        """Stop what the strategy says, in reverse order, and make it due again."""
        self.restarts += 1
        due = trio.current_time() + failed.delay_s(lived_s, self._life.system.chance.random())
        affected = self._affected(failed)
        await self._stop([slot for slot in affected if slot is not failed])
        for slot in affected:
            slot.become_due(due)
            if slot.due is None:
                self._vacate(slot)

    def _vacate(self, slot: Slot) -> None:
        """Nothing lives there any more. What is left is for `revive`; of a temporary child none."""
        slot.dissolve()
        if slot.spec.restart is Restart.TEMPORARY:
            self.slots.remove(slot)

    def _affected(self, failed: Slot) -> list[Slot]:
        """The slots that restart with this one, in the order of start."""
        if self._rules.strategy is Strategy.ONE_FOR_ALL:
            return list(self.slots)
        first = self.slots.index(failed)
        alone = self._rules.strategy is Strategy.ONE_FOR_ONE
        return self.slots[first : first + 1 if alone else None]

    def _next_due(self) -> Slot | None:
        """The slot to start next, now or later."""
        waiting = [slot for slot in self.slots if slot.due is not None]
        if self._rules.strategy is Strategy.ONE_FOR_ONE and not self._first_start:
            return min(waiting, key=Slot.wait_s, default=None)  # these know nothing of each other
        return waiting[0] if waiting else None

    async def _stop(self, slots: Sequence[Slot]) -> None:
        """Stop children one by one, the last first, each within its own time."""
        for slot in reversed(slots):
            child = slot.child
            if child is not None:
                child.stop()
                while not child.ended:
                    await self._wakeup.wait()
                slot.end()

    def _tell(self, event: str, **fields: object) -> None:
        self._life.system.emit(event, {"supervisor": self._name, **fields})
