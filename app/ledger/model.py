"""What the ledger is made of: accounts, transfers between them, the entries these leave. Pure.

An account counts what was debited and what was credited, posted and pending, in minor units of its
one currency. Its *balance* is the difference of what was posted, on its *normal* side: assets and
expenses grow by debits, liabilities, equity and revenues by credits. What is pending against it is
not *available*. A balance is a plain int, since a sum of many amounts may be larger than one
`Money` may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.ledger.codes import LEDGER_MEANINGS, LedgerCode

NO_ACCOUNT: Final = Refusal(Code.NOT_FOUND, "There is no such account.")


class Side(StrEnum):
    """The two sides of every transfer."""

    DEBIT = "debit"
    CREDIT = "credit"


class Kind(StrEnum):
    """What an account stands for."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    REVENUE = "revenue"
    EXPENSE = "expense"


# The side that increases an account of each kind.
NORMAL: Final[Mapping[Kind, Side]] = {
    Kind.ASSET: Side.DEBIT,
    Kind.EXPENSE: Side.DEBIT,
    Kind.LIABILITY: Side.CREDIT,
    Kind.EQUITY: Side.CREDIT,
    Kind.REVENUE: Side.CREDIT,
}


class Phase(StrEnum):
    """What a transfer is: a move of money, a hold of it, or the one end of a hold."""

    TRANSFER = "transfer"
    PENDING = "pending"
    POST = "post"
    VOID = "void"
    EXPIRE = "expire"


class Mode(StrEnum):
    """What a book takes: past postings, present ones, or none any more."""

    IMPORTING = "importing"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Account:
    """An account as it stands in one snapshot.

    Attributes:
        id: its number, in the order of opening.
        book: the book it is in.
        path: its place in the chart.
        kind: what it stands for.
        currency: the one currency it counts.
        owner: the person whose money it is, if it is a person's.
        floor: the least that may be available, in minor units; None: any.
        ceiling: the most it may hold, what is pending included; None: any.
        debits_posted: all that was ever debited, in minor units.
        credits_posted: all that was ever credited.
        debits_pending: what is held to be debited.
        credits_pending: what is held to be credited.
        version: how many entries it has.
        closed_at: since when nothing is posted to it any more.
    """

    id: int
    book: str
    path: str
    kind: Kind
    currency: str
    owner: str | None
    floor: int | None
    ceiling: int | None
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int
    version: int
    closed_at: datetime | None

    @property
    def balance(self) -> int:
        """Minor units on the normal side, posted."""
        difference = self.debits_posted - self.credits_posted
        return difference if NORMAL[self.kind] is Side.DEBIT else -difference

    @property
    def available(self) -> int:
        """The balance, less what is pending against it."""
        against = NORMAL[self.kind] is Side.DEBIT
        return self.balance - (self.credits_pending if against else self.debits_pending)


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transfer as it was recorded.

    Attributes:
        leg: its place in the posting, from 0.
        type: what it is.
        debit: the path of the account that was debited.
        credit: the path of the account that was credited.
        amount: minor units: that moved, were held, or were released.
        currency: of both accounts.
        debit_balance_after: of the debited account, on its normal side, posted.
        credit_balance_after: of the credited account.
        pending: the hold that it ended, such as `41.0`.
        expires_at: when a hold expires, if it does.
    """

    leg: int
    type: Phase
    debit: str
    credit: str
    amount: int
    currency: str
    debit_balance_after: int
    credit_balance_after: int
    pending: str | None = None
    expires_at: datetime | None = None


class Posted(msgspec.Struct, frozen=True):
    """A posting as it was recorded, now or before under the same key.

    Attributes:
        book: the book's id.
        number: its place in the book's order, from 1.
        key: what the caller knows it by.
        recorded_at: when, by the database's clock.
        effective_at: when it took effect.
        transfers: what it moved.
        reverses: the number of the posting that it reverses.
    """

    book: str
    number: int
    key: str
    recorded_at: datetime
    effective_at: datetime
    transfers: tuple[Moved, ...]
    reverses: int | None = None


@dataclass(frozen=True, slots=True)
class PostingRefused:
    """Why the ledger did not take a posting. Nothing was recorded.

    Attributes:
        code: one of the closed list.
        leg: the transfer's place in what was asked, where it is one's fault.
        account: for a person, the account that all of the posting takes too far.
    """

    code: LedgerCode
    leg: int | None = None
    account: str | None = field(default=None, compare=False)

    @property
    def message(self) -> str:
        """One sentence for a person."""
        message = LEDGER_MEANINGS[self.code].message
        return message if self.account is None else f"{message} ({self.account})"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return LEDGER_MEANINGS[self.code].retryable


@dataclass(frozen=True, slots=True)
class Accepted:
    """A posting that is recorded; `fresh` where this request recorded it."""

    posted: Posted
    fresh: bool


Result = Accepted | PostingRefused


class TransferName(NamedTuple):
    """A transfer among those of its book: its posting's number and its place there."""

    posting: int
    leg: int

    def __str__(self) -> str:
        return f"{self.posting}.{self.leg}"


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as the log of its account shows it.

    Attributes:
        account: the account's id.
        version: counts the account's entries from 1, without gaps.
        posting: the posting's number in its book.
        leg: the transfer's place in the posting.
        key: what the posting records, such as `capture:txn_…`.
        side: debit or credit.
        phase: what the transfer is; only `transfer` and `post` move the balance.
        amount: how much, in the account's currency.
        balance_after: the account's balance in minor units, this entry included.
        recorded_at: when, by the database's clock, in UTC.
    """

    account: int
    version: int
    posting: int
    leg: int
    key: str
    side: Side
    phase: Phase
    amount: Money
    balance_after: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be so, found in the database.

    Attributes:
        invariant: which rule, by the name of its view or of its replay check.
        broken: the facts that break it.
    """

    invariant: str
    broken: Mapping[str, object]
