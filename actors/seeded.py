"""Runs trio so that a seed decides the order of everything: the same seed, the same interleaving.

Theory of operation. What runs next is trio's choice among the tasks that can, and trio chooses at
random, for nobody must rely on an order. Here the choice is drawn from a seed: every batch of tasks
is shuffled, and some tasks are held back to a later batch, so that one may overtake another by any
number of steps. Time is virtual and jumps as soon as nothing can run. Then a race is found by
trying seeds, and what was found is found again.

Trio has no public way to do that. While a run lasts, four of its parts are replaced:

- its random numbers, and the switch that has it sort a batch before it is shuffled;
- the sets of tasks and scopes that a cancelled scope walks, which go by address, by ordered ones;
- what decides between equal deadlines, an address too, by the order in which they were set.

They are restored when it ends. A trio without these parts is refused by name.

What remains outside, and must not decide anything in a test that is to replay: threads, sockets and
files, the clock on the wall, `random` and other sources of chance that are not the one that the
test is given, the order of a set of strings (PYTHONHASHSEED) or of objects (their addresses), and
async generators that are left to be closed by the end of the run. The garbage collector is off
during a run, since it would call finalizers at a moment that no seed decides.
"""

# ruff: noqa: SLF001 - a scheduler is not changed from outside it

import functools
import gc
import hashlib
import inspect
import os
import random
import re
import threading
from collections import deque
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableSequence,
    Sequence,
)
from contextlib import contextmanager
from heapq import heappush
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import trio
from trio._core import _run
from trio.testing import MockClock

from actors.step_watch import run_watched

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")

# How many seeds a test tries unless told otherwise: a race that one run in fifty shows escapes one
# test in eight, and a body of a few hundred steps takes a second for all.
SEEDS: Final = range(100)

# How likely a task that could run is held back, once per batch: often enough that one task falls
# several steps behind another, seldom enough that all get on.
HELD_BACK: Final = 0.25

# How much of a schedule a failure shows, and a trace keeps.
STEPS_SHOWN: Final = 20
STEPS_KEPT: Final = 1000

# Set in the environment by who wants to see one seed again (`17`), or to search longer (`5000`: the
# first so many) or elsewhere (`1000:2000`: from, and up to but without).
SEED_VARIABLE: Final = "AGIO_SEED"
SEEDS_VARIABLE: Final = "AGIO_SEEDS"

_PATCHED: Final = (
    (_run, "_r"),
    (_run, "_ALLOW_DETERMINISTIC_SCHEDULING"),
    (_run.CancelStatus, "__attrs_post_init__"),
    (_run.Deadlines, "add"),
)
_ONE_AT_A_TIME: Final = threading.Lock()
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class ScheduleTrace(trio.abc.Instrument):
    """The order in which tasks ran. Give it to a run as an instrument.

    Attributes:
        steps: the last `STEPS_KEPT` steps, oldest first, each a task: `<its number> <its name>`.
        count: how many steps there were.
    """

    def __init__(self) -> None:
        self.steps: deque[str] = deque(maxlen=STEPS_KEPT)
        self.count = 0
        self._born = 0
        self._names: dict[trio.lowlevel.Task, str] = {}
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """Equal for equal schedules, in any process: 32 hexadecimal digits."""
        return self._hash.hexdigest()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """A task is known by its number, in order of birth: names are not unique."""
        self._born += 1
        self._names[task] = f"{self._born} {_ADDRESS.sub('', task.name)}"

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step begins."""
        step = self._names[task]
        self.steps.append(step)
        self.count += 1
        self._hash.update(f"{step}\n".encode())

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """Forget it."""
        del self._names[task]


class _Chance(random.Random):
    """What trio draws its order from."""

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """Order a batch of tasks, and put some of them back into the queue of those that can run.

        One at least stays. Nobody can tell a task that is held back from one made ready later.
        """
        super().shuffle(x)
        held = [task for task in x[1:] if self.random() < HELD_BACK]
        x[:] = [task for task in x if task not in held]
        _run.GLOBAL_RUN_CONTEXT.runner.runq.extend(held)


class _InOrder(dict[Any, None]):
    """A set that is walked in the order in which its members came, as far as trio uses one."""

    def add(self, member: object) -> None:
        """Take a member, if it is none yet."""
        self[member] = None

    def remove(self, member: object) -> None:
        """Give up a member."""
        del self[member]


@contextmanager
def _ordered_by(chance: _Chance) -> Iterator[None]:
    """Have trio draw from this."""
    missing = [f"{owner.__name__}.{name}" for owner, name in _PATCHED if not hasattr(owner, name)]
    assert not missing, f"this trio has no {missing}: see how it schedules, and tell actors.seeded"
    assert not trio.lowlevel.in_trio_run(), "a seeded run cannot begin within a run"
    alone = _ONE_AT_A_TIME.acquire(blocking=False)
    assert alone, "a seeded run replaces parts of trio: one at a time"
    before = [getattr(owner, name) for owner, name in _PATCHED]
    link_to_parent = _run.CancelStatus.__attrs_post_init__

    def link_in_order(status: Any) -> None:
        status._tasks, status._children = _InOrder(), _InOrder()
        link_to_parent(status)

    def add_deadline(deadlines: Any, deadline: float, scope: trio.CancelScope) -> None:
        # The second decides between equal ones, and is never equal itself: 64 bits of chance.
        heappush(deadlines._heap, (deadline, chance.getrandbits(64), scope))
        deadlines._active += 1

    try:
        for (owner, name), part in zip(
            _PATCHED, [chance, True, link_in_order, add_deadline], strict=True
        ):
            setattr(owner, name, part)
        yield
    finally:
        for (owner, name), part in zip(_PATCHED, before, strict=True):
            setattr(owner, name, part)
        _ONE_AT_A_TIME.release()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Have no garbage collected meanwhile, but by hand."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def run_seeded(
    main: Callable[[random.Random], Awaitable[ResultT]],
    seed: int,
    *,
    clock: MockClock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> ResultT:
    """`trio.run` in an order that the seed decides, on a clock that jumps, under the step watch.

    One at a time in a process, and no other trio beside it in another thread.

    Args:
        main: is given a source of chance that the seed decides, too.
        seed: any integer.
        clock: one of the caller's own; it should jump.
        instruments: a `ScheduleTrace`, for example.

    Raises:
        LoopBlocked: a step was too long.
    """
    with _ordered_by(_Chance(f"order {seed}")), _without_collector():
        return run_watched(
            main,
            random.Random(f"main {seed}"),  # noqa: S311 - it has to be foreseen
            clock=clock or MockClock(autojump_threshold=0),
            instruments=instruments,
        )


def explore(
    main: Callable[[random.Random], Awaitable[object]], *, seeds: Iterable[int] = SEEDS
) -> None:
    """Run the same with many seeds, up to the first that fails.

    What it raises carries the seed, how to run it again, and the last steps, as a note.

    Args:
        main: as for `run_seeded`; everything it uses it makes anew.
        seeds: which, unless the environment asks for others.
    """
    __tracebackhide__ = True  # pytest shows the line that failed, which is in `main`
    for seed in asked_for(os.environ, seeds):
        trace = ScheduleTrace()
        try:
            run_seeded(main, seed, instruments=[trace])
        except BaseException as error:
            error.add_note(_how_to_replay(seed, trace))
            raise


def under_seeds(
    seeds: Iterable[int] = SEEDS,
) -> Callable[
    [Callable[Concatenate[random.Random, ParametersT], Awaitable[object]]],
    Callable[ParametersT, None],
]:
    """Make a test of an async function: `explore` runs it.

        @under_seeds()
        async def test_nobody_is_served_twice(chance: random.Random) -> None:

    Its first parameter is the source of chance. Others are the test's own, such as those of
    `parametrize`; a fixture is the same one for all seeds, so it must not remember anything.
    """

    def decorate(
        test: Callable[Concatenate[random.Random, ParametersT], Awaitable[object]],
    ) -> Callable[ParametersT, None]:
        @functools.wraps(test)
        def run(*args: ParametersT.args, **kwargs: ParametersT.kwargs) -> None:
            __tracebackhide__ = True
            explore(lambda chance: test(chance, *args, **kwargs), seeds=seeds)

        signature = inspect.signature(test)
        _, *own = signature.parameters.values()
        # Read by pytest, which would look for a fixture that is called as the first one is.
        run.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]  # PEP 362
        return run

    return decorate


def asked_for(environment: Mapping[str, str], seeds: Iterable[int]) -> Iterable[int]:
    """The seeds that the environment asks for, or else these.

    Raises:
        ValueError: it asks for something that is no seed.
    """
    if SEED_VARIABLE in environment:
        return (int(environment[SEED_VARIABLE]),)
    if SEEDS_VARIABLE in environment:
        return range(*map(int, environment[SEEDS_VARIABLE].split(":", 1)))
    return seeds


def _how_to_replay(seed: int, trace: ScheduleTrace) -> str:
    # Pytest's name for the test that runs, and a word on whether it is set up or torn down.
    test, _, _ = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    steps = list(trace.steps)[-STEPS_SHOWN:]
    return "\n".join(
        [
            f"This is seed {seed}. To see it again:",
            f"  {SEED_VARIABLE}={seed} " + (f"python -m pytest '{test}'" if test else "..."),
            f"The last of its {trace.count} steps:",
            *(f"  {step}" for step in steps),
        ]
    )
