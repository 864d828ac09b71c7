"""The watch over a trio loop: what blocks it is found and named, what others do is not blamed."""

import gc
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256

import pytest
import trio

from actors.step_watch import (
    BLOCKED_MAX,
    STEP_LIMIT,
    LoopBlocked,
    Spent,
    StepLimit,
    StepWatch,
    _Seen,
    is_in_a_call,
    run_watched,
)

CHILD = [sys.executable, "-S", "-c", "import time; time.sleep(0.2); print()"]
WAITED = r"waited (0\.0*)?[1-9]"  # some time
SMALL = StepLimit(0.02, "tests do not want to wait")


def compute(seconds: float) -> None:
    """Keep a processor for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def run_child() -> None:
    """Wait for another process, as one does who forgot the loop."""
    subprocess.run(CHILD, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours


def read_pipe() -> None:
    """Wait for what another process writes."""
    with subprocess.Popen(CHILD, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        process.stdout.read(1)


def wait_for_thread(seconds: float = 0.2) -> None:
    """Wait for a lock of another thread."""
    threading.Event().wait(seconds)


async def doing(work: Callable[[], object]) -> str:
    """Some work in one step, between two others."""
    await trio.lowlevel.checkpoint()
    work()
    await trio.lowlevel.checkpoint()
    return "done"


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many threads that want the interpreter's lock all the time."""
    stopped = False

    def spin() -> None:
        while not stopped:
            pass

    threads = [threading.Thread(target=spin) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped = True
        for thread in threads:
            thread.join()


def test_a_step_that_computes_is_found() -> None:
    """It fails the run, by the name of its task and the line that ran."""
    with pytest.raises(LoopBlocked) as caught:
        run_watched(doing, partial(compute, 0.2))
    told = str(caught.value)
    assert "test_step_watch.doing blocked the loop for 0.2" in told
    assert "waited 0.000 s" in told
    assert f"{os.path.relpath(__file__)}:" in told
    assert told.splitlines()[-2].endswith(" in compute")


@pytest.mark.slow
@pytest.mark.parametrize("work", [run_child, read_pipe, wait_for_thread])
def test_a_step_that_waits_in_the_system_is_found(work: Callable[[], None]) -> None:
    """Sleeping blocks the loop as computing does, and the call that sleeps is named."""
    with pytest.raises(LoopBlocked, match=WAITED) as caught:
        run_watched(doing, work)
    assert f" in {work.__name__}\n" in str(caught.value)


@pytest.mark.slow
def test_a_blocking_call_is_found_beside_a_busy_thread() -> None:
    """A thread that competes for the interpreter's lock does not hide it."""
    with spinning(1), pytest.raises(LoopBlocked, match=WAITED):
        run_watched(doing, partial(wait_for_thread, 1.0))


def test_threads_that_hold_the_interpreter_are_not_blamed_on_a_step() -> None:
    """A step that gives the interpreter's lock away often, and waits for it each time, passes."""

    def give_way() -> None:
        for _ in range(32):
            select.select([], [], [], 0.0005)  # long enough for another thread to take the lock

    with spinning(4):
        assert run_watched(doing, give_way) == "done"


def test_garbage_collection_is_not_blamed_on_a_step() -> None:
    """It walks what others have left."""
    left = [[] for _ in range(1_000_000)]  # type: ignore[var-annotated]  # of nothing
    assert run_watched(doing, gc.collect, limit=SMALL) == "done"
    assert len(left) == 1_000_000


def test_a_loop_that_is_not_blocked_passes() -> None:
    """Many short steps are no long one, and the result comes back."""

    async def main(count: int) -> str:
        for _ in range(count):
            compute(SMALL.seconds / 8)
            await trio.lowlevel.checkpoint()
        return "done"

    assert run_watched(main, 16, limit=SMALL) == "done"


@pytest.mark.parametrize(
    ("spent", "waited_s"),
    [
        (Spent(0.2, 0.0, 0.0, 1), 0.2),  # one sleep, all of it
        (Spent(0.2, 0.05, 0.1, 1), 0.05),  # less what was computed, and queued for a processor
        (Spent(0.2, 0.0, 0.0, 3), 0.18),  # two of three may have been for the lock
        (Spent(0.2, 0.0, 0.0, 40), 0.0),  # all of them, each a switch interval long
        (Spent(0.2, 0.0, 0.0, 0), 0.0),  # never slept: the machine stood still
    ],
)
def test_what_counts_as_waiting(spent: Spent, waited_s: float) -> None:
    """Time asleep that waits for the interpreter's lock, of 5 ms each, cannot explain."""
    assert spent.waited_s(0.005) == pytest.approx(waited_s)


def test_the_first_blocked_steps_are_told() -> None:
    """Each by itself, up to a bound."""

    async def main() -> None:
        for _ in range(BLOCKED_MAX + 1):
            compute(SMALL.seconds * 1.2)
            await trio.lowlevel.checkpoint()

    with StepWatch(SMALL) as watch:
        trio.run(main, instruments=[watch])
    assert len(watch.blocked) == BLOCKED_MAX


def test_a_test_that_fails_anyway_tells_it_too() -> None:
    """A deadline that passed may have passed because the loop stood still."""

    async def main() -> None:
        compute(SMALL.seconds * 2)
        await trio.lowlevel.checkpoint()
        raise ValueError("late")

    with pytest.raises(ValueError, match="late") as caught:
        run_watched(main, limit=SMALL)
    assert ["main blocked the loop" in note for note in caught.value.__notes__] == [True]


def test_the_limit_says_why() -> None:
    """Who reads of the failure reads the reason for the limit."""
    with pytest.raises(LoopBlocked, match=r"the limit is 0\.02 s: tests do not want to wait"):
        run_watched(doing, partial(compute, 0.05), limit=SMALL)


def test_nothing_is_left_behind() -> None:
    """Neither the hook into the collector nor the thread that looks."""
    before = list(gc.callbacks), threading.active_count()
    run_watched(doing, bool)
    assert (list(gc.callbacks), threading.active_count()) == before


async def test_this_suite_is_watched(request: pytest.FixtureRequest) -> None:
    """Every trio test here runs under the watch, with its usual limit."""
    marker = request.node.get_closest_marker("trio")
    assert marker.kwargs == {"run": run_watched}


PATIENT = StepLimit(STEP_LIMIT.seconds * 10, "this test shows that a test can have its own")


@pytest.mark.trio(run=partial(run_watched, limit=PATIENT))
async def test_a_test_can_have_a_limit_of_its_own() -> None:
    """It says so in its marker, with the reason."""
    compute(STEP_LIMIT.seconds * 2)
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    "calls",
    [(), ("app/a.py:1 in work", "/usr/lib/threading.py:964 in Thread.start")],
)
def test_a_wait_for_a_processor_is_nobodys_fault(calls: tuple[str, ...]) -> None:
    """Nobody saw the step wait, or it waited for a thread to begin."""
    assert not _Seen(1, calls, in_a_call=bool(calls)).is_to_blame


@pytest.mark.parametrize(
    "calls",
    [("app/a.py:1 in work", "/usr/lib/threading.py:320 in Condition.wait"), ("a.py:1 in start",)],
)
def test_a_wait_that_was_seen_is_blamed(calls: tuple[str, ...]) -> None:
    """Whatever else it waited for is its own affair."""
    assert _Seen(1, calls, in_a_call=True).is_to_blame


@pytest.mark.parametrize(
    ("place", "in_a_call"),
    [
        ("0 0x5 0x7f 0x20000 0x0 0x0 0x0 0x7fff 0x7fa9\n", True),  # a read
        ("-1 0x7fff99f36af8 0x7fa983dd02ad\n", False),  # a page of memory
        ("running\n", False),  # or about to, as soon as there is a processor
        ("", True),  # a kernel that does not tell
    ],
)
def test_a_page_of_memory_is_no_call(*, place: str, in_a_call: bool) -> None:
    """Every thread waits for its pages while another one forks."""
    assert is_in_a_call(place) is in_a_call


def test_a_wait_that_was_no_call_is_nobodys_fault() -> None:
    """However long it was."""
    assert not _Seen(1, ("app/a.py:1 in work",), in_a_call=False).is_to_blame


@pytest.mark.skipif(sys.platform != "linux", reason="nobody tells elsewhere")
@pytest.mark.parametrize("in_a_call", [True, False], ids=["waits", "computes"])
def test_the_kernel_tells_who_is_in_a_call(*, in_a_call: bool) -> None:
    """Of the loop's thread, which waits in one, or computes without the interpreter's lock."""
    with StepWatch() as watch:

        def look() -> None:
            while is_in_a_call(watch._read_place()) != in_a_call:
                pass

        looking = threading.Thread(target=look)
        looking.start()
        while looking.is_alive():
            if in_a_call:
                looking.join()
            else:
                sha256(bytes(1 << 20))
