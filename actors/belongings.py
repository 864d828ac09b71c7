"""What one life of an actor holds elsewhere: monitors and timers. They end with it."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from actors.mailbox import Mailbox
from actors.ref import Down, Ref
from actors.timers import Timers
from actors.trace import TRACE


@dataclass(slots=True, eq=False)
class Tick:
    """A signal: the message of a timer.

    Attributes:
        message: what it brings.
        trace: that of the work in which the timer was set.
        waits: of one that is signalled again and again, whether the reader has not come to it.
    """

    message: Any
    trace: object | None = None
    waits: bool = False


class Held(Protocol):
    """Something that is held elsewhere."""

    def cancel(self) -> object:
        """Give it back. Again changes nothing."""


class Resident(Protocol):
    """Who may be idle."""

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""

    def stop(self) -> None:
        """End in peace."""


class Belonging:
    """A monitor or a timer of an actor, for the actor to cancel."""

    __slots__ = ("_belongings", "_held")

    def __init__(self, belongings: "Belongings") -> None:
        self._belongings = belongings
        self._held: Held | None = None

    def cancel(self) -> None:
        """Hear nothing of it any more, except what waits in the mailbox already."""
        self._belongings.let_go(self)
        if self._held is not None:
            self._held.cancel()

    def holds(self, held: Held) -> None:
        """For the belongings: this is what it stands for."""
        self._held = held


class Belongings:
    """Of one life. Made when it first holds something."""

    __slots__ = ("_all", "_mailbox", "_timers")

    def __init__(self, mailbox: Mailbox[Any], timers: Timers) -> None:
        self._mailbox = mailbox
        self._timers = timers
        self._all: dict[Belonging, None] = {}

    def monitor(self, ref: Ref[Any]) -> Belonging:
        """Have the end of another actor signalled; at once if it is dead."""
        belonging = self._new()
        belonging.holds(ref.watch(partial(self._once, belonging)))
        return belonging

    def after(self, delay_s: float, message: object) -> Belonging:
        """Have a message signalled once, in so many seconds."""
        belonging = self._new()
        tell = partial(self._once, belonging, Tick(message, TRACE.get()))
        belonging.holds(self._timers.after(delay_s, tell))
        return belonging

    def every(self, period_s: float, message: object) -> Belonging:
        """Have a message signalled every so many seconds, unless the last one still waits."""
        belonging = self._new()
        tick = Tick(message)  # one object for all, which knows whether it still waits
        belonging.holds(self._timers.every(period_s, partial(self._again, tick)))
        return belonging

    def stop_when_idle(self, idle_s: float, resident: Resident) -> None:
        """Have it stop once it was idle for so long, and before it was so for twice as long."""
        belonging = self._new()
        look = partial(self._look, resident, [self._mailbox.taken])
        belonging.holds(self._timers.every(idle_s, look))

    def let_go(self, belonging: Belonging) -> None:
        """It is gone. Again changes nothing."""
        self._all.pop(belonging, None)

    def release(self) -> None:
        """Give everything back."""
        for belonging in list(self._all):
            belonging.cancel()

    def _new(self) -> Belonging:
        belonging = Belonging(self)
        self._all[belonging] = None
        return belonging

    def _once(self, belonging: Belonging, signal: Down | Tick) -> None:
        self.let_go(belonging)
        self._mailbox.signal(signal)

    def _look(self, resident: Resident, taken_before: list[int]) -> None:
        """Whether it did anything since the last look."""
        taken = self._mailbox.taken
        if resident.idle and taken_before[0] == taken:
            resident.stop()
        taken_before[0] = taken

    def _again(self, tick: Tick) -> None:
        """A reader that is slower than its timer gets one tick at a time, and no heap of them."""
        if not tick.waits:
            tick.waits = True
            self._mailbox.signal(tick)
