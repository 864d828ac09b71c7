"""Brings a database's schema up to what this code expects, with the files of `migrations/`.

A migration is a file `0001_name.sql` of plain SQL. Numbers begin at 1 and have no gaps. Each is
applied in one atomic block together with the record of it, under a short `lock_timeout`, so that it
is there whole or not at all and does not stand in the way of a running node for long; statements
that refuse atomic blocks (CREATE INDEX CONCURRENTLY) have no place in one. A session advisory lock
makes nodes that start together take turns, so the second finds nothing left to do.

A migration never changes once it landed: its checksum is kept beside its number, and a file that
was edited, a number that is missing, or a database that is ahead of the code is refused in one
line, before anything is touched.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg

from app.storage.connections import ReadConnection, SessionConnection
from app.storage.database import Database
from app.storage.errors import MigrationRefused
from app.storage.limits import (
    MIGRATION_LOCK_S,
    MIGRATION_RUN_S,
    MIGRATION_TURN_S,
)
from app.storage.named_sql import load_queries

_SQL: Final = load_queries("app.storage")
_FILE: Final = re.compile(r"(?P<number>[0-9]{4})_(?P<words>[a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file.

    Attributes:
        number: its place, from 1.
        name: the file's name without `.sql`.
        sql: its text.
        checksum: SHA-256 of the text, in hexadecimal.
    """

    number: int
    name: str
    sql: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What `schema_version` says of one migration."""

    number: int
    name: str
    checksum: str


def load_migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations of a folder, in order; of the `migrations` package by default.

    Raises:
        MigrationRefused: a number is missing or there twice.
    """
    place = folder if folder is not None else resources.files("migrations")
    found = []
    for file in place.iterdir():
        if match := _FILE.fullmatch(file.name):
            sql = file.read_text("utf-8")
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            name = file.name.removesuffix(".sql")
            found.append(Migration(int(match["number"]), name, sql, checksum))
        else:
            assert not file.name.endswith(".sql"), f"{file.name} is not named 0001_name.sql"
    migrations = sorted(found, key=lambda migration: (migration.number, migration.name))
    for place_in_order, migration in enumerate(migrations, start=1):
        if migration.number != place_in_order:
            raise MigrationRefused(
                f"migration {migration.name} is number {place_in_order} in order: "
                "a number is missing or there twice"
            )
    return tuple(migrations)


def pending(migrations: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Which migrations are still to be applied, in order.

    Raises:
        MigrationRefused: what was applied is not what these files say.
    """
    for place, (migration, was) in enumerate(zip(migrations, applied, strict=False), start=1):
        if was.number != place:
            raise MigrationRefused(
                f"the database has migration {was.name} but not number {place} before it"
            )
        if was.checksum != migration.checksum:
            raise MigrationRefused(
                f"migration {migration.name} was edited after this database applied it "
                f"(as {was.name}); put it back and write a new one"
            )
    if len(applied) > len(migrations):
        ahead = applied[len(migrations)]
        raise MigrationRefused(
            f"the database has migration {ahead.name}, which this version of Agio does not know: "
            "run a newer version"
        )
    return tuple(migrations[len(applied) :])


async def migrate(
    database: Database, migrations: Sequence[Migration] | None = None
) -> tuple[str, ...]:
    """Apply what is missing and return the names, in order; the database need not be `run`.

    Raises:
        MigrationRefused: the schema is not one that this code may go on from, or the database's
            role may not change it.
        StorageDown: PostgreSQL cannot be reached, failed, or a lock could not be had in time.
    """
    wanted = load_migrations() if migrations is None else migrations
    try:
        return await database.session(_migrate, wanted)
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused(
            f"the role that migrates {database.place} may not do so ({error.args[0]}): "
            f"{error.hint or 'set AGIO_DATABASE_OWNER_URL, to the role that owns the tables'}"
        ) from error


async def check_schema(database: Database) -> None:
    """See that nothing is left to apply, and apply nothing.

    Raises:
        MigrationRefused: the schema is not this code's, or the database's role may not look.
        StorageDown: PostgreSQL cannot be reached, or failed.
    """
    try:
        applied = await database.read(_applied)
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationRefused(
            f"the role that serves {database.place} is shut out ({error.args[0]}): "
            "run `agio migrate`, and grant agio_server to it"
        ) from error
    todo = pending(load_migrations(), applied)
    if todo:
        raise MigrationRefused(
            f"{database.place} has not had {', '.join(each.name for each in todo)}: "
            "run `agio migrate`"
        )


async def _applied(connection: ReadConnection) -> list[Applied]:
    """What was applied; nothing where there is not even a place to note it."""
    if not await connection.fetchval(_SQL.has_schema_version):
        return []
    return [Applied(**row) for row in await connection.fetch(_SQL.applied)]


async def _migrate(
    connection: SessionConnection, migrations: Sequence[Migration]
) -> tuple[str, ...]:
    """Apply what is missing, on the annex."""
    await _set(connection, _SQL.set_for_session, "lock_timeout", MIGRATION_TURN_S)
    await _set(connection, _SQL.set_for_session, "statement_timeout", MIGRATION_RUN_S)
    await connection.execute(_SQL.take_turn, timeout=MIGRATION_TURN_S + 1)
    if not await connection.fetchval(_SQL.has_schema_version):
        await connection.execute(_SQL.make_schema_version)
    applied = await _applied(connection)
    todo = pending(migrations, applied)
    for migration in todo:
        await _apply(connection, migration)
    return tuple(migration.name for migration in todo)


async def _apply(connection: SessionConnection, migration: Migration) -> None:
    """Apply one migration and note it, or neither."""
    async with connection.transaction():
        await _set(connection, _SQL.set_for_block, "lock_timeout", MIGRATION_LOCK_S)
        await connection.execute(migration.sql, timeout=MIGRATION_RUN_S + 1)
        await connection.execute(_SQL.record, migration.number, migration.name, migration.checksum)


async def _set(connection: SessionConnection, query: str, setting: str, seconds: float) -> None:
    await connection.execute(query, setting, f"{round(seconds * 1000)}ms")
