"""The one renderer of refusals for HTTP: RFC 9457 problem documents.

A problem's `type` is a URI reference, `/problems/<code>`, and this server explains it there.
"""

from http import HTTPStatus
from typing import Final

import msgspec

from app.domain.errors import MEANINGS, Code, Refusal
from app.http.message import Response
from app.limits import RETRY_AFTER_S

PROBLEM: Final = "application/problem+json"

_CHALLENGE: Final = ("WWW-Authenticate", 'Bearer realm="agio"')


class Problem(msgspec.Struct, omit_defaults=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    message: str
    retryable: bool
    instance: str | None = None


def problem_type(code: Code) -> str:
    """Where the code is explained."""
    return f"/problems/{code.value}"


def problem(
    refusal: Refusal, *, status: int | None = None, instance: str | None = None
) -> Response:
    """The problem document of a refusal.

    Args:
        refusal: why.
        status: where HTTP has a more exact status than the code's own, such as 431.
        instance: what names this very occurrence, as the log has it.
    """
    told = status or refusal.status
    document = Problem(
        type=problem_type(refusal.code),
        title=MEANINGS[refusal.code].message,
        status=told,
        detail=refusal.message,
        code=refusal.code,
        message=refusal.message,
        retryable=refusal.retryable,
        instance=instance,
    )
    headers = [("Content-Type", PROBLEM)]
    if told == HTTPStatus.UNAUTHORIZED:
        headers.append(_CHALLENGE)
    if told == HTTPStatus.SERVICE_UNAVAILABLE and refusal.retryable:
        headers.append(("Retry-After", str(RETRY_AFTER_S)))
    return Response(told, tuple(headers), msgspec.json.encode(document))
