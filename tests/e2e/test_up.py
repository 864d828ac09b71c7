"""`agio up` as a newcomer meets it: one command, a banner that works, and a clean end."""

import os
import re
import signal
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio

from tests.e2e.node import node_client
from tests.e2e.up import agio, agio_up
from tests.support.no_tls import NO_TLS

pytestmark = [pytest.mark.servers, pytest.mark.slow]


async def processes_of(state: Path, program: bytes = b"") -> list[int]:
    """Process ids whose command line or working folder lies where this state folder keeps data.

    Args:
        state: the folder.
        program: what the command line has to match, too.
    """
    return await trio.to_thread.run_sync(_processes_of, state, program)  # it looks at every process


def _processes_of(state: Path, program: bytes) -> list[int]:
    homes = [state, *(state / each.read_text().strip() for each in state.glob("home"))]
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and any(_is_of(entry, home, program) for home in homes):
                found.append(int(entry.name))
    return [each for each in found if each != os.getpid()]


def _is_of(process: Path, home: Path, program: bytes) -> bool:
    words = (process / "cmdline").read_bytes()
    if not re.search(program, words):
        return False
    return str(home).encode() in words or home in (process / "cwd").readlink().parents


async def gone(state: Path) -> None:
    """Wait until no process of this state folder is left."""
    with trio.fail_after(15):
        while await processes_of(state):
            pass


def bearer(token: str) -> dict[str, str]:
    """Who asks."""
    return {"Authorization": f"Bearer {token}"}


async def listings(url: str, token: str) -> dict[str, int]:
    """Stock by listing of the demo sale."""
    async with httpx.AsyncClient(headers=bearer(token), verify=NO_TLS) as http:
        answer = await http.get(f"{url}/v1/sales/demo", timeout=30)
    return {each["id"]: each["stock"] for each in answer.json()["listings"]}


async def buy(url: str, token: str, key: str) -> httpx.Response:
    """One mug."""
    async with httpx.AsyncClient(headers=bearer(token), verify=NO_TLS) as http:
        return await http.post(
            f"{url}/v1/transactions",
            json={
                "sale": "demo",
                "listing": "demo-mug",
                "quantity": 1,
                "payment_method": "pm_card_visa",
            },
            headers={"Idempotency-Key": key},
            timeout=30,
        )


async def test_a_first_start_a_purchase_and_a_warm_start(state_path: Path) -> None:
    """What was bought before Ctrl-C is there after the next start, and Ctrl-C leaves nothing."""
    state = state_path
    async with agio_up(state) as up:
        buyer, seller, operator = up.tokens()
        assert 201 == (await buy(up.url, buyer, "first")).status_code
        assert 49 == (await listings(up.url, seller))["demo-mug"]
        assert 0 == await up.interrupt()
    await gone(state)
    async with agio_up(state) as up:
        assert len(await processes_of(state)) > 2, "its servers are seen, so `gone` means something"
        assert 49 == (await listings(up.url, operator))["demo-mug"]
        assert up.tokens() != [buyer, seller, operator], "tokens are made anew"
        assert 201 == (await buy(up.url, buyer, "first")).status_code, "an old token still works"
        assert 49 == (await listings(up.url, buyer))["demo-mug"]
        checked = await agio("ledger", "check", state=state)
        assert 0 == checked.returncode, checked.stdout + checked.stderr
        assert 0 == await up.interrupt()
    await gone(state)
    checked = await agio("ledger", "check", state=state)
    assert 0 == checked.returncode, checked.stdout + checked.stderr
    await gone(state)


async def test_a_killed_server_leaves_no_orphan_and_loses_nothing(state_path: Path) -> None:
    """After `kill -9` of the server its servers end too, and the next start has everything."""
    state = state_path
    async with agio_up(state) as up:
        assert 201 == (await buy(up.url, up.tokens()[0], "k")).status_code
        await up.kill()
    await gone(state)
    async with agio_up(state) as up:
        assert 49 == (await listings(up.url, up.tokens()[0]))["demo-mug"]


async def test_a_killed_postgresql_comes_back_under_the_running_server(state_path: Path) -> None:
    """After `kill -9` of PostgreSQL mid-sale every acknowledged purchase stands, exactly once."""
    state = state_path
    async with agio_up(state) as up, node_client() as watcher:
        buyer = up.tokens()[0]
        await watcher.do(
            "connect", url=up.url.replace("http", "ws") + "/socket", token=up.tokens()[1]
        )
        await watcher.do("watch", topic="sale:demo", recover=True)
        acknowledged: list[str] = []
        under_way = trio.Event()

        async def shopper(i: int) -> None:
            for j in range(4):
                with trio.fail_after(60):
                    while (answer := await buy(up.url, buyer, f"{i}-{j}")).status_code >= 500:
                        pass  # retryable, and the same key: ask again
                assert 201 == answer.status_code, answer.text
                acknowledged.append(answer.json()["transaction"])
                if len(acknowledged) >= 8:
                    under_way.set()

        async with trio.open_nursery() as nursery:
            for i in range(8):
                nursery.start_soon(shopper, i)
            await under_way.wait()
            os.kill(await server_of(state, rb"/postgres\0-D"), signal.SIGKILL)
        assert 32 == len(set(acknowledged))
        assert 50 - 32 == (await listings(up.url, buyer))["demo-mug"]
        events = await watcher.wait_for(32, event="stock_changed")
        assert list(range(49, 17, -1)) == [each["payload"]["stock"] for each in events]
        checked = await agio("ledger", "check", state=state)
        assert 0 == checked.returncode, checked.stdout + checked.stderr


async def test_a_killed_valkey_disconnects_nobody(state_path: Path) -> None:
    """After `kill -9` of Valkey the sale goes on for those who watch, and Valkey comes back."""
    state = state_path
    async with agio_up(state) as up, node_client() as watcher:
        buyer, seller, _ = up.tokens()
        await watcher.do("connect", url=up.url.replace("http", "ws") + "/socket", token=seller)
        await watcher.do("watch", topic="sale:demo", recover=True)
        os.kill(await server_of(state, rb"valkey-server"), signal.SIGKILL)
        for i in range(3):
            assert 201 == (await buy(up.url, buyer, str(i))).status_code
        await watcher.wait_for(3, event="stock_changed")
        assert 1 == (await watcher.do("view", topic="sale:demo"))["joins"]
        with trio.fail_after(15):
            while not await processes_of(state, rb"valkey-server"):
                pass


async def server_of(state: Path, program: bytes) -> int:
    """The process id of this state folder's server whose command line matches."""
    (pid,) = await processes_of(state, program)
    return pid


async def test_a_port_in_use_is_one_line(state_path: Path) -> None:
    """A port that somebody else has ends the start with one line that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await agio("up", state=state_path, AGIO_PORT=port)
    assert 0 != done.returncode
    (line,) = done.stderr.decode().splitlines()
    assert port in line


async def test_an_unreachable_database_is_one_line(state_path: Path) -> None:
    """A database that does not answer ends the start with one line, and no password in it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://agio:hush-hush@127.0.0.1:{unused.getsockname()[1]}/agio"
        done = await agio("up", state=state_path, AGIO_DATABASE_URL=url)
    assert 0 != done.returncode
    (line,) = done.stderr.decode().splitlines()
    assert "127.0.0.1" in line
    assert "hush-hush" not in line


async def test_a_state_folder_of_another_version_is_one_line(state_path: Path) -> None:
    """A state folder that another version made is refused, with one line, and left alone."""
    state = state_path
    async with agio_up(state) as up:
        assert 0 == await up.interrupt()
    (version,) = [each for each in state.iterdir() if "version" in each.name.lower()]
    version.write_text("0\n")
    done = await agio("up", state=state)
    assert 0 != done.returncode
    (line,) = done.stderr.decode().splitlines()
    assert "version" in line
