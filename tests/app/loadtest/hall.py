"""A server that speaks Phoenix's protocol over another WebSocket library, as well as it is told to.

A hall has one room. What is pushed goes to everybody in it, unless a twist says otherwise.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

CERTIFICATE = Path(__file__).with_name("localhost.pem")

Twist = Callable[[int, int, str], Sequence[Event]]
"""From a member's number, a message's number and its text to what that member is sent."""


def faithful(_member: int, _seq: int, text: str) -> Sequence[Event]:
    """Everybody gets everything."""
    return [TextMessage(text)]


class Hall:
    """The room, and what became of it.

    Args:
        twist: what members are sent.
        join: the status and the response that a join gets.
        refuse: the status with which upgrades are refused.
        reply: what a push is answered; None: nothing.
        piece: bytes that are sent at once; 0: all there are.
    """

    def __init__(
        self,
        twist: Twist = faithful,
        *,
        join: tuple[str, dict[str, Any]] = ("ok", {}),
        refuse: int | None = None,
        reply: tuple[str, dict[str, Any]] | None = None,
        piece: int = 0,
    ) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.joins: list[list[Any]] = []
        self.present = 0
        self.pongs = 0
        self.heartbeats = 0
        self._twist = twist
        self._join = join
        self._refuse = refuse
        self._reply = reply
        self._piece = piece
        self._sending = trio.Lock()
        self._parts: list[str] = []  # of a message that came in several reads
        self._members: list[tuple[WSConnection, trio.abc.Stream]] = []

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection, until its end."""
        connection = WSConnection(ConnectionType.SERVER)
        self.present += 1
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in stream:
                connection.receive_data(bytes(data))
                for event in connection.events():
                    await self._take(connection, stream, event)
        self.present -= 1

    async def wait_empty(self) -> None:
        """Until nobody is connected."""
        while self.present:
            await trio.lowlevel.checkpoint()

    async def _take(self, connection: WSConnection, stream: trio.abc.Stream, event: Event) -> None:
        match event:
            case Request() if self._refuse is not None:
                self.requests.append(event)
                await stream.send_all(connection.send(RejectConnection(status_code=self._refuse)))
            case Request():
                self.requests.append(event)
                await stream.send_all(connection.send(AcceptConnection()))
            case TextMessage():
                self._parts.append(event.data)
                if event.message_finished:
                    said, self._parts = msgspec.json.decode("".join(self._parts)), []
                    await self._hear(connection, stream, said)
            case Pong():
                self.pongs += 1

    async def _hear(
        self, connection: WSConnection, stream: trio.abc.Stream, said: list[Any]
    ) -> None:
        join_ref, ref, topic, event, payload = said
        answer = None
        if event == "phx_join":
            self.joins.append(said)
            answer = self._join
            self._members.append((connection, stream))
        elif event == "heartbeat":
            self.heartbeats += 1
            answer = ("ok", {})
        else:
            await self._broadcast(topic, event, payload)
            answer = self._reply
        if answer is not None:
            body = {"status": answer[0], "response": answer[1]}
            text = msgspec.json.encode([join_ref, ref, topic, "phx_reply", body]).decode()
            await self._send(connection, stream, TextMessage(text))

    async def _broadcast(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        text = msgspec.json.encode([None, None, topic, event, payload]).decode()
        for number, (connection, stream) in enumerate(self._members):
            for each in self._twist(number, payload["seq"], text):
                await self._send(connection, stream, each)

    async def _send(self, connection: WSConnection, stream: trio.abc.Stream, event: Event) -> None:
        """Send it, unless one of the two has said goodbye already."""
        gone = (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)
        async with self._sending:
            with suppress(*gone):
                data = connection.send(event)
                step = self._piece or len(data)
                for at in range(0, len(data), step):
                    await stream.send_all(data[at : at + step])
                if isinstance(event, CloseConnection):
                    await stream.aclose()


@asynccontextmanager
async def hall(made: Hall, *, secure: bool = False) -> AsyncIterator[Hall]:
    """The hall is open."""

    async def serve(stream: trio.abc.Stream) -> None:
        if secure:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(CERTIFICATE)
            assert isinstance(stream, trio.SocketStream)
            stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError, RemoteProtocolError):
            await made.serve(stream)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        made.url = f"wss://localhost:{port}" if secure else f"ws://127.0.0.1:{port}"
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield made
        nursery.cancel_scope.cancel()
