"""What a sale looks like, what may be asked of one, and what its members are told.

A client's *view* of a sale is its snapshot, changed by each event on `sale:<id>`:

| event | data | what it does to a view |
|---|---|---|
| `stock_changed` | `{listing, stock}` | that listing's `stock` is now this |
| `listing_added` | `{listing: {id, title, price, stock}}` | one more, in the order of the ids |
| `sale_closed` | `{}` | `open` is now false |

A snapshot with every event after it applied equals a fresh snapshot: whoever adds a command that
changes what a snapshot shows adds the event that tells of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.money import AMOUNT_MAX, EXPONENTS, Money
from app.domain.names import is_id, is_person, is_text
from app.events.model import NewEvent, StoredEvent
from app.limits import QUANTITY_MAX, TITLE_MAX

NO_SALE: Final = Refusal(Code.NOT_FOUND, "There is no such sale.")
NO_LISTING: Final = Refusal(Code.NOT_FOUND, "There is no such listing.")


# What is seen -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListingView:
    """Something for sale.

    Attributes:
        id: the listing's id.
        title: what it is called.
        price: of one piece.
        stock: pieces not yet sold; those held by purchases under way are among them.
    """

    id: str
    title: str
    price: Money
    stock: int

    def to_wire(self) -> dict[str, Any]:
        """`{id, title, price: {amount, currency}, stock}`."""
        return {
            "id": self.id,
            "title": self.title,
            "price": self.price.to_wire(),
            "stock": self.stock,
        }


@dataclass(frozen=True, slots=True)
class SaleSummary:
    """A sale, as a listing of sales shows it."""

    id: str
    title: str
    open: bool


@dataclass(frozen=True, slots=True)
class SaleView:
    """A sale as one snapshot shows it.

    Attributes:
        id: the sale's id; its topic is `sale:<id>`.
        title: what it is called.
        open: whether it can be bought from.
        listings: in the order of their ids.
        cursor: the place in the event log that the snapshot stands at.
    """

    id: str
    title: str
    open: bool
    listings: tuple[ListingView, ...]
    cursor: Cursor

    def to_wire(self) -> dict[str, Any]:
        """The snapshot, `{id, title, open, listings}`. The cursor goes beside it."""
        return {
            "id": self.id,
            "title": self.title,
            "open": self.open,
            "listings": [listing.to_wire() for listing in self.listings],
        }


@dataclass(frozen=True, slots=True)
class SaleJoin:
    """What a member of a sale starts from.

    Attributes:
        snapshot: what the view is now; None where the member's own view stands.
        cursor: the place after which live events follow.
        missed: where the view stands: the events between it and `cursor`, in order.
    """

    snapshot: SaleView | None
    cursor: Cursor
    missed: Sequence[StoredEvent] = ()


@dataclass(frozen=True, slots=True)
class ListingAdded:
    """A listing that was added, and the place of the event that told of it."""

    listing: ListingView
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class StockChanged:
    """A listing's stock after a change, and the place of the event that told of it."""

    listing: str
    stock: int
    cursor: Cursor


# What members are told ----------------------------------------------------------------------------


def topic_of(sale: str) -> str:
    """The topic whose members watch this sale."""
    return f"sale:{sale}"


# The events that come from the log, each at its place: nobody sends them otherwise.
EVENTS: Final = frozenset({"stock_changed", "listing_added", "sale_closed"})


def stock_changed(sale: str, listing: str, stock: int) -> NewEvent:
    """This listing now has so many pieces that are not yet sold."""
    return NewEvent("stock_changed", (topic_of(sale),), {"listing": listing, "stock": stock})


def listing_added(sale: str, listing: ListingView) -> NewEvent:
    """The sale has one more listing."""
    return NewEvent("listing_added", (topic_of(sale),), {"listing": listing.to_wire()})


def sale_closed(sale: str) -> NewEvent:
    """The sale cannot be bought from any more."""
    return NewEvent("sale_closed", (topic_of(sale),), {})


# What is asked for --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewSale:
    """A sale to open."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class NewListing:
    """A listing to add.

    Attributes:
        id: its id, unique on this server.
        title: what it is called.
        price: of one piece, at least one minor unit.
        stock: pieces there are, 0 to `QUANTITY_MAX`.
        seller: whose it is; None: of the seller who adds it.
    """

    id: str
    title: str
    price: Money
    stock: int
    seller: str | None = None


@dataclass(frozen=True, slots=True)
class Restock:
    """Pieces to add to a listing's stock, or to take off: ±`QUANTITY_MAX`, not 0."""

    delta: int


def parse_new_sale(wire: Mapping[str, Any]) -> NewSale | Refusal:
    """The sale that `{id, title}` spells."""
    for name, is_right, form in (("id", is_id, _ID_FORM), ("title", _is_title, _TITLE_FORM)):
        if not is_right(wire.get(name)):
            return _invalid(name, form)
    return NewSale(wire["id"], wire["title"])


def parse_new_listing(wire: Mapping[str, Any]) -> NewListing | Refusal:
    """The listing that `{id, title, price: {amount, currency}, stock[, seller]}` spells."""
    for name, is_right, form in _LISTING_MEMBERS:
        if not is_right(wire.get(name)):
            return _invalid(name, form)
    price = Money(wire["price"]["amount"], wire["price"]["currency"])
    return NewListing(wire["id"], wire["title"], price, wire["stock"], wire.get("seller"))


def parse_restock(wire: Mapping[str, Any]) -> Restock | Refusal:
    """The change that `{delta}` spells."""
    delta = wire.get("delta")
    if type(delta) is not int or delta == 0 or abs(delta) > QUANTITY_MAX:
        return _invalid("delta", f"a whole number from -{QUANTITY_MAX} to {QUANTITY_MAX}, not 0")
    return Restock(delta)


def _is_title(value: object) -> bool:
    return is_text(value, TITLE_MAX)


def _is_price(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    amount, currency = value.get("amount"), value.get("currency")
    known = isinstance(currency, str) and currency in EXPONENTS
    return known and type(amount) is int and 1 <= amount <= AMOUNT_MAX


def _is_stock(value: object) -> bool:
    return type(value) is int and 0 <= value <= QUANTITY_MAX


def _is_seller(value: object) -> bool:
    return value is None or is_person(value)


_ID_FORM: Final = "an id: lower-case letters, digits, _ and -"
_TITLE_FORM: Final = f"text of 1 to {TITLE_MAX} printable characters"
_LISTING_MEMBERS: Final = (
    ("id", is_id, _ID_FORM),
    ("title", _is_title, _TITLE_FORM),
    ("price", _is_price, "`{amount, currency}`: minor units above 0, and an ISO 4217 code"),
    ("stock", _is_stock, f"a whole number from 0 to {QUANTITY_MAX}"),
    ("seller", _is_seller, "the name of a seller, or left out"),
)


def _invalid(name: str, form: str) -> Refusal:
    return Refusal(Code.INVALID_REQUEST, f"`{name}` must be {form}.")
