"""Fails a test in which one step of one task blocked the trio loop.

Theory of operation. A step is what a task does between two points where it gives the loop away, and
while it lasts, nothing else on the loop moves. The watch is an instrument: it reads four counters
of the loop's thread as a step begins, and when the clock on the wall says that the step was long,
it reads them again and asks what the time went into.

- Computing is the step's own: the processor time of the thread, less what garbage collection took,
  which walks what others left and comes when it comes.
- Waiting for a processor is the machine's doing. Linux counts that per thread (schedstat).
- The rest the thread was asleep in the system: in a call that blocks (a sleep, a read, a lock, a
  child process, a disk), or for the interpreter's lock while another thread ran. The second is not
  the step's doing. A thread that wants that lock wakes once per switch interval to insist, so each
  such sleep is short, and a blocking call is told by its length: of `n` sleeps, at most `n - 1`
  switch intervals are forgiven. (Two for each: timers are late at times.)

So a busy machine fails no test, and neither does a busy thread beside the loop. A step that waited
is blamed only if it was seen waiting in a call, and not for the thread it had just started. Asleep
outside of any call it waits for a page of memory: all threads of a process do while another one
forks, for as long as that one has to wait for a processor. What is not seen: calls that block for
less than two switch intervals each (10 ms), however many; a longer one in a step that has waited
for the interpreter's lock again and again; time between steps (trio's own, other instruments); and,
anywhere but on Linux, all that is not computing. Time that a hypervisor takes away may look like
computing.

Where it happened is told by a thread that looks at the loop's stack every now and then and keeps
what it saw last of a step that is about to exceed its limit. Code that holds the interpreter's lock
throughout, such as one long call into C, is seen as it returns.
"""

import gc
import inspect
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType
from typing import Final, NamedTuple, Self, TypeVar, TypeVarTuple

import trio

if sys.platform == "linux":
    import resource

ArgsT = TypeVarTuple("ArgsT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class StepLimit:
    """How long a step may block the loop.

    Attributes:
        seconds: more than this fails the test.
        reason: why this much, for who reads of the failure.
    """

    seconds: float
    reason: str


STEP_LIMIT: Final = StepLimit(
    0.05, "a step of ours takes well below a millisecond, and all clients wait for the longest"
)

# The watchdog looks this often within a limit: often enough to see a step that is just over it.
LOOKS_PER_LIMIT: Final = 4

# A test that blocks the loop at every turn is told of the first few places.
BLOCKED_MAX: Final = 8

# What is shown of a stack: its innermost calls, which hold the place and who called it.
CALLS_MAX: Final = 16

# Two switch intervals per wait for the interpreter's lock.
_INTERVALS_FORGIVEN: Final = 2

# Three numbers of 20 digits at most.
_LINE_BYTES_MAX: Final = 64
_NO_COUNTS: Final = (b"0 0 0", 0)


class LoopBlocked(AssertionError):  # noqa: N818 - it names what happened
    """A step blocked the loop for longer than its limit."""


@dataclass(frozen=True)
class BlockedStep:
    """One step that was too long.

    Attributes:
        task: the task's name.
        computed_s: seconds of processor time, without garbage collection.
        waited_s: seconds asleep in calls that block, at least.
        calls: `file:line in function`, outermost first; empty when nobody looked in time.
    """

    task: str
    computed_s: float
    waited_s: float
    calls: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = (
            f"{self.task} blocked the loop for {self.computed_s + self.waited_s:.3f} s: "
            f"computed {self.computed_s:.3f} s, waited {self.waited_s:.3f} s"
        )
        return "\n  ".join([head, *self.calls])


class _Seen(NamedTuple):
    """What was seen of a step that may be too long.

    Attributes:
        step: its number.
        calls: of its task, when it was last seen.
        in_a_call: whether it was seen in a call into the system, then or before.
    """

    step: int
    calls: tuple[str, ...]
    in_a_call: bool

    @property
    def is_to_blame(self) -> bool:
        """Whether it waited for something that is its own affair.

        Not so one that nobody saw, or that was starting a thread: then it was a thread that waited
        for a processor, the one that looks or the new one, which the step awaits in Python's
        `start`.
        """
        starts_thread = any("threading.py" in it and "Thread.start" in it for it in self.calls)
        return self.in_a_call and not starts_thread


class Spent(NamedTuple):
    """What a thread spent between two moments.

    Attributes:
        wall_s: seconds on the wall.
        computed_s: seconds of processor time.
        queued_s: seconds ready to run, with no processor free.
        sleeps: how often it went to sleep of its own accord.
    """

    wall_s: float
    computed_s: float
    queued_s: float
    sleeps: int

    def waited_s(self, switch_interval_s: float) -> float:
        """Seconds in calls that block, at least: asleep, less what may have been the lock's."""
        if self.sleeps == 0:
            return 0.0
        asleep_s = self.wall_s - self.computed_s - self.queued_s
        forgiven_s = (self.sleeps - 1) * switch_interval_s * _INTERVALS_FORGIVEN
        return max(0.0, asleep_s - forgiven_s)


class _Meter:
    """Tells what the thread that made it spends.

    To begin costs some 3 µs, for it is done at every step: what is read is understood at the end.
    """

    __slots__ = ("_counts", "_cpu_s", "_file", "wall_s")

    def __init__(self) -> None:
        self.wall_s = 0.0  # when it began, on the clock `perf_counter`
        self._cpu_s = 0.0
        self._counts = _NO_COUNTS
        self._file = -1
        if sys.platform == "linux":
            with suppress(OSError):  # a kernel that does not count: only computing is seen
                self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

    def begin(self) -> None:
        """Remember this moment."""
        self._counts = self._read_counts()
        self._cpu_s = time.thread_time()
        self.wall_s = time.perf_counter()

    def spent(self) -> Spent:
        """What was spent since."""
        wall_s, cpu_s = time.perf_counter() - self.wall_s, time.thread_time() - self._cpu_s
        (line_before, sleeps_before), (line, sleeps) = self._counts, self._read_counts()
        queued_ns = int(line.split()[1]) - int(line_before.split()[1])
        return Spent(wall_s, cpu_s, queued_ns / 1e9, sleeps - sleeps_before)

    def close(self) -> None:
        """Read no more."""
        if self._file >= 0:
            os.close(self._file)

    def _read_counts(self) -> tuple[bytes, int]:
        """The scheduler's line on this thread, whose second number is in ns, and its sleeps."""
        if sys.platform != "linux" or self._file < 0:
            return _NO_COUNTS
        line = os.pread(self._file, _LINE_BYTES_MAX, 0)
        return line, resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


class StepWatch(trio.abc.Instrument):
    """Remembers the steps of one trio loop that blocked it for longer than a limit.

    Enter it in the thread of the loop, around the run:

        with StepWatch() as watch:
            trio.run(main, instruments=[watch])

    Attributes:
        blocked: the first steps that did, oldest first, `BLOCKED_MAX` at most.
    """

    def __init__(self, limit: StepLimit = STEP_LIMIT) -> None:
        self.blocked: list[BlockedStep] = []
        self._limit_s = limit.seconds
        self._thread = threading.get_ident()
        self._step = 0  # the number of the step that runs, or ran last
        self._running = False
        self._collected_s = 0.0
        self._collection_began_s = 0.0
        self._seen = _Seen(0, (), in_a_call=False)
        self._over = threading.Event()
        self._watchdog = threading.Thread(target=self._look, name="step watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._meter = _Meter()  # of this thread
        self._place = Path(f"/proc/self/task/{threading.get_native_id()}/syscall")
        gc.callbacks.append(self._collecting)
        self._watchdog.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._watchdog.join()
        gc.callbacks.remove(self._collecting)
        self._meter.close()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step begins."""
        self._collected_s = 0.0
        self._step += 1
        self._running = True
        self._meter.begin()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step ended."""
        self._running = False
        if time.perf_counter() - self._meter.wall_s <= self._limit_s:
            return
        spent = self._meter.spent()
        computed_s = spent.computed_s - self._collected_s
        waited_s = spent.waited_s(sys.getswitchinterval())
        seen = self._seen if self._seen.step == self._step else _Seen(self._step, (), False)
        too_long = computed_s > self._limit_s or (
            computed_s + waited_s > self._limit_s and seen.is_to_blame
        )
        if too_long and len(self.blocked) < BLOCKED_MAX:
            self.blocked.append(BlockedStep(task.name, computed_s, waited_s, seen.calls))

    def _collecting(self, phase: str, _info: dict[str, int]) -> None:
        """A garbage collection begins or ends, in whatever thread."""
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collection_began_s = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collection_began_s

    def _look(self) -> None:
        """Keep the last stack seen of a step that is half way to its limit, or beyond."""
        while not self._over.wait(self._limit_s / LOOKS_PER_LIMIT):
            step = self._long_step()
            if step:
                calls = _calls(self._thread)
                in_a_call = is_in_a_call(self._read_place())
                if calls and step == self._long_step():
                    before = self._seen.step == step and self._seen.in_a_call
                    self._seen = _Seen(step, calls, before or in_a_call)

    def _read_place(self) -> str:
        """Where the loop's thread is in the system, as the kernel says; empty if it does not."""
        with suppress(OSError):
            return self._place.read_text("ascii")
        return ""

    def _long_step(self) -> int:
        """The number of the step that runs for so long already that it may be too long, or 0."""
        long = time.perf_counter() - self._meter.wall_s > self._limit_s / 2
        return self._step if self._running and long else 0


def is_in_a_call(place: str) -> bool:
    """Whether a thread is in a call into the system.

    Args:
        place: as Linux tells it: the number of the call and more, or "running", or -1 where the
            thread is asleep and made no call; empty where nobody tells.
    """
    return not place.startswith(("running", "-1"))


def _calls(thread: int) -> tuple[str, ...]:
    """The innermost calls of a task's step, outermost first; none if it is not in its task."""
    stack = _stack(thread)
    # Else it is trio, about to say that the step is over.
    in_task = stack and stack[-1][0].co_flags & inspect.CO_COROUTINE
    if not in_task:
        return ()
    here = Path.cwd()
    return tuple(_call(code, line, here) for code, line in reversed(stack[:CALLS_MAX]))


def _stack(thread: int) -> list[tuple[CodeType, int]]:
    """What a thread runs, and at which lines, innermost first, up to trio's loop.

    The thread goes on as soon as this one lets it, and Python 3.11 may crash when frames are looked
    at meanwhile. So nothing else is done here, and no garbage is collected, which would call others
    that let it: the walk is over long before this thread's share of the interpreter is.
    """
    stack: list[tuple[CodeType, int]] = []
    collects = gc.isenabled()
    gc.disable()
    try:
        # Documented by Python, under this name.
        frame = sys._current_frames().get(thread)  # noqa: SLF001 - see above
        while frame is not None and frame.f_code.co_name != "unrolled_run":
            stack.append((frame.f_code, frame.f_lineno))
            frame = frame.f_back
        del frame
    finally:
        if collects:
            gc.enable()
    return stack


def _call(code: CodeType, line: int, here: Path) -> str:
    path = Path(code.co_filename)
    name = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{name}:{line} in {code.co_qualname}"


def run_watched(
    main: Callable[[*ArgsT], Awaitable[ResultT]],
    *args: *ArgsT,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
    limit: StepLimit = STEP_LIMIT,
) -> ResultT:
    """`trio.run`, failing where a step blocked the loop for longer than a limit.

    Takes the place of `trio.run` wherever a test calls it, and in pytest-trio's marker
    (`pytest.mark.trio(run=run_watched)`). A test that needs more time in one step says so there:
    `run=partial(run_watched, limit=StepLimit(0.2, "the parser is one call"))`.

    Raises:
        LoopBlocked: names the tasks, the times and the places.
    """
    __tracebackhide__ = True  # pytest shows the line that failed: here the message says it all
    with StepWatch(limit) as watch:
        try:
            result = trio.run(main, *args, clock=clock, instruments=[*instruments, watch])
        except BaseException as error:
            for step in watch.blocked:
                error.add_note(str(step))
            raise
    if watch.blocked:
        steps = "\n".join(str(step) for step in watch.blocked)
        raise LoopBlocked(f"{steps}\n(the limit is {limit.seconds:g} s: {limit.reason})")
    return result
