"""The bodies and queries of the ledger's reads at a moment."""

from typing import Annotated, Literal

import msgspec

from app.http.schemas import (
    AccountSummary,
    Count,
    Currency,
    Id,
    Moment,
    PageQuery,
    ReadQuery,
    WireCursor,
)
from app.http.schemas_ledger import Number, When
from app.ledger.model import Kind, Phase, Side

By = Annotated[
    Literal["recorded", "effective"],
    msgspec.Meta(description="As it was known at that moment, or as it is now known to have been."),
]
Format = Annotated[
    Literal["json", "csv"], msgspec.Meta(description="Of the answer; else what `Accept` asks for.")
]


class MomentQuery(ReadQuery):
    """At which moment, itself included; now where it is left out."""

    at: When | None = None
    by: By = "recorded"


class TrialBalanceQuery(MomentQuery):
    """At which moment, and in which form."""

    format: Format | None = None


class StandingsQuery(PageQuery):
    """One page, at which moment, and in which form."""

    after: Annotated[
        str,
        msgspec.Meta(max_length=320, description="The `next` of the page before."),
    ] = ""
    at: When | None = None
    by: By = "recorded"
    format: Format | None = None


class StatementQuery(PageQuery, rename={"since": "from", "until": "to"}):
    """One page of a period, by recorded time: from just after a moment to a moment."""

    since: When | None = None
    until: When | None = None
    format: Format | None = None


class BalanceAnswer(msgspec.Struct):
    """How an account stood at a moment, in minor units.

    Attributes:
        balance: what was posted, on its normal side.
        available: the balance, less what was pending against it.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
    """

    account: str
    path: str
    currency: Currency
    balance: int
    available: int
    debits_pending: Count
    credits_pending: Count
    posting: Count
    head: Count
    cursor: WireCursor


class LineAnswer(msgspec.Struct):
    """An entry as a statement shows it, in minor units.

    Attributes:
        type: only `transfer` and `post` move the balance.
        amount: that moved, was held, or was released.
        balance_after: the account's balance, this entry included.
        pending_after: what was pending then on this side.
    """

    posting: Number
    leg: Count
    key: str
    side: Side
    type: Phase
    amount: Number
    balance_after: int
    pending_after: Count
    recorded_at: Moment
    effective_at: Moment


class StatementAnswer(msgspec.Struct):
    """One page of an account's statement, in minor units.

    Attributes:
        account: as it is now.
        opening: the balance before the page's first line: where the page before closed.
        items: in the ledger's order.
        closing: the balance after the page's last line.
        head: the number of the book's last posting.
    """

    account: AccountSummary
    opening: int
    items: list[LineAnswer]
    closing: int
    next: str | None
    head: Count
    cursor: WireCursor


class TotalAnswer(msgspec.Struct):
    """The accounts of one currency and kind, summed up in minor units.

    Attributes:
        debit: the balances of those that had more debits than credits.
        credit: the balances of those that had more credits than debits.
    """

    currency: Currency
    kind: Kind
    accounts: Count
    debit: int
    credit: int
    debits_pending: int
    credits_pending: int


class TrialBalanceAnswer(msgspec.Struct):
    """What all accounts of a book came to at a moment.

    Attributes:
        items: by currency, then kind.
        balanced: whether debits and credits are equal in every currency.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
    """

    book: Id
    items: list[TotalAnswer]
    balanced: bool
    posting: Count
    head: Count
    cursor: WireCursor


class StandingAnswer(msgspec.Struct):
    """How an account stood at a moment, in minor units.

    Attributes:
        debit: the balance, where it had more debits than credits; else 0.
        credit: the balance, where it had more credits than debits; else 0.
    """

    account: str
    path: str
    kind: Kind
    currency: Currency
    balance: int
    available: int
    debit: Count
    credit: Count
    debits_pending: Count
    credits_pending: Count


class StandingsPage(msgspec.Struct):
    """One page of a book's accounts as they stood at a moment, in the order of their paths.

    Attributes:
        next: asks for the page that follows, which shows the same moment.
        posting: the number of the book's last posting that was recorded by then; 0: none.
        head: the number of the book's last posting.
    """

    items: list[StandingAnswer]
    next: str | None
    posting: Count
    head: Count
    cursor: WireCursor
