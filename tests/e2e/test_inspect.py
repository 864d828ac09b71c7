"""`agio inspect` as an operator uses it: on a running node, in a terminal, until Ctrl-C."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from app.http.schemas import TreeAnswer
from app.inspect.model import find
from tests.e2e.server import TOKEN_SECRET, AgioServer
from tests.e2e.up import agio, environment

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# Runs a command in a terminal of its own, which is typed into and read from by the pipes it has.
_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
ENTER, LEAVE, DRAWN = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[J"


@asynccontextmanager
async def inspecting(
    server: AgioServer, state: Path, *arguments: str
) -> AsyncIterator[trio.Process]:
    """`agio inspect` in a terminal of 80 columns and 24 lines; ended when the block ends."""
    command = [sys.executable, "-m", "app.cli", "inspect", "--url", server.url, *arguments]
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", _TERMINAL, *command],
        env=environment(state, AGIO_TOKEN_SECRET=TOKEN_SECRET, TERM="xterm"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        with trio.fail_after(30):
            yield process
    finally:
        process.kill()
        await process.wait()


async def read_until(process: trio.Process, end: bytes, read: bytes = b"") -> bytes:
    """What the terminal is shown, up to this."""
    assert process.stdout is not None
    while end not in read:
        chunk = await process.stdout.receive_some()
        assert chunk, f"it ended: {read!r}"
        read += chunk
    return read


async def test_every_part_of_a_node_is_in_its_tree(server: AgioServer, state_path: Path) -> None:
    """With a token made of the same secret, as JSON and as a picture."""
    told = {"AGIO_TOKEN_SECRET": TOKEN_SECRET}
    done = await agio("inspect", "--json", "--url", server.url, state=state_path, **told)
    assert (done.returncode, done.stderr) == (0, b"")
    tree = msgspec.json.decode(done.stdout, type=TreeAnswer).tree
    for path in ("storage/drivers/database", "service/events/relay", "service/connections"):
        place = find(tree, f"agio/node/{path}")
        assert place is not None, f"{path} is not in the tree"
        assert place.state == "running"
        assert place.age_s > 0
    done = await agio("inspect", "--url", server.url, state=state_path, **told)
    assert (done.returncode, done.stderr) == (0, b"")
    for name in ("agio", "node", "relay", "listener"):
        assert f" {name} " in done.stdout.decode()


async def test_the_live_tree_goes_on_until_ctrl_c(server: AgioServer, state_path: Path) -> None:
    """Drawn again and again on a screen of its own; Ctrl-C gives the terminal back, status 0."""
    async with inspecting(server, state_path, "--every", "0.1") as process:
        shown = await read_until(process, DRAWN)
        shown = await read_until(process, DRAWN, shown.partition(DRAWN)[2])
        assert process.stdin is not None
        await process.stdin.send_all(b"\x03")
        shown = await read_until(process, LEAVE, shown)
        assert 0 == await process.wait()


async def test_the_live_tree_outlives_its_node(server: AgioServer, state_path: Path) -> None:
    """It says that the node is away, and still ends at Ctrl-C."""
    async with inspecting(server, state_path, "--every", "0.1") as process:
        shown = await read_until(process, DRAWN)
        server.process.send_signal(signal.SIGKILL)
        await server.wait_killed()
        await read_until(process, b"Connection refused; this picture is", shown)
        assert process.stdin is not None
        await process.stdin.send_all(b"\x03")
        await read_until(process, LEAVE)
        assert 0 == await process.wait()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--path", "agio/nowhere"], "no such place"), (["--token", "nonsense"], "the token is not")],
)
async def test_what_a_node_refuses_is_one_line(
    server: AgioServer, state_path: Path, arguments: list[str], reason: str
) -> None:
    """On stderr, with status 1; also where it would have been a live tree."""
    told = {"AGIO_TOKEN_SECRET": TOKEN_SECRET}
    done = await agio("inspect", "--url", server.url, *arguments, state=state_path, **told)
    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert reason in line
    assert "nonsense" not in line
    async with inspecting(server, state_path, *arguments) as process:
        shown = await read_until(process, reason.encode())
        assert ENTER not in shown
        assert 1 == await process.wait()
