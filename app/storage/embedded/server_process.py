"""One server as a child process of ours: whom it runs as, and what it says at its end."""

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Self

from app.child_process import ChildProcess, popen, spawn
from app.storage.embedded.run_as import ENVIRONMENT, RunAs
from app.storage.errors import ServerEnded

# How PostgreSQL and Valkey mark a line that says why they end.
_ALARM: Final = re.compile(r"(FATAL|PANIC|initdb: error|Fatal|Failed|Could not)\b")

# Of a log, enough for why a server ended.
_LAST_WORDS_BYTES: Final = 16 * 1024


class ServerProcess(ChildProcess):
    """A child that runs, made by `start`; end it with `stop`."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        super().__init__(child)
        self.log = log

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
        child = await spawn(fork)
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

    async def wait_for_crash(self) -> NoReturn:
        """Wait until it ended, when nobody asked it to.

        Raises:
            ServerEnded: it did.
        """
        status = await self.wait()
        name = Path(self._program).name
        raise ServerEnded(f"{name} ended by itself, status {status}: {self.last_words()}")

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
        return popen(
            command,
            death_signal,
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
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
