"""All timers of a node: one task and one wheel, however many wait.

Theory of operation. Setting and cancelling a timer is a change to the wheel and wakes nobody. The
task that runs the wheel sleeps in a cancel scope whose deadline is the next tick at which a timer
is due; whoever adds an earlier one moves that deadline, and whoever cancels the last one takes it
away. So nothing wakes while nothing is due, save once where the earliest timer was cancelled and
others wait, and once for a crowd of timers that lies far ahead and is to be spread.

A timer fires at the first tick that is not before its due time: never early, and on an idle loop at
most a tick late, unless a crowd comes before it: to hand a hundred thousand down takes a tenth of a
second, in which others run but no timer fires.

Callbacks are called on the trio loop, one after the other; after a number of them the task lets
others run, so any number may be due at once. What a callback cancels that was to fire right after
it does not fire. What it sets to be due at once fires after all that was due.

The wheel's task is the only one that takes timers out because they are due. It may be cancelled and
run again, and timers can be set while it does not run: those that come due meanwhile fire then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from math import inf, nextafter

import trio

from actors.events import Emit, drop_event
from actors.limits import TIMER_BATCH, TIMER_CROWD
from actors.timer_wheel import Entry, TimerWheel, tick_time


@dataclass(frozen=True, slots=True)
class TimersStatistics:
    """The timers of a node, now.

    Attributes:
        waiting: timers that are set now.
        waiting_peak: the most that were set at one time.
        started: timers ever set, a periodic one once.
        fired: callbacks ever called, those of a periodic one each time.
        cancelled: timers that were cancelled while they waited.
        crashed: callbacks that raised; they are among the fired.
    """

    waiting: int
    waiting_peak: int
    started: int
    fired: int
    cancelled: int
    crashed: int


class Timer(Entry):
    """One timer. `Timers` makes them.

    Attributes:
        due: when it fires next, in seconds of the trio clock.
        callback: what it calls; None once it does not wait any more.
        period_s: seconds from one firing to the next; 0 of a timer that fires once.
    """

    __slots__ = ("_forget", "callback", "period_s")

    def __init__(
        self,
        due: float,
        callback: Callable[[], object],
        period_s: float,
        forget: Callable[["Timer"], None],
    ) -> None:
        super().__init__(due)
        self.callback: Callable[[], object] | None = callback
        self.period_s = period_s
        self._forget = forget

    @property
    def active(self) -> bool:
        """Whether it will fire, or fire again."""
        return self.slot is not None

    def cancel(self) -> bool:
        """Do not fire any more. False if it had fired, for the last time, or was cancelled."""
        if self.slot is None:
            return False
        self.callback = None
        self._forget(self)
        return True

    def __repr__(self) -> str:
        every = f" every {self.period_s:g} s" if self.period_s else ""
        return f"<Timer due at {self.due:.3f}{every}{'' if self.active else ', over'}>"


class Timers:
    """All timers of a node. They are set from any task, and fire while `run` runs."""

    __slots__ = (
        "_cancelled",
        "_crashed",
        "_emit",
        "_fired",
        "_forget_timer",
        "_peak",
        "_running",
        "_sleep",
        "_started",
        "_waiting",
        "_wakes_at",
        "_wheel",
    )

    def __init__(self, emit: Emit = drop_event) -> None:
        self._emit = emit
        self._wheel: TimerWheel[Timer] = TimerWheel()
        self._forget_timer = self._forget  # bound once: a timer holds this one
        self._running = False
        self._sleep = trio.CancelScope()
        self._wakes_at = -inf  # when it ends
        self._waiting = self._peak = self._started = 0
        self._fired = self._cancelled = self._crashed = 0

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Fire timers until cancelled. An interrupt meanwhile comes to the main task, not here."""
        assert not self._running, "one task runs the timers"
        self._running = True
        try:
            while True:
                self._fire_some()
                await self._sleep_until(self._wheel.next_due())
        finally:
            self._running = False

    def after(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Call a plain function once, so many seconds from now.

        Args:
            delay_s: seconds; with 0 it is called soon, never from within this call.
            callback: it must not block; if it raises, that is told and nobody else notices.
        """
        assert 0 <= delay_s < inf, f"a delay of {delay_s} s"
        return self._start(delay_s, callback, 0.0)

    def every(self, period_s: float, callback: Callable[[], object]) -> Timer:
        """Call a plain function again and again, for the first time after one period.

        Each time lies a whole number of periods after the call, however late a firing was. Where
        that is over already, the time is skipped and not made up for: at most one call a tick.

        Args:
            period_s: seconds, more than 0.
            callback: it must not block; if it raises, that is told and it is called again.
        """
        assert 0 < period_s < inf, f"a period of {period_s} s"
        return self._start(period_s, callback, period_s)

    def statistics(self) -> TimersStatistics:
        """What waits, and what was set, fired and cancelled so far."""
        return TimersStatistics(
            waiting=self._waiting,
            waiting_peak=self._peak,
            started=self._started,
            fired=self._fired,
            cancelled=self._cancelled,
            crashed=self._crashed,
        )

    def __repr__(self) -> str:
        return f"<Timers [{self._waiting} wait]>"

    def _start(self, delay_s: float, callback: Callable[[], object], period_s: float) -> Timer:
        due = trio.current_time() + delay_s
        timer = Timer(due, callback, period_s, self._forget_timer)
        beside = self._wheel.add(timer)
        self._started += 1
        self._waiting += 1
        self._peak = max(self._peak, self._waiting)
        if due < self._wakes_at:
            self._wake_at(tick_time(due))
        if beside == TIMER_CROWD:
            self._wake_at(self._wheel.next_due())
        return timer

    def _forget(self, timer: Timer) -> None:
        """A timer was cancelled."""
        self._wheel.remove(timer)
        self._cancelled += 1
        self._waiting -= 1
        if not self._waiting:
            self._wake_at(inf)

    async def _sleep_until(self, time: float) -> None:
        """Sleep; not at all, but for letting others run, if the time has come."""
        self._wakes_at = time
        with trio.CancelScope(deadline=time) as self._sleep:
            await trio.sleep_forever()

    def _wake_at(self, time: float) -> None:
        """Have the sleep end at another time. Where it is over, this changes nothing."""
        self._sleep.deadline = self._wakes_at = time

    def _fire_some(self) -> None:
        """Fire what is due, up to a batch."""
        for timer in islice(self._wheel.due(trio.current_time()), TIMER_BATCH):
            if timer is not None:
                self._fire(timer)

    def _fire(self, timer: Timer) -> None:
        callback = timer.callback
        assert callback is not None, "a cancelled timer is not in the wheel"
        if timer.period_s:
            self._set_again(timer)
        else:
            timer.callback = None
            self._waiting -= 1
        self._fired += 1
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - our bug, and other timers must not suffer
            self._crashed += 1
            self._emit("timer.crashed", {"error": error})

    def _set_again(self, timer: Timer) -> None:
        """Set a periodic timer to its next time that is not over."""
        now = trio.current_time()
        periods = (now - timer.due) // timer.period_s + 1
        # Rounding could give the present, which is over, or with a tiny period even the past.
        timer.due = max(timer.due + periods * timer.period_s, nextafter(now, inf))
        self._wheel.add(timer)
