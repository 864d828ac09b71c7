"""Money that moves between the books of two lines: what is asked for, and its two halves. Pure.

No transfer crosses books. So each book has a half of its own, against an account that says what it
owes to the other book (`due-to:<other>`), or what the other owes to it (`due-from:<other>`). Both
halves are of one amount and are recorded together, so that what one book owes is always what the
other is owed: the two net to zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.model import Posted
from app.ledger.plan import DUE_FROM, DUE_TO
from app.ledger.request import Amount, Key, Path, PostingRequest, Transfer, check_meta

BookId = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account of a book, by its path."""

    book: BookId
    account: Path


class InterlineRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A move between two books that is asked for.

    Attributes:
        key: what the caller knows it by; both books take each once, forever.
        currency: of both halves.
        amount: minor units.
        debit: the account that is debited, and its book, which then owes the amount to the other.
        credit: the account that is credited, in the other book.
        meta: anything the caller wants to find beside both halves.
    """

    key: Key
    currency: str
    amount: Amount
    debit: End
    credit: End
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """A move is between two books, within one it is a posting; `meta` is as a posting's."""
        if self.debit.book == self.credit.book:
            raise ValueError("`debit` and `credit` are in two books")
        check_meta(self.meta)


@dataclass(frozen=True, slots=True)
class Half:
    """What is posted in one of the two books."""

    book: str
    other: str
    request: PostingRequest


class InterlinePosted(msgspec.Struct, frozen=True):
    """Both halves as they were recorded, now or before under the same key.

    Attributes:
        debit: the posting in the book that owes.
        credit: the posting in the book that is owed.
        fresh: whether this request recorded them.
    """

    debit: Posted
    credit: Posted
    fresh: bool


@dataclass(frozen=True, slots=True)
class InterlineRefused:
    """Why neither book took its half. Nothing was recorded.

    Attributes:
        code: of what either book says, what comes first in the closed list.
        book: the book that says so.
    """

    code: LedgerCode
    book: str

    @property
    def message(self) -> str:
        """One sentence for a person."""
        return f"Book {self.book}: {LEDGER_MEANINGS[self.code].message}"

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return LEDGER_MEANINGS[self.code].retryable


def halves(asked: InterlineRequest) -> tuple[Half, Half]:
    """What is posted in the book that is debited, and in the one that is credited."""
    debit, credit = asked.debit, asked.credit
    owes = Transfer(debit.account, f"{DUE_TO}{credit.book}", asked.amount, asked.currency)
    owed = Transfer(f"{DUE_FROM}{debit.book}", credit.account, asked.amount, asked.currency)
    return (
        Half(debit.book, credit.book, PostingRequest(asked.key, (owes,), meta=asked.meta)),
        Half(credit.book, debit.book, PostingRequest(asked.key, (owed,), meta=asked.meta)),
    )
