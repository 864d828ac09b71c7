"""A line's books, for those who may use them: what each takes, its chart, and what was posted."""

from dataclasses import dataclass
from typing import Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.page import NO_SUCH_PLACE, Page, Paged, number_of
from app.events import store as events
from app.identity.model import Identity, Scope
from app.ledger import book_store as store
from app.ledger.book_store import Book, StoredAnswer
from app.ledger.chart import Pattern
from app.ledger.limits import BOOKS_KNOWN_MAX
from app.storage import Database, ReadConnection

NO_BOOK: Final = Refusal(Code.NOT_FOUND, "There is no such book.")
NO_POSTING: Final = Refusal(Code.NOT_FOUND, "There is no such posting.")


@dataclass(frozen=True, slots=True)
class BookSeen:
    """A book with its chart, and the log's head in the snapshot they were read from."""

    book: Book
    chart: tuple[Pattern, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class PostingSeen:
    """A posting, and the log's head in the snapshot it was read from."""

    posting: StoredAnswer
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which postings: those after a number, or of them the one that has a key."""

    line: str
    book: str
    after: int
    key: str | None = None


class Books:
    """A line's books, for those who may read or use its ledger; other lines' are not there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, str] = {}  # by book; no book ever changes its line

    async def is_closed_to(self, identity: Identity, book: str, scope: Scope) -> Refusal | None:
        """Why `identity` may not do what the scope allows in this book; None where it may."""
        lacking = identity.without(scope)
        if lacking is not None:
            return lacking
        line = self._lines.get(book) or await self._database.read(store.line_of_book, book)
        if line is not None:
            if len(self._lines) >= BOOKS_KNOWN_MAX:
                self._lines.clear()
            self._lines[book] = line
        return None if line == identity.line else NO_BOOK

    async def list(self, identity: Identity, page: Page) -> Paged[Book] | Refusal:
        """The books of the line, in the order of their ids."""
        refused = _unreadable(identity)
        if refused is not None:
            return refused
        return await self._database.read(_books, identity.line, page)

    async def get(self, identity: Identity, book: str) -> BookSeen | Refusal:
        """One book."""
        refused = _unreadable(identity)
        if refused is not None:
            return refused
        return await self._database.read(_book, identity.line, book)

    async def postings(
        self, identity: Identity, book: str, page: Page, key: str | None = None
    ) -> Paged[StoredAnswer] | Refusal:
        """A book's postings in its order, or the one that has a key; `page.after` is a number."""
        refused = _unreadable(identity)
        if refused is not None:
            return refused
        after = number_of(page.after or "0")
        if after is None:
            return NO_SUCH_PLACE
        wanted = _Wanted(identity.line, book, after, key)
        return await self._database.read(_postings, wanted, page)

    async def posting(self, identity: Identity, book: str, number: int) -> PostingSeen | Refusal:
        """One posting."""
        refused = _unreadable(identity)
        if refused is not None:
            return refused
        wanted = _Wanted(identity.line, book, number - 1)
        found = await self._database.read(_postings, wanted, Page(limit=1))
        if isinstance(found, Refusal):
            return found
        posting = next(iter(found.items), None)
        if posting is None or posting.posted.number != number:
            return NO_POSTING
        return PostingSeen(posting, found.cursor)


def _unreadable(identity: Identity) -> Refusal | None:
    return None if identity.reads_ledger else identity.without(Scope.LEDGER_READ)


async def _books(conn: ReadConnection, line: str, page: Page) -> Paged[Book]:
    cursor = await events.head(conn)
    found = await store.books_of_line(conn, line, page.after, page.rows)
    return page.cut(found, lambda each: each.id, cursor)


async def _book(conn: ReadConnection, line: str, book: str) -> BookSeen | Refusal:
    cursor = await events.head(conn)
    found = await store.book_of_line(conn, line, book)
    return NO_BOOK if found is None else BookSeen(found, await store.chart_of(conn, book), cursor)


async def _postings(
    conn: ReadConnection, wanted: _Wanted, page: Page
) -> Paged[StoredAnswer] | Refusal:
    book, after = wanted.book, wanted.after
    cursor = await events.head(conn)
    found = await store.book_of_line(conn, wanted.line, book)
    if found is None:
        return NO_BOOK
    if wanted.key is not None:
        number = await store.number_of_key(conn, book, wanted.key)
        if number is None or number <= after:
            return Paged((), None, cursor)
        return Paged(await store.postings_of_book(conn, book, number - 1, 1), None, cursor)
    items = await store.postings_of_book(conn, book, after, page.limit)
    last = items[-1].posted.number if items else found.head
    return Paged(items, str(last) if last < found.head else None, cursor)
