"""Ten thousand joins at once on a real node, while a sale goes on: purchases pass between them."""

from collections import Counter
from typing import Final
from urllib.parse import urlencode

import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from channels.testing import Client
from tests.e2e.server import token
from tests.faults.live import Live, live, violations
from tests.faults.members import STOCK, TOPIC, Member, buy, nothing_waits, stock_left

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CLIENTS: Final = 100
TOPICS: Final = 100
JOINS: Final = CLIENTS * TOPICS


class Storm:
    """Clients that all join all their topics at once.

    Attributes:
        told: answers by code; `ok` of those that were granted.
        over: whether all were answered.
    """

    def __init__(self, node: Live) -> None:
        self.told: Counter[str] = Counter()
        self.over = False
        self._node = node
        self._clients: list[Client] = []

    async def gather(self, nursery: trio.Nursery) -> None:
        """Connect them."""
        query = urlencode({"vsn": "2.0.0", "token": token("buyer")})
        for _ in range(CLIENTS):
            client = Client(await self._node.dial())
            nursery.start_soon(client.listen)
            assert await client.shake_hands(f"/socket/websocket?{query}") is None
            self._clients.append(client)

    async def break_loose(self) -> None:
        """Have all of them join, and leave when they were answered."""
        async with trio.open_nursery() as nursery:
            for client in self._clients:
                nursery.start_soon(self._join_all, client)
        self.over = True

    async def _join_all(self, client: Client) -> None:
        """One topic that there is, and many that there are not: each asks the database."""
        topics = [TOPIC, *(f"sale:none-{n}" for n in range(TOPICS - 1))]
        under_way = {await client.send_join(topic) for topic in topics}
        while under_way:
            answer = await client.receive()
            if answer.event == "phx_reply":
                under_way.remove(str(answer.ref))
                response = answer.payload["response"]
                self.told[response.get("code", answer.payload["status"])] += 1
        await client.stream.aclose()


# Ten thousand joins take a quarter of a minute of a processor, and others may want it, too.
@pytest.mark.timeout(360)
async def test_a_purchase_passes_between_ten_thousand_joins(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """Each is answered, if only when to come back; meanwhile people buy, and others see it."""
    await database.write(load_demo)
    async with live(database_url, valkey_url) as node, trio.open_nursery() as nursery:
        watcher, storm = Member(node, "seller"), Storm(node)
        nursery.start_soon(watcher.run)
        await watcher.joined()
        await storm.gather(nursery)
        nursery.start_soon(storm.break_loose)
        bought = 0
        with node.client("buyer") as http:
            while not storm.over:
                assert "transaction" in await buy(http, f"key-{bought}")
                bought += 1
        assert bought > 10
        await watcher.saw_it_all(bought)
        assert await stock_left(database) == STOCK - bought
        assert watcher.connections == 1
        assert storm.told.keys() <= {"ok", "not_found", "busy"}
        assert (storm.told.total(), storm.told["not_found"] > JOINS // 4) == (JOINS, True)
        await nothing_waits(node)
        nursery.cancel_scope.cancel()
    assert [] == node.names_of("actor.crashed")
    assert [] == await violations(database)
