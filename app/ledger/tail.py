"""An account as those who watch it see it: as it stood once, and each posting after that. Pure.

An entry says what it changes, and the entries of an account are numbered without gaps. So an
account that is known at one place of its book is known at every later one, by adding what was
posted since, and at every earlier one, by taking it away.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from app.domain.cursor import Cursor
from app.domain.moments import moment
from app.ledger.model import Account, Phase, Side

ACCOUNT: Final = "account:"
"""What the topic of an account begins with; its id follows."""

POSTING: Final = "posting"
"""The one event of these topics."""


@dataclass(frozen=True, slots=True)
class Step:
    """An entry, as far as those who watch its account are told of it.

    Attributes:
        account: whose it is.
        version: counts the account's entries from 1, without gaps.
        posting: the posting's number in the book.
        leg: the transfer's place in the posting.
        side: debit or credit.
        phase: what the transfer is.
        amount: minor units: that moved, were held, or were released.
        posted: by how much the entry's side of the account grew, posted.
        pending: by how much it changed, pending.
        balance_after: the account's balance, this entry included.
        key: what the posting's caller knows it by.
        recorded_at: when, by the database's clock.
        effective_at: when the posting took effect.
        reverses: the number of the posting that it reverses.
    """

    account: int
    version: int
    posting: int
    leg: int
    side: Side
    phase: Phase
    amount: int
    posted: int
    pending: int
    balance_after: int
    key: str
    recorded_at: datetime
    effective_at: datetime
    reverses: int | None


@dataclass(frozen=True, slots=True)
class PostingSeen:
    """A posting, as it is seen from one account.

    Attributes:
        steps: its entries on the account, at least one, in their order.
        account: as it stood then.
    """

    steps: Sequence[Step]
    account: Account

    @property
    def number(self) -> int:
        """The posting's place in its book."""
        return self.steps[0].posting

    def payload(self, epoch: str) -> dict[str, Any]:
        """What members of the account's topic are told.

        Args:
            epoch: of the cursor, which says this posting's place.
        """
        first = self.steps[0]
        return {
            "posting": first.posting,
            "key": first.key,
            "recorded_at": moment(first.recorded_at),
            "effective_at": moment(first.effective_at),
            "reverses": first.reverses,
            "entries": [_entry(step, self.account.currency) for step in self.steps],
            "account": counters(self.account),
            "cursor": f"{epoch}-{first.posting}",
        }


@dataclass(frozen=True, slots=True)
class AccountJoin:
    """What somebody who watches an account starts from.

    Attributes:
        account: as it is now.
        cursor: the place of its book's last posting, in the same snapshot.
        missed: the postings between what they have seen and `cursor`; None where these are too
            many, or it is not known what they have seen.
    """

    account: Account
    cursor: Cursor
    missed: Sequence[PostingSeen] | None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an account: so many entries, up to this posting of its book."""

    account: int
    version: int
    posting: int


@dataclass(frozen=True, slots=True)
class News:
    """What an account has more than was known.

    Attributes:
        steps: the next of its entries, all of their postings.
        whole: there are no others.
    """

    steps: Sequence[Step]
    whole: bool


def snapshot(account: Account) -> dict[str, Any]:
    """All of an account, as members of its topic are told when they join."""
    closed = account.closed_at
    return {
        "id": str(account.id),
        "book": account.book,
        "path": account.path,
        "kind": account.kind.value,
        "currency": account.currency,
        "owner": account.owner,
        "floor": account.floor,
        "ceiling": account.ceiling,
        "closed_at": None if closed is None else moment(closed),
        **counters(account),
    }


def counters(account: Account) -> dict[str, int]:
    """What postings move; with these, a snapshot is what it was, but newer."""
    return {
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "credits_pending": account.credits_pending,
        "balance": account.balance,
        "available": account.available,
        "version": account.version,
    }


def _entry(step: Step, currency: str) -> dict[str, Any]:
    return {
        "version": step.version,
        "leg": step.leg,
        "type": step.phase.value,
        "side": step.side.value,
        "amount": {"amount": step.amount, "currency": currency},
        "balance_after": step.balance_after,
    }


def before(account: Account, steps: Iterable[Step]) -> Account:
    """An account as it stood before its newest entries."""
    return _moved(account, steps, -1)


def follow(account: Account, steps: Iterable[Step]) -> Iterator[PostingSeen]:
    """The postings that these entries belong to, each with the account as it was then.

    Args:
        account: as it stood before.
        steps: all entries of some postings, in order, that come next.
    """
    for _, group in groupby(steps, lambda step: step.posting):
        own = tuple(group)
        expected = account.version + 1
        assert own[0].version == expected, f"{own[0]} is not entry {expected} of its account"
        account = _moved(account, own, 1)
        last = own[-1]
        assert (last.version, last.balance_after) == (account.version, account.balance), last
        yield PostingSeen(own, account)


def _moved(account: Account, steps: Iterable[Step], sign: int) -> Account:
    """An account with some entries more, or less."""
    posted, pending = dict.fromkeys(Side, 0), dict.fromkeys(Side, 0)
    count = 0
    for step in steps:
        posted[step.side] += step.posted
        pending[step.side] += step.pending
        count += 1
    return replace(
        account,
        debits_posted=account.debits_posted + sign * posted[Side.DEBIT],
        credits_posted=account.credits_posted + sign * posted[Side.CREDIT],
        debits_pending=account.debits_pending + sign * pending[Side.DEBIT],
        credits_pending=account.credits_pending + sign * pending[Side.CREDIT],
        version=account.version + sign * count,
    )
