"""The closed list of refusals: every reason Agio gives for not doing what it was asked.

A refusal is a value, never an exception. One table says what each code means, whether the same
request can succeed later, and which HTTP status carries it; each edge (Phoenix reply, problem
document) renders from this table alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Code(StrEnum):
    """Every refusal, by the name that callers match on."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    TOO_LARGE = "too_large"
    KEY_REUSED = "key_reused"
    SALE_CLOSED = "sale_closed"
    SOLD_OUT = "sold_out"
    DECLINED = "declined"
    EXPIRED = "expired"
    OUTCOME_UNKNOWN = "outcome_unknown"
    ALREADY_THERE = "already_there"
    CURRENCY_UNKNOWN = "currency_unknown"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_NOT_EMPTY = "account_not_empty"
    BELOW_FLOOR = "below_floor"
    ABOVE_CEILING = "above_ceiling"
    KIND_DIFFERS = "kind_differs"
    LOCK_MOVES_BACK = "lock_moves_back"
    CURSOR_UNKNOWN = "cursor_unknown"
    CURSOR_NOT_REACHED = "cursor_not_reached"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Meaning(NamedTuple):
    """What a code says: to a person, to a client that may retry, and to HTTP."""

    message: str
    retryable: bool
    status: int


MEANINGS: Final = {
    Code.INVALID_REQUEST: Meaning("The request is not well formed.", False, 400),
    Code.UNAUTHORIZED: Meaning("A valid token is needed.", False, 401),
    Code.FORBIDDEN: Meaning("This token does not allow that.", False, 403),
    Code.NOT_FOUND: Meaning("There is no such thing.", False, 404),
    Code.METHOD_NOT_ALLOWED: Meaning("This resource has no such method.", False, 405),
    Code.UNSUPPORTED_MEDIA_TYPE: Meaning("Send application/json.", False, 415),
    Code.TOO_LARGE: Meaning("The request is larger than allowed.", False, 413),
    Code.KEY_REUSED: Meaning(
        "This idempotency key was used before, for another request.", False, 422
    ),
    Code.SALE_CLOSED: Meaning("The sale is not open.", False, 409),
    Code.SOLD_OUT: Meaning("Not enough is left of this listing.", False, 409),
    Code.DECLINED: Meaning("The payment was declined.", False, 402),
    Code.EXPIRED: Meaning(
        "The reservation ran out before the payment went through; nothing was charged.", False, 409
    ),
    Code.OUTCOME_UNKNOWN: Meaning(
        "The payment's outcome is not known yet; ask again with the same key.", True, 504
    ),
    Code.ALREADY_THERE: Meaning(
        "It is there already, and differs from what was asked for.", False, 409
    ),
    Code.CURRENCY_UNKNOWN: Meaning("This is no currency with minor units.", False, 422),
    Code.ACCOUNT_UNKNOWN: Meaning("The book's chart has no such account.", False, 422),
    Code.ACCOUNT_CLOSED: Meaning("The account is closed.", False, 409),
    Code.ACCOUNT_NOT_EMPTY: Meaning(
        "An account is closed when its balance is 0 and nothing is pending.", True, 409
    ),
    Code.BELOW_FLOOR: Meaning(
        "Less would be available on an account than it must have.", True, 409
    ),
    Code.ABOVE_CEILING: Meaning("An account would hold more than it may.", True, 409),
    Code.KIND_DIFFERS: Meaning("Accounts that the pattern fits are of another kind.", False, 409),
    Code.LOCK_MOVES_BACK: Meaning(
        "The period is locked up to a later moment; no lock is taken back.", False, 409
    ),
    Code.CURSOR_UNKNOWN: Meaning("The cursor is not of this event log.", False, 400),
    Code.CURSOR_NOT_REACHED: Meaning("The event log has not reached that cursor.", True, 409),
    Code.RATE_LIMITED: Meaning("More than this client may; try again later.", True, 429),
    Code.BUSY: Meaning("Too much is under way; try again shortly.", True, 503),
    Code.UNAVAILABLE: Meaning("A part this needs is down; try again shortly.", True, 503),
    Code.INTERNAL: Meaning("A fault of ours; it was recorded.", True, 500),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done. Nothing was changed.

    Attributes:
        code: one of the closed list.
        detail: what exactly, for a person; the code's own message where empty.
    """

    code: Code
    detail: str = ""

    @property
    def message(self) -> str:
        """One sentence for a person."""
        return self.detail or MEANINGS[self.code].message

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return MEANINGS[self.code].retryable

    @property
    def status(self) -> int:
        """The HTTP status that carries this refusal."""
        return MEANINGS[self.code].status

    def to_wire(self) -> dict[str, str | bool]:
        """The Phoenix reply's response, `{code, message, retryable}`."""
        return {"code": self.code.value, "message": self.message, "retryable": self.retryable}
