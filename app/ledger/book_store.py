"""What is read of a line's books. Every function runs on the annex, inside its caller's block."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from app.ledger.chart import Pattern
from app.ledger.limits import TRANSFERS_A_PAGE_MAX
from app.ledger.model import Kind, Mode, Moved, Phase, Posted, TransferName
from app.storage import ReadConnection, Row, load_queries

_SQL: Final = load_queries(__package__, "books.sql")


@dataclass(frozen=True, slots=True)
class Book:
    """A book as it stands in one snapshot.

    Attributes:
        id: its id.
        mode: what it takes.
        head: the number of its last posting; 0: none.
        locked_before: nothing may take effect before; None: no period is locked.
    """

    id: str
    mode: Mode
    head: int
    locked_before: datetime | None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A posting as its book shows it.

    Attributes:
        posted: what was answered when it was recorded.
        reversed_by: the number of the posting that reverses it.
        pair: its other half, where it is one of two: the other book and the number there.
        imported: whether it was imported as a past one.
        meta: what its caller wanted to find beside it.
    """

    posted: Posted
    reversed_by: int | None
    pair: tuple[str, int] | None
    imported: bool
    meta: dict[str, Any] | None


async def line_of_book(conn: ReadConnection, book: str) -> str | None:
    """The line of a book, if there is one."""
    line: str | None = await conn.fetchval(_SQL.line_of_book, book)
    return line


async def books_of_line(
    conn: ReadConnection, line: str, after: str, limit: int
) -> tuple[Book, ...]:
    """A line's books with an id above `after`, in the order of their ids."""
    rows = await conn.fetch(_SQL.books_of_line, line, after, limit)
    return tuple(map(_to_book, rows))


async def book_of_line(conn: ReadConnection, line: str, book: str) -> Book | None:
    """One book of a line."""
    row = await conn.fetchrow(_SQL.book_of_line, line, book)
    return _to_book(row) if row else None


async def chart_of(conn: ReadConnection, book: str) -> tuple[Pattern, ...]:
    """A book's chart, in the order of its patterns."""
    rows = await conn.fetch(_SQL.chart, book)
    return tuple(Pattern(**{**row, "kind": Kind(row["kind"])}) for row in rows)


async def number_of_key(conn: ReadConnection, book: str, key: str) -> int | None:
    """The number of the posting that has this key."""
    number: int | None = await conn.fetchval(_SQL.number_of_key, book, key)
    return number


async def postings_of_book(
    conn: ReadConnection, book: str, after: int, limit: int
) -> tuple[StoredAnswer, ...]:
    """The postings after a number, in order: `limit`, or fewer that have many transfers."""
    rows = _page_of(await conn.fetch(_SQL.postings, book, after, limit))
    if not rows:
        return ()
    transfers: dict[int, list[Moved]] = {row["number"]: [] for row in rows}
    first, last = rows[0]["number"], rows[-1]["number"]
    for each in await conn.fetch(_SQL.transfers, book, first, last):
        transfers[each["posting"]].append(_to_moved(each))
    return tuple(_to_answer(book, row, transfers[row["number"]]) for row in rows)


def _page_of(rows: list[Row]) -> list[Row]:
    """As many of them as have `TRANSFERS_A_PAGE_MAX` transfers together, or one."""
    transfers = 0
    for place, row in enumerate(rows):
        transfers += row["transfers"]
        if place and transfers > TRANSFERS_A_PAGE_MAX:
            return rows[:place]
    return rows


def _to_book(row: Row) -> Book:
    return Book(**{**row, "mode": Mode(row["mode"])})


def _to_answer(book: str, row: Row, transfers: list[Moved]) -> StoredAnswer:
    pair_book, meta = row["pair_book"], row["meta"]
    return StoredAnswer(
        Posted(
            book,
            row["number"],
            row["key"],
            row["recorded_at"],
            row["effective_at"],
            tuple(transfers),
            row["reverses"],
        ),
        row["reversed_by"],
        None if pair_book is None else (pair_book, row["pair_number"]),
        row["imported"],
        None if meta is None else msgspec.json.decode(meta),
    )


def _to_moved(row: Row) -> Moved:
    ended = row["pending_posting"]
    return Moved(
        row["leg"],
        Phase(row["phase"]),
        row["debit"],
        row["credit"],
        row["amount"],
        row["currency"],
        row["debit_balance_after"],
        row["credit_balance_after"],
        None if ended is None else str(TransferName(ended, row["pending_leg"])),
        row["expires_at"],
    )
