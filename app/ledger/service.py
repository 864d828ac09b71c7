"""The ledger as people see it: their accounts, the entries of each, and whether all of it is sound.

Every read says at which place of the event log it was taken, so that a reader may tell whether
its own purchase is in it.
"""

from dataclasses import dataclass
from typing import Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.page import NO_SUCH_PLACE, Page, Paged, number_of
from app.events import store as events
from app.identity.model import Identity, Role
from app.ledger import store
from app.ledger.model import NO_ACCOUNT, Account, StoredEntry, TransferName, Violation
from app.ledger.request import read_pending_name
from app.storage import Database, ReadConnection

# What the database's bigint holds: no account's number is beyond.
_ID_MAX: Final = 2**63 - 1

# Before the first entry of every account.
_BEFORE_ALL: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """An account, and the log's head in the snapshot it was read from."""

    account: Account
    cursor: Cursor


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

    async def entries(
        self, identity: Identity, account: int, page: Page
    ) -> Paged[StoredEntry] | Refusal:
        """An account's entries, oldest first; `page.after` is a transfer's name, such as `41.0`."""
        after = read_pending_name(page.after) if page.after else _BEFORE_ALL
        if after is None:
            return NO_SUCH_PLACE
        return await self._database.read(_entries, identity, (account, after), page)

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
    known = 0 < number <= _ID_MAX
    account = await store.account_of_line(conn, identity.line, number) if known else None
    if account is None or not _may_see(identity, account):
        return NO_ACCOUNT
    return AccountSeen(account, cursor)


async def _entries(
    conn: ReadConnection, identity: Identity, start: tuple[int, tuple[int, int]], page: Page
) -> Paged[StoredEntry] | Refusal:
    number, after = start
    seen = await _account(conn, identity, number)
    if isinstance(seen, Refusal):
        return seen
    found = await store.entries_of_account(conn, number, after, page.rows)
    return page.cut(found, lambda each: TransferName(each.posting, each.leg), seen.cursor)


def _may_see(identity: Identity, account: Account) -> bool:
    """Sellers see their own accounts, those who may read the ledger all of their line."""
    own = identity.role is Role.SELLER and account.owner == identity.person
    return identity.reads_ledger or own
