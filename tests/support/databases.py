"""Databases for tests: one migrated template, and a copy of it for each test that asks.

They belong to a superuser. Tests work as the role that serves, unless they ask for more.
"""

import asyncio
import itertools
import os
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import trio

from actors import run_root
from app.storage import Annex, Database, load_queries, migrate

_SQL: Final = load_queries("tests.support")
_TEMPLATE: Final = "agio_template"


class Databases:
    """Makes and removes databases on one server, from outside any test's trio loop."""

    def __init__(self, admin_url: str, server_url: str) -> None:
        """Connect.

        Args:
            admin_url: of one database, as a superuser.
            server_url: of the same, as the role that serves.
        """
        self._admin_url = admin_url
        self._server_url = server_url
        self._numbers = itertools.count(1)
        self._runner = asyncio.Runner()
        self._admin = self._runner.run(asyncpg.connect(admin_url))
        self._has_template = False

    def close(self) -> None:
        """Close the connection; the databases go with the server."""
        self._runner.run(self._admin.close())
        self._runner.close()

    def make(self, *, migrated: bool) -> str:
        """The URL of a new database, as its owner."""
        name = f"agio_test_{os.getpid()}_{next(self._numbers)}"
        if migrated:
            self._make_template()
            self._do(_SQL.create_from_template, name=name, template=_TEMPLATE)
        else:
            self._do(_SQL.create_empty, name=name)
        return self.url_of(name)

    def remove(self, url: str) -> None:
        """Remove a database that `make` made."""
        self._do(_SQL.drop, name=urlsplit(url).path.removeprefix("/"))

    def url_of(self, name: str) -> str:
        """The URL of the database `name`, as its owner."""
        return urlsplit(self._admin_url)._replace(path=f"/{name}").geturl()

    def as_server(self, url: str) -> str:
        """The same database, as the role that serves."""
        return urlsplit(self._server_url)._replace(path=urlsplit(url).path).geturl()

    def _make_template(self) -> None:
        """Make and migrate the template, once."""
        if not self._has_template:
            self._do(_SQL.drop, name=_TEMPLATE)
            self._do(_SQL.create_empty, name=_TEMPLATE)
            trio.run(_migrate, self.url_of(_TEMPLATE))
            self._has_template = True

    def _do(self, statement: str, **names: str) -> None:
        for name in names.values():
            assert name.isidentifier(), f"{name!r} would need quoting"
        self._runner.run(self._admin.execute(statement.format(**names)))


async def _migrate(url: str) -> None:
    annex = Annex()
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        await nursery.start(partial(run_root, annex, stop=stop))
        await migrate(Database(annex, url))
        stop.set()
