"""The ledger's past: balances, statements, trial balances. Every function runs on the annex.

Nothing in the ledger changes, so a place in a book's order says exactly what counted there, now and
later. A moment is therefore turned into such a place first (`find_point`), and pages that are read
one after the other agree where they name the same place. What an account came to is in its last
entry on either side, which is one look into an index; what was posted later and took effect by the
moment, the back-dated few, is added to that.
"""

from collections.abc import Sequence
from typing import Final

from app.ledger.model import Account, Kind, Phase, Side, TransferName
from app.ledger.posting import to_account
from app.ledger.seen import AsOf, Clock, Period, Point, Standing, StatementLine, Total
from app.ledger.store import ID_MAX
from app.storage import ReadConnection, Row, load_queries

_SQL: Final = load_queries(__package__, "reads.sql")

# What the database's smallint holds: no leg is beyond.
_LAST_LEG: Final = 2**15 - 1

_BEFORE_ALL: Final = TransferName(0, 0)


async def is_book_of_line(conn: ReadConnection, book: str, line: str) -> bool:
    """Whether a line has a book of this id."""
    found: bool = await conn.fetchval(_SQL.is_book_of_line, book, line)
    return found


async def head(conn: ReadConnection, book: str) -> int:
    """The number of the last posting of a book that is there."""
    number: int = await conn.fetchval(_SQL.head, book)
    return number


async def find_point(conn: ReadConnection, book: str, as_of: AsOf) -> Point | None:
    """The place of a moment in a book's order; None where there is no such book."""
    head = ID_MAX if as_of.head is None else as_of.head
    row = await conn.fetchrow(_SQL.point, book, as_of.at, head)
    if row is None:
        return None
    late = as_of.at if as_of.by is Clock.EFFECTIVE else None
    return Point(book, row["head"], row["until"], row["number"], late)


async def standings(
    conn: ReadConnection, point: Point, accounts: Sequence[Account]
) -> tuple[Standing, ...]:
    """How these accounts of the point's book stood there, in their order."""
    ids = [account.id for account in accounts]
    rows = await conn.fetch(_SQL.standings, point.number, ids)
    found = {row["account"]: row for row in rows}
    late: dict[int, Row] = {}
    if point.at is not None and point.number < point.until:
        rows = await conn.fetch(_SQL.late, point.book, point.number, point.until, point.at, ids)
        late = {row["account"]: row for row in rows}
    return tuple(
        _to_standing(account, found[account.id], late.get(account.id, _NOTHING))
        for account in accounts
    )


async def totals(conn: ReadConnection, point: Point) -> tuple[Total, ...]:
    """What all accounts of the point's book came to there, by currency and kind."""
    rows = await conn.fetch(_SQL.totals, point.book, point.number, point.until, point.at)
    return tuple(_to_total(row) for row in rows)


async def find_account(conn: ReadConnection, number: int) -> Account | None:
    """The account of an id, of whichever line."""
    row = await conn.fetchrow(_SQL.account, number) if 0 < number <= ID_MAX else None
    return to_account(row) if row else None


async def accounts_of_book(
    conn: ReadConnection, book: str, after: tuple[str, str], limit: int
) -> tuple[Account, ...]:
    """A book's accounts after a path and currency, in the order of both."""
    rows = await conn.fetch(_SQL.accounts_of_book, book, *after, limit)
    return tuple(to_account(row) for row in rows)


async def balance_at(conn: ReadConnection, account: int, place: TransferName) -> int:
    """An account's balance with its entry at a place, or the last before; 0 where it had none."""
    balance: int | None = await conn.fetchval(_SQL.balance_at, account, *place)
    return balance or 0


async def bounds(conn: ReadConnection, book: str, period: Period) -> tuple[TransferName, Point]:
    """The places after which, and up to which, a period lies in a book that is there."""
    last = await find_point(conn, book, AsOf(period.until))
    assert last is not None, "the book is there in the whole snapshot"
    if period.since is None:
        return _BEFORE_ALL, last
    first = await find_point(conn, book, AsOf(period.since))
    assert first is not None, "the book is there in the whole snapshot"
    return TransferName(first.number, _LAST_LEG), last


async def statement_lines(
    conn: ReadConnection, account: Account, after: TransferName, until: int, limit: int
) -> tuple[StatementLine, ...]:
    """An account's entries after a place and up to a posting, in the ledger's order."""
    rows = await conn.fetch(_SQL.statement_lines, account.id, account.book, *after, until, limit)
    return tuple(_to_line(row) for row in rows)


_NOTHING: Final[Row] = {"balance": 0, "debits_pending": 0, "credits_pending": 0}


def _to_standing(account: Account, row: Row, late: Row) -> Standing:
    return Standing(account, *(row[each] + late[each] for each in _NOTHING))


def _to_total(row: Row) -> Total:
    return Total(
        row["currency"],
        Kind(row["kind"]),
        row["accounts"],
        int(row["debit"]),
        int(row["credit"]),
        int(row["debits_pending"]),
        int(row["credits_pending"]),
    )


def _to_line(row: Row) -> StatementLine:
    return StatementLine(**{**row, "side": Side(row["side"]), "phase": Phase(row["phase"])})
