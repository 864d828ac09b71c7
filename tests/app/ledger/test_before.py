"""A database of captures, from before the ledger had an order of its own, becomes one that has."""

from typing import Any, Final

import asyncpg
import pytest

from app.ledger.codes import LedgerCode
from app.ledger.plan import Terms
from app.storage import Annex, Database, ReadConnection, SessionConnection, load_queries, migrate
from app.storage.migrations import load_migrations
from tests.app.ledger.posting_book import Bank, accepted, pay, refusal, running

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "before.sql")

Rows = list[dict[str, Any]]


async def fill(conn: SessionConnection) -> Rows:
    """Captures as they were recorded then; what accounts came to."""
    for statement in ("lines", "captures", "transfers", "entries", "counters"):
        await conn.execute(getattr(_SQL, statement))
    return [dict(row) for row in await conn.fetch(_SQL.balances_before)]


async def rows(database: Database, query: str, *args: object) -> Rows:
    """The rows of a query of `before.sql`."""

    async def run(conn: ReadConnection) -> Rows:
        return [dict(row) for row in await conn.fetch(getattr(_SQL, query), *args)]

    return await database.read(run)


async def test_captures_are_taken_over(annex: Annex, empty_database_url: str) -> None:
    """In the order in which they were made, with all balances; a check finds nothing."""
    database = Database(annex, empty_database_url, pool_size=2)
    await migrate(database, load_migrations()[:2])
    before = await database.session(fill)
    await migrate(database)
    async with running(database):
        assert await rows(database, "balances_after") == before
        bank = Bank(database)
        await bank.check()
        for book, first in (("acme", 2), ("other", 1)):
            postings = await rows(database, "postings_after", book)
            assert [row["number"] for row in postings] == list(range(1, 21))
            assert [row["key"] for row in postings] == [
                f"capture:txn_{number}" for number in range(first, 41, 2)
            ]
            assert {row["transfers"] for row in postings} == {2}
            times = [row["recorded_at"] for row in postings]
            assert times == sorted(times)
        # And the book goes on from there.
        clearing, payable = "gateway:test:clearing", "seller:sam:payable"
        (more,) = await bank.post(pay("more", 5, clearing, payable))
        assert accepted(more).number == 21
        (again,) = await bank.post(pay("capture:txn_2"), terms=Terms(trusted=True))
        assert refusal(again)[0] == LedgerCode.KEY_REUSED
        heads = [
            (row["id"], row["head"], row["mode"]) for row in await rows(database, "books_after")
        ]
        assert heads == [("acme", 21, "live"), ("other", 20, "live")]
        await bank.check()


async def test_nothing_is_taken_over_from_nothing(annex: Annex, empty_database_url: str) -> None:
    """A database without a capture, or without a book, has an empty ledger."""
    database = Database(annex, empty_database_url, pool_size=2)
    await migrate(database, load_migrations()[:2])
    await migrate(database)
    async with running(database):
        bank = Bank(database)
        await bank.check()
        await bank.open()
        assert accepted((await bank.post(pay("first")))[0]).number == 1
        await bank.check()


async def test_a_ledger_as_it_landed_goes_on(annex: Annex, empty_database_url: str) -> None:
    """Also with patterns whose accounts could not begin: now they may, and no more such come."""
    database = Database(annex, empty_database_url, pool_size=2)
    await migrate(database, load_migrations()[:2])
    await database.session(fill)
    await migrate(database, load_migrations()[:5])
    await database.session(spoil)
    await migrate(database)
    async with running(database):
        limits = [(row["floor"], row["ceiling"]) for row in await rows(database, "wards")]
        assert limits == [(0, 90), (-90, 0)]
        with pytest.raises(asyncpg.CheckViolationError, match="chart_lets_accounts_begin"):
            await database.session(spoil)
        bank = Bank(database)
        assert accepted((await bank.post(pay("more", 5, debit="ward-a:x")))[0]).number == 21
        await bank.check()


async def spoil(conn: SessionConnection) -> None:
    """Patterns that no account can begin in."""
    await conn.execute(_SQL.spoil)
