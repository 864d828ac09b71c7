"""Keyset pages: one page of a listing is asked for by the last key seen, never by an offset.

A page costs the same wherever it lies, and rows that arrive while a client pages are neither
skipped nor shown twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.limits import PAGE_ROWS_MAX

T = TypeVar("T")

# What a service answers whose listing has no key such as `after`.
NO_SUCH_PLACE: Final = Refusal(Code.INVALID_REQUEST, "`after` is not a place in this listing.")

# Any number of so many digits fits a bigint; a longer one numbers nothing.
_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is wanted.

    Attributes:
        after: the `next` of the page before; empty for the first.
        limit: rows wanted, 1 to `PAGE_ROWS_MAX`.
    """

    after: str = ""
    limit: int = PAGE_ROWS_MAX

    def __post_init__(self) -> None:
        assert 1 <= self.limit <= PAGE_ROWS_MAX, f"{self.limit} rows are no page"

    @property
    def rows(self) -> int:
        """How many rows to read: one more than wanted tells whether a page follows."""
        return self.limit + 1

    def cut(self, found: Sequence[T], key: Callable[[T], object], cursor: Cursor) -> "Paged[T]":
        """The page of what was found.

        Args:
            found: at most `rows` items, in the listing's order.
            key: by which an item is asked for as `after`.
            cursor: the log's head in the snapshot they were read from.
        """
        items = tuple(found[: self.limit])
        return Paged(items, str(key(items[-1])) if len(found) > self.limit else None, cursor)


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """One page, read from one snapshot.

    Attributes:
        items: in the listing's order.
        next: what to ask `after` for the page that follows; None on the last.
        cursor: the log's head in the snapshot that was read.
    """

    items: tuple[T, ...]
    next: str | None
    cursor: Cursor


def number_of(spelled: str) -> int | None:
    """The number that these digits spell, where rows are numbered; None where they spell none."""
    known = spelled.isascii() and spelled.isdigit() and len(spelled) <= _DIGITS_MAX
    return int(spelled) if known else None
