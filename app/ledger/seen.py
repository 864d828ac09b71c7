"""What reads of the ledger show, and at which moment. Pure.

A moment is told by either of two times. By *recorded* time the ledger is shown as it was known
then: all that was recorded by that moment counts, and nothing else ever will. By *effective* time
it is shown as it is now known to have been then: a posting that was recorded later and took effect
by that moment counts as well, so a correction changes what is shown of the past.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.cursor import Cursor
from app.domain.page import Paged
from app.ledger.model import NORMAL, Account, Kind, Phase, Side, StoredEntry, TransferName


class Clock(StrEnum):
    """By which of a posting's two times a moment is told."""

    RECORDED = "recorded"
    EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment at which something is to be shown.

    Attributes:
        at: with its offset from UTC, itself included; None: now.
        by: which time of a posting is compared with it.
        head: as if nothing was posted after this number, so that reads one after the other agree.
    """

    at: datetime | None = None
    by: Clock = Clock.RECORDED
    head: int | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """From just after a moment to a moment, by recorded time; None: from the begin, until now."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A moment as a place in a book's order.

    Attributes:
        book: the book's id.
        head: the number of the book's last posting in the snapshot.
        until: what was posted after this number is left out.
        number: all postings up to this one count.
        at: those between `number` and `until` count that took effect by this moment; None: none.
    """

    book: str
    head: int
    until: int
    number: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stood at a moment. Amounts are minor units.

    Attributes:
        account: the account, with its counters as they are in the snapshot, not at that moment.
        balance: posted, on its normal side.
        debits_pending: what was held to be debited.
        credits_pending: what was held to be credited.
    """

    account: Account
    balance: int
    debits_pending: int
    credits_pending: int

    @property
    def available(self) -> int:
        """The balance, less what was pending against it."""
        debit = NORMAL[self.account.kind] is Side.DEBIT
        return self.balance - (self.credits_pending if debit else self.debits_pending)

    @property
    def debit(self) -> int:
        """What stands in a trial balance's debit column."""
        debit = NORMAL[self.account.kind] is Side.DEBIT
        return max(self.balance if debit else -self.balance, 0)

    @property
    def credit(self) -> int:
        """What stands in a trial balance's credit column."""
        debit = NORMAL[self.account.kind] is Side.DEBIT
        return max(-self.balance if debit else self.balance, 0)


@dataclass(frozen=True, slots=True)
class StandingSeen:
    """How an account stood at a moment, and the snapshot it was read from.

    Attributes:
        standing: the account and what it came to.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
        cursor: the event log's head.
    """

    standing: Standing
    posting: int
    head: int
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class StatementLine:
    """An entry as a statement shows it. Amounts are minor units of the account's currency.

    Attributes:
        posting: the posting's number in its book.
        leg: the transfer's place in the posting.
        key: what the posting records.
        side: debit or credit.
        phase: what the transfer is; only `transfer` and `post` move the balance.
        amount: that moved, were held, or were released.
        balance_after: the account's balance, this entry included.
        pending_after: what was pending then on this side.
        recorded_at: when, by the database's clock.
        effective_at: when it took effect.
    """

    posting: int
    leg: int
    key: str
    side: Side
    phase: Phase
    amount: int
    balance_after: int
    pending_after: int
    recorded_at: datetime
    effective_at: datetime

    @property
    def name(self) -> TransferName:
        """Its place in the ledger's order."""
        return TransferName(self.posting, self.leg)


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of an account's statement, read from one snapshot.

    Attributes:
        account: the account, as it is in the snapshot.
        opening: its balance before the page's first line: where the page before closed.
        lines: in the ledger's order.
        closing: its balance after the page's last line.
        next: what to ask `after` for the page that follows; None on the last.
        head: the number of the book's last posting.
        cursor: the event log's head.
    """

    account: Account
    opening: int
    lines: tuple[StatementLine, ...]
    closing: int
    next: str | None
    head: int
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Entries(Paged[StoredEntry]):
    """A page of an account's entries, oldest first.

    Attributes:
        head: the number of the book's last posting.
    """

    head: int


@dataclass(frozen=True, slots=True)
class Total:
    """A book's accounts of one currency and kind, summed up. Amounts are minor units.

    Attributes:
        currency: of all of them.
        kind: what they stand for.
        accounts: how many there are.
        debit: the balances of those that had more debits than credits.
        credit: the balances of those that had more credits than debits.
        debits_pending: what was held to be debited.
        credits_pending: what was held to be credited.
    """

    currency: str
    kind: Kind
    accounts: int
    debit: int
    credit: int
    debits_pending: int
    credits_pending: int


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """What all accounts of a book came to at a moment, and the snapshot it was read from.

    Attributes:
        book: the book's id.
        totals: by currency, then kind.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
        cursor: the event log's head.
    """

    book: str
    totals: tuple[Total, ...]
    posting: int
    head: int
    cursor: Cursor

    @property
    def balanced(self) -> bool:
        """Whether debits and credits are equal in every currency, posted and pending."""
        apart: dict[str, tuple[int, int]] = {}
        for each in self.totals:
            posted, pending = apart.get(each.currency, (0, 0))
            apart[each.currency] = (
                posted + each.debit - each.credit,
                pending + each.debits_pending - each.credits_pending,
            )
        return all(difference == (0, 0) for difference in apart.values())


@dataclass(frozen=True, slots=True)
class Standings:
    """A page of the accounts of a book as they stood at a moment, read from one snapshot.

    Attributes:
        items: in the order of their paths, then currencies.
        next: what to ask `after` for the page that follows, which shows the same moment even where
            something was posted in between; None on the last.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
        cursor: the event log's head.
    """

    items: tuple[Standing, ...]
    next: str | None
    posting: int
    head: int
    cursor: Cursor
