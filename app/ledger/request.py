"""What callers ask the ledger to post, in the form in which it arrives. Pure.

A posting's transfers are of five types. `transfer` moves money; `pending` holds it for a move;
`post` and `void` end such a hold; `convert` moves money into another currency. Amounts are minor
units. The ledger judges values (`rules`); what is not of these shapes at all is no posting.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from app.ledger.limits import (
    EXPIRES_AFTER_S_MAX,
    KEY_CHARACTERS_MAX,
    META_BYTES_MAX,
    META_DEPTH_MAX,
    META_STORED_BYTES_MAX,
    PATH_CHARACTERS_MAX,
    TRANSFERS_A_POSTING_MAX,
)

# Visible ASCII: what looks the same to a person is the same to us. `$` alone would allow a line's
# end behind it.
KEY_PATTERN: Final = r"^[!-~]+(?!\n)$"

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=KEY_PATTERN)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=PATH_CHARACTERS_MAX)]
Amount = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# A pending transfer: its posting's number and its place there, such as `41.0`.
PendingName = Annotated[str, msgspec.Meta(max_length=32, pattern=r"^[0-9]+\.[0-9]+(?!\n)$")]

_PENDING_NAME: Final = re.compile(r"(?P<posting>[0-9]{1,18})\.(?P<leg>[0-9]{1,4})", re.ASCII)


class Transfer(
    msgspec.Struct,
    frozen=True,
    tag="transfer",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """An amount that leaves one account (credit) for another (debit), both by their paths."""

    debit: Path
    credit: Path
    amount: Amount
    currency: str


class Pending(
    msgspec.Struct,
    frozen=True,
    tag="pending",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A transfer that is held: reserved on both accounts until it is posted, voided or expires.

    Attributes:
        expires_after_s: seconds by the database's clock; None: it does not expire.
    """

    debit: Path
    credit: Path
    amount: Amount
    currency: str
    expires_after_s: Annotated[int, msgspec.Meta(ge=1, le=EXPIRES_AFTER_S_MAX)] | None = None


class Post(
    msgspec.Struct,
    frozen=True,
    tag="post",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """The end of a hold: all of it moves, or `amount` of it, and the rest is released."""

    pending: PendingName
    amount: Amount | None = None


class Void(
    msgspec.Struct,
    frozen=True,
    tag="void",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """The end of a hold: nothing moves."""

    pending: PendingName


class Rate(NamedTuple):
    """Minor units of the target currency for one of the source, exactly."""

    numerator: Amount
    denominator: Amount


class Convert(
    msgspec.Struct,
    frozen=True,
    tag="convert",
    tag_field="type",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """A conversion: `amount` of one currency from `debit`, its worth in another to `credit`.

    Attributes:
        amount: minor units of `currency`, the spread included.
        rate: for what is left after the spread; used once, and rounded down once.
        spread_bp: what is kept for changing, in basis points of `amount`.
        quote: the name under which the rate was promised; a book takes each once.
        valid_until: until when it was; None: it stays valid.
    """

    debit: Path
    credit: Path
    amount: Amount
    currency: str
    target_currency: str
    rate: Rate
    spread_bp: int = 0
    quote: Key | None = None
    valid_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


AnyTransfer = Transfer | Pending | Post | Void | Convert


class PostingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A posting that is asked for.

    Attributes:
        key: what the caller knows it by; a book takes each once, forever.
        transfers: in the order in which they count; none for a reversal.
        effective_at: when it took effect, in UTC from whatever offset; None: as it is recorded.
        reverses: the number of the posting that this one reverses.
        meta: anything the caller wants to find beside it.

    Raises:
        ValueError: there is no such moment in UTC, or `meta` is more than can be kept.
    """

    key: Key
    transfers: Annotated[
        tuple[AnyTransfer, ...], msgspec.Meta(max_length=TRANSFERS_A_POSTING_MAX)
    ] = ()
    effective_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    reverses: Annotated[int, msgspec.Meta(ge=1, le=2**62)] | None = None
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        try:
            if self.effective_at is not None:
                msgspec.structs.force_setattr(
                    self, "effective_at", self.effective_at.astimezone(UTC)
                )
        except OverflowError:
            raise ValueError("`effective_at` is beyond all moments in UTC") from None
        # The database's driver takes the first moment of all for minus infinity.
        if self.effective_at is not None and self.effective_at.year == 1:
            raise ValueError("`effective_at` is in the year 1")
        check_meta(self.meta)


def check_meta(meta: Mapping[str, Any] | None) -> None:
    """See to it that this can be kept beside a posting.

    Raises:
        ValueError: it is more JSON than may be, or the database would need more room for it, or
            has none for it: a character U+0000.
    """
    if meta is None:
        return
    if (
        len(msgspec.json.encode(meta)) > META_BYTES_MAX
        or _jsonb_bytes(meta, META_DEPTH_MAX) > META_STORED_BYTES_MAX
    ):
        raise ValueError("`meta` is too large")


def _jsonb_bytes(value: object, depth: int) -> int:
    """At least as many bytes as PostgreSQL takes for a value: `1e300` is short until it is kept."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("`meta` has a character U+0000, which cannot be kept")
        return len(value.encode())
    if depth == 0:
        raise ValueError("`meta` is too deep")
    if isinstance(value, Mapping):
        pairs = value.items()
        return 8 + sum(
            8 + _jsonb_bytes(name, depth) + _jsonb_bytes(each, depth - 1) for name, each in pairs
        )
    if isinstance(value, list | tuple):
        return 8 + sum(4 + _jsonb_bytes(each, depth - 1) for each in value)
    if isinstance(value, float):
        return (
            192  # two for each four digits, of which there are 341 at most, and some for the rest
        )
    return 16 + value.bit_length() // 4 if isinstance(value, int) else 4


_CANONICAL: Final = msgspec.json.Encoder(order="deterministic")


def request_hash(request: PostingRequest) -> bytes:
    """SHA-256 of all that is asked: equal exactly where two requests ask for the same."""
    return hashlib.sha256(_CANONICAL.encode(request)).digest()


def read_pending_name(name: str) -> tuple[int, int] | None:
    """The posting's number and the leg that a pending transfer's name spells, if it does."""
    match = _PENDING_NAME.fullmatch(name)
    return (int(match["posting"]), int(match["leg"])) if match else None
