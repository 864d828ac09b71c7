"""The ledger's books over HTTP: what each takes, its chart, and what was posted to it."""

from typing import Final

import msgspec

from app.domain.errors import Code
from app.domain.moments import moment
from app.domain.page import Page, number_of
from app.http.message import Request, Response
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route
from app.http.schemas import PageQuery, ReadQuery
from app.http.schemas_ledger import (
    BookAnswer,
    BooksPage,
    BookSummary,
    Half,
    PatternAnswer,
    PostingAnswer,
    PostingsPage,
    PostingsQuery,
    PostingSummary,
)
from app.http.services import Services
from app.ledger.book_store import Book, StoredAnswer
from app.ledger.books import NO_POSTING
from app.ledger.chart import Pattern


async def list_books(services: Services, request: Request) -> Response:
    """The line's books."""
    query = await read_query(services, request, PageQuery)
    page = granted(await services.books.list(request.identity, Page(query.after, query.limit)))
    return reply(BooksPage([_summary(each) for each in page.items], page.next, str(page.cursor)))


async def get_book(services: Services, request: Request) -> Response:
    """One book with its chart."""
    await read_query(services, request, ReadQuery)
    seen = granted(await services.books.get(request.identity, request.params["book"]))
    summary = msgspec.structs.asdict(_summary(seen.book))
    chart = [pattern_of(each) for each in seen.chart]
    return reply(BookAnswer(**summary, chart=chart, cursor=str(seen.cursor)))


async def list_postings(services: Services, request: Request) -> Response:
    """A book's postings, oldest first."""
    query = await read_query(services, request, PostingsQuery)
    page = granted(
        await services.books.postings(
            request.identity, request.params["book"], Page(query.after, query.limit), query.key
        )
    )
    return reply(PostingsPage([_posting(each) for each in page.items], page.next, str(page.cursor)))


async def get_posting(services: Services, request: Request) -> Response:
    """One posting."""
    await read_query(services, request, ReadQuery)
    number = number_of(request.params["number"])
    number = granted(NO_POSTING if number is None else number)
    seen = granted(await services.books.posting(request.identity, request.params["book"], number))
    summary = _posting(seen.posting)
    told = {name: getattr(summary, name) for name in summary.__struct_fields__}
    return reply(PostingAnswer(**told, cursor=str(seen.cursor)))


def _summary(book: Book) -> BookSummary:
    locked = None if book.locked_before is None else moment(book.locked_before)
    return BookSummary(book.id, book.mode, book.head, locked)


def pattern_of(pattern: Pattern) -> PatternAnswer:
    """The pattern as it is shown."""
    return PatternAnswer(pattern.pattern, pattern.kind, pattern.floor, pattern.ceiling)


def _posting(stored: StoredAnswer) -> PostingSummary:
    posted = stored.posted
    return PostingSummary(
        book=posted.book,
        number=posted.number,
        key=posted.key,
        recorded_at=posted.recorded_at,
        effective_at=posted.effective_at,
        transfers=posted.transfers,
        reverses=posted.reverses,
        reversed_by=stored.reversed_by,
        pair=None if stored.pair is None else Half(*stored.pair),
        imported=stored.imported,
        meta=stored.meta,
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/books",
        list_books,
        Operation(
            id="listBooks",
            summary="The books of the caller's line.",
            tag="books",
            answer=BooksPage,
            query=PageQuery,
            refusals=(Code.FORBIDDEN,),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}",
        get_book,
        Operation(
            id="getBook",
            summary="One book: what it takes, and its chart.",
            tag="books",
            answer=BookAnswer,
            query=ReadQuery,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}/postings",
        list_postings,
        Operation(
            id="listPostings",
            summary="A book's postings in its order, or the one that has a key.",
            tag="books",
            answer=PostingsPage,
            query=PostingsQuery,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}/postings/{number}",
        get_posting,
        Operation(
            id="getPosting",
            summary="One posting, by its number in its book.",
            tag="books",
            answer=PostingAnswer,
            query=ReadQuery,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
)
