"""A node with sockets and HTTP, without a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import trio

from actors import run_root
from app.identity.callers import Callers
from app.identity.model import Identity
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens
from app.sales.service import Sales
from app.socket.audience import Audience
from app.socket.bench_channel import BenchChannel
from app.socket.chat_channel import HISTORY
from app.socket.connect import TokenHandler
from app.storage import Database
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Channel
from channels.router import Route, RouteLike
from channels.testing import Client, Node, connect, serving
from tests.app.http.api import Api
from tests.app.http.node import SECRET, bare_services
from tests.app.sales.market import LINE

ROUTES: Final[list[RouteLike]] = [
    ("sale:*", Channel),
    Route("chat:*", Channel, history=HISTORY),
    ("bench:*", BenchChannel),
]


@dataclass
class House:
    """A node with sockets and HTTP.

    Attributes:
        api: its HTTP side.
        node: its sockets.
        wire: between it and others.
    """

    api: Api
    node: Node
    wire: MemoryWire
    tokens: Tokens

    @asynccontextmanager
    async def member(
        self, person: str = "bea", topic: str = "sale:friday", line: str = LINE
    ) -> AsyncIterator[Client]:
        """A client who has joined."""
        async with connect(self.node.endpoint, token=self.token(f"buyer:{person}", line)) as client:
            await client.join(topic)
            yield client

    def token(self, who: str, line: str = LINE) -> str:
        """A token of somebody."""
        return self.api.token(who, line)

    def session(self, token: str) -> str:
        """The token's own id."""
        identity = self.tokens.verify(token)
        assert isinstance(identity, Identity)
        return identity.session

    async def post(self, who: str, path: str, body: object, *, line: str = LINE) -> Any:
        """The answer to somebody."""
        return await self.api.post(who, path, body, line=line)


@asynccontextmanager
async def house(
    database: Database, wire: MemoryWire, name: str = "a", *, rooms_open: bool = True
) -> AsyncIterator[House]:
    """A running one."""
    broker = RedisBroker(MemoryBus(wire), name)
    tokens = Tokens(SECRET)
    revocations = Revocations(database, broker)
    callers = Callers(tokens, revocations)
    stop = trio.Event()
    async with (
        serving(ROUTES, handler=TokenHandler(callers), broker=broker) as node,
        trio.open_nursery() as nursery,
    ):
        revocations.attach(node.endpoint.access.cut)
        await nursery.start(partial(run_root, revocations, stop=stop))
        sales = Sales(database)
        services = replace(
            bare_services(),
            callers=callers,
            revocations=revocations,
            sales=sales,
            audience=Audience(node.endpoint, broker, sales, rooms_open=rooms_open),
        )
        yield House(Api(services), node, wire, tokens)
        stop.set()
