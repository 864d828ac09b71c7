"""Runs a load test: starts its processes, lets them begin together, and adds up what they tell.

Theory of operation. Each process is read by a task of its own, and all they say comes to one place
in which the steps of the run follow each other: all have joined, all begin, all have sent, all
drain. A process that ends before its result, or says nothing for too long, ends the test. However
the test ends, the processes are gone after it.
"""

import resource
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Final, TypeVar

import msgspec
import trio

from app.lines import line_of, read_lines
from app.loadtest.errors import LoadTestError
from app.loadtest.limits import DESCRIPTORS_SPARE, LEAD_NS, OPEN_S, WORKER_ANSWER_S
from app.loadtest.model import (
    NS,
    Drain,
    Failed,
    FromWorker,
    Go,
    Joined,
    Plan,
    Progress,
    Result,
    Sent,
    Share,
    Target,
    ToWorker,
)
from app.loadtest.summary import Summary, summarise

_READ: Final = msgspec.json.Decoder(FromWorker)
WORKER: Final = (sys.executable, "-m", "app.loadtest.worker")

# What the processes may be ahead of us with what they say: they wait then.
_HEARD_MAX: Final = 16

_Told = TypeVar("_Told", Joined, Sent, Result)


@dataclass(slots=True)
class Stage:
    """How far a run is, for who looks on.

    Attributes:
        plan: what is run.
        began_ns: when all began; None before.
        heard: what each process told last.
    """

    plan: Plan
    began_ns: int | None = None
    heard: dict[int, Progress] = field(default_factory=dict)


Show = Callable[[Stage], object]


async def load_test(
    plan: Plan, target: Target, show: Show, command: Sequence[str] = WORKER
) -> Summary:
    """Run it.

    Args:
        plan: what is measured.
        target: where.
        show: told again and again how it goes.
        command: which starts one of its processes.

    Raises:
        LoadTestError: it cannot be run, or could not be finished.
        KeyboardInterrupt: SIGINT or SIGTERM came.
    """
    plan.check()
    _raise_descriptors(plan)
    test = _Test(plan, await _resolve(target), show, command)
    try:
        return await test.run()
    finally:
        await test.end()


async def _resolve(target: Target) -> Target:
    """With the first address of the host."""
    try:
        with trio.fail_after(OPEN_S):
            found = await trio.socket.getaddrinfo(
                target.host, target.port, type=trio.socket.SOCK_STREAM
            )
    except trio.TooSlowError:
        raise LoadTestError(f"cannot find {target.host} within {OPEN_S:g} s") from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no name of a machine"
        raise LoadTestError(f"cannot find {target.host}: {reason}") from None
    return msgspec.structs.replace(target, address=str(found[0][4][0]))


def _raise_descriptors(plan: Plan) -> None:
    """Let our processes, which inherit it, have as many descriptors as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_SPARE + max(map(plan.connections_here, range(plan.processes)))
    if most != resource.RLIM_INFINITY and wanted > most:
        raise LoadTestError(
            f"a process would need {wanted} descriptors and may have {most}: "
            "use more --processes, or see `ulimit -n`"
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Test:
    """One run."""

    def __init__(self, plan: Plan, target: Target, show: Show, command: Sequence[str]) -> None:
        self._plan = plan
        self._target = target
        self._show = show
        self._command = command
        self._stage = Stage(plan)
        self._processes: list[trio.Process] = []
        self._say, self._heard = trio.open_memory_channel[tuple[int, FromWorker]](_HEARD_MAX)

    async def run(self) -> Summary:
        """All of it."""
        found: Summary | Exception | None = None
        async with trio.open_nursery() as nursery:
            await nursery.start(self._hear_signals, nursery.cancel_scope)
            try:
                await self._start(nursery)
                found = await self._steps()
            except LoadTestError as error:
                found = error
            nursery.cancel_scope.cancel()
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise KeyboardInterrupt
        return found

    async def end(self) -> None:
        """All processes are gone. They have nothing to lose, so this is a matter of moments."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            with trio.CancelScope(deadline=trio.current_time() + WORKER_ANSWER_S, shield=True):
                await process.wait()

    async def _hear_signals(
        self, scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                scope.cancel()

    async def _start(self, nursery: trio.Nursery) -> None:
        run = secrets.token_hex(4)
        for worker in range(self._plan.processes):
            process = await trio.lowlevel.open_process(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._processes.append(process)
            nursery.start_soon(self._attend, worker, process)
            await self._tell(worker, Share(self._plan, self._target, worker, run))

    async def _attend(self, worker: int, process: trio.Process) -> None:
        assert process.stdout is not None, "it was opened with a pipe"
        async for line in read_lines(process.stdout):
            await self._say.send((worker, _READ.decode(line)))
        await self._say.send((worker, Failed("a process of the load test ended by itself")))

    async def _steps(self) -> Summary:
        joined = await self._gather(Joined)
        self._stage.began_ns = monotonic_ns() + LEAD_NS
        await self._tell_all(Go(self._stage.began_ns))
        sent = {room: n for told in await self._gather(Sent) for room, n in told.sent.items()}
        await self._tell_all(Drain(sent))
        results = await self._gather(Result)
        if sum(result.gone for result in results) >= self._plan.connections:
            raise LoadTestError(f"{self._target.url} ended all connections during the test")
        return summarise(self._target.url, self._plan, joined, results)

    async def _gather(self, kind: type[_Told]) -> list[_Told]:
        """What each process says of this kind.

        Raises:
            LoadTestError: one of them failed, or says nothing at all.
        """
        found: dict[int, _Told] = {}
        heard_ns = dict.fromkeys(range(self._plan.processes), monotonic_ns())
        while len(found) < self._plan.processes:
            try:
                with trio.fail_after(WORKER_ANSWER_S):
                    worker, told = await self._heard.receive()
            except trio.TooSlowError:
                raise LoadTestError("the processes of the load test do not answer") from None
            if isinstance(told, Failed) and worker not in found:
                raise LoadTestError(told.reason)
            if isinstance(told, kind):
                found[worker] = told
            elif isinstance(told, Progress):
                self._stage.heard[worker] = told
                self._show(self._stage)
            heard_ns[worker] = monotonic_ns()
            waited_for = [heard_ns[w] for w in heard_ns if w not in found]
            if waited_for and monotonic_ns() - min(waited_for) > WORKER_ANSWER_S * NS:
                raise LoadTestError("a process of the load test does not answer")
        return [found[worker] for worker in sorted(found)]

    async def _tell_all(self, command: ToWorker) -> None:
        for worker in range(self._plan.processes):
            await self._tell(worker, command)

    async def _tell(self, worker: int, command: ToWorker) -> None:
        stdin = self._processes[worker].stdin
        assert stdin is not None, "it was opened with a pipe"
        try:
            await stdin.send_all(line_of(command))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # it ended, which its reader says
