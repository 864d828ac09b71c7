"""What bodies spell, and how views look on the wire."""

from typing import Any

import pytest

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.sales.model import (
    EVENTS,
    ListingView,
    NewListing,
    NewSale,
    Restock,
    SaleView,
    listing_added,
    parse_new_listing,
    parse_new_sale,
    parse_restock,
    sale_closed,
    stock_changed,
)

LAMP = {
    "id": "lamp",
    "title": "A lamp",
    "price": {"amount": 1_250, "currency": "EUR"},
    "stock": 50,
}


def refused_for(answer: object) -> str:
    """The member that a refusal names."""
    assert isinstance(answer, Refusal), answer
    assert answer.code is Code.INVALID_REQUEST
    return answer.detail.split("`")[1]


def test_well_formed_bodies_are_understood() -> None:
    """Each body becomes the value it spells."""
    price = Money(1_250, "EUR")
    assert NewSale("friday", "Friday") == parse_new_sale({"id": "friday", "title": "Friday"})
    assert NewListing("lamp", "A lamp", price, 50) == parse_new_listing(LAMP)
    assert NewListing("lamp", "A lamp", price, 50, "sam") == parse_new_listing(
        {**LAMP, "seller": "sam"}
    )
    assert Restock(-3) == parse_restock({"delta": -3})


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"id": "Lamp"}, "id"),
        ({"id": "lamp\n"}, "id"),
        ({"id": "a" * 64}, "id"),
        ({"id": 1}, "id"),
        ({"title": ""}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"price": 5}, "price"),
        ({"price": {"amount": 0, "currency": "EUR"}}, "price"),
        ({"price": {"amount": True, "currency": "EUR"}}, "price"),
        ({"price": {"amount": 1.0, "currency": "EUR"}}, "price"),
        ({"price": {"amount": 10**15 + 1, "currency": "EUR"}}, "price"),
        ({"price": {"amount": 1, "currency": "XAU"}}, "price"),
        ({"price": {"amount": 1, "currency": ["EUR"]}}, "price"),
        ({"stock": -1}, "stock"),
        ({"stock": True}, "stock"),
        ({"stock": 10**6 + 1}, "stock"),
        ({"seller": ""}, "seller"),
        ({"seller": 7}, "seller"),
    ],
)
def test_a_malformed_listing_is_refused_by_name(change: dict[str, Any], member: str) -> None:
    """The refusal says which member is wrong."""
    assert member == refused_for(parse_new_listing({**LAMP, **change}))


def test_a_malformed_sale_is_refused_by_name() -> None:
    """A missing member is as wrong as a bad one."""
    assert refused_for(parse_new_sale({"title": "Friday"})) == "id"
    assert refused_for(parse_new_sale({"id": "friday"})) == "title"


@pytest.mark.parametrize("delta", [None, 0, True, 1.0, "1", 10**6 + 1, -(10**6) - 1])
def test_a_malformed_restock_is_refused(delta: object) -> None:
    """A change is a whole number in its bounds, and not 0."""
    assert refused_for(parse_restock({"delta": delta})) == "delta"


def test_a_snapshot_on_the_wire() -> None:
    """A view's wire form has all that members see, and not the cursor."""
    listing = ListingView("lamp", "A lamp", Money(1_250, "EUR"), 50)
    view = SaleView("friday", "Friday", open=True, listings=(listing,), cursor=Cursor("abc", 1))
    assert view.to_wire() == {"id": "friday", "title": "Friday", "open": True, "listings": [LAMP]}


def test_events_say_what_changed() -> None:
    """Each event goes to the sale's topic, with the data that a view needs."""
    listing = ListingView("lamp", "A lamp", Money(1_250, "EUR"), 50)
    told = [
        stock_changed("friday", "lamp", 49),
        listing_added("friday", listing),
        sale_closed("friday"),
    ]
    assert [(each.type, each.topics, each.data) for each in told] == [
        ("stock_changed", ("sale:friday",), {"listing": "lamp", "stock": 49}),
        ("listing_added", ("sale:friday",), {"listing": LAMP}),
        ("sale_closed", ("sale:friday",), {}),
    ]


def test_the_events_of_sales_are_listed() -> None:
    """Those that nobody else may send are all that there are."""
    view = ListingView("lamp", "A lamp", Money(1, "EUR"), 1)
    events = (stock_changed("s", "l", 1), listing_added("s", view), sale_closed("s"))
    assert {event.type for event in events} == EVENTS
