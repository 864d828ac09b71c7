"""The parent's side of several workers: it starts them together and keeps them.

Theory of operation. Every worker is a process with a whole node in it, and listens on the same port
by SO_REUSEPORT: on Linux the kernel gives each new connection to one of them. The parent holds a
socket of that port, too, on which it never listens, so that the port stays theirs while a worker
is started again, and so that a port that was free is the same for all.

Workers are children of a dynamic supervisor, `workers`: each restarts alone, and at a stop all are
asked at the same time. The child `crew` starts them, all at once; one that cannot start ends it,
and with it everything. Later, a worker that dies is started again by `workers`, which gives up
beyond an intensity.

*One after another.* On SIGHUP each worker in turn is stopped in order, its clients told to come
back, and started again, before the next one is. One that does not start again is tried again, ever
more seldom, while the others go on serving; the round waits for it.
"""

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import trio

from actors import (
    INFINITE,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    StartFailed,
)
from app.config import FILE_SUFFIX
from app.http.listener import Bind, check_free
from app.limits import STOP_MARGIN_S, WORKER_SPARE_S
from app.storage.errors import StartupError
from app.workers.model import Crew as Told
from app.workers.worker_process import WorkerProcess

# A worker that dies so often has no accident: an orchestrator is better at starting over.
_INTENSITY: Final = Intensity(restarts=10, window_s=60.0)
_AGAIN: Final = Backoff(first_s=0.2, ceiling_s=10.0, reset_after_s=30.0, jitter=0.2)

# The pause before a worker that did not start again is tried again doubles between these.
_RETRY_FIRST_S: Final = 1.0
_RETRY_CEILING_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What a crew is to do.

    Attributes:
        count: how many workers.
        bind: where all listen; port 0 takes a free one.
        drain_s: seconds that a worker's clients have to leave.
        settings: by the name of its variable, what a worker is to be told that is not in our own
            environment. Asked at each start.
        on_up: called with the port when all serve.
    """

    count: int
    bind: Bind
    drain_s: float
    settings: Callable[[], Mapping[str, str]]
    on_up: Callable[[int], None]


class Crew:
    """The workers of one server.

    Attributes:
        count: how many there are.
        port: where they listen.
    """

    def __init__(self, orders: Orders) -> None:
        """Take the port; nobody is started yet.

        Raises:
            StartupError: the port cannot be had.
        """
        self.count = orders.count
        self._orders = orders
        self._socket = _reserve(orders.bind)
        self.port: int = self._socket.getsockname()[1]
        self._workers = [
            WorkerProcess(
                number,
                orders.count,
                self._environment,
                stop_s=orders.drain_s + STOP_MARGIN_S + WORKER_SPARE_S,
                on_change=self._announce,
            )
            for number in range(1, orders.count + 1)
        ]
        self._keeper = DynamicSupervisor("workers", max_children=orders.count, intensity=_INTENSITY)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def children(self) -> list[ChildSpec]:
        """What is to run, in this order, the second on top of the first."""
        return [
            self._keeper.as_child(),
            ChildSpec("crew", self._run, start_s=INFINITE),
        ]

    async def _run(self, life: Lifeline) -> None:
        """Start whoever is missing; then start all again, one by one, whenever SIGHUP says so."""
        with trio.open_signal_receiver(signal.SIGHUP) as hangups:
            await self._start_all()
            self._orders.on_up(self.port)
            life.ready(self.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._renew_on, hangups)
                await life.stop_requested.wait()
                nursery.cancel_scope.cancel()

    async def _renew_on(self, hangups: AsyncIterator[int]) -> None:
        async for _ in hangups:
            for worker in self._workers:
                await self._keeper.terminate_child(worker.name)
                await self._start_again(worker)

    async def _start_all(self) -> None:
        """Start them together; the first that cannot start is what is wrong.

        Raises:
            StartFailed: one did not start; the others are stopped by whoever stops us.
        """
        failures: list[StartFailed] = []
        async with trio.open_nursery() as nursery:

            async def start(worker: WorkerProcess) -> None:
                try:
                    await self._start(worker)
                except StartFailed as failure:
                    failures.append(failure)
                    nursery.cancel_scope.cancel()

            for worker in self._workers:
                nursery.start_soon(start, worker)
        # Raised out here, because in there the nursery would wrap it.
        if failures:
            raise failures[0]

    async def _start(self, worker: WorkerProcess) -> None:
        spec = ChildSpec(
            worker.name, worker.run, backoff=_AGAIN, shutdown_s=INFINITE, start_s=INFINITE
        )
        with suppress(AlreadyStarted):  # this child is run again, and the worker lived on
            await self._keeper.start_child(spec)

    async def _start_again(self, worker: WorkerProcess) -> None:
        """Start a worker that served before, however long that takes."""
        pause = _RETRY_FIRST_S
        while True:
            try:
                await self._start(worker)
            except StartFailed:  # told by `workers`; the others serve
                await trio.sleep(pause)
                pause = min(2 * pause, _RETRY_CEILING_S)
            else:
                return

    def _announce(self) -> None:
        """Tell all workers who serves."""
        ports = {each.number: each.up.local_port for each in self._workers if each.up is not None}
        restarts = {each.number: max(each.starts - 1, 0) for each in self._workers}
        for worker in self._workers:
            worker.tell(Told(ports, restarts))

    def _environment(self) -> dict[str, str]:
        """Ours, and what we know better. A variable that names a secret's file gives way."""
        told = {**self._orders.settings(), "AGIO_PORT": str(self.port)}
        return {
            **{k: v for k, v in os.environ.items() if k.removesuffix(FILE_SUFFIX) not in told},
            **told,
        }


def _reserve(bind: Bind) -> socket.socket:
    """A socket that has the port, as workers may have it beside us.

    Others of this user could share a port that is shared: so it must be free before.
    """
    check_free(bind)
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((bind.host, bind.port))
    except OSError as error:
        reserved.close()
        raise StartupError(
            f"cannot share {bind.host} port {bind.port}: {error.strerror}"
        ) from error
    return reserved
