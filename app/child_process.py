"""A child process of ours, which never outlives us.

Theory of operation. On Linux the kernel itself ends the child when we die, however we die: the
child asks for that (PR_SET_PDEATHSIG) between fork and exec, after it dropped to its user, for the
kernel forgets the wish when the user changes. The wish is tied to the *thread* that forked, so
children are started in one thread that lives as long as we do, never in a worker thread that ends
when it is idle: that is why this is not `trio.run_process`. Nor is it the thread of the trio loop,
which would stand still until the child is made: tens of milliseconds, on a busy machine more.
Elsewhere than on Linux a child has to find out by itself, or the next start finds it and ends it.

A child has a session of its own: Ctrl-C in a terminal reaches us alone, and we end our children in
order.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import trio

from app.storage.limits import (
    EMBEDDED_POLL_S,
)

_PR_SET_PDEATHSIG: Final = 1

# Loaded here, since between fork and exec nothing may be loaded.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None

# The one thread that starts children; it ends with the process.
_FORKS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agio-fork")


async def spawn(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Call `start`, which makes a child by `popen`, in the thread that lives as long as we do."""
    # Within the worker: were we cancelled between the two, nobody would know of the child.
    return await trio.to_thread.run_sync(lambda: _FORKS.submit(start).result())


def popen(
    command: Sequence[str], death_signal: signal.Signals, **options: Any
) -> subprocess.Popen[bytes]:
    """Make a child that dies with us; returns when its program runs.

    Args:
        command: an absolute path and arguments; no secret, as everybody sees these.
        death_signal: what the kernel sends it when we die.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen(  # noqa: S603 - our own commands
        command,
        start_new_session=True,
        preexec_fn=_die_with_us(death_signal),  # noqa: PLW1509 - it only makes system calls
        **options,
    )


class ChildProcess:
    """A child that runs; end it with `stop`."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.pid = child.pid
        self._child = child

    @property
    def has_ended(self) -> bool:
        """Whether it ended."""
        return self._child.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        self._child.send_signal(number)

    async def wait(self) -> int:
        """Wait until it ended and return its status, negative where a signal ended it."""
        while (status := self._child.poll()) is None:
            if sys.platform == "linux":
                descriptor = os.pidfd_open(self.pid)
                try:
                    await trio.lowlevel.wait_readable(descriptor)
                finally:
                    os.close(descriptor)
            else:
                await trio.sleep(EMBEDDED_POLL_S)
        return status

    async def stop(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send each signal and wait so many seconds, until it ended; SIGKILL at last.

        It takes as long as the steps do, and no cancellation cuts it short: a server left behind
        is worse than a moment's wait.
        """
        for number, seconds in (*steps, (signal.SIGKILL, EMBEDDED_POLL_S * 100)):
            if self.has_ended:
                return
            self._child.send_signal(number)
            with trio.move_on_after(seconds, shield=True):
                await self.wait()


def _die_with_us(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child does between fork and exec, where the kernel has such a wish."""
    if _LIBC is None:
        return None
    prctl, us = _LIBC.prctl, os.getpid()

    def wish() -> None:
        # We may have died before the wish was made: then nobody would ever send the signal.
        if prctl(_PR_SET_PDEATHSIG, int(death_signal)) != 0 or os.getppid() != us:
            os._exit(127)

    return wish
