"""Clients of a live node that come back whenever they must: what each saw, and what it bought."""

from typing import Any, Final
from urllib.parse import urlencode

import trio
from wsproto.utilities import LocalProtocolError

from app.sales import store as sales
from app.sales.model import SaleView
from app.storage import Database
from channels.serializer import Envelope
from channels.testing import Client, ConnectionEnded
from tests.e2e.server import token
from tests.faults.http import Http, Lost
from tests.faults.live import PATIENCE_S, Live, News

TOPIC: Final = "sale:demo"
LISTING: Final = "demo-poster"
STOCK: Final = 500

# What a client does about an answer that it was not given: asks again with the same key.
LOST: Final[dict[str, Any]] = {"code": "lost", "retryable": True}

_BROKEN: Final = (
    ConnectionEnded,
    LocalProtocolError,  # it is being closed
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


class _Line(trio.abc.Stream):
    """A connection into which several tasks may speak, each in its turn."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._turn = trio.StrictFIFOLock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._turn:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._stream.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._stream.aclose()


class Member:
    """A client in the sale, over a socket. It comes back whenever it must, with its cursor.

    Attributes:
        stocks: of the listing, as it was told, from the first join on.
        connections: how often it connected.
        joins: how often it joined.
        codes: the close codes of connections that ended.
    """

    def __init__(self, node: Live, role: str, name: str | None = None) -> None:
        self.stocks: list[int] = []
        self.connections = 0
        self.joins = 0
        self.codes: list[int] = []
        self.news = News()
        self._node = node
        self._query = urlencode({"vsn": "2.0.0", "token": token(role, name)})
        self._client: Client | None = None  # while it is a member
        self._cursor: str | None = None
        self._join_ref = ""
        self._answers: dict[str, dict[str, Any] | None] = {}  # by ref, of pushes under way

    async def run(self) -> None:
        """Be a member, again and again."""
        while True:
            stream = await self._node.dial()
            async with stream, trio.open_nursery() as nursery:
                client = Client(_Line(stream))
                nursery.start_soon(client.listen)
                try:
                    await self._stay(client)
                except _BROKEN as broken:
                    self.codes.append(getattr(broken, "code", 1006))
                self._part()
                nursery.cancel_scope.cancel()

    async def joined(self) -> None:
        """Wait until it is a member."""
        await self.news.until(lambda: self._client is not None, "a join")

    async def saw_it_all(self, sold: int) -> None:
        """It is told of each purchase once, in order, whatever it missed meanwhile."""
        left = STOCK - sold
        await self.news.until(lambda: left in self.stocks[-1:], f"a stock of {left}")
        assert list(range(STOCK - 1, left - 1, -1)) == self.stocks

    async def buy(self, key: str) -> dict[str, Any]:
        """What one push is answered; `LOST` where it is not."""
        await self.joined()
        client = self._client
        assert client is not None, "it joined"
        order = {"listing": LISTING, "quantity": 1, "payment_method": "pm_card_visa"}
        try:
            ref = await client.push(TOPIC, "checkout", {**order, "idempotency_key": key})
        except _BROKEN:
            self._part()
        if self._client is not client:
            return LOST
        self._answers.setdefault(ref)  # it may have been answered already
        await self.news.until(lambda: self._answers[ref] is not None, f"an answer to {key}")
        return self._answers.pop(ref) or LOST

    async def _stay(self, client: Client) -> None:
        """Connect, join, and hear what comes."""
        if await client.shake_hands(f"/socket/websocket?{self._query}") is not None:
            return
        self.connections += 1
        await self._join(client)
        while True:
            await self._take(client, await client.receive())

    async def _join(self, client: Client) -> None:
        self._join_ref = await client.send_join(
            TOPIC, {} if self._cursor is None else {"cursor": self._cursor}
        )

    async def _take(self, client: Client, message: Envelope) -> None:
        payload: Any = message.payload
        if message.event == "phx_reply" and message.ref == self._join_ref:
            await self._take_join(client, payload["status"], payload["response"])
        elif message.event == "phx_reply" and message.ref is not None:
            self._answers[str(message.ref)] = payload["response"]
        elif message.event == "phx_error":
            self._part()
            await self._join(client)
        elif message.event == "stock_changed" and payload["listing"] == LISTING:
            self.stocks.append(payload["stock"])
            self._cursor = payload["cursor"]
        self.news.tell()

    async def _take_join(self, client: Client, status: str, response: Any) -> None:
        if status != "ok":
            assert response["retryable"], f"the join was refused with {response}"
            await self._join(client)
            return
        assert self._cursor is None or response["recovered"], "it came back with its cursor"
        self._cursor = response["cursor"] if self._cursor is None else self._cursor
        self._client = client
        self.joins += 1

    def _part(self) -> None:
        """It is no member any more: nothing that it asked is answered now."""
        self._client = None
        for ref, answer in self._answers.items():
            self._answers[ref] = answer or LOST
        self.news.tell()


# A node that has no room for a connection says so in words, before it has read anything.
FULL: Final = {"code": "full", "retryable": True}


async def buy(http: Http, key: str) -> dict[str, Any]:
    """What one request for a purchase is answered; `LOST` where it is not."""
    order = {
        "sale": "demo",
        "listing": LISTING,
        "quantity": 1,
        "payment_method": "pm_card_visa",
    }
    try:
        answer = await http.post("/v1/transactions", order, Idempotency_Key=key)
    except Lost:
        return LOST
    assert answer.status != 500, f"a fault: {answer.body!r}"
    if answer.status == 503 and not answer.body.startswith(b"{"):
        return FULL
    told: dict[str, Any] = answer.json()
    return told


# What must hold in the end ------------------------------------------------------------------------


async def nothing_waits(node: Live) -> None:
    """All that was offered to clients is accounted for, and nothing stays in an outbox for ever."""
    with trio.fail_after(PATIENCE_S):
        while (hub := node.hub())["queued"]:
            await trio.lowlevel.checkpoint()
    counted = hub["delivered_total"] + hub["dropped_total"] + hub["disconnected_total"]
    assert hub["offered_total"] == counted


async def stock_left(database: Database) -> int:
    """What the database says."""
    view = await database.read(sales.view, "demo", "demo")
    assert isinstance(view, SaleView), view
    return next(each.stock for each in view.listings if each.id == LISTING)
