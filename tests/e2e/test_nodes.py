"""Two nodes on one database and one Valkey: whoever is on either sees the same."""

from base64 import b64encode
from typing import Any

import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from tests.e2e.node import NodeClient, node_client
from tests.e2e.server import AgioServer, agio_server, client, token

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# An ArrayBuffer, as the driver writes it.
BYTES = {"bytes": b64encode(bytes(range(256))).decode()}
MUG = {"listing": "demo-mug", "quantity": 1, "payment_method": "pm_card_visa"}


async def on(node: AgioServer, phoenix: NodeClient, topic: str = "sale:demo") -> Any:
    """Connect to this node and join."""
    await phoenix.do("connect", url=node.socket_url, token=token("buyer"))
    return await phoenix.do("watch", topic=topic, recover=True)


async def test_a_purchase_on_one_node_shows_on_the_other(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """Watchers of both nodes see a purchase made on either, with the same cursors in one order."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url) as first,
        agio_server(database_url, valkey_url) as second,
        node_client() as here,
        node_client() as there,
    ):
        await on(first, here)
        await on(second, there)
        for i, watcher in enumerate([here, there, here, there]):
            await watcher.do(
                "push",
                topic="sale:demo",
                event="checkout",
                payload={**MUG, "idempotency_key": f"k{i}"},
            )
        seen = []
        for watcher in (here, there):
            await watcher.wait_for(4, event="stock_changed")
            seen.append((await watcher.do("view", topic="sale:demo"))["seen"])
        assert seen[0] == seen[1]


async def test_one_key_on_two_nodes_is_one_purchase(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """The same key at both nodes at once buys once, and both are given the one answer."""
    await database.write(load_demo)
    answers: list[dict[str, Any]] = []
    async with (
        agio_server(database_url, valkey_url) as first,
        agio_server(database_url, valkey_url) as second,
        client(first, "buyer") as here,
        client(second, "buyer") as there,
    ):

        async def buy(http: Any) -> None:
            answer = await http.post(
                "/v1/transactions",
                json={"sale": "demo", **MUG},
                headers={"Idempotency-Key": "one"},
            )
            assert 201 == answer.status_code, answer.text
            answers.append(answer.json())

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(buy, here)
                nursery.start_soon(buy, there)
        assert [answers[0]] * 16 == answers
        listings = (await there.get("/v1/sales/demo")).json()["listings"]
        assert 49 == {each["id"]: each["stock"] for each in listings}["demo-mug"]


async def test_load_rooms_span_nodes(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """What is pushed in a load room, bytes too, reaches its members on all nodes, in order."""
    await database.write(load_demo)
    async with (
        agio_server(database_url, valkey_url, AGIO_BENCH_ROOMS="1") as first,
        agio_server(database_url, valkey_url, AGIO_BENCH_ROOMS="1") as second,
        node_client() as here,
        node_client() as there,
    ):
        await on(first, here, "bench:1")
        await on(second, there, "bench:1")
        # A push of a load room has no reply; the next command's answer shows that it was sent.
        sent = [{"n": 1}, BYTES, {"n": 2}]
        for payload in sent:
            await here.do("cast", topic="bench:1", event="shout", payload=payload)
        for watcher in (here, there):
            heard = await watcher.wait_for(3, event="shout")
            assert sent == [each["payload"] for each in heard]
