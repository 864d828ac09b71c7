"""Migrations: applied once, in order, whole, in turns; refused when history differs."""

from pathlib import Path
from typing import Final

import asyncpg
import pytest
import trio

from app.storage import Annex, Database, MigrationRefused, WriteConnection, load_queries, migrate
from app.storage.migrations import Applied, Migration, load_migrations, pending

_SQL: Final = load_queries("tests.app.storage")

_FILES: Final = {
    "0001_first.sql": "create table first (id integer);",
    "0002_second.sql": "create table second (id integer);\ncreate index on second (id);",
}


def _folder(path: Path, files: dict[str, str] = _FILES) -> Path:
    path.mkdir(exist_ok=True)
    for name, sql in files.items():
        (path / name).write_text(sql)
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Migration, ...]:
    """Two migrations."""
    return load_migrations(_folder(tmp_path / "two"))


def _applied(migrations: tuple[Migration, ...]) -> list[Applied]:
    return [Applied(one.number, one.name, one.checksum) for one in migrations]


async def _exists(connection: WriteConnection, name: str) -> bool:
    return bool(await connection.fetchval(_SQL.mentions, name))


def test_ours_are_well_formed() -> None:
    """The product's own migrations are numbered without gaps and begin with the frame."""
    assert load_migrations()[0].name == "0001_base"


def test_a_missing_number_is_refused(tmp_path: Path) -> None:
    """A gap in the numbers is refused."""
    folder = _folder(tmp_path, {"0001_first.sql": "", "0003_third.sql": ""})
    with pytest.raises(MigrationRefused, match="migration 0003_third is number 2 in order"):
        load_migrations(folder)


def test_a_number_there_twice_is_refused(tmp_path: Path) -> None:
    """Two files of one number are refused."""
    folder = _folder(tmp_path, {"0001_first.sql": "", "0001_other.sql": ""})
    with pytest.raises(MigrationRefused, match="migration 0001_other is number 2 in order"):
        load_migrations(folder)


def test_an_ill_named_file_is_a_bug(tmp_path: Path) -> None:
    """SQL that would never be applied is not passed over in silence."""
    folder = _folder(tmp_path, {"first.sql": ""})
    with pytest.raises(AssertionError, match=r"first\.sql is not named"):
        load_migrations(folder)


def test_what_is_missing_is_pending(two: tuple[Migration, ...]) -> None:
    """Of two migrations with one applied, the other is left."""
    assert pending(two, []) == two
    assert pending(two, _applied(two[:1])) == two[1:]
    assert pending(two, _applied(two)) == ()


def test_an_edited_migration_is_refused(two: tuple[Migration, ...]) -> None:
    """A file that is not what was applied is refused by its name."""
    applied = [Applied(1, "0001_first", "another checksum")]
    with pytest.raises(MigrationRefused, match="0001_first was edited"):
        pending(two, applied)


def test_a_database_ahead_of_the_code_is_refused(two: tuple[Migration, ...]) -> None:
    """A migration that this code does not know is refused by its name."""
    with pytest.raises(MigrationRefused, match="has migration 0002_second, which this version"):
        pending(two[:1], _applied(two))


def test_a_hole_in_the_database_is_refused(two: tuple[Migration, ...]) -> None:
    """A record without the one before it is refused."""
    with pytest.raises(MigrationRefused, match="0002_second but not number 1"):
        pending(two, _applied(two[1:]))


@pytest.mark.servers
async def test_migrating_twice_changes_nothing(
    annex: Annex, empty_database_url: str, two: tuple[Migration, ...]
) -> None:
    """The first run applies all, the second nothing."""
    database = Database(annex, empty_database_url)
    assert await migrate(database, two) == ("0001_first", "0002_second")
    assert await migrate(database, two) == ()
    assert await database.session(_exists, "second") is True


@pytest.mark.servers
async def test_our_own_are_applied(annex: Annex, empty_database_url: str) -> None:
    """An empty database gets the product's whole schema, once."""
    database = Database(annex, empty_database_url)
    names = tuple(one.name for one in load_migrations())
    assert await migrate(database) == names
    assert await migrate(database) == ()


@pytest.mark.servers
async def test_a_migration_that_fails_leaves_nothing(
    annex: Annex, empty_database_url: str, tmp_path: Path
) -> None:
    """Of a migration that fails midway nothing is there, and those before it stay."""
    broken = {**_FILES, "0002_second.sql": f"{_FILES['0002_second.sql']}\nselect 1 / 0;"}
    database = Database(annex, empty_database_url)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database, load_migrations(_folder(tmp_path, broken)))
    assert await database.session(_exists, "first") is True
    assert await database.session(_exists, "second") is False
    mended = load_migrations(_folder(tmp_path))
    assert await migrate(database, mended) == ("0002_second",)


@pytest.mark.servers
async def test_an_edited_migration_is_refused_before_anything_is_done(
    annex: Annex, empty_database_url: str, tmp_path: Path
) -> None:
    """With an edited first migration, the second is not applied."""
    database = Database(annex, empty_database_url)
    first = {"0001_first.sql": _FILES["0001_first.sql"]}
    await migrate(database, load_migrations(_folder(tmp_path, first)))
    edited = {**_FILES, "0001_first.sql": "create table first (id bigint);"}
    with pytest.raises(MigrationRefused):
        await migrate(database, load_migrations(_folder(tmp_path, edited)))
    assert await database.session(_exists, "second") is False


@pytest.mark.servers
async def test_nodes_that_start_together_take_turns(
    annex: Annex, empty_database_url: str, two: tuple[Migration, ...]
) -> None:
    """Of several that migrate at once, one applies everything and the others nothing."""
    results: list[tuple[str, ...]] = []

    async def node() -> None:
        results.append(await migrate(Database(annex, empty_database_url), two))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(node)
    assert sorted(results) == [(), (), (), ("0001_first", "0002_second")]


def test_what_landed_is_never_edited() -> None:
    """A database that has it would be refused: a change is a migration of its own."""
    # When a migration lands, a line is added to the list. None is ever changed.
    landed = Path(__file__).with_name("landed.txt").read_text("utf-8").splitlines()
    found = [f"{one.number:04} {one.name} {one.checksum}" for one in load_migrations()]
    assert found[: len(landed)] == landed
    assert len(landed) >= 7
