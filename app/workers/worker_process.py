"""One worker, as its parent sees it: a child of the tree that starts a process and watches it.

Theory of operation. The child is ready when the process says that it serves, and crashes when the
process ends by itself, so that what supervises it starts another. Asked to stop it sends SIGTERM
and gives the worker the time that a node has to stop; then, or when it is cut down itself, the
worker is killed. Two pipes lead to the process, in and out; what it logs goes where we log.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import aclosing
from functools import partial
from math import inf
from typing import IO, Any, Final

import msgspec
import trio

from actors import Lifeline
from app.child_process import ChildProcess, popen, spawn
from app.limits import WORKER_CUT_S, WORKER_START_S
from app.lines import line_of, read_lines
from app.storage.errors import ServerEnded, StartupError
from app.workers.berth import name_of
from app.workers.model import Crew, Failed, FromWorker, Up

_READ: Final = msgspec.json.Decoder(FromWorker)
MODULE: Final = "app.cli_worker"


class WorkerProcess:
    """Keeps one worker. `run` is one life of it."""

    def __init__(
        self,
        number: int,
        count: int,
        environment: Callable[[], Mapping[str, str]],
        *,
        stop_s: float,
        on_change: Callable[[], None],
    ) -> None:
        """Describe it.

        Args:
            number: the worker's, from 1.
            count: how many there are to be.
            environment: what it is to find in its environment, asked at each start.
            stop_s: seconds that it has to stop in order.
            on_change: called when it has begun to serve, and when it no longer does.
        """
        self.name = name_of(number)
        self.number = number
        self.up: Up | None = None
        """What it said when it began to serve, as long as it does."""
        self.starts = 0
        self._count = count
        self._environment = environment
        self._stop_s = stop_s
        self._on_change = on_change
        self._input: IO[bytes] | None = None

    def tell(self, crew: Crew) -> None:
        """Say who serves. Never waits: what a worker that stands still misses is said again."""
        if self._input is not None:
            try:
                os.write(self._input.fileno(), line_of(crew))
            except OSError:
                return  # it ended, or does not read

    async def run(self, life: Lifeline) -> None:
        """Start the worker and keep it until asked to stop; ready when it serves.

        Raises:
            StartupError: it cannot serve, for the reason its one line gives.
            ServerEnded: it ended by itself.
        """
        child = await spawn(partial(self._start, dict(self._environment())))
        self.starts += 1
        process = ChildProcess(child)
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with child.stdin, child.stdout:
                os.set_blocking(child.stdin.fileno(), False)
                self._input = child.stdin
                await self._attend(process, child.stdout, life)
        finally:
            self._input = None
            self._has_changed(None)
            await process.stop((signal.SIGTERM, WORKER_CUT_S))

    async def _attend(self, process: ChildProcess, output: IO[bytes], life: Lifeline) -> None:
        """Hear the worker out; after a stop was asked for, let it end."""
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            await self._hear(output, life)
            status = await process.wait()
            raise ServerEnded(f"{self.name} ended by itself, status {status}")
        process.send(signal.SIGTERM)
        with trio.move_on_after(self._stop_s):
            await process.wait()

    async def _hear(self, output: IO[bytes], life: Lifeline) -> None:
        """Take in what it says, until it says no more."""
        async with (
            trio.lowlevel.FdStream(os.dup(output.fileno())) as stream,
            aclosing(read_lines(stream)) as lines,
        ):
            with trio.CancelScope(deadline=trio.current_time() + WORKER_START_S) as starting:
                async for line in lines:
                    match _READ.decode(line):
                        case Up() as up:
                            starting.deadline = inf
                            self._has_changed(up)
                            life.ready(up.port)
                        case Failed(reason):
                            raise StartupError(f"{self.name}: {reason}")
            if starting.cancelled_caught:
                raise StartupError(f"{self.name} does not serve after {WORKER_START_S:.0f} s")

    def _has_changed(self, up: Up | None) -> None:
        self.up = up
        self._on_change()

    def _start(self, environment: dict[str, Any]) -> subprocess.Popen[bytes]:
        return popen(
            (sys.executable, "-m", MODULE, str(self.number), str(self._count)),
            signal.SIGKILL,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
