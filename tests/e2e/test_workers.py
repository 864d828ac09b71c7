"""Several workers behind one port: one server to whoever comes, whichever of them dies."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.node import NodeClient, node_client
from tests.e2e.server import TOKEN_SECRET, AgioServer, agio_server, client, token
from tests.e2e.up import agio_up
from tests.support.no_tls import NO_TLS

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one worker may get everybody"),
]

_PATIENCE_S = 30
_LISTENED = re.compile(r'^agio_socket_connections\{worker="(\d)"\} (\d+)', re.MULTILINE)
_UP = re.compile(r'^agio_worker_up\{worker="(\d)"\} (\d)', re.MULTILINE)


@pytest.fixture
async def server(
    database_url: str, valkey_url: str, database: Database
) -> AsyncIterator[AgioServer]:
    """`agio serve --workers 2`, with the demo data loaded and the load rooms open."""
    await database.write(load_demo)
    async with agio_server(
        database_url, valkey_url, workers=2, AGIO_BENCH_ROOMS="1", AGIO_POOL_SIZE="4"
    ) as running:
        yield running


async def workers_of(pid: int) -> dict[int, int]:
    """The living workers of a parent: process by number."""
    return await trio.to_thread.run_sync(_workers_of, pid)  # each process there is looked at


def _workers_of(pid: int) -> dict[int, int]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid and "app.cli_worker" in words:
            found[int(words[words.index("app.cli_worker") + 1])] = int(folder.name)
    return found


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so; each time it goes through the server or the kernel.

    A worker that goes away may take a question with it: that is no answer.
    """
    with trio.fail_after(_PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                if await holds():
                    return


async def metrics(server: AgioServer) -> str:
    """What a scraper gets: each time on a new connection, so from any worker."""
    async with client(server, "operator") as http:
        return (await http.get("/metrics")).text


@asynccontextmanager
async def crowd(server: AgioServer, size: int) -> AsyncIterator[list[NodeClient]]:
    """Members of one load room."""
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(node_client()) for _ in range(size)]
        for person in people:
            await person.do("connect", url=server.socket_url, token=token("buyer"))
            await person.do("join", topic="bench:1", params={})
            await person.wait_for(1, topic="bench:1", joined=True)
        yield people


async def test_workers_are_one_server(server: AgioServer) -> None:
    """A broadcast reaches members on all; metrics and the tree tell of all, whoever is asked."""
    async with crowd(server, 6) as people:
        await people[0].do("cast", topic="bench:1", event="broadcast", payload={"n": 1})
        for person in people:
            await person.wait_for(1, topic="bench:1", event="broadcast")
        for _ in range(6):
            text = await metrics(server)
            assert dict(_UP.findall(text)) == {"1": "1", "2": "1"}
            assert sum(int(number) for _, number in _LISTENED.findall(text)) == 6
        async with client(server, "operator") as http:
            tree = (await http.get("/v1/operations/tree")).json()["tree"]
            assert [child["name"] for child in tree["children"]] == ["worker-1", "worker-2"]
            for name in ("worker-1", "worker-2"):
                path = f"agio/{name}/service/listener"
                answer = (await http.get("/v1/operations/tree", params={"path": path})).json()
                assert (answer["path"], answer["tree"]["name"]) == (path, "listener")
            nowhere = {"path": "agio/worker-3"}
            assert (await http.get("/v1/operations/tree", params=nowhere)).status_code == 404
    assert {line.get("worker") for line in server.log if line["event"] == "server.started"} == {
        None,
        1,
        2,
    }


async def test_a_worker_that_dies_is_replaced(server: AgioServer) -> None:
    """Its clients come back by themselves, the others do not notice, the port stays."""
    async with crowd(server, 6) as people:
        before = await workers_of(server.process.pid)
        os.kill(before[1], signal.SIGKILL)

        async def replaced() -> bool:
            now = await workers_of(server.process.pid)
            up = dict(_UP.findall(await metrics(server)))
            return now.get(1, before[1]) != before[1] and up == {"1": "1", "2": "1"}

        await until(replaced)

        async def all_back() -> bool:
            found = _LISTENED.findall(await metrics(server))
            return sum(int(number) for _, number in found) == 6

        await until(all_back)
        assert 'agio_worker_restarts_total{worker="1"} 1' in await metrics(server)
        for person in people:
            if any(line.get("socket") == "closed" for line in person.lines):
                await person.wait_for(2, topic="bench:1", joined=True)
        await people[0].do("cast", topic="bench:1", event="broadcast", payload={"n": 1})
        for person in people:
            await person.wait_for(1, topic="bench:1", event="broadcast")
    assert await server.terminate() == 0


async def test_workers_die_with_their_parent(server: AgioServer) -> None:
    """Also by `kill -9`; the port is free again."""
    before = await workers_of(server.process.pid)
    assert set(before) == {1, 2}
    server.kill()
    await server.wait_killed()

    async def gone() -> bool:
        await trio.lowlevel.checkpoint()
        return not any(_lives(pid) for pid in before.values())

    await until(gone)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_sighup_renews_workers_one_after_another(server: AgioServer) -> None:
    """The server answers all the while, and in the end both are others."""
    before = await workers_of(server.process.pid)
    server.process.send_signal(signal.SIGHUP)

    async def renewed() -> bool:
        async with client(server, "operator") as http:
            (await http.get("/livez")).raise_for_status()
        now = await workers_of(server.process.pid)
        return len(now) == 2 and not set(now.values()) & set(before.values())

    await until(renewed)
    assert await server.terminate() == 0
    assert [line for line in server.log if line["event"] == "actor.crashed"] == []


async def test_a_worker_that_cannot_start_ends_everything(
    empty_database_url: str, valkey_url: str
) -> None:
    """With its reason, in one line; and without a bus no worker is started at all."""
    refused = await _serve(AGIO_DATABASE_URL=empty_database_url, AGIO_REDIS_URL=valkey_url)
    assert refused.returncode == 1
    (line,) = refused.stderr.decode().splitlines()
    assert re.match(r"agio: worker-[12]: .*agio migrate", line)
    alone = await _serve(AGIO_DATABASE_URL=empty_database_url)
    assert alone.returncode == 1
    assert alone.stderr.decode().startswith("agio: AGIO_REDIS_URL is not set: ")


async def _serve(**settings: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AGIO_")}
    with trio.fail_after(60):
        return await trio.run_process(
            [sys.executable, "-m", "app.cli", "serve", "--workers", "2"],
            env={**inherited, "AGIO_PORT": "0", "AGIO_TOKEN_SECRET": TOKEN_SECRET, **settings},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


async def test_up_brings_its_servers_once_for_all(state_path: Path) -> None:
    """`agio up --workers 2` migrates once, serves, and ends its workers before its servers."""
    async with agio_up(state_path, "--workers", "2") as up:
        assert set(await workers_of(up.process.pid)) == {1, 2}
        async with httpx.AsyncClient(timeout=30, verify=NO_TLS) as http:
            token = {"Authorization": f"Bearer {up.tokens()[0]}"}
            for _ in range(8):
                sale = await http.get(f"{up.url}/v1/sales/demo", headers=token)
                assert sale.status_code == 200
        assert await up.interrupt() == 0
