"""What a sale posts: the buyer's money to the seller and to the commission. Pure."""

from dataclasses import dataclass
from typing import Final

from app.domain.money import Money
from app.ledger.request import PostingRequest, Transfer

COMMISSION: Final = "commission"


def clearing(provider: str) -> str:
    """The account where money lies that a provider has taken for us and not yet paid out."""
    return f"gateway:{provider}:clearing"


def payable(seller: str) -> str:
    """The account of what is owed to a seller."""
    return f"seller:{seller}:payable"


@dataclass(frozen=True, slots=True)
class Capture:
    """A purchase whose payment went through.

    Attributes:
        transaction: the transaction's id.
        provider: who holds the money, such as `test`.
        seller: the seller's name.
        price: what the buyer paid.
        commission: what the business line keeps of it.
    """

    transaction: str
    provider: str
    seller: str
    price: Money
    commission: Money


def capture_posting(capture: Capture) -> PostingRequest:
    """The posting of a capture.

    A share of nothing leaves no transfer: a commission of 0, or one of the whole price.
    """
    source = clearing(capture.provider)
    shares = (
        (payable(capture.seller), capture.price - capture.commission),
        (COMMISSION, capture.commission),
    )
    transfers = tuple(
        Transfer(source, account, share.amount, share.currency)
        for account, share in shares
        if share.amount
    )
    return PostingRequest(f"capture:{capture.transaction}", transfers)
