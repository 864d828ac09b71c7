"""A posting is written whole, once, in any company; the tables refuse what the rules would."""

from collections import Counter
from typing import Any, Final

import asyncpg
import pytest
import trio

from app.domain.money import AMOUNT_MAX, Money
from app.ledger import store
from app.ledger.model import Kind, Place, Posting, PostingRefused, Transfer
from app.ledger.rules import COUNTER_MAX
from app.ledger.service import Ledger
from app.storage import Database, ReadConnection, WriteConnection, load_queries

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "book.sql")

BANK = Place("bank", Kind.ASSET)
ANNA = Place("anna", Kind.LIABILITY, owner="anna")
BORIS = Place("boris", Kind.LIABILITY, owner="boris")
FEES = Place("fees", Kind.REVENUE)


@pytest.fixture
async def book(database: Database) -> Database:
    """A database with the books `acme` and `other`, without accounts."""
    await write(database, "open_book", "acme")
    await write(database, "open_book", "other")
    return database


async def write(database: Database, query: str, *args: object) -> None:
    """Runs one of the statements of `book.sql`."""

    async def run(conn: WriteConnection) -> None:
        await conn.execute(getattr(_SQL, query), *args)

    await database.write(run)


async def rows(database: Database, query: str) -> list[dict[str, Any]]:
    """The rows of one of the queries of `book.sql`."""

    async def run(conn: ReadConnection) -> list[dict[str, Any]]:
        return [dict(row) for row in await conn.fetch(getattr(_SQL, query))]

    return await database.read(run)


async def balances(database: Database) -> dict[str, tuple[int, int, int]]:
    """What each account shows: debits, credits, version."""
    return {
        row["path"]: (row["debits"], row["credits"], row["version"])
        for row in await rows(database, "accounts")
    }


async def counts(database: Database) -> tuple[int, int, int]:
    """How many postings, transfers and entries there are."""
    (row,) = await rows(database, "counts")
    return row["postings"], row["transfers"], row["entries"]


def posting(key: str, *legs: tuple[Place, Place, int], currency: str = "EUR") -> Posting:
    """A posting in the book `acme`."""
    return Posting("acme", key, tuple(Transfer(d, c, Money(a, currency)) for d, c, a in legs))


async def test_a_posting_is_written(book: Database) -> None:
    """Its accounts are opened, each transfer leaves two entries, and the counters follow."""
    first = posting("one", (BANK, ANNA, 900), (BANK, FEES, 100))
    assert await book.write(store.post, first) is None
    assert await book.write(store.post, posting("two", (ANNA, BANK, 400))) is None
    assert await balances(book) == {
        "anna": (400, 900, 2),
        "bank": (1_000, 400, 3),
        "fees": (0, 100, 1),
    }
    assert await counts(book) == (2, 3, 6)
    assert await Ledger(book).check() == []


async def test_currencies_are_apart(book: Database) -> None:
    """The same place counts each currency in an account of its own."""
    for currency in ("EUR", "JPY", "KWD"):
        wanted = posting(f"in {currency}", (BANK, ANNA, 5), currency=currency)
        assert await book.write(store.post, wanted) is None
    assert len(await rows(book, "accounts")) == 6
    assert await Ledger(book).check() == []


async def test_a_key_is_posted_once(book: Database) -> None:
    """A second posting under a key is refused, whatever it says, even where it could not post."""
    assert await book.write(store.post, posting("one", (BANK, ANNA, 5))) is None
    before = await balances(book)
    for again in (posting("one", (BANK, ANNA, 5)), posting("one", (BANK, BANK, 5)), posting("one")):
        assert await book.write(store.post, again) is PostingRefused.ALREADY_POSTED
    assert await balances(book) == before
    assert await counts(book) == (1, 1, 2)


async def test_a_key_is_posted_once_by_many(book: Database) -> None:
    """Of sixteen that post one key at the same time, one does."""
    said: Counter[PostingRefused | None] = Counter()

    async def post() -> None:
        said[await book.write(store.post, posting("one", (BANK, ANNA, 5)))] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(post)
    assert said == {None: 1, PostingRefused.ALREADY_POSTED: 15}
    assert await counts(book) == (1, 1, 2)


async def test_a_bad_last_transfer_spoils_all(book: Database) -> None:
    """What is refused leaves every balance as it was."""
    await write(book, "open_account", "acme", "anna", "liability", 0, 0, 0, "anna")
    wanted = posting("one", (BANK, BORIS, 500), (ANNA, BORIS, 1))
    assert await book.write(store.post, wanted) is PostingRefused.BELOW_FLOOR
    assert set((await balances(book)).values()) == {(0, 0, 0)}
    assert await counts(book) == (0, 0, 0)


async def test_a_counter_does_not_overflow(book: Database) -> None:
    """An account that is full refuses by a value, not by an exception."""
    full = COUNTER_MAX - AMOUNT_MAX + 1
    await write(book, "open_account", "acme", "bank", "asset", None, full, 0, None)
    wanted = posting("one", (BANK, ANNA, AMOUNT_MAX))
    assert await book.write(store.post, wanted) is PostingRefused.OVERFLOW
    assert await book.write(store.post, posting("two", (BANK, ANNA, AMOUNT_MAX - 1))) is None


async def test_a_floor_holds_for_many(book: Database) -> None:
    """Of sixteen that take 100 from 1050 at the same time, exactly ten succeed."""
    await write(book, "open_account", "acme", "anna", "liability", 0, 0, 0, "anna")
    assert await book.write(store.post, posting("in", (BANK, ANNA, 1_050))) is None
    said: Counter[PostingRefused | None] = Counter()

    async def take(number: int) -> None:
        said[await book.write(store.post, posting(f"out {number}", (ANNA, BANK, 100)))] += 1

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(take, number)
    assert said == {None: 10, PostingRefused.BELOW_FLOOR: 6}
    assert (await balances(book))["anna"] == (1_000, 1_050, 11)
    assert await Ledger(book).check() == []


@pytest.mark.slow
async def test_storms_do_not_deadlock(book: Database) -> None:
    """Postings there and back over the same accounts all succeed, without one retry."""

    async def move(number: int) -> None:
        legs = [(ANNA, BORIS, 1), (BANK, ANNA, 2), (BORIS, BANK, 3), (FEES, BORIS, 4)]
        turned = legs[number % 4 :] + legs[: number % 4]
        assert await book.write(store.post, posting(f"storm {number}", *turned)) is None

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(move, number)
    assert await counts(book) == (60, 240, 480)
    assert book.statistics().blocks_retried == 0
    assert await Ledger(book).check() == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        *(
            (f"{change}_{table}", asyncpg.RestrictViolationError)
            for change in ("update", "delete", "truncate")
            for table in ("posting", "transfer", "entry")
        ),
        ("transfer_into_other_currency", asyncpg.ForeignKeyViolationError),
        ("transfer_into_other_book", asyncpg.ForeignKeyViolationError),
        ("transfer_to_itself", asyncpg.CheckViolationError),
        ("transfer_nothing", asyncpg.CheckViolationError),
        ("sink_account", asyncpg.CheckViolationError),
    ],
)
async def test_the_tables_refuse(
    book: Database, statement: str, error: type[asyncpg.PostgresError]
) -> None:
    """What the ledger would never write, and any change of what stands, the database refuses."""
    await write(book, "open_account", "acme", "bank", "asset", 0, 0, 0, None)
    await write(book, "open_account", "other", "bank", "asset", None, 0, 0, None)
    assert await book.write(store.post, posting("one", (BANK, ANNA, 5))) is None
    with pytest.raises(error):
        await write(book, statement)
    assert await Ledger(book).check() == []
