"""A channels' node on a real port, by the real listener: WebSocket and long polling alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from actors import DynamicSupervisor, Lifeline
from app.http.adapter import quart_app
from app.http.hypercorn_server import HttpServer
from app.http.listener import Bind, Listener, SocketEndpoint
from app.http.longpoll import ROUTES
from channels.testing import Node
from tests.app.http.node import Seen, bare_services, router
from tests.channels.polling import long_polling


class NoWebSockets:
    """What stands between a client and us lets no WebSocket through."""

    async def serve(self, stream: trio.abc.Stream, head: bytes, life: Lifeline) -> None:
        """Cut it off."""
        await trio.aclose_forcefully(stream)

    async def drain(self) -> None:
        """Nobody is here."""


@asynccontextmanager
async def listening(
    node: Node, name: str = "a", *, endpoint: SocketEndpoint | None = None
) -> AsyncIterator[str]:
    """Listen for this node; the address is what a client is given.

    Args:
        node: a running one.
        name: among others on the same bus.
        endpoint: where upgrades go instead.
    """
    async with long_polling(node, name) as longpoll, trio.open_nursery() as nursery:
        services = replace(bare_services(), longpoll=longpoll)
        seen = Seen()
        connections = DynamicSupervisor("connections", max_children=1_000)
        listener = Listener(
            Bind("127.0.0.1", 0),
            HttpServer(quart_app(router(services, seen, ROUTES)), seen.emit, drain_s=1),
            endpoint or node.endpoint,
            connections=connections,
            readiness=services.readiness,
            emit=seen.emit,
        )
        for run in (connections.run, listener.run):
            life = Lifeline()
            ready = trio.Event()
            life.on_ready(ready.set)
            nursery.start_soon(run, life)
            await ready.wait()
        yield f"ws://127.0.0.1:{listener.port}/socket"
        nursery.cancel_scope.cancel()
