"""The one renderer of refusals for HTTP: RFC 9457 problem documents.

A problem's `type` is a URI reference, `/problems/<code>`, and this server explains it there. The
codes are those of `app.domain.errors` and, of postings, those of `app.ledger.codes`.
"""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec

from app.domain.errors import MEANINGS, Code, Meaning, Refusal
from app.http.message import Response
from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.interline_request import InterlineRefused
from app.ledger.model import PostingRefused
from app.limits import RETRY_AFTER_S

PROBLEM: Final = "application/problem+json"

_CHALLENGE: Final = ("WWW-Authenticate", 'Bearer realm="agio"')


AnyCode = Annotated[
    str,
    msgspec.Meta(
        description="One of a closed list.",
        extra_json_schema={"enum": list(dict.fromkeys(map(str, [*Code, *LedgerCode])))},
    ),
]

# These are in conflict with how things are: what stands in the way may be gone another time. All
# others find something wrong with the posting itself.
_CONFLICTS: Final = frozenset(
    {
        LedgerCode.BOOK_CLOSED,
        LedgerCode.BOOK_IMPORTING,
        LedgerCode.BOOK_NOT_IMPORTING,
        LedgerCode.PERIOD_LOCKED,
        LedgerCode.ALREADY_REVERSED,
        LedgerCode.QUOTE_EXPIRED,
        LedgerCode.QUOTE_USED,
        LedgerCode.ACCOUNT_CLOSED,
        LedgerCode.PENDING_ALREADY_POSTED,
        LedgerCode.PENDING_ALREADY_VOIDED,
        LedgerCode.PENDING_EXPIRED,
        LedgerCode.BELOW_FLOOR,
        LedgerCode.ABOVE_CEILING,
    }
)


class Problem(msgspec.Struct, omit_defaults=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: AnyCode
    message: str
    retryable: bool
    instance: str | None = None
    leg: int | None = None


def meaning_of(code: Code | LedgerCode) -> Meaning:
    """What a code says."""
    if isinstance(code, Code):
        return MEANINGS[code]
    message, retryable = LEDGER_MEANINGS[code]
    if code is LedgerCode.BOOK_UNKNOWN:
        return Meaning(message, retryable, HTTPStatus.NOT_FOUND)
    status = HTTPStatus.CONFLICT if code in _CONFLICTS else HTTPStatus.UNPROCESSABLE_ENTITY
    return Meaning(message, retryable, status)


def problem(
    refusal: Refusal | PostingRefused | InterlineRefused,
    *,
    status: int | None = None,
    instance: str | None = None,
) -> Response:
    """The problem document of a refusal.

    Args:
        refusal: why.
        status: where HTTP has a more exact status than the code's own, such as 431.
        instance: what names this very occurrence, as the log has it.
    """
    meaning = meaning_of(refusal.code)
    told = status or meaning.status
    document = Problem(
        type=f"/problems/{refusal.code}",
        title=meaning.message,
        status=told,
        detail=refusal.message,
        code=refusal.code,
        message=refusal.message,
        retryable=refusal.retryable,
        instance=instance,
        leg=refusal.leg if isinstance(refusal, PostingRefused) else None,
    )
    headers = [("Content-Type", PROBLEM)]
    if told == HTTPStatus.UNAUTHORIZED:
        headers.append(_CHALLENGE)
    if told == HTTPStatus.SERVICE_UNAVAILABLE and refusal.retryable:
        headers.append(("Retry-After", str(RETRY_AFTER_S)))
    return Response(told, tuple(headers), msgspec.json.encode(document))
