"""What the ledger is made of: accounts, transfers between them, the entries these leave.

An account counts what was debited and what was credited, both only ever growing, in minor units
of its one currency. Its *balance* is the difference on its *normal* side: assets and expenses grow
by debits, liabilities and revenues by credits. A balance is a plain int, since a sum of many
amounts may be larger than one `Money` may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.domain.errors import Code, Refusal
from app.domain.money import Money

NO_ACCOUNT: Final = Refusal(Code.NOT_FOUND, "There is no such account.")


class Side(StrEnum):
    """The two sides of every transfer."""

    DEBIT = "debit"
    CREDIT = "credit"


class Kind(StrEnum):
    """What an account stands for."""

    ASSET = "asset"
    LIABILITY = "liability"
    REVENUE = "revenue"
    EXPENSE = "expense"


# The side that increases an account of each kind.
NORMAL: Final[Mapping[Kind, Side]] = {
    Kind.ASSET: Side.DEBIT,
    Kind.EXPENSE: Side.DEBIT,
    Kind.LIABILITY: Side.CREDIT,
    Kind.REVENUE: Side.CREDIT,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a book's chart. With a currency it is one account, opened at its first transfer.

    Attributes:
        path: such as `seller:demo-seller:payable`.
        kind: what it stands for.
        owner: the person whose money it is, if it is a person's.
    """

    path: str
    kind: Kind
    owner: str | None = None


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
        floor: the least balance it may show, in minor units; None: any.
        debits: all that was ever debited, in minor units.
        credits: all that was ever credited, in minor units.
        version: how many entries it has.
    """

    id: int
    book: str
    path: str
    kind: Kind
    currency: str
    owner: str | None
    floor: int | None
    debits: int
    credits: int
    version: int

    @property
    def balance(self) -> int:
        """Minor units on the normal side."""
        difference = self.debits - self.credits
        return difference if NORMAL[self.kind] is Side.DEBIT else -difference


@dataclass(frozen=True, slots=True)
class Transfer:
    """One amount that leaves one account (credit) for another (debit)."""

    debit: Place
    credit: Place
    amount: Money


@dataclass(frozen=True, slots=True)
class Posting:
    """Transfers that are recorded all together or not at all.

    Attributes:
        book: the book all of them are in.
        key: what it records, such as `capture:txn_…`; a book takes each key once, forever.
        transfers: in the order in which they count.
    """

    book: str
    key: str
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one transfer did to one account.

    Attributes:
        account: the account's id.
        version: counts the account's entries from 1, without gaps.
        transfer: the transfer's place in its posting, from 0.
        side: debit or credit.
        amount: minor units, more than 0.
        balance_after: the account's balance, this entry included.
    """

    account: int
    version: int
    transfer: int
    side: Side
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as the log of its account shows it.

    Attributes:
        version: counts the account's entries from 1, without gaps.
        transfer: the transfer's id.
        posting: the posting's id.
        key: what the posting records, such as `capture:txn_…`.
        side: debit or credit.
        amount: how much, in the account's currency.
        balance_after: the account's balance in minor units, this entry included.
        recorded_at: when, by the database's clock, in UTC.
    """

    version: int
    transfer: int
    posting: str
    key: str
    side: Side
    amount: Money
    balance_after: int
    recorded_at: datetime


class PostingRefused(StrEnum):
    """Why the ledger did not take a posting. Nothing was recorded."""

    ALREADY_POSTED = "already_posted"
    EMPTY = "empty"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_OF_OTHER_KIND = "account_of_other_kind"
    SAME_ACCOUNT = "same_account"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    OVERFLOW = "overflow"
    BELOW_FLOOR = "below_floor"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be so, found in the database.

    Attributes:
        invariant: which rule, by the name of its view or of its replay check.
        broken: the facts that break it.
    """

    invariant: str
    broken: Mapping[str, object]
