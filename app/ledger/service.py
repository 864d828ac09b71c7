"""The ledger as people see it: their accounts, the entries of each, and whether all of it is sound.

Every read says at which place of the event log it was taken, so that a reader may tell whether
its own purchase is in it.
"""

from dataclasses import dataclass, replace
from typing import Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.page import NO_SUCH_PLACE, Page, Paged, number_of
from app.events import store as events
from app.identity.model import Identity, Role
from app.ledger import reads, store
from app.ledger.accounts import NO_BOOK
from app.ledger.model import NO_ACCOUNT, Account, TransferName, Violation
from app.ledger.request import read_pending_name
from app.ledger.seen import (
    AsOf,
    Entries,
    Period,
    Point,
    Standings,
    StandingSeen,
    Statement,
    TrialBalance,
)
from app.storage import Database, ReadConnection

# Before the first entry of every account.
_BEFORE_ALL: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """An account, and the log's head and its book's in the snapshot it was read from."""

    account: Account
    cursor: Cursor
    head: int


class Ledger:
    """Reads the ledger; sellers see what is theirs, who may read it all of their line."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accounts(self, identity: Identity, page: Page) -> Paged[Account] | Refusal:
        """The accounts that `identity` may see, in the order in which they were opened."""
        if identity.role is Role.BUYER and not identity.reads_ledger:
            return Refusal(Code.FORBIDDEN)
        after = number_of(page.after or "0")
        if after is None:
            return NO_SUCH_PLACE
        return await self._database.read(_accounts, identity, after, page)

    async def account(self, identity: Identity, account: int) -> AccountSeen | Refusal:
        """One account; what `identity` may not see is not found."""
        return await self._database.read(_account, identity, account)

    async def entries(self, identity: Identity, account: int, page: Page) -> Entries | Refusal:
        """An account's entries, oldest first; `page.after` is a transfer's name, such as `41.0`."""
        after = read_pending_name(page.after) if page.after else _BEFORE_ALL
        if after is None:
            return NO_SUCH_PLACE
        return await self._database.read(_entries, identity, (account, after), page)

    async def standing(
        self, identity: Identity, account: int, as_of: AsOf
    ) -> StandingSeen | Refusal:
        """How an account stood at a moment; what `identity` may not see is not found."""
        return await self._database.read(_standing, identity, account, as_of)

    async def statement(
        self, identity: Identity, account: int, period: Period, page: Page
    ) -> Statement | Refusal:
        """An account's entries in a period, with the balances before and after them.

        `page.after` is a transfer's name, such as `41.0`: a statement begins after it, wherever the
        name is from.
        """
        after = read_pending_name(page.after) if page.after else _BEFORE_ALL
        if after is None:
            return NO_SUCH_PLACE
        place = TransferName(*after)
        return await self._database.read(_statement, identity, account, place, period, page)

    async def trial_balance(
        self, identity: Identity, book: str, as_of: AsOf
    ) -> TrialBalance | Refusal:
        """What a book's accounts came to at a moment, by currency and kind.

        For those who may read the line's ledger; to all others no book is there.
        """
        return await self._database.read(_trial_balance, identity, book, as_of)

    async def standings(
        self, identity: Identity, book: str, as_of: AsOf, page: Page
    ) -> Standings | Refusal:
        """A book's accounts as they stood at a moment, in the order of their paths.

        For those who may read the line's ledger; to all others no book is there.
        """
        after = ("", "")
        if page.after:
            place = _read_place(page.after)
            if place is None:
                return NO_SUCH_PLACE
            as_of, after = replace(as_of, head=place[0]), place[1:]
        return await self._database.read(_standings, identity, book, as_of, after, page)

    async def check(self) -> list[Violation]:
        """Everything found that must never be so; empty where the ledger is clean."""
        return await self._database.read(store.check)


async def _accounts(
    conn: ReadConnection, identity: Identity, after: int, page: Page
) -> Paged[Account]:
    cursor = await events.head(conn)
    if identity.reads_ledger:
        found = await store.accounts_of_line(conn, identity.line, after, page.rows)
    else:
        found = await store.accounts_of_owner(
            conn, identity.line, identity.person, after, page.rows
        )
    return page.cut(found, lambda each: each.id, cursor)


async def _account(conn: ReadConnection, identity: Identity, number: int) -> AccountSeen | Refusal:
    cursor = await events.head(conn)
    known = 0 < number <= store.ID_MAX
    account = await store.account_of_line(conn, identity.line, number) if known else None
    if account is None or not may_see(identity, account):
        return NO_ACCOUNT
    return AccountSeen(account, cursor, await reads.head(conn, account.book))


async def _entries(
    conn: ReadConnection, identity: Identity, start: tuple[int, tuple[int, int]], page: Page
) -> Entries | Refusal:
    number, after = start
    seen = await _account(conn, identity, number)
    if isinstance(seen, Refusal):
        return seen
    found = await store.entries_of_account(conn, number, after, page.rows)
    cut = page.cut(found, lambda each: TransferName(each.posting, each.leg), seen.cursor)
    return Entries(cut.items, cut.next, cut.cursor, seen.head)


async def _standing(
    conn: ReadConnection, identity: Identity, number: int, as_of: AsOf
) -> StandingSeen | Refusal:
    seen = await _account(conn, identity, number)
    if isinstance(seen, Refusal):
        return seen
    point = await reads.find_point(conn, seen.account.book, as_of)
    assert point is not None, "the account's key says that its book is there"
    (standing,) = await reads.standings(conn, point, [seen.account])
    return StandingSeen(standing, point.number, point.head, seen.cursor)


async def _statement(
    conn: ReadConnection,
    identity: Identity,
    number: int,
    after: TransferName,
    period: Period,
    page: Page,
) -> Statement | Refusal:
    seen = await _account(conn, identity, number)
    if isinstance(seen, Refusal):
        return seen
    account = seen.account
    begin, point = await reads.bounds(conn, account.book, period)
    after = max(begin, after)
    opening = await reads.balance_at(conn, account.id, after)
    found = await reads.statement_lines(conn, account, after, point.number, page.rows)
    cut = page.cut(found, lambda line: line.name, seen.cursor)
    closing = cut.items[-1].balance_after if cut.items else opening
    return Statement(account, opening, cut.items, closing, cut.next, point.head, cut.cursor)


async def _trial_balance(
    conn: ReadConnection, identity: Identity, book: str, as_of: AsOf
) -> TrialBalance | Refusal:
    cursor = await events.head(conn)
    point = await _point(conn, identity, book, as_of)
    if isinstance(point, Refusal):
        return point
    totals = await reads.totals(conn, point)
    return TrialBalance(book, totals, point.number, point.head, cursor)


async def _standings(
    conn: ReadConnection,
    identity: Identity,
    book: str,
    as_of: AsOf,
    after: tuple[str, str],
    page: Page,
) -> Standings | Refusal:
    cursor = await events.head(conn)
    point = await _point(conn, identity, book, as_of)
    if isinstance(point, Refusal):
        return point
    accounts = await reads.accounts_of_book(conn, book, after, page.rows)
    cut = page.cut(accounts, lambda each: f"{point.until}/{each.path}/{each.currency}", cursor)
    items = await reads.standings(conn, point, cut.items)
    return Standings(items, cut.next, point.number, point.head, cursor)


async def _point(
    conn: ReadConnection, identity: Identity, book: str, as_of: AsOf
) -> Point | Refusal:
    """The moment's place in a book of the line, for those who may read it."""
    seen = identity.reads_ledger and await reads.is_book_of_line(conn, book, identity.line)
    point = await reads.find_point(conn, book, as_of) if seen else None
    return point or NO_BOOK


def _read_place(spelled: str) -> tuple[int, str, str] | None:
    """The head, the path and the currency after which a page of standings begins."""
    match spelled.split("/"):
        case [digits, path, currency]:
            head = number_of(digits)
            return None if head is None else (head, path, currency)
    return None


def may_see(identity: Identity, account: Account) -> bool:
    """Sellers see their own accounts, those who may read the ledger all of their line."""
    own = identity.role is Role.SELLER and account.owner == identity.person
    return identity.reads_ledger or own
