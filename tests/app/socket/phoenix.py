"""A node's sockets without a port, and Phoenix clients that watch a sale on it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import trio
import trio.testing
from trio_websocket import WebSocketConnection, wrap_client_stream

from actors import DynamicSupervisor
from app.events.feed import Feed
from app.events.relay import Relay
from app.identity.callers import Callers
from app.identity.model import Identity
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens
from app.payments.gateway import PaymentGateway
from app.payments.memory_gateway import MemoryGateway
from app.sales.service import Sales
from app.socket.connect import TokenHandler
from app.socket.sale_channel import SaleChannel
from app.storage import Annex, Database
from channels.broker import Broker, MemoryBroker
from channels.endpoint import Endpoint
from channels.hub import Hub
from channels.router import Router
from tests.app.events.log import PATIENCE_S, running
from tests.app.sales.market import apply
from tests.app.transactions.shop import open_node

TOKENS: Final = Tokens("a secret of the tests, at least 32 bytes long")


class SaleNode:
    """One node: its endpoint, and the feed that follows the log."""

    def __init__(self, endpoint: Endpoint, feed: Feed, nursery: trio.Nursery) -> None:
        self.endpoint = endpoint
        self.feed = feed
        self._nursery = nursery

    async def connect(self, identity: Identity, sale: str) -> "Watcher":
        """A connected client of this sale, until it is cut off or the node ends."""
        watcher: Watcher = await self._nursery.start(self._client, identity, sale)
        return watcher

    async def watch(self, identity: Identity, sale: str) -> "Watcher":
        """A client that has joined."""
        watcher = await self.connect(identity, sale)
        assert (await watcher.join())["status"] == "ok"
        return watcher

    async def _client(
        self, identity: Identity, sale: str, task_status: trio.TaskStatus["Watcher"]
    ) -> None:
        """One client and its connection."""
        here, there = trio.testing.memory_stream_pair()
        token = TOKENS.issue(identity.person, identity.role, identity.line, 3_600)
        async with here, trio.open_nursery() as nursery:
            nursery.start_soon(self.endpoint.serve, there, b"")
            with trio.fail_after(PATIENCE_S):
                # Any stream will do, whatever the library's types say.
                socket = await wrap_client_stream(
                    nursery, cast(Any, here), "agio", f"/socket/websocket?vsn=2.0.0&token={token}"
                )
            watcher = Watcher(socket, f"sale:{sale}")
            nursery.start_soon(watcher.read)
            task_status.started(watcher)
            await watcher.cut.wait()
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def sale_node(
    annex: Annex,
    database: Database,
    broker: Broker | None = None,
    gateway: PaymentGateway | None = None,
) -> AsyncIterator[SaleNode]:
    """A node that serves sales for as long as the block."""
    hub, broker = Hub(), broker or MemoryBroker()
    feed = Feed(database, broker, hub)
    checkouts = DynamicSupervisor("checkouts", max_children=500)
    async with (
        running(broker),
        running(hub),
        running(feed),
        running(Relay(annex, database, broker)),
        open_node(database, gateway or MemoryGateway()) as purchases,
        running(checkouts),
        trio.open_nursery() as nursery,
    ):
        sales = Sales(database)
        routes = [("sale:*", lambda: SaleChannel(sales, purchases.service, checkouts))]
        endpoint = Endpoint(
            TokenHandler(Callers(TOKENS, Revocations(database, broker))),
            Router(routes),
            hub,
            broker,
        )
        yield SaleNode(endpoint, feed, nursery)
        nursery.cancel_scope.cancel()


class Watcher:
    """A client with a view of one sale, kept as `docs/protocol.md` tells it to.

    Attributes:
        view: the sale as this client sees it.
        cursor: the last one seen.
        positions: of every event applied, since the last snapshot.
        joins: the answers to its joins.
        cut: set to cut the connection off.
    """

    def __init__(self, socket: WebSocketConnection, topic: str) -> None:
        self._socket = socket
        self._topic = topic
        self._refs = 0
        self._join_ref = ""
        self._replies: dict[str, dict[str, Any]] = {}
        self._more = trio.Event()
        self.view: dict[str, Any] = {}
        self.cursor: str | None = None
        self.positions: list[int] = []
        self.joins: list[dict[str, Any]] = []
        self.cut = trio.Event()

    async def join(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Join, with the cursor where there is one, and take in the answer."""
        wanted = params or ({"cursor": self.cursor} if self.cursor else {})
        self._join_ref = str(self._refs + 1)
        return await self.push("phx_join", wanted)

    async def leave(self) -> None:
        """Leave the topic, as a client does before it joins again on purpose."""
        assert (await self.push("phx_leave", {}))["status"] == "ok"

    async def push(self, event: str, payload: object) -> dict[str, Any]:
        """Push, and return `{status, response}`."""
        self._refs += 1
        ref = str(self._refs)
        frame = [self._join_ref, ref, self._topic, event, payload]
        await self._socket.send_message(json.dumps(frame))
        with trio.fail_after(PATIENCE_S):
            while ref not in self._replies:
                await self._more.wait()
        return self._replies.pop(ref)

    async def wait_seen(self, cursor: str) -> None:
        """Wait until this client has seen an event at or beyond this place."""
        with trio.fail_after(PATIENCE_S):
            while self.cursor is None or _position(self.cursor) < _position(cursor):
                await self._more.wait()

    async def read(self) -> None:
        """Take in what comes, in the order in which it comes."""
        while True:
            join_ref, ref, topic, event, payload = json.loads(await self._socket.get_message())
            assert topic == self._topic
            if event == "phx_reply":
                if ref == join_ref and payload["status"] == "ok":
                    self._joined(payload["response"])
                self._replies[ref] = payload
            elif event != "phx_close":
                self._apply(event, payload)
            self._more.set()
            self._more = trio.Event()

    def _joined(self, response: dict[str, Any]) -> None:
        self.joins.append(response)
        if "snapshot" in response:
            self.view, self.positions = response["snapshot"], []
            self.cursor = response["cursor"]

    def _apply(self, event: str, payload: dict[str, Any]) -> None:
        assert self.cursor is not None, "an event came before the join's answer"
        position = _position(payload["cursor"])
        assert _position(self.cursor) < position, "an event came twice, or out of order"
        self.positions.append(position)
        self.view = apply(self.view, event, payload)
        self.cursor = payload["cursor"]


def _position(cursor: str) -> int:
    return int(cursor.partition("-")[2])
