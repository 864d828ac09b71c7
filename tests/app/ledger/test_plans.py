"""Balances and statements are read from indexes alone, however much there is."""

import re
from datetime import UTC, datetime
from typing import Final

import pytest

from app.ledger import reads
from app.ledger.request import Pending, Transfer
from app.storage import Database, ReadConnection, SessionConnection, load_queries
from tests.app.ledger.ledger_book import LINE, LedgerBook

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("app.ledger", "reads.sql")
_OURS: Final = load_queries(__package__, "past.sql")

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)

# Enough that an index is worth it, and quickly posted.
POSTINGS: Final = 3_000
BATCH: Final = 500


@pytest.fixture
async def full(database: Database, owner: Database) -> Database:
    """A book in which many postings moved one account, and some of them others; vacuumed."""
    book = LedgerBook(database)
    await book.open()
    for _ in range(POSTINGS // BATCH):
        await book.post_all(
            [
                book.request(Transfer("bank:main", f"seller:s{number % 50}:payable", 1, "EUR"))
                for number in range(BATCH)
            ]
        )
    await book.post(Pending("expense:rent", "bank:main", 1, "EUR"))
    await book.post(Transfer("expense:rent", "bank:main", 1, "EUR"), at=LONG_AGO)
    await owner.session(_vacuum)
    return database


async def _vacuum(conn: SessionConnection) -> None:
    await conn.execute(_OURS.vacuum)


async def _explain(conn: ReadConnection, query: str, *args: object) -> str:
    rows = await conn.fetch(f"explain (costs off) {query}", *args)
    return "\n".join(row["QUERY PLAN"] for row in rows)


def scanned(plan: str) -> set[str]:
    """How each table and index is read, such as `Only Scan using transfer_debits`."""
    found = re.findall(r"((?:Seq|Heap|Index|Only) Scan)(?: Backward)? (using|on) (\w+)", plan)
    return {" ".join(each) for each in found}


BOTH_SIDES: Final = {
    "Only Scan using transfer_debits",
    "Only Scan using transfer_credits",
}


async def test_a_balance_is_read_from_indexes(full: Database) -> None:
    """By either time; and what nothing is late for is looked for in an index, too."""

    async def explain(conn: ReadConnection) -> tuple[str, str, str]:
        (account, *_) = await reads.accounts_of_book(conn, LINE, ("", ""), 1)
        standing = await _explain(conn, _SQL.standings, POSTINGS // 2, [account.id])
        arguments = (LINE, POSTINGS // 2, POSTINGS + 2, LONG_AGO, [account.id])
        late = await _explain(conn, _SQL.late, *arguments)
        balance = await _explain(conn, _SQL.balance_at, account.id, POSTINGS // 2, 0)
        return standing, late, balance

    standing, late, balance = await full.read(explain)
    assert scanned(standing) == BOTH_SIDES, standing
    assert scanned(balance) == BOTH_SIDES, balance
    assert "Only Scan using posting_back_dated" in scanned(late), late
    assert not re.search(r"(Seq|Heap) Scan", late), late


async def test_a_statement_is_read_from_indexes(full: Database) -> None:
    """Its lines, and what they record and when."""

    async def explain(conn: ReadConnection) -> str:
        (account, *_) = await reads.accounts_of_book(conn, LINE, ("", ""), 1)
        arguments = (account.id, LINE, POSTINGS // 2, 0, POSTINGS, 101)
        return await _explain(conn, _SQL.statement_lines, *arguments)

    plan = await full.read(explain)
    assert scanned(plan) == {*BOTH_SIDES, "Only Scan using posting_pkey"}, plan
