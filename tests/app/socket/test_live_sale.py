"""A sale watched over real sockets: everyone ends with the newcomer's view, whatever happens."""

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from app.domain.ids import new_id
from app.payments import cards
from app.storage import Annex
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from tests.app.events.log import head
from tests.app.sales.market import BUYER, OPERATOR, SELLER, Market, lamp, view_of
from tests.app.socket.phoenix import Watcher, sale_node

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SALE = "friday"


def purchase(listing: str = "lamp", quantity: int = 1) -> dict[str, Any]:
    """A checkout's payload, with a key of its own."""
    return {
        "listing": listing,
        "quantity": quantity,
        "payment_method": cards.APPROVES,
        "idempotency_key": new_id("key"),
    }


async def fresh(market: Market) -> dict[str, Any]:
    """What a newcomer sees."""
    return view_of(await market.sales.view(BUYER, SALE)).to_wire()


async def all_settled(market: Market, watchers: list[Watcher]) -> None:
    """One last event, and everyone has seen it."""
    await market.sales.close_sale(OPERATOR, SALE)
    last = str(await head(market.database))
    for each in watchers:
        await each.wait_seen(last)


async def test_everyone_sees_a_purchase(annex: Annex, market: Market) -> None:
    """One buys; all see the stock fall at the cursor that the buyer was answered with."""
    await market.open(SALE, lamp())
    async with sale_node(annex, market.database) as node:
        watchers = [await node.watch(BUYER, SALE) for _ in range(3)]
        reply = await watchers[0].push("checkout", purchase())
        assert reply["status"] == "ok"
        for each in watchers:
            await each.wait_seen(reply["response"]["cursor"])
            assert each.cursor == reply["response"]["cursor"]
            assert each.view["listings"][0]["stock"] == 49


async def test_joins_race_with_commits(annex: Annex, market: Market) -> None:
    """Clients that join and rejoin amid purchases and restocks see each event once, in order."""
    chance = random.Random(7)
    await market.open(SALE, lamp(stock=60), lamp("mug", stock=60))
    watchers: list[Watcher] = []
    async with sale_node(annex, market.database) as node:

        async def come_and_go() -> None:
            client = await node.watch(BUYER, SALE)
            watchers.append(client)
            for _ in range(chance.randint(0, 3)):
                await client.push("checkout", purchase(chance.choice(["lamp", "mug"])))
                await client.leave()
                again = await client.join()
                assert "snapshot" not in again["response"]

        work: list[Callable[[], Awaitable[object]]] = [
            *[come_and_go] * 15,
            *[partial(market.sales.restock, OPERATOR, "lamp", 1)] * 15,
            *[partial(market.sales.restock, SELLER, "mug", -1)] * 15,
            partial(market.sales.add_listing, SELLER, SALE, lamp("owl")),
        ]
        chance.shuffle(work)
        async with trio.open_nursery() as nursery:
            for each in work:
                nursery.start_soon(each)
        await all_settled(market, watchers)
        expected = await fresh(market)
        last = (await head(market.database)).position
    assert [expected] * len(watchers) == [client.view for client in watchers]
    for client in watchers:
        begin = int(client.joins[0]["cursor"].partition("-")[2])
        assert list(range(begin + 1, last + 1)) == client.positions


async def test_a_client_that_was_cut_off_goes_on(annex: Annex, market: Market) -> None:
    """A new connection with the old one's cursor gets what was missed, and the live tail."""
    await market.open(SALE, lamp())
    async with sale_node(annex, market.database) as node:
        before = await node.watch(BUYER, SALE)
        before.cut.set()
        for _ in range(3):
            await market.sales.restock(OPERATOR, "lamp", 1)
        client = await node.connect(BUYER, SALE)
        client.view, client.cursor = before.view, before.cursor
        answer = await client.join()
        assert (True, 3) == (answer["response"]["recovered"], answer["response"]["missed"])
        await all_settled(market, [client])
        assert await fresh(market) == client.view
        assert [2, 3, 4, 5] == client.positions


async def test_nodes_that_lose_each_other_miss_nothing(annex: Annex, market: Market) -> None:
    """Watchers on two nodes see every event, also those told while the bus was away."""
    await market.open(SALE, lamp())
    wire = MemoryWire()
    async with (
        sale_node(annex, market.database, RedisBroker(MemoryBus(wire), "a")) as a,
        sale_node(annex, market.database, RedisBroker(MemoryBus(wire), "b")) as b,
    ):
        watchers = [await node.watch(BUYER, SALE) for node in (a, b, a, b)]
        for cut in (False, True, False):
            wire.cut = cut
            for each in watchers:
                reply = await each.push("checkout", purchase())
                assert reply["status"] == "ok"
        await all_settled(market, watchers)
        assert [await fresh(market)] * 4 == [each.view for each in watchers]
        assert [list(range(2, 15))] * 4 == [each.positions for each in watchers]


async def test_what_a_client_must_not_send_changes_nothing(annex: Annex, market: Market) -> None:
    """Refused pushes are answered in one shape, and the channel goes on."""
    await market.open(SALE, lamp())
    async with sale_node(annex, market.database) as node:
        client = await node.watch(BUYER, SALE)
        for event, payload in [("checkout", []), ("checkout", {}), ("other", {}), ("checkout", 1)]:
            reply = await client.push(event, payload)
            assert ("error", "invalid_request") == (reply["status"], reply["response"]["code"])
        assert (await client.push("checkout", purchase()))["status"] == "ok"
        refused = await node.connect(BUYER, "nowhere")
        assert (await refused.join())["response"]["reason"] == "not_found"
