"""What the reference of the ledger is made of: places of a chart, accounts, holds, moves."""

from dataclasses import dataclass, field
from datetime import datetime

AccountKey = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """What the chart says of a path: `grows` is the side that increases it."""

    grows: str
    floor: int | None = None
    ceiling: int | None = None


@dataclass
class Account:
    """What an account comes to, in minor units; the counters by side."""

    grows: str
    floor: int | None
    ceiling: int | None
    is_closed: bool = False
    posted: dict[str, int] = field(default_factory=lambda: {"debit": 0, "credit": 0})
    held: dict[str, int] = field(default_factory=lambda: {"debit": 0, "credit": 0})
    entries: int = 0

    @property
    def shrinks(self) -> str:
        """The side that decreases it."""
        return "credit" if self.grows == "debit" else "debit"

    @property
    def balance(self) -> int:
        """What was posted."""
        return self.posted[self.grows] - self.posted[self.shrinks]

    @property
    def available(self) -> int:
        """What of it is not held for somebody else."""
        return self.balance - self.held[self.shrinks]

    @property
    def expected(self) -> int:
        """What it comes to if all that is held for it arrives."""
        return self.balance + self.held[self.grows]

    @property
    def counters(self) -> tuple[int, int, int, int, int]:
        """Debits and credits posted, debits and credits pending, entries."""
        return (
            *(self.posted["debit"], self.posted["credit"]),
            *(self.held["debit"], self.held["credit"]),
            self.entries,
        )


@dataclass
class Hold:
    """A pending transfer; `ended` is the type of what ended it."""

    debit: str
    credit: str
    currency: str
    amount: int
    expires_at: datetime | None
    ended: str | None = None


@dataclass
class Move:
    """One transfer of the posting that is being worked out."""

    type: str
    debit: str
    credit: str
    currency: str
    amount: int
    ends: str | None = None
    releases: int = 0
    expires_at: datetime | None = None
