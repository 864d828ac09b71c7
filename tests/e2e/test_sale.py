"""The main job, driven by the unmodified npm `phoenix` client and by HTTP callers."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio

from tests.e2e.node import NodeClient, Refused, node_client
from tests.e2e.server import AgioServer, client, token

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TOPIC = "sale:demo"


def purchase(key: str, card: str = "pm_card_visa", **changes: Any) -> dict[str, Any]:
    """A checkout's payload: one mug."""
    return {
        "listing": "demo-mug",
        "quantity": 1,
        "payment_method": card,
        "idempotency_key": key,
        **changes,
    }


async def fresh_view(server: AgioServer) -> dict[str, int]:
    """What a newcomer sees: stock by listing."""
    async with client(server, "operator") as http:
        answer = await http.get("/v1/sales/demo")
    return {each["id"]: each["stock"] for each in answer.json()["listings"]}


async def buyer(stack: AsyncExitStack, server: AgioServer, name: str) -> NodeClient:
    """A Phoenix client of this buyer that watches the demo sale."""
    node = await stack.enter_async_context(node_client())
    await node.do("connect", url=server.socket_url, token=token("buyer", name))
    await node.do("watch", topic=TOPIC, recover=True)
    return node


async def test_three_watch_one_buys_and_all_see_it(server: AgioServer) -> None:
    """Every watcher sees the stock fall by one purchase, and all end with the newcomer's view."""
    async with AsyncExitStack() as stack:
        buyers = [await buyer(stack, server, f"buyer-{i}") for i in range(3)]
        receipt = await buyers[0].do("push", topic=TOPIC, event="checkout", payload=purchase("k1"))
        for each in buyers:
            (seen,) = await each.wait_for(1, event="stock_changed")
            assert {"listing": "demo-mug", "stock": 49, "cursor": receipt["cursor"]} == seen[
                "payload"
            ]
        views = [(await each.do("view", topic=TOPIC))["view"] for each in buyers]
        assert [await fresh_view(server)] * 3 == views


async def test_a_dropped_client_gets_what_it_missed_once_and_in_order(server: AgioServer) -> None:
    """A client cut off mid-sale rejoins with its cursor and ends with the newcomer's view."""
    async with AsyncExitStack() as stack:
        watcher = await buyer(stack, server, "watcher")
        http = await stack.enter_async_context(client(server, "buyer", "shopper"))

        async def buy(key: str) -> str:
            body = {"sale": "demo", **purchase(key)}
            del body["idempotency_key"]
            answer = await http.post(
                "/v1/transactions", json=body, headers={"Idempotency-Key": key}
            )
            assert answer.status_code == 201, answer.text
            cursor: str = answer.json()["cursor"]
            return cursor

        cursors = [await buy("before")]
        await watcher.wait_for(1, event="stock_changed")
        await watcher.do("cut")
        cursors += [await buy(f"while-{i}") for i in range(5)]
        await watcher.wait_for(2, topic=TOPIC, joined=True)
        cursors += [await buy("after")]
        await watcher.wait_for(7, event="stock_changed")
        state = await watcher.do("view", topic=TOPIC)
        assert cursors == state["seen"]
        assert await fresh_view(server) == state["view"]
        rejoin = (await watcher.wait_for(2, topic=TOPIC, joined=True))[1]["response"]
        assert rejoin["recovered"] is True


async def test_two_hundred_checkouts_for_fifty_in_stock(server: AgioServer) -> None:
    """Of 200 at once for 50 in stock exactly 50 are captured and 150 refused as sold out."""
    outcomes: list[str] = []
    async with client(server, "buyer") as http, AsyncExitStack() as stack:
        watcher = await buyer(stack, server, "watcher")

        async def over_http(i: int) -> None:
            body = {k: v for k, v in purchase("").items() if k != "idempotency_key"}
            answer = await http.post(
                "/v1/transactions",
                json={"sale": "demo", **body},
                headers={"Idempotency-Key": f"http-{i}"},
            )
            outcomes.append(answer.json().get("code", "captured"))

        async def over_the_socket(i: int) -> None:
            try:
                await watcher.do("push", topic=TOPIC, event="checkout", payload=purchase(f"ws-{i}"))
                outcomes.append("captured")
            except Refused as refused:
                outcomes.append(refused.response["code"])

        async with trio.open_nursery() as nursery:
            for i in range(100):
                nursery.start_soon(over_http, i)
                nursery.start_soon(over_the_socket, i)
        assert (outcomes.count("captured"), outcomes.count("sold_out")) == (50, 150)
        events = await watcher.wait_for(50, event="stock_changed")
        assert list(range(49, -1, -1)) == [each["payload"]["stock"] for each in events]
        assert await fresh_view(server) == (await watcher.do("view", topic=TOPIC))["view"]


async def test_one_key_from_sixteen_callers_over_both_apis(server: AgioServer) -> None:
    """The same key and body from 16 callers at once is one transaction with one answer."""
    answers: list[dict[str, Any]] = []
    async with client(server, "buyer", "same") as http, AsyncExitStack() as stack:
        watcher = await buyer(stack, server, "same")

        async def over_http() -> None:
            body = {k: v for k, v in purchase("").items() if k != "idempotency_key"}
            answer = await http.post(
                "/v1/transactions",
                json={"sale": "demo", **body},
                headers={"Idempotency-Key": "one"},
            )
            answers.append(answer.json())

        async def over_the_socket() -> None:
            answers.append(
                await watcher.do("push", topic=TOPIC, event="checkout", payload=purchase("one"))
            )

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(over_http)
                nursery.start_soon(over_the_socket)
        assert [answers[0]] * 16 == answers
        assert (await fresh_view(server))["demo-mug"] == 49
        with pytest.raises(Refused) as refused:
            await watcher.do(
                "push", topic=TOPIC, event="checkout", payload=purchase("one", quantity=2)
            )
        assert refused.value.response["code"] == "key_reused"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (purchase("d", "pm_card_chargeDeclined"), "declined"),
        (purchase("b", "pm_test_timeout_before"), "outcome_unknown"),
        (purchase("q", quantity=51), "sold_out"),
        (purchase("n", listing="no-such"), "not_found"),
        (purchase("i", quantity="1"), "invalid_request"),
    ],
)
async def test_a_refusal_says_why_and_whether_to_retry(
    server: AgioServer, payload: dict[str, Any], code: str
) -> None:
    """A refused checkout replies with a code of the closed list and changes no stock."""
    async with AsyncExitStack() as stack:
        node = await buyer(stack, server, "refused")
        with pytest.raises(Refused) as refused:
            await node.do("push", topic=TOPIC, event="checkout", payload=payload)
        assert code == refused.value.response["code"]
        assert (code == "outcome_unknown") == refused.value.response["retryable"]
        assert (await fresh_view(server))["demo-mug"] == 50


async def test_a_key_that_comes_twice_is_no_key(server: AgioServer) -> None:
    """A request with two Idempotency-Key headers is refused, whichever is meant."""
    body = {k: v for k, v in purchase("").items() if k != "idempotency_key"}
    async with client(server, "buyer") as http:
        answer = await http.post(
            "/v1/transactions",
            json={"sale": "demo", **body},
            headers=[("Idempotency-Key", "k"), ("Idempotency-Key", "k")],
        )
    assert (400, "invalid_request") == (answer.status_code, answer.json()["code"])


async def test_an_answer_lost_after_the_effect_is_found_again(server: AgioServer) -> None:
    """When the provider charged but its answer was lost, the purchase is captured all the same."""
    async with AsyncExitStack() as stack:
        node = await buyer(stack, server, "lost")
        receipt = await node.do(
            "push", topic=TOPIC, event="checkout", payload=purchase("l", "pm_test_timeout_after")
        )
        assert receipt["transaction"].startswith("txn_")
        assert (await fresh_view(server))["demo-mug"] == 49


async def test_the_token_may_come_by_subprotocol(server: AgioServer) -> None:
    """A client that sends its token by subprotocol joins as one that sends it by parameter."""
    async with node_client() as node:
        await node.do("connect", url=server.socket_url, token=token("buyer"), subprotocol=True)
        answer = await node.do("watch", topic=TOPIC, recover=False)
        assert answer["snapshot"]["id"] == "demo"


async def test_unknown_topics_and_sales_are_refused(server: AgioServer) -> None:
    """A topic that no route serves, and a sale that is not there, refuse the join."""
    async with node_client() as node:
        await node.do("connect", url=server.socket_url, token=token("buyer"))
        with pytest.raises(Refused) as unmatched:
            await node.do("watch", topic="nothing:here", recover=False)
        assert unmatched.value.response["reason"] == "unmatched topic"
        with pytest.raises(Refused) as missing:
            await node.do("watch", topic="sale:nowhere", recover=False)
        assert missing.value.response["code"] == "not_found"
