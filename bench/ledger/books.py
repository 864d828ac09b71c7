"""The books that are measured, and what they are measured beside, on one durable PostgreSQL."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from app.ledger import posting
from app.ledger.model import PostingRefused, Result
from app.ledger.poster import Posters
from app.storage import Database, ReadConnection, Row, SessionConnection, WriteConnection
from app.storage.named_sql import load_queries
from bench.ledger.load import Keys, Spread, Work, request

_SQL: Final = load_queries(__package__, "sides.sql")

# The accounts that transfers are spread over.
ACCOUNTS: Final = 10_000

# Rows that one statement fills a book with.
_FILL_ROWS: Final = 500_000


class Bench:
    """What is measured: the ledger's service, and the sides beside it."""

    def __init__(self, database: Database, posters: Posters) -> None:
        self.database = database
        self.posters = posters
        self.keys = Keys()

    async def make(self) -> Row:
        """Make the sides; returns what the server promises of a commit."""
        await self.database.session(_make_sides)
        promises = await self.database.read(_promises)
        assert {promises["fsync"], promises["synchronous_commit"]} == {"on"}, promises
        return promises

    async def make_book(self, book: str, accounts: int = ACCOUNTS) -> None:
        """A book with so many accounts, and nothing posted."""
        await self.database.write(_make_book, book, accounts)

    async def fill(self, book: str, postings: int) -> None:
        """Give an empty book a past of so many postings, in whole turns over its accounts."""
        assert postings % ACCOUNTS == 0, "accounts take turns"
        await self.database.session(_fill, book, postings)

    def batched(self, book: str, spread: Spread, size: int = 1) -> Work:
        """Callers of the service, each with `size` postings of a transfer at a time."""

        async def work() -> int:
            asked = [request(self.keys, spread) for _ in range(size)]
            return _recorded(await self.posters.post(book, asked))

        return work

    def one_by_one(self, book: str, spread: Spread) -> Work:
        """The same postings by the same code, each in an atomic block of its own."""

        async def work() -> int:
            asked = [request(self.keys, spread)]
            return _recorded(await self.database.write(posting.post, book, asked))

        return work

    def plain(self, spread: Spread) -> Work:
        """A ledger in the usual way, one call of a function in the database a transfer."""

        async def work() -> int:
            debit, credit = spread.pair()
            await self.database.write(_post_plainly, self.keys.next(), debit + 1, credit + 1)
            return 1

        return work

    def nothing(self) -> Work:
        """A commit of nothing."""

        async def work() -> int:
            await self.database.write(_commit_nothing)
            return 1

        return work

    async def copies(self, book: str, postings: int) -> Work:
        """COPY of the rows of so many postings of a book, into bare tables."""
        rows = await self.database.read(_sample, book, postings)

        async def work() -> int:
            await self.database.write(_copy, *rows)
            return postings

        return work

    def reads(self, read: Callable[..., Any], *args: object) -> Work:
        """One read of the database."""

        async def work() -> int:
            await self.database.read(read, *args)
            return 1

        return work


def _recorded(results: Sequence[Result] | object) -> int:
    """How many were recorded: all of them, or the measurement is worth nothing."""
    assert isinstance(results, list), results
    refused = [each for each in results if isinstance(each, PostingRefused)]
    assert not refused, refused[:3]
    return len(results)


async def _make_sides(conn: SessionConnection) -> None:
    await conn.execute(_SQL.make_plain)
    await conn.execute(_SQL.make_bare)


async def _promises(conn: ReadConnection) -> Row:
    row = await conn.fetchrow(_SQL.durability)
    assert row is not None, "settings are always there"
    return row


async def _make_book(conn: WriteConnection, book: str, accounts: int) -> None:
    await conn.execute(_SQL.make_book, book)
    await conn.execute(_SQL.open_accounts, book, accounts)


async def _fill(conn: SessionConnection, book: str, postings: int) -> None:
    first = await conn.fetchval(_SQL.first_account, book)
    for done in range(0, postings, _FILL_ROWS):
        async with conn.transaction():
            await conn.fetchval(_SQL.triggers_off)
            rows = min(_FILL_ROWS, postings - done)
            await conn.execute(_SQL.fill, book, first, rows, done, timeout=600)
    async with conn.transaction():
        await conn.fetchval(_SQL.triggers_off)
        await conn.execute(_SQL.filled, book, postings)
    for settle in (_SQL.settle, _SQL.settle_transfers, _SQL.settle_accounts):
        await conn.execute(settle, timeout=600)


async def _post_plainly(conn: WriteConnection, key: str, debit: int, credit: int) -> None:
    await conn.fetchval(_SQL.post_plainly, key, debit, credit, 100)


async def _commit_nothing(conn: WriteConnection) -> None:
    await conn.fetchval(_SQL.commit_nothing)


async def _sample(conn: ReadConnection, book: str, postings: int) -> tuple[list[Row], list[Row]]:
    rows = await conn.fetch(_SQL.sample_postings, book, postings)
    more = await conn.fetch(_SQL.sample_transfers, book, postings)
    return rows, more


async def _copy(conn: WriteConnection, postings: list[Row], transfers: list[Row]) -> None:
    for table, rows in (("bare_posting", postings), ("bare_transfer", transfers)):
        await conn.copy_records_to_table(
            table, records=[tuple(row.values()) for row in rows], columns=list(rows[0].keys())
        )


async def posting_by_number(conn: ReadConnection, book: str, number: int) -> None:
    """A row by its primary key."""
    await conn.fetchrow(_SQL.posting_by_number, book, number)
