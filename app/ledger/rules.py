"""The ledger's decisions: what a capture posts, and what a posting does to its accounts. Pure.

`decide` has two halves. The first refuses, and has changed nothing when it does; the second must
succeed. A floor is held at the posting's end, not between its transfers: a posting is one step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.domain.money import Money
from app.ledger.model import (
    NORMAL,
    Account,
    Entry,
    Kind,
    Place,
    Posting,
    PostingRefused,
    Side,
    Transfer,
)

# What the database's bigint holds: an account's debits and credits never pass it.
COUNTER_MAX: Final = 2**63 - 1

COMMISSION: Final = Place("commission", Kind.REVENUE)

# An account among those of one book: its path and its currency.
AccountKey = tuple[str, str]


def clearing(provider: str) -> Place:
    """Where money lies that a provider has taken for us and not yet paid out."""
    return Place(f"gateway:{provider}:clearing", Kind.ASSET)


def payable(seller: str) -> Place:
    """What is owed to a seller."""
    return Place(f"seller:{seller}:payable", Kind.LIABILITY, owner=seller)


@dataclass(frozen=True, slots=True)
class Capture:
    """A purchase whose payment went through.

    Attributes:
        book: of the business line that sells.
        transaction: the transaction's id.
        provider: who holds the money, such as `test`.
        seller: the seller's name.
        price: what the buyer paid.
        commission: what the business line keeps of it.
    """

    book: str
    transaction: str
    provider: str
    seller: str
    price: Money
    commission: Money


def capture_posting(capture: Capture) -> Posting:
    """The posting of a capture: the buyer's money to the seller and to the commission.

    A share of nothing leaves no transfer: a commission of 0, or one of the whole price.
    """
    source = clearing(capture.provider)
    shares = (
        (payable(capture.seller), capture.price - capture.commission),
        (COMMISSION, capture.commission),
    )
    return Posting(
        capture.book,
        f"capture:{capture.transaction}",
        tuple(Transfer(source, place, share) for place, share in shares if share.amount),
    )


def places(posting: Posting) -> dict[AccountKey, Place]:
    """Every account that a posting touches, in the order of its keys."""
    touched = {
        (place.path, transfer.amount.currency): place
        for transfer in posting.transfers
        for place in (transfer.debit, transfer.credit)
    }
    return dict(sorted(touched.items(), key=lambda item: item[0]))


@dataclass(frozen=True, slots=True)
class Decision:
    """What a posting does.

    Attributes:
        entries: two a transfer, the debit first, in the posting's order.
        accounts: every account it touches, as it stands afterwards.
    """

    entries: tuple[Entry, ...]
    accounts: tuple[Account, ...]


def decide(
    accounts: Mapping[AccountKey, Account], transfers: Sequence[Transfer]
) -> Decision | PostingRefused:
    """What `transfers` do to `accounts`, or why they may not be done at all."""
    if not transfers:
        return PostingRefused.EMPTY
    after = dict(accounts)
    entries: list[Entry] = []
    for index, transfer in enumerate(transfers):
        refused = _refuse(after, transfer)
        if refused:
            return refused
        entries += _apply(after, index, transfer)
    if any(_below_floor(account) for account in after.values()):
        return PostingRefused.BELOW_FLOOR
    # After this point, the posting must succeed.
    assert len(entries) == 2 * len(transfers), "a transfer leaves two entries"
    return Decision(tuple(entries), tuple(after.values()))


def _refuse(accounts: Mapping[AccountKey, Account], transfer: Transfer) -> PostingRefused | None:
    """Why this transfer may not be done to accounts that stand so, if it may not."""
    amount, currency = transfer.amount.amount, transfer.amount.currency
    if transfer.debit.path == transfer.credit.path:
        return PostingRefused.SAME_ACCOUNT
    if amount <= 0:
        return PostingRefused.AMOUNT_NOT_POSITIVE
    for place in (transfer.debit, transfer.credit):
        account = accounts.get((place.path, currency))
        if account is None:
            return PostingRefused.ACCOUNT_UNKNOWN
        if account.kind is not place.kind:
            return PostingRefused.ACCOUNT_OF_OTHER_KIND
    if accounts[transfer.debit.path, currency].debits + amount > COUNTER_MAX:
        return PostingRefused.OVERFLOW
    if accounts[transfer.credit.path, currency].credits + amount > COUNTER_MAX:
        return PostingRefused.OVERFLOW
    return None


def _apply(
    accounts: dict[AccountKey, Account], index: int, transfer: Transfer
) -> tuple[Entry, Entry]:
    """The two entries of a transfer; `accounts` stand as after it."""
    return (
        _move(accounts, index, (Side.DEBIT, transfer.debit, transfer.amount)),
        _move(accounts, index, (Side.CREDIT, transfer.credit, transfer.amount)),
    )


def _move(
    accounts: dict[AccountKey, Account], index: int, movement: tuple[Side, Place, Money]
) -> Entry:
    """One side of a transfer."""
    side, place, money = movement
    before = accounts[place.path, money.currency]
    after = replace(
        before,
        debits=before.debits + (money.amount if side is Side.DEBIT else 0),
        credits=before.credits + (money.amount if side is Side.CREDIT else 0),
        version=before.version + 1,
    )
    accounts[place.path, money.currency] = after
    sign = 1 if NORMAL[before.kind] is side else -1
    assert after.balance == before.balance + sign * money.amount, "a side moved the wrong way"
    return Entry(after.id, after.version, index, side, money.amount, after.balance)


def _below_floor(account: Account) -> bool:
    return account.floor is not None and account.balance < account.floor
