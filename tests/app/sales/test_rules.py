"""Who may change a sale, and how far."""

from dataclasses import replace

import pytest

from app.domain.errors import Code
from app.identity.model import Identity
from app.limits import LISTINGS_MAX, STOCK_MAX
from app.sales import rules
from app.sales.rules import Shelf
from tests.app.sales.market import BUYER, OPERATOR, OTHER_SELLER, SELLER, code, lamp

SHELF = Shelf("friday", SELLER.person, stock=10, reserved=4)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [(OPERATOR, None), (SELLER, Code.FORBIDDEN), (BUYER, Code.FORBIDDEN)],
)
def test_operators_run_sales(identity: Identity, expected: Code | None) -> None:
    """Nobody else opens or closes one."""
    assert expected == code(rules.refuse_to_run_sales(identity))


@pytest.mark.parametrize(
    ("identity", "named", "expected"),
    [
        (SELLER, None, "sam"),
        (SELLER, "sam", "sam"),
        (SELLER, "sue", Code.FORBIDDEN),
        (OPERATOR, "sue", "sue"),
        (OPERATOR, None, Code.INVALID_REQUEST),
        (BUYER, None, Code.FORBIDDEN),
        (BUYER, "bea", Code.FORBIDDEN),
    ],
)
def test_whose_listing_it_becomes(identity: Identity, named: str | None, expected: str) -> None:
    """A seller adds their own, an operator says whose, a buyer adds none."""
    answer = rules.seller_of(identity, lamp(seller=named))
    assert expected == (code(answer) or answer)


@pytest.mark.parametrize(
    ("closed", "listings", "expected"),
    [
        (False, 0, None),
        (False, LISTINGS_MAX - 1, None),
        (False, LISTINGS_MAX, Code.TOO_LARGE),
        (True, 0, Code.SALE_CLOSED),
    ],
)
def test_which_sale_takes_a_listing(*, closed: bool, listings: int, expected: Code | None) -> None:
    """An open one with room."""
    assert expected == code(rules.refuse_listing(closed=closed, listings=listings))


@pytest.mark.parametrize(
    ("identity", "delta", "expected"),
    [
        (SELLER, 5, None),
        (OPERATOR, 5, None),
        (OTHER_SELLER, 5, Code.FORBIDDEN),
        (BUYER, 5, Code.FORBIDDEN),
        (SELLER, -6, None),
        (SELLER, -7, Code.SOLD_OUT),
        (SELLER, STOCK_MAX - 10, None),
        (SELLER, STOCK_MAX - 9, Code.INVALID_REQUEST),
    ],
)
def test_how_far_stock_can_be_changed(
    identity: Identity, delta: int, expected: Code | None
) -> None:
    """By its seller or an operator, down to what purchases hold, up to the bound."""
    assert expected == code(rules.refuse_restock(identity, SHELF, delta))


def test_a_name_in_another_role_owns_nothing() -> None:
    """An operator's namesake of the seller is an operator; a buyer's owns no listing."""
    namesake = replace(BUYER, person=SELLER.person)
    assert code(rules.refuse_restock(namesake, SHELF, 1)) is Code.FORBIDDEN
