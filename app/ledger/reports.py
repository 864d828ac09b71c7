"""The ledger for accountants, as long as it may be: bounded pages, all of one moment.

Whatever is posted in between changes no page, since each names the same place in the book's order.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from app.ledger import reads
from app.ledger.limits import REPORT_ROWS_A_READ
from app.ledger.model import Account, TransferName
from app.ledger.seen import Period, Point, Standing, StatementLine
from app.storage import Database, ReadConnection


async def trial_balance(
    database: Database, point: Point
) -> AsyncGenerator[tuple[Standing, ...], None]:
    """How every account of a book stood, in the order of their paths and currencies."""
    after = ("", "")
    while page := await database.read(_standings, point, after):
        yield page
        last = page[-1].account
        after = (last.path, last.currency)


@dataclass(frozen=True, slots=True)
class Begun:
    """A statement that is to be read.

    Attributes:
        account: whose entries.
        opening: its balance before the first of them, in minor units.
        after: the place after which they begin.
        until: the number of the last posting that counts.
    """

    account: Account
    opening: int
    after: TransferName
    until: int


async def begin_statement(conn: ReadConnection, number: int, period: Period) -> Begun | None:
    """What a statement begins with; None where there is no such account. Runs on the annex."""
    account = await reads.find_account(conn, number)
    if account is None:
        return None
    after, point = await reads.bounds(conn, account.book, period)
    opening = await reads.balance_at(conn, number, after)
    return Begun(account, opening, after, point.number)


async def statement(
    database: Database, begun: Begun
) -> AsyncGenerator[tuple[StatementLine, ...], None]:
    """An account's entries, in the ledger's order."""
    account, after, until = begun.account, begun.after, begun.until
    while page := await database.read(
        reads.statement_lines, account, after, until, REPORT_ROWS_A_READ
    ):
        yield page
        after = page[-1].name


async def _standings(
    conn: ReadConnection, point: Point, after: tuple[str, str]
) -> tuple[Standing, ...]:
    accounts = await reads.accounts_of_book(conn, point.book, after, REPORT_ROWS_A_READ)
    return await reads.standings(conn, point, accounts)
