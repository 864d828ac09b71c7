"""What a purchase is: the request, the transaction it becomes, and the answer its caller gets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.domain.names import is_id, is_text
from app.limits import CHECKOUT_TEXT_MAX, QUANTITY_MAX
from app.payments.gateway import Attempt


class State(StrEnum):
    """Where a transaction stands; `app.transactions.rules` says what may follow what."""

    PAYING = "paying"
    UNKNOWN = "unknown"
    CAPTURED = "captured"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """A wish to buy.

    Attributes:
        sale: the sale's id.
        listing: the id of a listing in that sale.
        quantity: pieces, 1 to `QUANTITY_MAX`.
        payment_method: the provider's token for the buyer's card.
        key: the caller's idempotency key, 1 to `CHECKOUT_TEXT_MAX` visible ASCII characters.
    """

    sale: str
    listing: str
    quantity: int
    payment_method: str
    key: str

    @property
    def hash(self) -> bytes:
        """What tells two requests under one key apart: all of the request but its key."""
        asked = [self.sale, self.listing, self.quantity, self.payment_method]
        return hashlib.sha256(json.dumps(asked, separators=(",", ":")).encode()).digest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A purchase that went through.

    Attributes:
        transaction: its id.
        cursor: the place in the event log where it stands.
    """

    transaction: str
    cursor: Cursor


# What a caller of checkout is told.
Answer = Receipt | Refusal


@dataclass(frozen=True, slots=True)
class Transaction:
    """A business transaction as it stands in one snapshot.

    Attributes:
        id: `txn_…`; later ones sort later.
        line: the business line it is of.
        buyer: who buys.
        key: the buyer's idempotency key.
        request_hash: of the request, as `CheckoutRequest.hash` makes it.
        sale: the sale's id.
        listing: the listing's id.
        quantity: pieces.
        seller: who sells.
        price: of all pieces together.
        commission: what the business line keeps of the price.
        payment_method: the provider's token for the buyer's card.
        state: where it stands.
        refusal: why it was refused; None unless it was.
        attempt: the id of its payment attempt; None where stock ran out before one was made.
        cursor: the place of its capture in the event log; None unless it was captured.
        overdue: whether its reservation has run out, by the database's clock.
        created_at: when it was accepted, by the database's clock, in UTC.
        updated_at: when it last changed state, by the same clock.
    """

    id: str
    line: str
    buyer: str
    key: str
    request_hash: bytes
    sale: str
    listing: str
    quantity: int
    seller: str
    price: Money
    commission: Money
    payment_method: str
    state: State
    refusal: Code | None
    attempt: str | None
    cursor: Cursor | None
    overdue: bool
    created_at: datetime
    updated_at: datetime

    def to_attempt(self) -> Attempt:
        """What the payment provider is asked to charge."""
        assert self.attempt is not None, "an open transaction has an attempt"
        return Attempt(self.attempt, self.price, self.payment_method)


def parse_checkout(wire: Mapping[str, Any]) -> CheckoutRequest | Refusal:
    """The request that a client's JSON spells: both the socket and HTTP come through here.

    Args:
        wire: `{sale, listing, quantity, payment_method, idempotency_key}`; the edges put in what
            came by another way (the topic's sale, the header's key). Other members are ignored.
    """
    for name in ("sale", "listing"):
        if not is_id(wire.get(name)):
            return _invalid(f"`{name}` must be an id: lower-case letters, digits, _ and -.")
    quantity = wire.get("quantity")
    if type(quantity) is not int or not 1 <= quantity <= QUANTITY_MAX:
        return _invalid(f"`quantity` must be a whole number from 1 to {QUANTITY_MAX}.")
    if not is_text(wire.get("payment_method"), CHECKOUT_TEXT_MAX):
        return _invalid(
            f"`payment_method` must be text of 1 to {CHECKOUT_TEXT_MAX} printable characters."
        )
    if not _is_key(wire.get("idempotency_key")):
        return _invalid(
            f"`idempotency_key` must be 1 to {CHECKOUT_TEXT_MAX} printable characters of ASCII, "
            "without spaces."
        )
    return CheckoutRequest(
        wire["sale"],
        wire["listing"],
        quantity,
        wire["payment_method"],
        wire["idempotency_key"],
    )


def _is_key(value: object) -> bool:
    """Whether it is a key that HTTP's header can carry, too, and carries unchanged."""
    return is_text(value, CHECKOUT_TEXT_MAX) and str(value).isascii() and " " not in str(value)


def _invalid(detail: str) -> Refusal:
    return Refusal(Code.INVALID_REQUEST, detail)
