"""Accounts, charts and period locks are changed here. Every function runs on the annex, in a block.

Each locks the book's row first, as postings do, and so stands between two batches of postings; and
it moves the book's revision on, so that posters forget what they remember of its accounts. Asking
again for what is so already changes nothing and is no refusal: whoever lost an answer asks again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from app.domain.errors import Code, Refusal
from app.ledger import posting
from app.ledger.book import BookState
from app.ledger.chart import Pattern
from app.ledger.keeping import (
    AccountWanted,
    Limits,
    PatternWanted,
    open_in,
    refuse_close,
    refuse_limits,
    refuse_pattern,
    refuse_pattern_limits,
)
from app.ledger.model import NO_ACCOUNT, Account
from app.ledger.posting import to_account
from app.ledger.reads import is_book_of_line
from app.ledger.store import ID_MAX, account_of_line
from app.storage import WriteConnection, load_queries

T = TypeVar("T")

_SQL: Final = load_queries(__package__, "accounts.sql")

NO_BOOK: Final = Refusal(Code.NOT_FOUND, "There is no such book.")
_NO_PATTERN: Final = Refusal(Code.NOT_FOUND, "The chart has no such pattern.")


@dataclass(frozen=True, slots=True)
class PeriodLock:
    """A lock of a book: nothing takes effect before a moment any more.

    Attributes:
        book: the book's id.
        locked_before: the moment.
        locked_by: who locked it, by their name among all lines'.
        locked_at: when, by the database's clock.
    """

    book: str
    locked_before: datetime
    locked_by: str
    locked_at: datetime


async def on_book(
    conn: WriteConnection,
    line: str,
    book: str,
    change: Callable[[WriteConnection, BookState], Awaitable[T | Refusal]],
) -> T | Refusal:
    """What `change` returns, given a book of the line, locked until the block ends."""
    if not await is_book_of_line(conn, book, line):
        return NO_BOOK
    state = (await posting.lock(conn, (book,)))[book]
    done = await change(conn, state)
    if not isinstance(done, Refusal):
        await conn.execute(_SQL.revise, book)
    return done


async def on_account(
    conn: WriteConnection,
    line: str,
    number: int,
    change: Callable[[WriteConnection, BookState, int], Awaitable[T | Refusal]],
) -> T | Refusal:
    """As `on_book`, of the book that an account of the line is in; `change` is given its id."""
    known = 0 < number <= ID_MAX
    account = await account_of_line(conn, line, number) if known else None
    if account is None:
        return NO_ACCOUNT

    async def change_it(conn: WriteConnection, state: BookState) -> T | Refusal:
        return await change(conn, state, number)

    return await on_book(conn, line, account.book, change_it)


async def open_account(
    conn: WriteConnection, book: BookState, wanted: AccountWanted
) -> Account | Refusal:
    """Opens an account, with the chart's limits where it asks for none."""
    place = open_in(book.chart, wanted)
    if isinstance(place, Refusal):
        return place
    pattern, owner = place
    key = (book.id, wanted.path, wanted.currency)
    row = await conn.fetchrow(_SQL.account_by_key, *key)
    if row is not None:
        found = to_account(row)
        same = wanted.over(found.floor, found.ceiling) == (found.floor, found.ceiling)
        return found if same else Refusal(Code.ALREADY_THERE)
    refused = refuse_limits(pattern.floor, pattern.ceiling)
    if refused:
        return refused
    asked = (pattern.kind.value, wanted.currency, owner, pattern.floor, pattern.ceiling)
    await conn.execute(_SQL.open_account, book.id, wanted.path, *asked)
    row = await conn.fetchrow(_SQL.account_by_key, *key)
    assert row is not None, "it was just opened"
    return to_account(row)


async def limit_account(
    conn: WriteConnection, book: BookState, number: int, limits: Limits
) -> Account | Refusal:
    """Gives an account other limits, within which it is now."""
    account = await _find(conn, book, number)
    if account is None:
        return NO_ACCOUNT
    if account.closed_at is not None:
        return Refusal(Code.ACCOUNT_CLOSED)
    floor, ceiling = limits.over(account.floor, account.ceiling)
    refused = refuse_limits(floor, ceiling, account)
    if refused:
        return refused
    await conn.execute(_SQL.limit_account, number, floor, ceiling)
    return await _find(conn, book, number) or NO_ACCOUNT


async def close_account(conn: WriteConnection, book: BookState, number: int) -> Account | Refusal:
    """Closes an account that has nothing and expects nothing."""
    account = await _find(conn, book, number)
    if account is None or account.closed_at is not None:
        return account or NO_ACCOUNT
    refused = refuse_close(account)
    if refused:
        return refused
    await conn.execute(_SQL.close_account, number, await _now(conn, book))
    return await _find(conn, book, number) or NO_ACCOUNT


async def add_pattern(
    conn: WriteConnection, book: BookState, wanted: PatternWanted
) -> Pattern | Refusal:
    """Adds a pattern to the book's chart."""
    pattern = Pattern(wanted.pattern, wanted.kind, *wanted.over(None, None))
    if pattern in book.chart.patterns:
        return pattern
    refused = refuse_pattern(book.chart, pattern)
    if refused:
        return refused
    values = (pattern.pattern, pattern.kind.value, pattern.floor, pattern.ceiling)
    await conn.execute(_SQL.add_pattern, book.id, *values)
    return pattern


async def limit_pattern(
    conn: WriteConnection, book: BookState, pattern: str, limits: Limits
) -> Pattern | Refusal:
    """Gives a pattern the limits of accounts that are opened there from now on."""
    found = next((each for each in book.chart.patterns if each.pattern == pattern), None)
    if found is None:
        return _NO_PATTERN
    floor, ceiling = limits.over(found.floor, found.ceiling)
    refused = refuse_pattern_limits(floor, ceiling)
    if refused:
        return refused
    await conn.execute(_SQL.limit_pattern, book.id, pattern, floor, ceiling)
    return Pattern(pattern, found.kind, floor, ceiling)


async def lock_period(
    conn: WriteConnection, book: BookState, before: datetime, who: str
) -> PeriodLock | Refusal:
    """Locks all before a moment, which is later than what is locked already, and not beyond now."""
    if book.locked_before is not None and before <= book.locked_before:
        row = await conn.fetchrow(_SQL.last_lock, book.id)
        again = row is not None and row["locked_before"] == before
        return PeriodLock(**row) if row and again else Refusal(Code.LOCK_MOVES_BACK)
    now = await _now(conn, book)
    if before > now:
        return Refusal(Code.INVALID_REQUEST, "`before` is later than now.")
    await conn.execute(_SQL.record_lock, book.id, before, who, now)
    await conn.execute(_SQL.lock_period, book.id, before)
    return PeriodLock(book.id, before, who, now)


async def _find(conn: WriteConnection, book: BookState, number: int) -> Account | None:
    row = await conn.fetchrow(_SQL.account_by_id, book.id, number)
    return to_account(row) if row else None


async def _now(conn: WriteConnection, book: BookState) -> datetime:
    """The time, which never goes back in a book."""
    now: datetime = await conn.fetchval(_SQL.moment, book.id)
    return now
