"""`agio up` as a process of its own, in a state folder of the test's, as a newcomer starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

_ROOT: Final = Path(__file__).parents[2]
# The first start makes a database; a warm one takes a second or two. The machines are shared.
_START_SECONDS: Final = 90
_STOP_SECONDS: Final = 20


def environment(state: Path, **settings: str) -> dict[str, str]:
    """What `agio` is started with: nothing of the caller's own settings, a free port."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AGIO_")}
    ours = {"AGIO_STATE_DIR": str(state), "AGIO_PORT": "0", "PYTHONPATH": str(_ROOT)}
    return {**inherited, **ours, **settings}


async def agio(*arguments: str, state: Path, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """Run one `agio` command to its end."""
    with trio.fail_after(_START_SECONDS):
        return await trio.run_process(
            [sys.executable, "-m", "app.cli", *arguments],
            env=environment(state, **settings),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


@dataclass
class Up:
    """A running `agio up`.

    Attributes:
        process: the process.
        banner: what it printed for its user.
    """

    process: trio.Process
    banner: str = ""

    @property
    def url(self) -> str:
        """Where it says that it serves."""
        return next(word for word in self.banner.split() if word.startswith("http://127.0.0.1:"))

    def tokens(self) -> list[str]:
        """The tokens it printed: buyer, seller, operator."""
        words = self.banner.split()
        return [word for word in words if word.count(".") == 2 and len(word) > 100][:3]

    async def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(_STOP_SECONDS):
            return await self.process.wait()

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def agio_up(state: Path, *arguments: str, **settings: str) -> AsyncIterator[Up]:
    """`agio up`, ready to be used; killed, if still there, when the block ends."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "app.cli", "up", *arguments],
        env=environment(state, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    up = Up(process)
    ready = trio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for chunk in process.stdout:
            up.banner += chunk.decode()
            if len(up.tokens()) >= 3 and up.banner.rstrip().endswith("Ctrl-C ends everything."):
                ready.set()
        ready.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            with trio.fail_after(_START_SECONDS):
                await ready.wait()
            assert up.tokens(), f"agio up did not start: {up.banner!r}"
            yield up
        finally:
            with trio.CancelScope(deadline=trio.current_time() + _STOP_SECONDS, shield=True):
                if process.poll() is None:
                    process.kill()
                await process.wait()
            nursery.cancel_scope.cancel()
