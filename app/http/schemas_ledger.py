"""The bodies of the ledger's API: books, postings, and what came of each of many.

What is posted, `PostingRequest`, and the answer to it, `Posted`, are the ledger's own structs.
"""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from app.http.problem import AnyCode
from app.http.schemas import Count, Id, Moment, PageQuery, WireCursor
from app.ledger.model import Kind, Mode, Moved, Posted
from app.ledger.request import Key

Number = Annotated[int, msgspec.Meta(ge=1)]


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
