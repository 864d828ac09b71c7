"""Fails a test whose trio loop was blocked: one step of one task that computed for too long.

It measures the processor time of the loop's thread and not the wall's, so a busy machine fails no
test. A step that sleeps in a system call is not seen; linters ban those. Nor is garbage collection
the step's fault in which it happens to run: it walks what all tests so far have left.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio

# A step of ours takes well below a millisecond. This much is a loop over data without a bound, not
# an import or a first use of something.
STEP_MAX_S: Final = 0.25


class LoopWatch(trio.abc.Instrument):
    """Remembers the longest step of a trio loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.longest_task = ""
        self._began = 0.0
        self._collection_began = 0.0
        self._collected_s = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step begins."""
        self._collected_s = 0.0
        self._began = time.thread_time()

    def collecting(self, phase: str, _info: dict[str, int]) -> None:
        """A garbage collection begins or ends."""
        if phase == "start":
            self._collection_began = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collection_began

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step ended."""
        took = time.thread_time() - self._began - self._collected_s
        if took > self.longest_s:
            self.longest_s, self.longest_task = took, task.name


def run_watched(
    main: Callable[[], Awaitable[Any]],
    *,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> Any:
    """`trio.run`, failing where a step blocked the loop for longer than `STEP_MAX_S`."""
    watch = LoopWatch()
    gc.callbacks.append(watch.collecting)
    try:
        result = trio.run(main, clock=clock, instruments=[*instruments, watch])
    finally:
        gc.callbacks.remove(watch.collecting)
    assert watch.longest_s <= STEP_MAX_S, (
        f"{watch.longest_task} blocked the loop for {watch.longest_s:.3f} s of processor time"
    )
    return result
