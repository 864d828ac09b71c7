"""A TCP proxy before PostgreSQL that can stop the world at one chosen statement.

The server under test connects to the proxy and the proxy to PostgreSQL. A *trap* names a piece of
statement text, as it goes over the wire the first time a connection prepares it. When a connection
sends it, the trap either keeps it back (`Moment.BEFORE`: PostgreSQL never hears of it) or lets the
atomic block go on and keeps back PostgreSQL's answer to its COMMIT (`Moment.AFTER`: the block is
durable and the server does not know). Either way `sprung` is set and that connection stands still,
so that a test can kill the server at exactly this point.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import trio


class Moment(Enum):
    """Where in an atomic block the trap stops it."""

    BEFORE = auto()
    AFTER = auto()


@dataclass
class Trap:
    """One place to stop at.

    Attributes:
        text: what the statement says, in its own letters.
        moment: before PostgreSQL sees it, or after its block was committed.
        sprung: set once the connection stands still there.
    """

    text: bytes
    moment: Moment
    sprung: trio.Event = field(default_factory=trio.Event)


class _Connection:
    """One client connection and its twin to PostgreSQL."""

    def __init__(self, client: trio.SocketStream, server: trio.SocketStream, trap: Trap) -> None:
        self._client = client
        self._server = server
        self._trap = trap
        self._inside = False  # the trapped statement was let through; its COMMIT is awaited
        self._committing = False

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._requests, nursery.cancel_scope)
            nursery.start_soon(self._answers, nursery.cancel_scope)

    async def _requests(self, scope: trio.CancelScope) -> None:
        async for chunk in self._client:
            if self._trap.text in chunk and not self._trap.sprung.is_set():
                if self._trap.moment is Moment.BEFORE:
                    self._trap.sprung.set()
                    await trio.sleep_forever()
                self._inside = True
            if self._inside and b"COMMIT" in chunk:
                self._committing = True
            await self._server.send_all(chunk)
        scope.cancel()

    async def _answers(self, scope: trio.CancelScope) -> None:
        async for chunk in self._server:
            if self._committing and b"COMMIT\0" in chunk:
                self._trap.sprung.set()
                await trio.sleep_forever()
            await self._client.send_all(chunk)
        scope.cancel()


@asynccontextmanager
async def trapped(database_url: str, trap: Trap) -> AsyncIterator[str]:
    """A URL of the same database through a proxy with this trap."""
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    host, port = parts.hostname, parts.port

    async def serve(client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream(host, port)
        async with client, server:
            # A killed peer resets its connections: that is what this proxy is for.
            with suppress(trio.BrokenResourceError, BaseExceptionGroup):
                await _Connection(client, server, trap).run()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        bound = listeners[0]
        proxy_port = bound.socket.getsockname()[1]
        user = parts.netloc.rpartition("@")[0]
        yield urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy_port}"))
        nursery.cancel_scope.cancel()
