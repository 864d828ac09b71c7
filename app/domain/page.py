"""Keyset pages: one page of a listing is asked for by the last key seen, never by an offset.

A page costs the same wherever it lies, and rows that arrive while a client pages are neither
skipped nor shown twice.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.cursor import Cursor
from app.limits import PAGE_ROWS_MAX

T = TypeVar("T")


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
