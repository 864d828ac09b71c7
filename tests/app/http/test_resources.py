"""REST v1 over a real database; every answer is held against the OpenAPI document."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import pytest

from app.demo.store import load_demo
from app.domain.errors import Code
from app.events.feed import Feed
from app.events.service import EventLog
from app.http import reply
from app.ledger.service import Ledger
from app.payments.memory_gateway import MemoryGateway
from app.sales.service import Sales
from app.storage import Database
from channels.broker import MemoryBroker
from tests.app.http.api import Api
from tests.app.http.node import NoMembers, bare_services
from tests.app.transactions.shop import open_node

pytestmark = pytest.mark.servers

MUG: Final = {
    "sale": "demo",
    "listing": "demo-mug",
    "quantity": 2,
    "payment_method": "pm_card_visa",
}


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """A node's HTTP side over the demo."""
    await database.write(load_demo)
    async with open_node(database, MemoryGateway()) as node:
        services = replace(
            bare_services(),
            sales=Sales(database),
            ledger=Ledger(database),
            log=EventLog(database, Feed(database, MemoryBroker(), NoMembers())),
            transactions=node.service,
        )
        yield Api(services)


async def test_a_sale_shows_its_listings(api: Api) -> None:
    """Anybody with a token of the line reads a sale, with the place it was read at."""
    seen = await api.get("buyer", "/v1/sales/demo")
    assert (seen.status, seen.body["id"], seen.body["open"]) == (200, "demo", True)
    mug = {
        "id": "demo-mug",
        "title": "A mug",
        "price": {"amount": 1250, "currency": "EUR"},
        "stock": 50,
    }
    assert mug in seen.body["listings"]


async def test_another_line_sees_nothing(api: Api) -> None:
    """A token of another line finds neither sales nor listings nor transactions."""
    assert (await api.get("operator", "/v1/sales/demo", line="other")).code == Code.NOT_FOUND
    assert (await api.get("operator", "/v1/sales", line="other")).body["items"] == []
    bought = (await api.post("buyer", "/v1/transactions", MUG, key="k")).body["transaction"]
    path = f"/v1/transactions/{bought}"
    assert (await api.get("operator", path, line="other")).code == Code.NOT_FOUND
    assert (await api.get("buyer:somebody", path)).code == Code.NOT_FOUND


async def test_an_operator_opens_fills_and_closes_a_sale(api: Api) -> None:
    """What is made is found where the answer says, and shows in later reads."""
    opened = await api.post("operator", "/v1/sales", {"id": "friday", "title": "Friday"})
    assert (opened.status, opened.response.header("location")) == (201, "/v1/sales/friday")
    lamp = {
        "id": "lamp",
        "title": "A lamp",
        "price": {"amount": 5, "currency": "KWD"},
        "stock": 1,
    }
    path = "/v1/sales/friday/listings"
    assert (await api.post("seller", path, lamp)).body["listing"] == lamp
    assert (await api.get("buyer", "/v1/sales/friday")).body["listings"] == [lamp]
    assert (await api.post("operator", "/v1/sales/friday/close")).body["sale"] == "friday"
    assert not (await api.get("buyer", "/v1/sales/friday")).body["open"]
    refused = await api.post("seller", path, {**lamp, "id": "other"})
    assert (refused.status, refused.code) == (409, Code.SALE_CLOSED)


async def test_a_listing_is_restocked_by_its_seller(api: Api) -> None:
    """Stock changes by so many pieces; a buyer may not, and below nothing cannot be."""
    path = "/v1/listings/demo-mug/stock"
    assert (await api.post("seller", path, {"delta": 5})).body["stock"] == 55
    assert (await api.post("buyer", path, {"delta": 5})).code == Code.FORBIDDEN
    assert (await api.post("seller", path, {"delta": -56})).code == Code.SOLD_OUT
    assert (await api.post("seller", path, {"delta": 0})).code == Code.INVALID_REQUEST
    missing = await api.post("seller", "/v1/listings/nothing/stock", {"delta": 5})
    assert missing.code == Code.NOT_FOUND


async def test_a_purchase_is_made_once_and_seen_everywhere(api: Api) -> None:
    """The same key gets the same answer; the purchase, its stock and its entries are read back."""
    first = await api.post("buyer", "/v1/transactions", MUG, key="order-1")
    again = await api.post("buyer", "/v1/transactions", MUG, key="order-1")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    at = first.response.header("location")
    assert at == f"/v1/transactions/{first.body['transaction']}"
    since = f"?min_cursor={first.body['cursor']}"
    bought = (await api.get("buyer", at + since)).body
    assert (bought["state"], bought["captured_at"]) == ("captured", first.body["cursor"])
    assert bought["price"] == {"amount": 2500, "currency": "EUR"}
    mug, *_ = (await api.get("buyer", "/v1/sales/demo" + since)).body["listings"]
    assert (mug["id"], mug["stock"]) == ("demo-mug", 48)
    (payable,) = (await api.get("seller", "/v1/accounts" + since)).body["items"]
    assert (payable["owner"], payable["balance"]) == ("demo-seller", 2300)
    entries = (await api.get("seller", f"/v1/accounts/{payable['id']}/entries")).body["items"]
    assert [(each["side"], each["balance_after"]) for each in entries] == [("credit", 2300)]
    assert (await api.get("seller", f"/v1/accounts/{payable['id']}")).body["version"] == 1


@pytest.mark.parametrize(
    ("change", "key", "who", "status", "code"),
    [
        ({"payment_method": "pm_card_chargeDeclined"}, "k", "buyer", 402, Code.DECLINED),
        ({"quantity": 51}, "k", "buyer", 409, Code.SOLD_OUT),
        ({"listing": "nothing"}, "k", "buyer", 404, Code.NOT_FOUND),
        ({"quantity": 0}, "k", "buyer", 400, Code.INVALID_REQUEST),
        ({"colour": "red"}, "k", "buyer", 400, Code.INVALID_REQUEST),
        ({}, None, "buyer", 400, Code.INVALID_REQUEST),
        ({}, "", "buyer", 400, Code.INVALID_REQUEST),
        ({}, "k" * 256, "buyer", 400, Code.INVALID_REQUEST),
        ({}, "k", "seller", 403, Code.FORBIDDEN),
        ({}, "k", "operator", 403, Code.FORBIDDEN),
    ],
)
async def test_a_purchase_is_refused_with_its_code(
    api: Api, change: dict[str, Any], key: str | None, who: str, status: int, code: Code
) -> None:
    """What cannot be bought says why, under the code's own status."""
    refused = await api.post(who, "/v1/transactions", {**MUG, **change}, key=key)
    assert (refused.status, refused.code) == (status, code)


async def test_a_key_names_one_request(api: Api) -> None:
    """The same key with another body is refused, and nothing is bought."""
    await api.post("buyer", "/v1/transactions", MUG, key="one")
    other = await api.post("buyer", "/v1/transactions", {**MUG, "quantity": 3}, key="one")
    assert (other.status, other.code) == (422, Code.KEY_REUSED)


async def test_listings_are_paged_by_key(api: Api) -> None:
    """Following `next` shows every item once, and ends with null."""
    for number in range(5):
        await api.post("buyer", "/v1/transactions", {**MUG, "quantity": 1}, key=f"k{number}")
    for path, who in [("transactions", "buyer"), ("accounts", "operator"), ("sales", "buyer")]:
        whole = (await api.get(who, f"/v1/{path}")).body
        assert whole["next"] is None
        paged: list[Any] = []
        after: str | None = ""
        while after is not None:
            page = (await api.get(who, f"/v1/{path}?limit=2&after={after}")).body
            assert len(page["items"]) <= 2
            paged += page["items"]
            after = page["next"]
        assert paged == whole["items"]


@pytest.mark.parametrize("path", ["sales", "transactions", "accounts"])
async def test_a_place_of_no_listing_is_refused(api: Api, path: str) -> None:
    """`after` that no page gave is invalid_request."""
    refused = await api.get("operator", f"/v1/{path}?after=~")
    assert (refused.status, refused.code) == (400, Code.INVALID_REQUEST)


async def test_a_buyer_sees_no_accounts(api: Api) -> None:
    """Accounts are for sellers and operators; what is not there is not found."""
    assert (await api.get("buyer", "/v1/accounts")).code == Code.FORBIDDEN
    for number in ("1", "999999999999999999", "9" * 60, "x"):
        assert (await api.get("operator", f"/v1/accounts/{number}")).code == Code.NOT_FOUND


@pytest.mark.parametrize(
    "path", ["/v1/sales", "/v1/sales/demo", "/v1/transactions", "/v1/accounts"]
)
async def test_a_read_waits_for_its_cursor_within_bounds(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place not reached is told after a bounded wait, one of another log at once."""
    monkeypatch.setattr(reply, "REACH_S", 0.05)
    epoch, _, position = (await api.get("operator", path)).body["cursor"].partition("-")
    late = await api.get("operator", f"{path}?min_cursor={epoch}-{int(position) + 1}")
    assert (late.status, late.code) == (409, Code.CURSOR_NOT_REACHED)
    foreign = await api.get("operator", f"{path}?min_cursor=zzz-1")
    assert (foreign.status, foreign.code) == (400, Code.CURSOR_UNKNOWN)
    nonsense = await api.get("operator", f"{path}?min_cursor=here")
    assert (nonsense.status, nonsense.code) == (400, Code.INVALID_REQUEST)
