"""The programs that measure and are measured: compiled, started, pinned to a processor each, ended.

Theory of operation. The server is started as its users start it, with a state folder of its own,
and all its threads are put on one processor once it serves; its PostgreSQL and Valkey stay free.
The bound runs on that processor, too, and both are there all the while: who is not being measured
sleeps. The load generator has the next processor. Processor time is read by the generator, at the
very beginning and end of what it measures.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import trio

from app.banner import LAST_LINE
from bench.fanout.account import Joined, LoadError, Measured, parse

_ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = Path(__file__).parent
_BUILT: Final = _ROOT / "build" / "bench"
_FLAGS: Final = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
# The first start of a state folder makes a database; the machines may be shared.
_START_S: Final = 120
_STOP_S: Final = 30
_PORT_S: Final = 10
# How long memory is given to settle after connections came or went.
_SETTLE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cores:
    """The processors that are used.

    Attributes:
        server: for what is measured.
        load: for the load generator.
    """

    server: int
    load: int


@dataclass(frozen=True, slots=True)
class Side:
    """Something that takes a load.

    Attributes:
        pid: of its process.
        port: where it listens on the loopback address.
        path: of its socket, with the token.
    """

    pid: int
    port: int
    path: str


def cores() -> Cores:
    """Two processors that this process may use.

    Raises:
        LoadError: there are not as many.
    """
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise LoadError("two processors are needed: one for the server, one for the load")
    return Cores(*free[:2])


async def build() -> None:
    """Compile the generator and the bound, those that are older than their sources.

    Raises:
        LoadError: there is no compiler, or it refuses.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise LoadError("a C compiler is needed (cc, gcc or clang), and none is in the path")
    _BUILT.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in _SOURCES.glob("*.[ch]"))
    for name in ("load", "bound"):
        program = _BUILT / name
        if program.exists() and program.stat().st_mtime > newest:
            continue
        done = await trio.run_process(
            [compiler, *_FLAGS, "-o", str(program), str(_SOURCES / f"{name}.c")],
            capture_stderr=True,
            check=False,
        )
        if done.returncode:
            raise LoadError(f"{name}.c cannot be compiled:\n{done.stderr.decode()}")


@asynccontextmanager
async def bound(core: int) -> AsyncIterator[Side]:
    """The bound, listening."""
    process = await _start([str(_BUILT / "bound")], core)
    try:
        with trio.fail_after(_PORT_S):
            port = int(await Lines(process).next())
        yield Side(process.pid, port, "/")
    finally:
        await _end(process, signal.SIGTERM)


@asynccontextmanager
async def agio(
    core: int | None, *, workers: int = 1, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Side]:
    """`agio up`, ready, in a temporary folder that is removed afterwards.

    Args:
        core: the processor for all its threads; None for any.
        workers: how many processes serve.
        settings: environment variables beyond those of every bench.

    Raises:
        LoadError: it does not start.
    """
    with _folder() as folder:
        environment = _environment(folder / "state") | dict(settings or {})
        with (folder / "log").open("wb") as log:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "app.cli", "up", "--workers", str(workers)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        try:
            port = await _port(process)
            if port is None:
                raise LoadError(f"agio up did not start:\n{_end_of(folder / 'log')}")
            token = await _token(environment)
            if core is not None:
                pin_all(process.pid, core)
            yield Side(process.pid, port, f"/socket/websocket?vsn=2.0.0&token={token}")
        finally:
            await _end(process, signal.SIGINT)


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder that the user whom servers run as can enter."""
    with TemporaryDirectory(prefix="agio-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def pin_all(pid: int, core: int) -> None:
    """Put every thread of a process on one processor; those to come begin there."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def workers_of(pid: int) -> list[int]:
    """The processes that serve, where this one only watches over them."""
    lists = [each.read_text("ascii") for each in Path(f"/proc/{pid}/task").glob("*/children")]
    commands = {
        int(child): Path(f"/proc/{child}/cmdline").read_bytes()
        for children in lists
        for child in children.split()
    }
    return [child for child, command in commands.items() if b"app.cli_worker" in command]


def resident_bytes(pid: int) -> int:
    """Memory of a process, as its operating system sees it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def put_load(side: Side, core: int, words: Sequence[str]) -> tuple[Joined, Measured]:
    """Have so many connections join, and put load on them.

    Args:
        side: what takes it.
        core: the generator's processor.
        words: further options of the generator.

    Raises:
        LoadError: it could not be done.
    """
    async with generator(side, core, words) as lines:
        return parse(await lines.next(), Joined), parse(await lines.next(), Measured)


async def only_join(side: Side, core: int, words: Sequence[str]) -> Joined:
    """Have so many connections join, and leave.

    Raises:
        LoadError: it could not be done.
    """
    async with generator(side, core, [*words, "--seconds=0"]) as lines:
        return parse(await lines.next(), Joined)


async def memory_of(side: Side, core: int, count: int) -> float:
    """What each of so many idle connections takes of the server's memory, in bytes.

    Raises:
        LoadError: they could not be made.
    """
    await trio.sleep(_SETTLE_S)
    before = resident_bytes(side.pid)
    words = [f"--connections={count}", "--seconds=0", "--hold"]
    async with generator(side, core, words) as lines:
        parse(await lines.next(), Joined)
        await trio.sleep(_SETTLE_S)
        held = resident_bytes(side.pid) - before
        await lines.end_input()
    return held / count


class Lines:
    """What a process says, line by line."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._data = b""

    async def next(self) -> bytes:
        """The next line.

        Raises:
            LoadError: it said no more, but perhaps why on stderr.
        """
        assert self._process.stdout is not None
        while b"\n" not in self._data:
            data = await self._process.stdout.receive_some()
            if not data:
                raise LoadError(await self._last_words())
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        return line

    async def end_input(self) -> None:
        """Close its standard input."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()

    async def _last_words(self) -> str:
        said = b""
        if self._process.stderr is not None:
            async for data in self._process.stderr:
                said += data
        return said.decode(errors="replace").strip() or f"{self._process} ended without a word"


@asynccontextmanager
async def generator(side: Side, core: int | None, words: Sequence[str]) -> AsyncIterator[Lines]:
    """The generator at work; waits for its end.

    Args:
        side: what takes its load.
        core: its processor; None for any.
        words: further options.
    """
    place = [f"--port={side.port}", f"--path={side.path}", f"--server={side.pid}"]
    process = await _start([str(_BUILT / "load"), *place, *words], core)
    try:
        yield Lines(process)
        await process.wait()
    finally:
        await _end(process, signal.SIGKILL)


async def _start(command: Sequence[str], core: int | None) -> trio.Process:
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    return process


async def _end(process: trio.Process, how: signal.Signals) -> None:
    """End a process, by force if it takes too long."""
    with trio.CancelScope(deadline=trio.current_time() + _STOP_S, shield=True):
        if process.poll() is None:
            process.send_signal(how)
        await process.wait()
        return
    process.kill()


def _environment(state: Path) -> dict[str, str]:
    """Settings of the server: nothing of the caller's own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGIO_")}
    ours = {"AGIO_STATE_DIR": str(state), "AGIO_PORT": "0", "AGIO_BENCH_ROOMS": "1"}
    return {**inherited, **ours, "PYTHONPATH": str(_ROOT)}


async def _port(process: trio.Process) -> int | None:
    """Read the banner to its end; where it says that it serves, if it does."""
    assert process.stdout is not None
    banner = ""
    with trio.move_on_after(_START_S):
        async for data in process.stdout:
            banner += data.decode()
            if banner.rstrip().endswith(LAST_LINE):
                url = next(word for word in banner.split() if word.startswith("http://"))
                return int(url.rpartition(":")[2])
    return None


def _end_of(log: Path) -> str:
    return log.read_text("utf-8")[-2000:]


async def _token(environment: dict[str, str]) -> str:
    done = await trio.run_process(
        [sys.executable, "-m", "app.cli", "token", "buyer"], env=environment, capture_stdout=True
    )
    return done.stdout.decode().strip()
