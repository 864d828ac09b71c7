"""Moves between the books of two lines, over HTTP."""

from typing import Final

from app.domain.errors import Code, Refusal
from app.http.decode import decode_body, decode_query
from app.http.message import RefusedError, Request, Response
from app.http.problem import problem
from app.http.reply import reply
from app.http.router import Operation, Route, Success
from app.http.schemas import NoQuery
from app.http.schemas_ledger import InterlineAnswer
from app.http.services import Services
from app.identity.model import Scope
from app.ledger.books import NO_BOOK
from app.ledger.codes import LedgerCode
from app.ledger.interline_request import InterlineRefused, InterlineRequest


async def post_between(services: Services, request: Request) -> Response:
    """Move money between a book of the caller's line and another, or neither gets its half."""
    decode_query(request, NoQuery)
    asked = decode_body(request, InterlineRequest)
    own = await _own(services, request, asked)
    done = await services.interline.post(asked)
    if isinstance(done, Refusal | InterlineRefused):
        return problem(done)
    half = done.debit if done.debit.book == own else done.credit
    return reply(
        InterlineAnswer(done.debit, done.credit),
        status=201 if done.fresh else 200,
        location=f"/v1/books/{own}/postings/{half.number}",
    )


async def _own(services: Services, request: Request, asked: InterlineRequest) -> str:
    """Which of the two books is the caller's line's.

    Raises:
        RefusedError: forbidden without the scope, not_found where neither is.
    """
    for book in (asked.debit.book, asked.credit.book):
        closed = await services.books.is_closed_to(request.identity, book, Scope.LEDGER_INTERLINE)
        if closed is None:
            return book
    raise RefusedError(NO_BOOK)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/interline-postings",
        post_between,
        Operation(
            id="postBetween",
            summary="Move money between two lines' books: a posting in each, or in neither.",
            tag="books",
            answer=InterlineAnswer,
            status=201,
            others=(Success(200, InterlineAnswer),),
            body=InterlineRequest,
            scope=Scope.LEDGER_INTERLINE,
            refusals=(Code.NOT_FOUND, Code.BUSY, Code.OUTCOME_UNKNOWN, *LedgerCode),
        ),
    ),
)
