"""One server as a child process of ours, which never outlives us.

Theory of operation. On Linux the kernel itself ends the child when we die, however we die: the
child asks for that (PR_SET_PDEATHSIG) between fork and exec, after it dropped to its user, for the
kernel forgets the wish when the user changes. The wish is tied to the *thread* that forked, so
children are started in one thread that lives as long as we do, never in a worker thread that ends
when it is idle: that is why this is not `trio.run_process`. Nor is it the thread of the trio loop,
which would stand still until the child is made: tens of milliseconds, on a busy machine more.
Elsewhere than on Linux a child may survive our `kill -9`; the next start finds it and ends it.

A child has a session of its own: Ctrl-C in a terminal reaches us alone, and we end our children in
order.
"""

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Self

import trio

from app.limits import EMBEDDED_POLL_S
from app.storage.embedded.run_as import ENVIRONMENT, RunAs
from app.storage.errors import ServerEnded

_PR_SET_PDEATHSIG: Final = 1

# How PostgreSQL and Valkey mark a line that says why they end.
_ALARM: Final = re.compile(r"(FATAL|PANIC|initdb: error|Fatal|Failed|Could not)\b")

# Of a log, enough for why a server ended.
_LAST_WORDS_BYTES: Final = 16 * 1024

# Loaded here, since between fork and exec nothing may be loaded.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None

# The one thread that starts children; it ends with the process.
_FORKS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agio-fork")


class ServerProcess:
    """A child that runs, made by `start`; end it with `stop`."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self.log = log
        self.pid = child.pid
        self._child = child

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        run_as: RunAs,
        log: Path,
        death_signal: signal.Signals,
        standard_input: str = "",
    ) -> Self:
        """Start `command`.

        Args:
            command: an absolute path and arguments; no secret, as everybody sees these.
            run_as: the child's user.
            log: where its output goes; what was there is replaced, so it holds one life.
            death_signal: what the kernel sends it when we die.
            standard_input: what it reads, then the end; less than a pipe holds, 4 KB.
        """
        fork = partial(_fork, command, run_as, log, death_signal)
        # Within the worker: were we cancelled between the two, nobody would know of the child.
        child = await trio.to_thread.run_sync(lambda: _FORKS.submit(fork).result())
        _feed(child, standard_input)
        return cls(child, log)

    def __repr__(self) -> str:
        return f"<ServerProcess {self.pid}, {self._program}>"

    @property
    def _program(self) -> str:
        """The path of what runs."""
        command = self._child.args
        assert isinstance(command, Sequence), "started with a path and arguments"
        return str(command[0])

    @property
    def has_ended(self) -> bool:
        """Whether it ended."""
        return self._child.poll() is not None

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

    async def wait_for_crash(self) -> NoReturn:
        """Wait until it ended, when nobody asked it to.

        Raises:
            ServerEnded: it did.
        """
        status = await self.wait()
        name = Path(self._program).name
        raise ServerEnded(f"{name} ended by itself, status {status}: {self.last_words()}")

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

    def last_words(self) -> str:
        """Why it ended, as its log tells: the last line that raises alarm, or the last of all."""
        lines = _end_of(self.log).decode(errors="replace").strip().splitlines()
        alarms = [line[found.start() :] for line in lines if (found := _ALARM.search(line))]
        return (alarms or lines or ["it said nothing"])[-1]


def _fork(
    command: Sequence[str], run_as: RunAs, log: Path, death_signal: signal.Signals
) -> subprocess.Popen[bytes]:
    """Make the child; returns when its program runs."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_us(death_signal),  # noqa: PLW1509 - it only makes system calls
            **run_as.options(),
        )
    finally:
        os.close(descriptor)


def _feed(child: subprocess.Popen[bytes], text: str) -> None:
    assert child.stdin is not None, "stdin was asked for"
    try:
        child.stdin.write(text.encode())
        child.stdin.close()
    except BrokenPipeError:
        pass  # it ended already: `wait` says how


def _end_of(log: Path) -> bytes:
    """The last few kilobytes of a log, which may be as long as it likes."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_WORDS_BYTES))
        return file.read()


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
