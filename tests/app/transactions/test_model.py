"""A checkout is read from JSON exactly, and its hash tells requests apart."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Code, Refusal
from app.limits import QUANTITY_MAX
from app.transactions.model import CheckoutRequest, parse_checkout

WIRE = {
    "sale": "demo",
    "listing": "lamp",
    "quantity": 2,
    "payment_method": "pm_card_visa",
    "idempotency_key": "key-1",
}
REQUEST = CheckoutRequest("demo", "lamp", 2, "pm_card_visa", "key-1")


def test_a_checkout_is_read() -> None:
    """The five members make a request; others are ignored."""
    assert parse_checkout(WIRE) == REQUEST
    assert parse_checkout({**WIRE, "colour": "red"}) == REQUEST


@pytest.mark.parametrize("member", WIRE)
def test_every_member_is_needed(member: str) -> None:
    """What is missing is named."""
    refused = parse_checkout({name: value for name, value in WIRE.items() if name != member})
    assert isinstance(refused, Refusal)
    assert refused.code is Code.INVALID_REQUEST
    assert f"`{member}`" in refused.detail


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("quantity", 0),
        ("quantity", -1),
        ("quantity", QUANTITY_MAX + 1),
        ("quantity", 2**63),
        ("quantity", True),
        ("quantity", 1.0),
        ("quantity", 1.5),
        ("quantity", float("nan")),
        ("quantity", "1"),
        ("quantity", "1e3"),
        ("quantity", None),
        ("quantity", [1]),
        ("sale", ""),
        ("sale", "Demo"),
        ("sale", "a" * 64),
        ("sale", "demo\n"),
        ("sale", 7),
        ("listing", "../lamp"),
        ("listing", None),
        ("payment_method", ""),
        ("payment_method", "p" * 256),
        ("payment_method", "pm\x00"),
        ("idempotency_key", ""),
        ("idempotency_key", "k" * 256),
        ("idempotency_key", "a\nb"),
        ("idempotency_key", "\ud800"),
        ("idempotency_key", "\u202e"),
        ("idempotency_key", "a b"),
        ("idempotency_key", "é"),
        ("idempotency_key", 1),
    ],
)
def test_what_is_wrong_is_named(member: str, value: object) -> None:
    """A member of another form is refused, by its name."""
    refused = parse_checkout({**WIRE, member: value})
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.retryable) == (Code.INVALID_REQUEST, False)
    assert f"`{member}`" in refused.detail


@pytest.mark.parametrize("quantity", [1, QUANTITY_MAX])
def test_the_quantity_has_two_ends(quantity: int) -> None:
    """The least and the most that can be bought at once."""
    parsed = parse_checkout({**WIRE, "quantity": quantity})
    assert isinstance(parsed, CheckoutRequest)
    assert parsed.quantity == quantity


def test_the_hash_covers_all_but_the_key() -> None:
    """The same wish under another key has the same hash; any other wish has another."""
    others = [
        {**WIRE, "sale": "other"},
        {**WIRE, "listing": "chair"},
        {**WIRE, "quantity": 3},
        {**WIRE, "payment_method": "pm_card_visa_2"},
        {**WIRE, "sale": "lamp", "listing": "demo"},
    ]
    requests = [parse_checkout(wire) for wire in others]
    hashes = {request.hash for request in requests if isinstance(request, CheckoutRequest)}
    assert len(hashes) == len(others)
    assert REQUEST.hash not in hashes
    rekeyed = parse_checkout({**WIRE, "idempotency_key": "key-2"})
    assert isinstance(rekeyed, CheckoutRequest)
    assert rekeyed.hash == REQUEST.hash


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(WIRE, values)))
def test_anything_is_read_or_refused(wire: dict[str, Any]) -> None:
    """Whatever JSON a client sends, the answer is a request or a refusal, never an exception."""
    parsed = parse_checkout(json.loads(json.dumps(wire)))
    assert isinstance(parsed, CheckoutRequest | Refusal)
