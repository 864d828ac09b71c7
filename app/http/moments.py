"""Moments that callers name."""

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from app.domain.errors import Code, Refusal
from app.http.message import RefusedError

_AWARE: Final = Annotated[datetime, msgspec.Meta(tz=True)]


def read_moment(name: str, spelled: str) -> datetime:
    """The moment that is spelled as RFC 3339 has it, in UTC.

    Args:
        name: of the parameter, to tell what is wrong.
        spelled: with an offset.

    Raises:
        RefusedError: invalid_request where it is none, or beyond all moments in UTC.
    """
    try:
        when: datetime = msgspec.convert(spelled, _AWARE)
        return when.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        detail = (
            f"`{name}` is no moment as RFC 3339 has it, with an offset, such as "
            "2026-01-31T00:00:00Z (in a query, + is written %2B)."
        )
        raise RefusedError(Refusal(Code.INVALID_REQUEST, detail)) from None
