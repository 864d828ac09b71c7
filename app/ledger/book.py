"""What a batch of postings is decided on: a book and its accounts, in memory. Pure.

An `AccountState` is what an account comes to so far; `rules` moves it along as postings are
accepted, and what it holds is only true once the batch is committed. Whoever keeps a `BookState`
across batches has to show that nothing moved in between (`head` and `revision` say so) and forgets
it where a batch was not committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from app.ledger.chart import Chart
from app.ledger.model import NORMAL, Account, Kind, Mode, Phase, Side, TransferName

# An account among those of one book: its path and its currency.
AccountKey = tuple[str, str]


class AccountState:
    """An account as it stands in the middle of a batch. Amounts are minor units.

    `id` is 0 until the account is opened, which the first posting that is accepted to it does.
    """

    __slots__ = (
        "ceiling",
        "closed",
        "credits_pending",
        "credits_posted",
        "currency",
        "debits_pending",
        "debits_posted",
        "floor",
        "id",
        "kind",
        "normal_debit",
        "owner",
        "path",
        "version",
    )

    def __init__(self, path: str, currency: str, kind: Kind, owner: str | None) -> None:
        self.id = 0
        self.path = path
        self.currency = currency
        self.kind = kind
        self.owner = owner
        self.floor: int | None = None
        self.ceiling: int | None = None
        self.closed = False
        self.debits_posted = 0
        self.credits_posted = 0
        self.debits_pending = 0
        self.credits_pending = 0
        self.version = 0
        self.normal_debit = NORMAL[kind] is Side.DEBIT

    @classmethod
    def of(cls, account: Account) -> "AccountState":
        """The state of an account that is stored."""
        state = cls(account.path, account.currency, account.kind, account.owner)
        state.id = account.id
        state.floor = account.floor
        state.ceiling = account.ceiling
        state.closed = account.closed_at is not None
        state.debits_posted = account.debits_posted
        state.credits_posted = account.credits_posted
        state.debits_pending = account.debits_pending
        state.credits_pending = account.credits_pending
        state.version = account.version
        return state

    @property
    def balance(self) -> int:
        """On the normal side, posted."""
        difference = self.debits_posted - self.credits_posted
        return difference if self.normal_debit else -difference


@dataclass(slots=True)
class BookState:
    """A book as it stands in the middle of a batch.

    Attributes:
        id: the book's id.
        mode: what it takes.
        head: the number of its last posting.
        revision: moves with each change of an account or the chart that is no posting.
        locked_before: nothing may take effect before; None: no period is locked.
        recorded_at: when its last posting was recorded, and none after it was before; None: it has
            none.
        chart: the accounts that it may have.
    """

    id: str
    mode: Mode
    head: int
    revision: int
    locked_before: datetime | None
    recorded_at: datetime | None
    chart: Chart
    _by_key: dict[AccountKey, AccountState] = field(default_factory=dict)
    _by_id: dict[int, AccountState] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, account: AccountState) -> None:
        """Know this account."""
        self._by_key[account.path, account.currency] = account
        if account.id:
            self._by_id[account.id] = account

    def knows(self, key: AccountKey) -> bool:
        """Whether it was said of this account how it stands, or that it is not open."""
        return key in self._by_key

    def knows_id(self, account: int) -> bool:
        """Whether it was said of the account of this id how it stands."""
        return account in self._by_id

    def is_open(self, key: AccountKey) -> bool:
        """Whether the account is known, and open."""
        account = self._by_key.get(key)
        return account is not None and account.id != 0

    def find(self, path: str, currency: str) -> AccountState | None:
        """The account, as it stands or, if it is not open yet, as the chart would have it."""
        known = self._by_key.get((path, currency))
        if known is not None:
            return known
        place = self.chart.find(path)
        if place is None:
            return None
        pattern = place.pattern
        account = AccountState(path, currency, pattern.kind, place.owner)
        account.floor, account.ceiling = pattern.floor, pattern.ceiling
        self.add(account)
        return account

    def by_id(self, account: int) -> AccountState:
        """An account that is open and known."""
        return self._by_id[account]

    def opened(self, accounts: Iterable[AccountState]) -> None:
        """These accounts have their ids now."""
        for account in accounts:
            self._by_id[account.id] = account


@dataclass(frozen=True, slots=True)
class StoredTransfer:
    """A transfer as it is stored, accounts by their ids; amounts in minor units."""

    leg: int
    phase: Phase
    debit: int
    credit: int
    amount: int
    currency: str
    debit_balance_after: int
    credit_balance_after: int
    pending: TransferName | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredPosting:
    """A posting as it is stored.

    Attributes:
        number: its place in the book's order.
        key: what the caller knows it by.
        request_hash: of what was asked.
        recorded_at: when, by the database's clock.
        effective_at: when it took effect.
        reverses: the number of the posting that it reverses.
        reversed_by: the number of the posting that reverses it.
        paired: whether it is one half of a posting between two books.
        transfers: in the order of their legs; none where nobody needs them.
    """

    number: int
    key: str
    request_hash: bytes
    recorded_at: datetime
    effective_at: datetime
    reverses: int | None
    reversed_by: int | None
    paired: bool
    transfers: tuple[StoredTransfer, ...]


@dataclass(frozen=True, slots=True)
class StoredHold:
    """A pending transfer as it is stored, and what ended it, if anything did."""

    name: TransferName
    debit: int
    credit: int
    amount: int
    currency: str
    expires_at: datetime | None
    ended: Phase | None


@dataclass(slots=True)
class Facts:
    """What the database says of the things that a batch names, under the book's lock.

    Attributes:
        now: the database's time; never before the book's last posting was recorded.
        postings: those that were recorded under the batch's keys, by key; with transfers where the
            same was asked.
        reversed: those that are to be reversed, by number.
        holds: those that are to be ended, by name; and those that are due to expire.
        due: the names of those that are due to expire.
        quotes: of those that the batch names, the ones that were used before.
    """

    now: datetime
    postings: dict[str, StoredPosting] = field(default_factory=dict)
    reversed: dict[int, StoredPosting] = field(default_factory=dict)
    holds: dict[TransferName, StoredHold] = field(default_factory=dict)
    due: tuple[TransferName, ...] = ()
    quotes: set[str] = field(default_factory=set)
