"""A member stops reading, with all buffers full: the others get everything, and it comes back.

What is told and kept nowhere gives way to what is newer; an event of the log does not, and ends the
connection in the end. On a real node, over real sockets.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import trio

from app.demo.store import load_demo
from app.storage import Database
from channels.serializer import Envelope
from channels.testing import Client, ConnectionEnded
from tests.e2e.server import token
from tests.faults.http import Http
from tests.faults.live import Live, live, violations
from tests.faults.members import LISTING, STOCK, TOPIC, buy, nothing_waits

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CHAT: Final = "chat:demo"
FILLER: Final = "x" * 16_000
# Messages of that size in one request, and far more than fit between a node and a client.
BATCH: Final = 3
FLOOD: Final = 3_000
PURCHASES: Final = 5


class Reader:
    """A member of the sale and its chat, that takes what comes and notes it.

    Attributes:
        numbers: of the messages to each topic that nobody keeps, or that the chat does.
        stocks: of the listing.
        received: messages of any kind.
        answers: of the joins, by topic.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.numbers: dict[str, list[int]] = {TOPIC: [], CHAT: []}
        self.stocks: list[int] = []
        self.received = 0
        self.answers: dict[str, dict[str, Any]] = {}

    async def join(self, cursors: dict[str, str]) -> None:
        """Join both topics, from these places on."""
        for topic in (TOPIC, CHAT):
            await self.client.send_join(topic, {"cursor": cursors[topic]} if cursors else {})
        while len(self.answers) < len(self.numbers):
            await self.take()

    async def take(self) -> None:
        """Take the next message."""
        message = await self.client.receive()
        self.received += 1
        self._note(message, message.payload)

    async def until_told(self, topic: str, n: int) -> None:
        """Take what comes until this was said to a topic."""
        while n not in self.numbers[topic][-1:]:
            await self.take()

    async def until_stock(self, left: int) -> None:
        """Take what comes until so many are left."""
        while left not in self.stocks[-1:]:
            await self.take()

    async def to_the_end(self) -> None:
        """Take what comes until there is no more."""
        with suppress(ConnectionEnded):
            while True:
                await self.take()

    def _note(self, message: Envelope, payload: Any) -> None:
        if message.event == "phx_reply":
            assert payload["status"] == "ok", payload
            self.answers[message.topic] = payload["response"]
        elif message.event == "stock_changed" and payload["listing"] == LISTING:
            self.stocks.append(payload["stock"])
        elif message.event == "note":
            self.numbers[message.topic].append(payload["n"])


@asynccontextmanager
async def reader(
    node: Live, listening: trio.CancelScope, cursors: dict[str, str] | None = None
) -> AsyncIterator[Reader]:
    """A member, that reads from its socket until this is cancelled."""
    query = urlencode({"vsn": "2.0.0", "token": token("buyer")})
    async with await node.dial() as stream, trio.open_nursery() as nursery:
        client = Client(stream)
        nursery.start_soon(listen, client, listening)
        assert await client.shake_hands(f"/socket/websocket?{query}") is None
        found = Reader(client)
        await found.join(cursors or {})
        yield found
        nursery.cancel_scope.cancel()


async def listen(client: Client, listening: trio.CancelScope) -> None:
    """Read from the socket until this is cancelled."""
    with listening:
        await client.listen()


async def say(http: Http, topic: str, first: int, others: list[Reader]) -> int:
    """Say some numbers to a topic; returns the next one when these have heard them."""
    numbers = range(first, first + BATCH)
    assert first < FLOOD, "nothing holds so much"
    said = [
        {"topic": topic, "event": "note", "payload": {"n": n, "filler": FILLER}} for n in numbers
    ]
    answer = await http.post("/v1/messages", {"messages": said})
    assert [each["status"] for each in answer.json()["items"]] == [202] * BATCH
    for other in others:
        await other.until_told(topic, numbers[-1])
    return first + BATCH


async def sell(http: Http, numbers: range, others: list[Reader]) -> None:
    """Sell a piece for each number; these see it."""
    for n in numbers:
        assert "transaction" in await buy(http, f"key-{n}")
        for other in others:
            await other.until_stock(STOCK - 1 - n)


async def test_nobody_notices_a_reader_that_stops(
    database_url: str, valkey_url: str, database: Database
) -> None:
    """It loses what nobody keeps, then its connection; back again, it gets the sale's events."""
    await database.write(load_demo)
    redis_url = f"{valkey_url.rpartition('/')[0]}/15"  # of which no other test uses the chat
    stopped_listens = trio.CancelScope()
    async with (
        live(database_url, redis_url) as node,
        reader(node, trio.CancelScope()) as ann,
        reader(node, trio.CancelScope()) as bob,
        reader(node, stopped_listens) as stopped,
    ):
        others, volatile, kept = [ann, bob], 0, 0
        cursors = {topic: str(stopped.answers[topic]["cursor"]) for topic in (TOPIC, CHAT)}
        stopped_listens.cancel()
        with node.client("seller") as seller, node.client("buyer") as buyer:
            while not node.hub()["dropped_total"]:
                volatile = await say(seller, TOPIC, volatile, others)
            await sell(buyer, range(PURCHASES), others)
            assert (node.hub()["overflows_total"], node.hub()["queued"] > 0) == (0, True)
            while not node.hub()["overflows_total"]:
                kept = await say(seller, CHAT, kept, others)
            await node.until(lambda: node.names_of("socket.closed"), "its end")
            [closed] = node.names_of("socket.closed")
            assert closed["reason"] == "slow_reader"
            await nothing_waits(node)
            hub = node.hub()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(stopped.client.listen)
                await stopped.to_the_end()
            assert hub["dropped_total"] > 0 < hub["disconnected_total"]
            delivered = hub["delivered_total"] - sum(other.received for other in others)
            assert 0 < delivered <= stopped.received
            assert stopped.numbers[TOPIC] == list(range(len(stopped.numbers[TOPIC])))

            async with reader(node, trio.CancelScope(), cursors) as back:
                assert back.answers[TOPIC]["recovered"] is True
                # It missed more than a chat keeps: it is told so, and not given a part of it.
                assert back.answers[CHAT]["recovered"] is False
                everybody = [*others, back]
                await sell(buyer, range(PURCHASES, PURCHASES + 1), everybody)
                for each in everybody:
                    assert each.stocks == list(range(STOCK - 1, STOCK - 2 - PURCHASES, -1))
        for other in others:
            assert other.numbers == {TOPIC: list(range(volatile)), CHAT: list(range(kept))}
        await nothing_waits(node)
    assert [] == node.names_of("actor.crashed")
    assert [] == await violations(database)
