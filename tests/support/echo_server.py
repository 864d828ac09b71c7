"""A server that says what it is told, over both lanes of the production: for WebSocket test suites.

Messages take the way of every client's: the reader, the inbound lane or the slow one, a connection,
the hub's flusher, the outbox. Only what the connection makes of them is another thing: text comes
back as text and bytes as bytes, so what is no message of Phoenix's is none of its business here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import trio

from actors import Lifeline
from channels.broker import MemoryBroker
from channels.connection import Connection
from channels.endpoint import Endpoint
from channels.form import WEBSOCKET
from channels.frames import frame
from channels.hub import Hub
from channels.limits import Limits
from channels.router import Router
from channels.session import Opening, Session
from channels.testing import Anyone
from channels.upgrade import Upgrade, accept_answer, read_upgrade
from channels.websocket import Wire

# Autobahn's largest message has 16 MB, and takes its time in pieces of 64 bytes.
ROOMY: Final = replace(Limits(), message_bytes=1 << 25, outbox_bytes=1 << 27, idle_s=600.0)


class Echo(Connection):
    """A client that is told what it says."""

    def receive(self, data: bytes | str, opcode: int) -> None:
        """Send a message back."""
        payload = data.encode() if isinstance(data, str) else data
        if self.verdict is None:
            self.hub.push(self.outbox, frame(opcode, payload))


class _EchoOpening(Opening):
    async def shake_hands(
        self, stream: trio.abc.Stream, head: bytes, wire: Wire, nursery: trio.Nursery
    ) -> Session | None:
        """Let everybody in, whatever they ask for."""
        upgrade = read_upgrade(head)
        assert isinstance(upgrade, Upgrade), "suites know how to connect"
        echo = Echo(None, WEBSOCKET, wire.outbox, nursery, self._around, self._life)
        await stream.send_all(accept_answer(upgrade.key, None))
        return Session(echo, wire, nursery, self._around.access.timers)


class EchoEndpoint(Endpoint):
    """An endpoint whose clients are told what they say."""

    async def _open(
        self,
        opening: Opening,
        stream: trio.abc.Stream,
        head: bytes,
        wire: Wire,
        nursery: trio.Nursery,
    ) -> Session | None:
        opening = _EchoOpening(self.reception, self.around, "", Lifeline("echo"))
        return await super()._open(opening, stream, head, wire, nursery)


@asynccontextmanager
async def echoing(limits: Limits | None = None) -> AsyncIterator[EchoEndpoint]:
    """Run an endpoint that echoes, with its reader and its hub."""
    hub = Hub(limits)
    endpoint = EchoEndpoint(Anyone(), Router([]), hub, MemoryBroker(), limits)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run, Lifeline())
        nursery.start_soon(endpoint.reader.run, Lifeline())
        yield endpoint
        nursery.cancel_scope.cancel()
