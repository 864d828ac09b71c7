"""What is measured: processor time, and memory.

Where one thread does all the work its processor time is measured, not the time on the wall: what
other processes take from it does not count, and neither does sleep.
"""

import gc
import os
import time
import tracemalloc
from pathlib import Path
from types import TracebackType
from typing import Self


class Stopwatch:
    """Processor seconds of this thread, within a `with`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self.seconds = -time.thread_time()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds += time.thread_time()


class Scales:
    """Bytes that were allocated within a `with`, and not given back until its end."""

    def __init__(self) -> None:
        self.bytes = 0.0

    def __enter__(self) -> Self:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.collect()
        self.bytes = float(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()


def resident_bytes() -> float:
    """Memory of this process, as its operating system sees it."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
