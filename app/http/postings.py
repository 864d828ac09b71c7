"""Posting over HTTP: one posting with a status of its own, or many with an outcome each.

Many are posted in the order in which they come, a share at a time that one batch takes; a refused
one disturbs no other. Where it is not known what came of a share, nothing after it is tried, so
that no posting overtakes another. All may be sent again: a key is posted once.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from math import inf
from typing import Final

import msgspec

from app.domain.errors import Code, Refusal
from app.http.decode import decode_body, decode_query
from app.http.items import ItemDecoder, has_many, media_of, read_items
from app.http.message import JSON, NDJSON, RefusedError, Request, Response
from app.http.negotiate import preferred
from app.http.problem import meaning_of, problem
from app.http.reply import granted, reply
from app.http.router import Operation, Route, Success
from app.http.schemas import NoQuery
from app.http.schemas_ledger import PostingOutcome, PostingOutcomes
from app.http.services import Services
from app.identity.model import Scope
from app.ledger.codes import LedgerCode
from app.ledger.desk import transfers_of
from app.ledger.limits import ANSWER_TRANSFERS_MAX, TRANSFERS_A_SHARE_MAX
from app.ledger.model import Accepted, Posted, PostingRefused, Result
from app.ledger.request import PostingRequest
from app.limits import ITEMS_BODY_BYTES_MAX

_DECODER: Final = ItemDecoder(PostingRequest)
_NOT_TRIED: Final = Refusal(
    Code.BUSY, "Not tried, since it is not known what came of one before it; send both again."
)
_NO_ROOM: Final = Refusal(
    Code.BUSY, f"Not tried: the answer is too large with those before it. Send less, or {NDJSON}."
)
_encode: Final = msgspec.json.Encoder().encode


async def post(services: Services, request: Request) -> Response:
    """Post to a book: one posting, an array of them, or lines."""
    decode_query(request, NoQuery)
    book = request.params["book"]
    _check(await services.books.is_closed_to(request.identity, book, Scope.LEDGER_POST))
    if not has_many(request):
        return await _post_one(services, book, decode_body(request, PostingRequest))
    items = await read_items(request, _DECODER)
    media = media_of(request)
    offered = [media, NDJSON if media == JSON else JSON]
    if preferred(request.headers.get("accept", ""), offered) == NDJSON:
        lines = partial(_lines, services, book, items)
        return Response(200, (("Content-Type", NDJSON),), chunks=lines)
    shares = _post_many(services, book, items, room=ANSWER_TRANSFERS_MAX)
    return reply(PostingOutcomes([each async for some in shares for each in some]))


async def _post_one(services: Services, book: str, asked: PostingRequest) -> Response:
    (result,) = granted(await services.posters.post(book, [asked]))
    if isinstance(result, PostingRefused):
        return problem(result)
    at = f"/v1/books/{book}/postings/{result.posted.number}"
    return reply(result.posted, status=201 if result.fresh else 200, location=at)


async def _lines(
    services: Services, book: str, items: Sequence[PostingRequest | Refusal]
) -> AsyncGenerator[bytes, None]:
    """The outcomes, a line each, as they come to be."""
    async with aclosing(_post_many(services, book, items)) as shares:
        async for outcomes in shares:
            yield b"".join(_encode(outcome) + b"\n" for outcome in outcomes)


async def _post_many(
    services: Services, book: str, items: Sequence[PostingRequest | Refusal], room: float = inf
) -> AsyncGenerator[list[PostingOutcome], None]:
    """The outcomes, a share at a time; no more is tried once there was no `room` for transfers."""
    failed: Refusal | None = None
    for share in _shares(items):
        asked = [each for each in share if isinstance(each, PostingRequest)]
        answer = failed or (await services.posters.post(book, asked) if asked else [])
        if isinstance(answer, Refusal):
            failed = failed or _NOT_TRIED
            yield [_outcome(each if isinstance(each, Refusal) else answer) for each in share]
            continue
        room -= sum(len(each.posted.transfers) for each in answer if isinstance(each, Accepted))
        failed = _NO_ROOM if room <= 0 else None
        results = iter(answer)
        yield [_outcome(each if isinstance(each, Refusal) else next(results)) for each in share]


def _shares(
    items: Sequence[PostingRequest | Refusal],
) -> Iterator[Sequence[PostingRequest | Refusal]]:
    """The items in their order, cut so that one batch takes the postings of each share."""
    start = transfers = 0
    for place, item in enumerate(items):
        count = 1 if isinstance(item, Refusal) else transfers_of([item])
        if transfers and transfers + count > TRANSFERS_A_SHARE_MAX:
            yield items[start:place]
            start, transfers = place, 0
        transfers += count
    if start < len(items):
        yield items[start:]


def _outcome(result: Result | Refusal) -> PostingOutcome:
    if not isinstance(result, Refusal | PostingRefused):
        return PostingOutcome(201 if result.fresh else 200, result.posted)
    status = meaning_of(result.code).status
    leg = result.leg if isinstance(result, PostingRefused) else None
    return PostingOutcome(status, None, result.code, result.message, result.retryable, leg)


def _check(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise RefusedError(refusal)


ROUTES: Final = (
    Route(
        "POST",
        "/v1/books/{book}/postings",
        post,
        Operation(
            id="post",
            summary="Post to a book. The same key and body get the same answer, forever.",
            tag="books",
            answer=Posted,
            status=201,
            others=(
                Success(200, Posted),
                Success(200, PostingOutcomes),
                Success(200, PostingOutcome, NDJSON),
            ),
            body=PostingRequest,
            many=True,
            scope=Scope.LEDGER_POST,
            refusals=(Code.NOT_FOUND, Code.BUSY, Code.OUTCOME_UNKNOWN, *LedgerCode),
        ),
        ITEMS_BODY_BYTES_MAX,
    ),
)
