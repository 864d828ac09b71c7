"""The bodies and queries of the ledger's API.

What is posted, `PostingRequest`, and the answer to it, `Posted`, are the ledger's own structs, as
are those of accounts and patterns that are asked for.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from app.http.problem import AnyCode
from app.http.schemas import (
    Count,
    Id,
    Moment,
    PageQuery,
    WireCursor,
)
from app.ledger.keeping import Limits
from app.ledger.model import Kind, Mode, Moved, Posted
from app.ledger.request import Key, Path

Number = Annotated[int, msgspec.Meta(ge=1)]
# RFC 3339 with its offset. Text, since a number would be taken for seconds since 1970, too.
When = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T",
        description="RFC 3339, with its offset from UTC.",
        examples=["2026-11-21T09:30:00Z"],
    ),
]


class PostingsQuery(PageQuery):
    """A book's postings: one page, or the one that has a key."""

    key: Annotated[Key, msgspec.Meta(description="Only the posting that has this key.")] | None = (
        None
    )


class PatternAnswer(msgspec.Struct):
    """Which accounts a book may have.

    Attributes:
        pattern: words with colons between; `*` stands for any, `{owner}` for a person's name.
        kind: what such accounts stand for.
        floor: the least that may be available on an account that is opened here, in minor units.
        ceiling: the most that one may hold.
    """

    pattern: str
    kind: Kind
    floor: int | None
    ceiling: int | None


class BookSummary(msgspec.Struct):
    """A book.

    Attributes:
        id: its id.
        mode: whether it takes past postings, present ones, or none any more.
        head: the number of its last posting; 0 where it has none.
        locked_before: nothing may take effect before.
    """

    id: Id
    mode: Mode
    head: Count
    locked_before: Moment | None


class BookAnswer(BookSummary):
    """A book with its chart, as of a cursor."""

    chart: list[PatternAnswer]
    cursor: WireCursor


class BooksPage(msgspec.Struct):
    """One page of books, in the order of their ids."""

    items: list[BookSummary]
    next: str | None
    cursor: WireCursor


class Half(msgspec.Struct):
    """The other half of a posting between two books."""

    book: Id
    number: Number


class PostingSummary(msgspec.Struct, omit_defaults=True):
    """A posting as its book shows it.

    Attributes:
        number: its place in the book's order, from 1, without gaps.
        key: what its caller knows it by.
        recorded_at: when, by the database's clock.
        effective_at: when it took effect.
        transfers: what it moved, held or released.
        reverses: the number of the posting that it reverses.
        reversed_by: the number of the posting that reverses it.
        pair: its other half, where it is one of two.
        imported: whether it was imported as a past one.
        meta: what its caller wanted to find beside it.
    """

    book: Id
    number: Number
    key: str
    recorded_at: datetime
    effective_at: datetime
    transfers: tuple[Moved, ...]
    reverses: Number | None = None
    reversed_by: Number | None = None
    pair: Half | None = None
    imported: bool = False
    meta: dict[str, Any] | None = None


class PostingAnswer(PostingSummary, kw_only=True):
    """A posting, as of a cursor."""

    cursor: WireCursor


class PostingsPage(msgspec.Struct):
    """One page of a book's postings, in its order; a page is short where they are long."""

    items: list[PostingSummary]
    next: str | None
    cursor: WireCursor


class PostingOutcome(msgspec.Struct, omit_defaults=True):
    """What came of one posting of several.

    Attributes:
        status: that of the answer, had it been sent alone.
        posting: as it was recorded, now or before.
        code: why it was not.
        message: the same, for a person.
        retryable: whether the same may succeed later.
        leg: the transfer that is at fault, where it is one's.
    """

    status: int
    posting: Posted | None = None
    code: AnyCode | None = None
    message: str | None = None
    retryable: bool | None = None
    leg: int | None = None


class PostingOutcomes(msgspec.Struct):
    """What came of each posting, in the order in which they came."""

    items: list[PostingOutcome]


# Accounts and charts ------------------------------------------------------------------------------


class AccountChange(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of an account: its limits, or that it is closed, for good.

    Attributes:
        closed: alone, without limits.
    """

    closed: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class PatternChange(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of accounts that are opened at a pattern from now on.

    Attributes:
        pattern: as the chart has it.
    """

    pattern: Path


class ChartAnswer(msgspec.Struct):
    """A book's chart, in the order of its patterns."""

    items: list[PatternAnswer]
    cursor: WireCursor


class NewLock(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is to take effect before a moment any more, for good."""

    before: When


class LockAnswer(msgspec.Struct):
    """A lock of a book.

    Attributes:
        book: the book's id.
        locked_before: nothing takes effect before.
        locked_by: who locked it.
        locked_at: when.
    """

    book: Id
    locked_before: Moment
    locked_by: str
    locked_at: Moment


class InterlineAnswer(msgspec.Struct):
    """A move between two books: a posting in each."""

    debit: Posted
    credit: Posted
