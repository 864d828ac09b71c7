"""How others reach an actor: casts, sends and calls, and the news of its end.

Theory of operation. A Ref belongs to one life of an actor; the next life has another (ask the
registry for it). Only where an actor has a `stash` does its Ref outlive a crash, and is dead when
its supervisor will not start it again.

A Ref knows the mailbox and every call that is not answered yet, whether it still waits in the
mailbox, is being handled, or was put aside to be answered later. So the end of the actor reaches
all of them at once: nobody waits for the dead.

A cast travels as the bare message, or in an envelope if it is part of some traced work; a call in
an envelope that is the reply itself. All of it is kept in the order it came, calls and watches
too: nothing here depends on where an object lies in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

from actors.call import Call
from actors.errors import ActorDown, CallTimeout, MailboxClosed, MailboxFull, caused
from actors.mailbox import Mailbox, Overflow
from actors.mailbox_statistics import MailboxStatistics
from actors.spec import Lifeline
from actors.trace import TRACE, Envelope
from actors.tree import Vitals

M = TypeVar("M")


class End(Enum):
    """How an actor ended."""

    PEACE = "peace"  # it stopped itself, or nobody had talked to it
    SHUTDOWN = "shutdown"  # its supervisor asked it to
    CRASH = "crash"  # an exception left it, its own or one imposed on it
    KILL = "kill"  # it was cancelled


# Ends that reach through a link. An end in order does not: whoever must hear of that monitors.
_FATAL: Final = frozenset({End.CRASH, End.KILL})


@dataclass(frozen=True, slots=True)
class Down:
    """The end of an actor, as those who watch it are told.

    Attributes:
        ref: whose end it is.
        end: how it ended.
        crash: what ended it, if something did.
    """

    ref: "Ref[Any]"
    end: End
    crash: Exception | None


class Watch:
    """Somebody's wish to be told of an actor's end."""

    __slots__ = ("_callback", "_ref")

    def __init__(self, ref: "Ref[Any]", callback: Callable[[Down], object]) -> None:
        self._ref = ref
        self._callback = callback

    def cancel(self) -> None:
        """Hear nothing of it. Ignored once it was told."""
        self._ref.unwatch(self)

    def tell(self, down: Down) -> None:
        """For the Ref: this is the end."""
        self._callback(down)


class Inhabitant(Protocol):
    """The one life there is behind a Ref."""

    @property
    def life(self) -> Lifeline:
        """What ties it to its supervisor."""

    @property
    def task(self) -> trio.lowlevel.Task:
        """The task in which it handles messages."""

    @property
    def actor(self) -> object:
        """Who lives there."""

    def crash(self, error: Exception) -> None:
        """End now, as if this error had left it."""

    def link_broken(self, down: Down) -> None:
        """An actor it is linked to crashed or was killed."""


class Link:
    """Two actors, of which neither outlives a crash of the other."""

    __slots__ = ("_refs", "_watches")

    def __init__(self, one: "Ref[Any]", other: "Ref[Any]") -> None:
        """Tie them together. They are both alive."""
        self._refs = (one, other)
        self._watches = (one.watch(self._told), other.watch(self._told))
        one.links[other] = other.links[one] = self

    def cancel(self) -> None:
        """Untie them."""
        one, other = self._refs
        del one.links[other], other.links[one]
        for watch in self._watches:
            watch.cancel()

    def _told(self, down: Down) -> None:
        self.cancel()
        for ref in self._refs:
            if ref is not down.ref:
                ref.link_broken(down)


class Ref(Generic[M]):
    """The address of an actor. Holding it does not keep the actor alive."""

    __slots__ = (
        "_calls",
        "_down",
        "_inhabitant",
        "_links",
        "_mailbox",
        "_news",
        "_watches",
        "alive",
        "name",
    )

    def __init__(self, name: str) -> None:
        """For the actor's host, which opens it: an address under which nobody can be reached."""
        self.name = name
        self.alive = True
        self._mailbox: Mailbox[Any]
        self._inhabitant: Inhabitant | None = None  # while one lives
        self._calls: dict[Call, None] | None = None  # not answered yet; made with the first
        self._watches: dict[Watch, None] | None = None  # made with the first
        self._links: dict[Ref[Any], Link] | None = None  # made with the first
        self._news: trio.Event | None = None  # made when somebody waits for the end
        self._down: Down | None = None

    # For everybody.

    def cast(self, message: M) -> None:
        """Hand a message over and go on. To a dead actor it is lost, and counted.

        Raises:
            MailboxFull: no room, under BLOCK and REJECT.
        """
        trace = TRACE.get()
        try:
            self._mailbox.put_nowait(message if trace is None else Envelope(message, trace))
        except MailboxClosed:
            return

    async def send(self, message: M) -> None:
        """Hand a message over, under BLOCK after waiting for room.

        Raises:
            ActorDown: the actor is dead, or died before there was room.
            MailboxFull: no room, under REJECT.
        """
        trace = TRACE.get()
        try:
            await self._mailbox.put(message if trace is None else Envelope(message, trace))
        except MailboxClosed:
            raise self._down_error() from self.crash_cause

    async def call(self, message: M, *, deadline_s: float) -> Any:
        """Hand a message over and wait for its answer.

        Args:
            message: what to ask.
            deadline_s: seconds for all of it, waiting for room included.

        Raises:
            ActorDown: the actor is dead, or died before it answered.
            CallTimeout: no answer in time.
            MailboxFull: no room, under REJECT; or dropped, under DROP_NEWEST, DROP_OLDEST and
                KEEP_LATEST.
        """
        assert 0 <= deadline_s < inf, f"a call of {self.name} has {deadline_s} s"
        caller = trio.lowlevel.current_task()
        callee = self._inhabitant
        assert callee is None or callee.task is not caller, f"{self.name} calls itself"
        call = Call(self.name, message, TRACE.get())
        if self._calls is None:
            self._calls = {}
        self._calls[call] = None
        try:
            with trio.move_on_after(deadline_s):
                return await self._ask(call)
        except MailboxClosed:
            raise self._down_error() from self.crash_cause
        finally:
            self._calls.pop(call, None)
            call.abandon()
        raise CallTimeout(self.name, deadline_s)

    async def wait_down(self) -> Down:
        """Wait until the actor is dead, and say how it ended. Returns at once if it is."""
        if self._news is None:
            self._news = trio.Event()
            if not self.alive:
                self._news.set()
        await self._news.wait()
        return self.down

    def watch(self, callback: Callable[[Down], object]) -> Watch:
        """Have `callback(down)` called when the actor dies; at once if it is dead.

        It is called in that very moment, before calls to the actor fail, so it must be short, and
        must not raise; if it does, that is told and nobody else notices.
        """
        watch = Watch(self, callback)
        if self._down is not None:
            watch.tell(self._down)
            return watch
        if self._watches is None:
            self._watches = {}
        self._watches[watch] = None
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget a watch."""
        if self._watches is not None:
            self._watches.pop(watch, None)

    def crash(self, error: Exception) -> None:
        """End the life there is at once, as if this error had left it. Nothing where none is."""
        if self._inhabitant is not None:
            self._inhabitant.crash(error)

    def statistics(self) -> MailboxStatistics:
        """The mailbox of the actor, now; its last numbers once it is dead."""
        return self._mailbox.statistics()

    @property
    def down(self) -> Down:
        """How the actor ended. Only of a dead one."""
        assert self._down is not None, f"{self} is not down"
        return self._down

    @property
    def owes_answers(self) -> bool:
        """Whether calls to it are not answered yet."""
        return bool(self._calls)

    @property
    def crash_cause(self) -> Exception | None:
        """What ended the actor, if something did and it is dead."""
        return None if self._down is None else self._down.crash

    def __repr__(self) -> str:
        return f"<Ref {self.name} [{'alive' if self.alive else 'down'}]>"

    # For links.

    @property
    def links(self) -> dict["Ref[Any]", Link]:
        """Its links, by the actor at the other end."""
        if self._links is None:
            self._links = {}
        return self._links

    def link_broken(self, down: Down) -> None:
        """An actor it is linked to is down; only a crash or a kill reaches it."""
        if self._inhabitant is not None and down.end in _FATAL:
            self._inhabitant.link_broken(down)

    # For a picture of the tree.

    @property
    def kind(self) -> str:
        """What stands behind it."""
        return "actor"

    @property
    def detail(self) -> str:
        """The class of who lives there."""
        return "" if self._inhabitant is None else type(self._inhabitant.actor).__name__

    def census(self, children_max: int) -> tuple[tuple[Vitals, ...], int]:
        """An actor has no children."""
        return (), 0

    def mail(self) -> MailboxStatistics:
        """Its mailbox."""
        return self.statistics()

    def lives(self) -> tuple[Lifeline, ...]:
        """An actor has no children."""
        return ()

    # For the actor's host.

    @property
    def mailbox(self) -> Mailbox[Any]:
        """Where its messages wait."""
        return self._mailbox

    def open(self, mailbox: Mailbox[Any]) -> None:
        """From now on messages wait here."""
        self._mailbox = mailbox

    def begin(self, inhabitant: Inhabitant) -> None:
        """A life begins."""
        self._inhabitant = inhabitant
        inhabitant.life.subject = self

    def suspend(self, crash: Exception | None) -> None:
        """A life is over and another may follow: calls that were put aside fail, others wait."""
        self._inhabitant = None
        unanswered = self._unanswered()
        waiting = {id(item) for item in self._mailbox.waiting()} if unanswered else ()
        for call in unanswered:
            if id(call) not in waiting:
                call.fail(caused(ActorDown(self.name), crash))

    def hang_up(self, crash: Exception | None) -> tuple[int, int]:
        """Take no more messages; calls that nobody handles fail now.

        Args:
            crash: what ended it, None for an end in peace.

        Returns:
            How many casts and calls were lost by this.
        """
        lost = self._mailbox.close()
        calls = [item for item in lost if isinstance(item, Call)]
        for call in calls:
            call.fail(caused(ActorDown(self.name), crash))
        return len(lost) - len(calls), len(calls)

    def mark_down(self, end: End, crash: Exception | None = None) -> list[Exception]:
        """The actor is dead, so its calls fail. Gives what its watches raised. Once."""
        if not self.alive:
            return []
        self.alive = False
        self._inhabitant = None  # a Ref that is kept does not keep the frames of the dead
        self._down = Down(self, end, crash)
        try:
            return [] if self._watches is None else self._tell(self._watches, self._down)
        finally:
            self._watches = None
            for call in self._unanswered():
                call.fail(self._down_error())
            if self._news is not None:
                self._news.set()

    def overflowed(self, overflow: Overflow) -> None:
        """For the mailbox: a message found no room."""
        if self._inhabitant is not None:
            life = self._inhabitant.life
            told = {"supervisor": life.supervisor, "actor": self.name, "overflow": overflow.value}
            life.system.emit("actor.overflowed", told)

    def dropped(self, message: Any) -> None:
        """For the mailbox: one that was accepted was dropped. A call's caller learns it."""
        if isinstance(message, Call):
            message.fail(MailboxFull(message.callee))

    async def _ask(self, call: Call) -> Any:
        """Get the call into the mailbox, sparing the task switch where there is room."""
        if self._mailbox.has_room:
            self._mailbox.put_nowait(call)
        elif not await self._mailbox.put(call):
            raise MailboxFull(self.name)
        return await call.wait()

    def _tell(self, watches: dict[Watch, None], down: Down) -> list[Exception]:
        """Tell all who watch it, and still do. What they raised."""
        errors: list[Exception] = []
        for watch in tuple(watches):
            try:
                if watch in watches:  # and was not cancelled by one that was told before it
                    watch.tell(down)
            except Exception as error:  # noqa: BLE001 - our bug, and the others must not suffer
                errors.append(error)
        return errors

    def _unanswered(self) -> list[Call]:
        """Calls that wait for an answer; others only wait for their callers' tasks to run."""
        return [call for call in self._calls or () if call.wanted]

    def _down_error(self) -> ActorDown:
        return caused(ActorDown(self.name), self.crash_cause)
