"""What the handlers of REST v1 share: answers as JSON, and reads that wait for a cursor."""

from typing import TypeVar

import msgspec

from app.domain.errors import Refusal
from app.http.decode import decode_query
from app.http.message import JSON, RefusedError, Request, Response
from app.http.schemas import ReadQuery
from app.http.services import Services
from app.limits import REACH_S

T = TypeVar("T")
Q = TypeVar("Q", bound=ReadQuery)


def reply(body: msgspec.Struct, *, status: int = 200, location: str | None = None) -> Response:
    """A success whose body is a struct; its cursor, where it has one, is a header too."""
    headers = [("Content-Type", JSON)]
    cursor = getattr(body, "cursor", None)
    if cursor is not None:
        headers.append(("Agio-Cursor", cursor))
    if location is not None:
        headers.append(("Location", location))
    return Response(status, tuple(headers), msgspec.json.encode(body))


def granted(answer: T | Refusal) -> T:
    """What a service answered, unless it refused.

    Raises:
        RefusedError: with the service's refusal.
    """
    if isinstance(answer, Refusal):
        raise RefusedError(answer)
    return answer


async def read_query(services: Services, request: Request, kind: type[Q]) -> Q:
    """The query of a read; returns once this node has seen its `min_cursor`.

    Raises:
        RefusedError: invalid_request, cursor_unknown, or cursor_not_reached within `REACH_S`.
    """
    query = decode_query(request, kind)
    if query.min_cursor is not None:
        granted(await services.log.reach(query.min_cursor, REACH_S))
    return query
