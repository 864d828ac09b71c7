"""What is done to a book other than by a posting: accounts, chart and period locks.

The caller's scope is the edge's business (`ledger:accounts`, `ledger:lock`); here it is seen to
that nobody touches another line's book, which is not found.
"""

from datetime import datetime
from functools import partial

from app.domain.errors import Refusal
from app.identity.model import Identity
from app.ledger import accounts
from app.ledger.accounts import PeriodLock, on_account, on_book
from app.ledger.chart import Pattern
from app.ledger.keeping import AccountWanted, Limits, PatternWanted
from app.ledger.model import Account
from app.storage import Database


class Keeper:
    """Opens, limits and closes accounts, tends charts, and locks periods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_account(
        self, identity: Identity, book: str, wanted: AccountWanted
    ) -> Account | Refusal:
        """Opens an account; one that is there, with these limits, is the answer as it is.

        Returns:
            The account; or not_found (no such book), currency_unknown, account_unknown (not in the
            chart), already_there (with other limits), below_floor or above_ceiling (limits that an
            account without entries is beyond), invalid_request (a floor above the ceiling).
        """
        change = partial(accounts.open_account, wanted=wanted)
        return await self._database.write(on_book, identity.line, book, change)

    async def limit_account(
        self, identity: Identity, account: int, limits: Limits
    ) -> Account | Refusal:
        """Changes an account's floor, its ceiling, or both.

        Returns:
            The account; or not_found, account_closed, below_floor or above_ceiling (the account is
            beyond them now), invalid_request (a floor above the ceiling).
        """
        change = partial(accounts.limit_account, limits=limits)
        return await self._database.write(on_account, identity.line, account, change)

    async def close_account(self, identity: Identity, account: int) -> Account | Refusal:
        """Closes an account for good; one that is closed is the answer as it is.

        Returns:
            The account; or not_found, account_not_empty.
        """
        change = accounts.close_account
        return await self._database.write(on_account, identity.line, account, change)

    async def add_pattern(
        self, identity: Identity, book: str, wanted: PatternWanted
    ) -> Pattern | Refusal:
        """Adds a pattern to a book's chart; one that is there just so is the answer.

        Returns:
            The pattern; or not_found, already_there (but for its kind, its limits, or where the
            owner's name stands), kind_differs (it fits paths that have another kind),
            invalid_request (no pattern, limits that 0 is beyond, or one pattern too many).
        """
        change = partial(accounts.add_pattern, wanted=wanted)
        return await self._database.write(on_book, identity.line, book, change)

    async def limit_pattern(
        self, identity: Identity, book: str, pattern: str, limits: Limits
    ) -> Pattern | Refusal:
        """Changes the limits that accounts get which are opened at a pattern from now on.

        Returns:
            The pattern; or not_found (book or pattern), invalid_request (0 is beyond them).
        """
        change = partial(accounts.limit_pattern, pattern=pattern, limits=limits)
        return await self._database.write(on_book, identity.line, book, change)

    async def lock_period(
        self, identity: Identity, book: str, before: datetime
    ) -> PeriodLock | Refusal:
        """Locks a book's periods: nothing takes effect before a moment any more, for good.

        Args:
            identity: who locks; their name is kept.
            book: the book's id.
            before: the moment, with its offset from UTC; the same as last time is the same lock.

        Returns:
            The lock; or not_found, lock_moves_back, invalid_request (a moment that is not over).
        """
        change = partial(accounts.lock_period, before=before, who=identity.name)
        return await self._database.write(on_book, identity.line, book, change)
