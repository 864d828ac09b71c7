"""Who may change a sale, and how far: decisions without IO."""

from dataclasses import dataclass

from app.domain.errors import Code, Refusal
from app.identity.model import Identity, Role
from app.limits import LISTINGS_MAX, STOCK_MAX
from app.sales.model import NewListing


@dataclass(frozen=True, slots=True)
class Shelf:
    """A listing, as its row stands under a lock.

    Attributes:
        sale: the sale it is in.
        seller: whose it is.
        stock: pieces not yet sold.
        reserved: those of them held by purchases under way.
    """

    sale: str
    seller: str
    stock: int
    reserved: int


def refuse_to_run_sales(identity: Identity) -> Refusal | None:
    """Opening and closing a sale is for operators."""
    return None if identity.role is Role.OPERATOR else Refusal(Code.FORBIDDEN)


def seller_of(identity: Identity, listing: NewListing) -> str | Refusal:
    """Whose listing this becomes: a seller adds their own, an operator says whose."""
    if identity.role is Role.BUYER:
        return Refusal(Code.FORBIDDEN)
    if identity.role is Role.SELLER:
        if listing.seller not in {None, identity.person}:
            return Refusal(Code.FORBIDDEN, "A seller adds listings of their own only.")
        return identity.person
    if listing.seller is None:
        return Refusal(Code.INVALID_REQUEST, "`seller` must say whose listing it is.")
    return listing.seller


def refuse_listing(*, closed: bool, listings: int) -> Refusal | None:
    """Whether a sale in this state takes no further listing."""
    if closed:
        return Refusal(Code.SALE_CLOSED)
    if listings >= LISTINGS_MAX:
        return Refusal(Code.TOO_LARGE, f"A sale has at most {LISTINGS_MAX} listings.")
    return None


def refuse_restock(identity: Identity, shelf: Shelf, delta: int) -> Refusal | None:
    """Whether the stock may not be changed so: what is held for purchases cannot be taken off."""
    own = identity.role is Role.SELLER and identity.person == shelf.seller
    if not own and identity.role is not Role.OPERATOR:
        return Refusal(Code.FORBIDDEN)
    if shelf.stock + delta < shelf.reserved:
        free = shelf.stock - shelf.reserved
        return Refusal(Code.SOLD_OUT, f"Only {free} can be taken off; the rest is sold or held.")
    if shelf.stock + delta > STOCK_MAX:
        return Refusal(Code.INVALID_REQUEST, f"A listing's stock is at most {STOCK_MAX}.")
    return None
