"""Runs one life of an actor: start, messages, end.

Theory of operation. The order of an end matters to those outside. In peace: the mailbox closes
and the calls in it fail, `stopping` runs and may still answer calls that were put aside, then the
name is free and the rest of the calls fail. In a crash: the name is free and every call fails
first, since nobody there can answer any more; `stopping` runs after that, within a deadline, for
the restart waits. When cancelled: all of it at once, without `stopping`. Names are free before
the supervisor learns of the end, so a restart finds its own.

The mailbox is drained whole, and what was drained is worked off message by message without a pause.
A stop and signals are noticed between two messages. At a stop the rest is lost, as what still
waits is, and counted.

With a stash the address, which is the Ref with its mailbox and its name, is the child's and not
the life's. A life that ends puts back what it has in hand, leaves the address to the next, and
whoever knows that there is no next one, the supervisor, dissolves it (`address.py`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import trio

from actors.actor import Actor
from actors.address import NOTHING, Address, Inheritance, bury, hang_up, new_ref
from actors.belongings import Belonging, Belongings, Tick
from actors.call import NO_REPLY, Call
from actors.errors import LinkedActorDown, cancelled_after, caused
from actors.limits import SHUTDOWN_S, START_S
from actors.mailbox import Mailbox
from actors.ref import Down, End, Link, Ref
from actors.registry import Registry
from actors.restart_state import Backoff
from actors.spec import ChildSpec, Lifeline, Restart
from actors.trace import TRACE, Envelope

M = TypeVar("M")


def actor_child(
    id: str,  # noqa: A002 - a child spec's own word
    factory: Callable[[], Actor[M]],
    *,
    restart: Restart = Restart.PERMANENT,
    shutdown_s: float = SHUTDOWN_S,
    backoff: Backoff | None = None,
    registry: Registry | None = None,
) -> ChildSpec:
    """The child spec of an actor. Its ready value is the Ref.

    Args:
        id: its name among its siblings, in its Ref, and in the registry.
        factory: makes a new actor for each life.
        restart: whether it is started again when it ends by itself.
        shutdown_s: seconds for the message being handled and for `stopping`, at the end.
        backoff: how long to wait before a restart.
        registry: where it is found under its id while it lives, from before `started` on.
    """
    plan = Plan(id, factory, shutdown_s, registry)
    return ChildSpec(id, plan, restart=restart, shutdown_s=shutdown_s, backoff=backoff)


def only_life(
    id: str,  # noqa: A002 - a child spec's own word
    actor: Actor[M],
    *,
    shutdown_s: float = SHUTDOWN_S,
    start_s: float = START_S,
) -> ChildSpec:
    """The child spec of an actor that was made already, and so lives once. Its value is the Ref.

    Args:
        id: its name among its siblings, and in its Ref.
        actor: who is to live.
        shutdown_s: seconds for the message being handled and for `stopping`, at the end.
        start_s: seconds for `started`.
    """
    plan = Plan(id, lambda: actor, shutdown_s)
    return ChildSpec(id, plan, Restart.TEMPORARY, shutdown_s, start_s=start_s)


@dataclass(slots=True)  # frozen, it would cost three times as much, and each channel has one
class Plan(Generic[M]):
    """What is the same in each life of an actor. Called with a lifeline, it is such a life.

    Attributes:
        name: of its Ref.
        factory: makes a new actor for each life.
        shutdown_s: seconds for `stopping` after a crash.
        registry: where its Ref is found, if anywhere.
        idle_s: seconds without a message after which it ends in peace; None never.
    """

    name: str
    factory: Callable[[], Actor[M]]
    shutdown_s: float
    registry: Registry | None = None
    idle_s: float | None = None

    def __call__(self, life: Lifeline) -> Awaitable[None]:
        """One life, to be awaited. Returns after an end in peace, raises what crashed it."""
        try:
            actor = self.factory()
        except Exception as crash:
            if isinstance(life.legacy, Address):  # somebody may wait there
                life.legacy.leave(NOTHING, End.CRASH, crash)
            raise
        host = Host(self, actor, life)
        return host.run_with_tasks() if host.actor.runs_tasks else host.run()


class Host(Generic[M]):
    """One life of an actor. The actor asks it for all that it may do."""

    __slots__ = (
        "_address",
        "_belongings",
        "_in_hand",
        "_mailbox",
        "_nursery",
        "_owes_goodbye",
        "_owes_state",
        "_plan",
        "_ref",
        "_retired",
        "actor",
        "life",
        "task",
    )

    def __init__(self, plan: Plan[M], actor: Actor[M], life: Lifeline) -> None:
        """A life that has not begun, at the address that the one before left, or at a new one."""
        self.actor = actor
        self.life = life
        self.task = trio.lowlevel.current_task()
        self._plan = plan
        self._address = self._find_address()
        self._ref: Ref[M] = (
            new_ref(plan.name, type(actor), life.system)
            if self._address is None
            else self._address.ref
        )
        self._mailbox: Mailbox[Any] = self._ref.mailbox
        self._belongings: Belongings | None = None
        self._in_hand: Any = NOTHING
        self._nursery: trio.Nursery | None = None
        self._owes_goodbye = False
        self._owes_state = False
        self._retired = False

    async def run(self) -> None:
        """Live. Raises what crashed the actor."""
        mailbox = self._mailbox
        try:
            await self._begin()
            while not mailbox.interrupted:
                if mailbox.quiet:
                    await trio.lowlevel.wait_task_rescheduled(mailbox.sleep())
                else:
                    await trio.lowlevel.checkpoint()
                await self._work_off()
            await self._end_in_peace()
        except Exception as crash:
            self._retire(End.CRASH, crash)
            await self._say_goodbye_crashed(crash)
            raise
        finally:
            self._leave()

    async def run_with_tasks(self) -> None:
        """Live, with a nursery for the actor's own tasks."""
        trouble: BaseException | None = None
        try:
            async with trio.open_nursery() as self._nursery:
                await self.run()
                self._nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            trouble = group.exceptions[0] if len(group.exceptions) == 1 else group
        finally:
            self._let_go()  # of what a task took when it was cancelled
        # Raised out here, because in there the nursery would wrap it. After an end in peace there
        # may be what a task raised when it was cancelled.
        trouble = trouble or self.life.imposed
        if trouble is not None:
            raise trouble

    def link_broken(self, down: Down) -> None:
        """A linked actor crashed or was killed: hear of it, or follow it."""
        if self.actor.traps_links:
            self._mailbox.signal(down)
        else:
            self.crash(caused(LinkedActorDown(down.ref.name), down.crash))

    def crash(self, error: Exception) -> None:
        """End now, as if this error had left the actor; by itself, after the message it handles."""
        self.life.crash(error)
        self._mailbox.alarm()

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do, and owes nobody anything."""
        tasks = self._nursery is not None and self._nursery.child_tasks
        return self._mailbox.slept_through and not tasks and not self._ref.owes_answers

    # What the actor may ask for.

    @property
    def stop_requested(self) -> trio.Event:
        """Set when the supervisor asked it to end."""
        return self.life.stop_requested

    def stop(self) -> None:
        """End in peace after the message being handled."""
        self._mailbox.interrupt()

    def give_up(self) -> None:
        """End now, cancelled, by its own wish."""
        self.life.give_up()

    def monitor(self, ref: Ref[Any]) -> Belonging:
        """Be told of another's end."""
        return self._own().monitor(ref)

    def link(self, ref: Ref[Any]) -> None:
        """Share a crash with another."""
        assert ref is not self._ref, f"{self._ref} links itself"
        if not ref.alive:
            self._ref.link_broken(ref.down)
        elif self._ref.alive and ref not in self._ref.links:  # a crash that was is not shared
            Link(self._ref, ref)

    def unlink(self, ref: Ref[Any]) -> None:
        """Share it no more."""
        link = self._ref.links.get(ref)
        if link is not None:
            link.cancel()

    def send_after(self, delay_s: float, message: object) -> Belonging:
        """Get a message later."""
        return self._own().after(delay_s, message)

    def send_every(self, period_s: float, message: object) -> Belonging:
        """Get a message again and again."""
        return self._own().every(period_s, message)

    def start_soon(self, work: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task of the actor. What leaves it crashes the actor."""
        assert self._nursery is not None, f"{type(self.actor).__name__} has runs_tasks = False"
        self._nursery.start_soon(self._run_task, partial(work, *args), name=self._ref.name)

    async def _run_task(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as crash:  # noqa: BLE001 - imposed on the whole life, as its crash
            self.crash(crash)

    # The life.

    def _find_address(self) -> Address[M] | None:
        """Where it lives, if that is more than this life's."""
        if not self.actor.stash:
            return None
        life = self.life
        if isinstance(life.legacy, Address):
            return life.legacy
        new: Address[M] = Address(self._plan.name, type(self.actor), life.supervisor, life.system)
        life.legacy = new
        return new

    async def _begin(self) -> None:
        """Move in, and be ready."""
        plan, ref = self._plan, self._ref
        if plan.registry is not None and plan.registry.whereis(plan.name) is not ref:
            plan.registry.register(plan.name, ref)
        legacy = self.life.legacy
        inherited = legacy.state if isinstance(legacy, Address | Inheritance) else None
        self.actor.enter(ref, self, inherited)
        ref.begin(self)
        self._mailbox.resume()
        self.life.on_stop(self._mailbox.interrupt)
        await self.actor.started()
        self.life.ready(ref)
        self._owes_goodbye = self._owes_state = True
        self._leave_behind(None)  # what was inherited is taken: nobody inherits it twice
        if plan.idle_s is not None:
            self._own().stop_when_idle(plan.idle_s, self)

    async def _work_off(self) -> None:
        """Heed what signals there are, and handle all messages that waited."""
        mailbox, handle = self._mailbox, self.actor.handle
        if mailbox.alert:
            await self._heed()
        batch = mailbox.take() if not mailbox.interrupted else []
        while batch:
            item = self._in_hand = batch.pop()
            if isinstance(item, Envelope):
                await self._open(item)
            else:
                await handle(item, NO_REPLY)
            if mailbox.alert:
                await self._heed()
                if mailbox.interrupted:
                    return
        self._in_hand = NOTHING

    async def _open(self, envelope: Envelope) -> None:
        """Handle one message, as part of the work it belongs to."""
        reply = envelope if isinstance(envelope, Call) else NO_REPLY
        if envelope.trace is None:
            await self.actor.handle(envelope.message, reply)
            return
        token = TRACE.set(envelope.trace)
        try:
            await self.actor.handle(envelope.message, reply)
        finally:
            TRACE.reset(token)

    async def _heed(self) -> None:
        """Act on the signals that wait, unless the actor stops, or was crashed meanwhile."""
        self._in_hand = NOTHING
        await trio.lowlevel.checkpoint_if_cancelled()
        for signal in self._mailbox.take_signals():
            if self._mailbox.interrupted:
                return
            if isinstance(signal, Tick):
                signal.waits = False
                await self._open(Envelope(signal.message, signal.trace))
            else:
                await self.actor.handle_down(signal)

    # The end.

    async def _end_in_peace(self) -> None:
        if self._address is None:
            self._hang_up(None)
        self._owes_goodbye = False
        self._in_hand = NOTHING
        await self.actor.stopping()
        await trio.lowlevel.checkpoint_if_cancelled()  # where it crashed itself
        self._owes_state = False
        self._leave_behind(self.actor.hand_over())
        self._retire(End.SHUTDOWN if self.life.stopping else End.PEACE, None)

    async def _say_goodbye_crashed(self, crash: Exception) -> None:
        """Let a crashed actor say goodbye, within its time. Trouble with that joins the crash."""
        try:
            # The scope alone is a tenth of a restart: not for actors that have nothing to say.
            if self._owes_goodbye and type(self.actor).stopping is not Actor.stopping:
                with trio.move_on_after(self._plan.shutdown_s):
                    await self.actor.stopping()
            if self._owes_state:
                self._leave_behind(self.actor.hand_over())
        except trio.Cancelled as cancelled:  # from further out: the crash is told too
            raise cancelled_after(crash, cancelled) from None
        except Exception as second:  # noqa: BLE001 - told, with what came first
            raise ExceptionGroup("a crash, and another while stopping", [crash, second]) from None

    def _leave_behind(self, state: object) -> None:
        """Have the next life inherit this, if there is one."""
        if self._address is not None:
            self._address.state = state
        else:
            self.life.legacy = None if state is None else Inheritance(state)

    def _leave(self) -> None:
        """Nothing of this life is left behind, however it ended."""
        self._let_go()
        imposed = self.life.imposed
        self._retire(End.KILL if imposed is None else End.CRASH, imposed)

    def _let_go(self) -> None:
        """Give back what it holds elsewhere."""
        if self._belongings is not None:
            self._belongings.release()

    def _retire(self, end: End, crash: Exception | None) -> None:
        """Leave the address to the next life, or end with it. Again changes nothing."""
        if self._retired:
            return
        self._retired = True
        if self._address is not None:
            self._address.leave(self._in_hand, end, crash)
        else:
            self._hang_up(crash)
            bury(self._ref, self.life.supervisor, self.life.system, end, crash)

    def _hang_up(self, crash: Exception | None) -> None:
        hang_up(self._ref, self.life.supervisor, self.life.system, crash)

    def _own(self) -> Belongings:
        """What it holds elsewhere."""
        if self._belongings is None:
            self._belongings = Belongings(self._mailbox, self.life.system.timers)
        return self._belongings
