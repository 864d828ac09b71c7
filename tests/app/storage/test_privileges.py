"""The server may do what it does and nothing else: PostgreSQL itself refuses to change what was."""

from collections.abc import Iterator
from contextlib import suppress
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from app.storage import Database, ReadConnection, WriteConnection, load_queries
from app.storage.privileges import may_rewrite

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.storage", "privileges.sql")
_EXPECTED: Final = resources.files("tests.app.storage").joinpath("privileges.txt")
_SERVER: Final = "agio_server"
_ROOT: Final = Path(__file__).parents[3]

# Whose statements are for the owner, or for a cluster without a server.
_NOT_THE_SERVERS: Final = ("app/storage/",)


async def _fetch(connection: ReadConnection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(query)]


def _told(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What is granted, a line each: `name: verb column …`; to others than the server, by name."""
    for name, of_name in groupby(rows, lambda row: row["name"]):
        words = []
        for (grantee, verb), held in groupby(of_name, lambda row: (row["grantee"], row["verb"])):
            if grantee is not None:
                whose = [] if grantee == _SERVER else [grantee]
                parts = [row["part"] for row in held if row["part"]]
                words.append(" ".join([*whose, verb, *parts]))
        yield f"{name}: {', '.join(words) or 'nothing'}"


async def test_everything_has_exactly_the_privileges_it_is_to_have(owner: Database) -> None:
    """Each table, view, sequence, function and schema, of whatever migration, is in the list."""
    assert list(_told(await owner.read(_fetch, _SQL.granted))) == [
        line for line in _EXPECTED.read_text("utf-8").splitlines() if not line.startswith("#")
    ]


async def test_the_server_is_nobody_else(owner: Database) -> None:
    """Neither role is mighty, the group does not log in, and the server is a member of it alone."""
    assert await owner.read(_fetch, _SQL.roles) == [
        {"name": "agio_node", "mighty": False, "logs_in": True, "member_of": [_SERVER]},
        {"name": _SERVER, "mighty": False, "logs_in": False, "member_of": []},
    ]


async def test_what_runs_as_the_owner_looks_nowhere_else(owner: Database) -> None:
    """A table in the server's own temporary schema is not taken for one of ours."""
    assert await owner.read(_fetch, _SQL.unguarded) == []


async def test_it_is_known_who_could_change_what_is_recorded(
    database: Database, owner: Database
) -> None:
    """The owner could, the server could not."""
    assert [await each.read(may_rewrite) for each in (owner, database)] == [True, False]


# What the server does ----------------------------------------------------------------------------


def _statements() -> dict[str, str]:
    """Every statement of the product that the server runs, by its place."""
    found: dict[str, str] = {}
    for path in sorted(_ROOT.glob("app/**/*.sql")):
        place = path.relative_to(_ROOT).as_posix()
        if not place.startswith(_NOT_THE_SERVERS):
            queries = load_queries(".".join(path.relative_to(_ROOT).parent.parts), path.name)
            found |= {f"{place}: {name}": getattr(queries, name) for name in dir(queries)}
    return found


async def _explain(connection: WriteConnection, statement: str) -> None:
    await connection.execute(_SQL.explain.format(statement=statement))


async def test_every_statement_may_be_run(database: Database) -> None:
    """Whatever the code asks of PostgreSQL, the server may ask."""
    refused = {}
    for place, statement in _statements().items():
        try:
            await database.write(_explain, statement)
        except asyncpg.InsufficientPrivilegeError as error:
            refused[place] = str(error)
    assert refused == {}
    assert len(_statements()) > 50


class _NotMissedError(Exception):
    """Every statement can still be run."""


async def _record(connection: WriteConnection) -> None:
    """A batch of nothing that could be: rights to its tables are looked at before that is found."""
    with suppress(asyncpg.IntegrityConstraintViolationError):
        async with connection.transaction():
            await connection.execute(_SQL.record_nonsense)


async def _is_needed(
    connection: WriteConnection, thing: str, privilege: str, statements: list[str]
) -> bool:
    """Whether without this privilege the server could not run all of these statements."""
    try:
        async with connection.transaction():
            await connection.execute(_SQL.revoke.format(privilege=privilege, thing=thing))
            await connection.execute(_SQL.serve)
            for statement in statements:
                await _explain(connection, statement)
            await _record(connection)
            raise _NotMissedError  # noqa: TRY301 - so that the block is undone
    except asyncpg.InsufficientPrivilegeError:
        return True
    except _NotMissedError:
        return False


async def test_every_right_to_write_is_needed(owner: Database) -> None:
    """Of what lets the server write, column by column, some statement needs each."""
    statements = _statements().values()
    await owner.write(_run, _SQL.open_line, _SQL.open_book)
    needless = []
    for row in await owner.read(_fetch, _SQL.granted):
        if row["grantee"] == _SERVER and row["verb"] in {"insert", "update", "delete"}:
            thing, part, verb = row["name"], row["part"], row["verb"]
            privilege = f"{verb} ({part})" if part else verb
            mentions = [each for each in statements if thing in each]
            if not await owner.write(_is_needed, thing, privilege, mentions):
                needless.append(f"{privilege} on {thing}")
    assert needless == []


# What it cannot do -------------------------------------------------------------------------------


async def _run(connection: WriteConnection, *statements: str) -> None:
    for statement in statements:
        await connection.execute(statement)


async def test_what_is_append_only_is_so_by_privilege(database: Database, owner: Database) -> None:
    """None of it is changed or deleted, and no trigger switched off, whatever the server says."""
    tables = await owner.read(_fetch, _SQL.append_only)
    whole = {row["name"] for row in tables if row["whole"]}
    assert {"conversion", "event", "event_topic", "posting", "transfer"} <= whole
    for row in tables:
        update = ["update"] if row["whole"] else []
        for way in (*update, "delete", "truncate", "switch_off", "alter", "own"):
            statement = getattr(_SQL, way).format(table=row["name"], part=row["part"])
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.write(_run, statement)


async def test_no_trigger_is_borrowed(database: Database, owner: Database) -> None:
    """A function that runs as the owner is not put on a table of the server's own, and fed."""
    functions = await owner.read(_fetch, _SQL.trigger_functions)
    assert "refuse_change" in {row["name"] for row in functions}
    for row in functions:
        borrow = _SQL.borrow.format(function=row["name"])
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="for function"):
            await database.write(_run, _SQL.own_table, borrow)


@pytest.mark.parametrize(
    "way", ["replicate", "become_owner", "join_owner", "make_table", "read_files"]
)
async def test_the_server_stays_what_it_is(database: Database, way: str) -> None:
    """There is no way around: neither as another, nor without triggers, nor by the machine."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.write(_run, getattr(_SQL, way))
