"""A TCP proxy that can stop passing anything on, as a network does that has lost its way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import trio


class Door:
    """The proxy before one server.

    Attributes:
        url: of the server, through here.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = trio.Event()
        self._open.set()
        self._scopes: set[trio.CancelScope] = set()

    def shut(self) -> None:
        """Pass nothing on, and tell nobody: connections stay, and new ones are taken."""
        self._open = trio.Event()

    def open(self) -> None:
        """Pass everything on again. Connections from before are gone."""
        for scope in self._scopes:
            scope.cancel()
        self._open.set()

    async def pass_on(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        """Bytes, in one direction."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            async for chunk in source:
                await self._open.wait()
                await sink.send_all(chunk)
        self._scopes.discard(scope)


@asynccontextmanager
async def door_to(url: str) -> AsyncIterator[Door]:
    """A door to the server of this URL, open."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    host, port = parts.hostname, parts.port
    door = Door(url)

    async def serve(client: trio.SocketStream) -> None:
        await door._open.wait()
        server = await trio.open_tcp_stream(host, port)
        async with client, server:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, BaseExceptionGroup):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_one_way, door, client, server, nursery.cancel_scope)
                    nursery.start_soon(_one_way, door, server, client, nursery.cancel_scope)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        own_port = listeners[0].socket.getsockname()[1]
        user, at, _ = parts.netloc.rpartition("@")
        door.url = urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{own_port}"))
        yield door
        nursery.cancel_scope.cancel()


async def _one_way(
    door: Door, source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope
) -> None:
    await door.pass_on(source, sink)
    both.cancel()
