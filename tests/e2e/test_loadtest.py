"""`agio loadtest` as a user runs it: on a running node, with processes of its own."""

from pathlib import Path

import msgspec
import pytest

from tests.e2e.server import TOKEN_SECRET, AgioServer, token
from tests.e2e.up import agio

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SHORT = ("--duration", "0.5", "--warm-up", "0.1", "--late", "60", "--drain", "30")


@pytest.mark.parametrize("by", [[], ["--subprotocol"]])
async def test_every_delivery_is_accounted_for(
    server: AgioServer, state_path: Path, by: list[str]
) -> None:
    """Ten messages in two rooms of three, sent by two processes, all arrive."""
    load = ("--connections", "6", "--rooms", "2", "--processes", "2", "--rate", "20", *SHORT)
    where = ("--url", server.socket_url, "--token", token("buyer"), *by)
    done = await agio("loadtest", "--json", *where, *load, state=state_path)
    assert (0, b"") == (done.returncode, done.stderr)
    told = msgspec.json.decode(done.stdout)
    counts = [told[name] for name in ("sent", "expected", "on_time", "late", "lost")]
    assert [10, 30, 30, 0, 0] == counts
    assert [0, 0, 0] == [told[name] for name in ("duplicates", "reordered", "gone")]
    assert told["url"] == f"{server.socket_url}/websocket"


async def test_our_own_node_needs_no_token(server: AgioServer, state_path: Path) -> None:
    """Where it listens and what it trusts come from the settings; the report from the option."""
    page = state_path.with_name(f"{state_path.name}-report.html")
    load = ("--connections", "4", "--window", "2", *SHORT)
    told = {"AGIO_PORT": str(server.port), "AGIO_TOKEN_SECRET": TOKEN_SECRET}
    done = await agio("loadtest", *load, "--report", str(page), state=state_path, **told)
    picture = page.with_suffix(".png")
    assert (0, f"wrote {page}\nwrote {picture}\n") == (done.returncode, done.stderr.decode())
    assert " + 0 late (over 60 s) + 0 lost\n" in done.stdout.decode()
    assert "4 connections in 1 room" in page.read_text("utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")
    page.unlink()
    picture.unlink()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--token", "nonsense"], "refuses with 403: is a --token missing, or expired?"),
        (["--token", "{token}", "--topic", "nowhere:{{room}}"], "nobody into nowhere:0: unmatched"),
        (["--token", "{token}", "--topic", "bench:x"], "bench:x: Rooms have numbers."),
        (["--url", "ws://127.0.0.1:1/socket"], "cannot reach ws://127.0.0.1:1/socket/websocket: "),
    ],
)
async def test_what_cannot_be_measured_is_one_line(
    server: AgioServer, state_path: Path, arguments: list[str], reason: str
) -> None:
    """On stderr, with status 1 and without the token."""
    given = [argument.format(token=token("buyer")) for argument in arguments]
    where = ("--url", server.socket_url)
    done = await agio("loadtest", *where, *given, *SHORT, state=state_path)
    assert (1, b"") == (done.returncode, done.stdout)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("agio: ")
    assert reason in line
    assert "nonsense" not in line
    assert token("buyer")[:20] not in line
