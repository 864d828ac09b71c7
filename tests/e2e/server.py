"""`agio serve` as a process of its own, started as an operator starts it, and killed at will."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import trio

from app.identity.model import Role
from app.identity.tokens import Tokens
from tests.support.no_tls import NO_TLS

_ROOT: Final = Path(__file__).parents[2]
# Imports, migrations checked, the pool filled: about a second; these machines are shared.
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 15
TOKEN_SECRET: Final = "a secret of the tests, at least 32 bytes long"


@dataclass
class AgioServer:
    """A running server process.

    Attributes:
        process: the server.
        port: where it listens on 127.0.0.1.
        log: its structured log lines so far.
    """

    process: trio.Process
    port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The base of its HTTP URLs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """What a Phoenix client is given; it appends `/websocket` itself."""
        return f"ws://127.0.0.1:{self.port}/socket"

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)

    async def wait_killed(self) -> None:
        """Wait until the killed process is gone."""
        with trio.fail_after(_STOP_SECONDS):
            await self.process.wait()

    async def terminate(self) -> int:
        """End the process as an orchestrator does, with SIGTERM; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        with trio.fail_after(_STOP_SECONDS):
            return await self.process.wait()


def token(role: str, name: str | None = None, *, line: str = "demo", ttl_s: int = 3600) -> str:
    """A token as `agio token` prints it, for the servers started here."""
    return Tokens(TOKEN_SECRET).issue(name or f"demo-{role}", Role(role), line, ttl_s)


def client(server: AgioServer, role: str, name: str | None = None) -> httpx.AsyncClient:
    """An HTTP client that carries a token of this role."""
    return httpx.AsyncClient(
        base_url=server.url,
        headers={"Authorization": f"Bearer {token(role, name)}"},
        timeout=30,
        limits=httpx.Limits(max_connections=256),
        verify=NO_TLS,
    )


async def _read_log(server: AgioServer, started: trio.Event) -> None:
    assert server.process.stderr is not None
    rest = b""
    async for chunk in server.process.stderr:
        *whole, rest = (rest + chunk).split(b"\n")
        for each in whole:
            try:
                line = msgspec.json.decode(each)
            except msgspec.DecodeError:
                line = {"event": "not json", "text": each.decode(errors="replace")}
            server.log.append(line)
            if line.get("event") == "server.started" and "worker" not in line:
                server.port = line["port"]
                started.set()
    started.set()


@asynccontextmanager
async def agio_server(
    database_url: str, redis_url: str | None = None, *, workers: int = 1, **settings: str
) -> AsyncIterator[AgioServer]:
    """`agio serve` on a free port over this database; killed, if still there, when the block ends.

    Args:
        database_url: an empty or migrated database.
        redis_url: a Redis or Valkey; None: a single node.
        workers: how many processes serve.
        settings: further environment variables, such as AGIO_RESERVATION_SECONDS="2".
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AGIO_")}
    environment |= {
        "AGIO_DATABASE_URL": database_url,
        "AGIO_TOKEN_SECRET": TOKEN_SECRET,
        "AGIO_PORT": "0",
        "PYTHONPATH": str(_ROOT),
        **({"AGIO_REDIS_URL": redis_url} if redis_url else {}),
        **settings,
    }
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "app.cli", "serve", "--workers", str(workers)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    server = AgioServer(process)
    started = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_log, server, started)
        try:
            with trio.fail_after(_START_SECONDS):
                await started.wait()
            assert server.port, f"the server did not start: {server.log}"
            yield server
        finally:
            with trio.CancelScope(deadline=trio.current_time() + _STOP_SECONDS, shield=True):
                if process.poll() is None:
                    process.kill()
                await process.wait()
            nursery.cancel_scope.cancel()
