"""What a plan is made of: moves between accounts, holds and their ends, reversals. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from app.ledger.book import AccountState
from app.ledger.model import Phase, TransferName
from app.ledger.request import Convert


class Move:
    """One transfer of a plan, and once it is carried out, what its accounts came to.

    Attributes:
        phase: what it is.
        debit: the account debited.
        credit: the account credited.
        currency: of both.
        amount: that moves, is held, or is released.
        hold: the hold that it ends.
        expires_at: when the hold that it is expires.
        posted: what it adds to what is posted.
        pending: what it adds to what is pending.
        name: its own, and the rest, once it is carried out.
    """

    __slots__ = (
        "amount",
        "credit",
        "credit_balance_after",
        "credit_pending_after",
        "credit_version",
        "currency",
        "debit",
        "debit_balance_after",
        "debit_pending_after",
        "debit_version",
        "expires_at",
        "hold",
        "name",
        "pending",
        "phase",
        "posted",
    )

    name: TransferName
    debit_version: int
    debit_balance_after: int
    debit_pending_after: int
    credit_version: int
    credit_balance_after: int
    credit_pending_after: int

    def __init__(
        self, phase: Phase, debit: AccountState, credit: AccountState, currency: str, amount: int
    ) -> None:
        self.phase = phase
        self.debit = debit
        self.credit = credit
        self.currency = currency
        self.amount = amount
        self.hold: Hold | None = None
        self.expires_at: datetime | None = None
        self.posted = 0 if phase is Phase.PENDING else amount
        self.pending = amount if phase is Phase.PENDING else 0

    @classmethod
    def end_of(cls, hold: "Hold", phase: Phase, amount: int) -> "Move":
        """The end of a hold, all of which is released, and `amount` moved if it is posted."""
        move = cls(phase, hold.debit, hold.credit, hold.currency, amount)
        move.hold = hold
        move.posted = amount if phase is Phase.POST else 0
        move.pending = -hold.amount
        return move


@dataclass(slots=True)
class Hold:
    """A pending transfer, and what ended it."""

    name: TransferName
    debit: AccountState
    credit: AccountState
    currency: str
    amount: int
    expires_at: datetime | None
    ended: Phase | None


@dataclass(slots=True)
class Reversible:
    """What of a posting its reversal has to know."""

    moves: tuple[tuple[Phase, AccountState, AccountState, str, int], ...]
    is_plain: bool  # neither a reversal itself nor half of a posting to two books
    reversed: bool


@dataclass(slots=True)
class Plan:
    """What a posting would do."""

    moves: list[Move] = field(default_factory=list)
    conversions: list[tuple[int, Convert, int]] = field(default_factory=list)
    reverses: Reversible | None = None
