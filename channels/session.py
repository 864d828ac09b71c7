"""One client, from its handshake to its goodbye.

Theory of operation. An *opening* answers the request as the reception decides. It makes the
connection before it answers, since the client may speak as soon as the answer is out. A *session*
then takes the messages that trio-websocket read, those the inbound lane did not lift, in a scope
that three things end: the peer, the idle clock, and a verdict. The goodbye is a close frame, where
the client may hear it, and at the same time the end of its channels, each within a deadline.
"""

from contextlib import suppress
from typing import Final

import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)

from actors import Lifeline
from channels.connection import Connection, Surroundings
from channels.form import websocket_form
from channels.frames import BINARY, TEXT
from channels.handshake import Asked, ConnectRefused, examine
from channels.limits import DECODED_MESSAGES_MAX, RECEIVE_BYTES
from channels.reception import Guest, Reception
from channels.verdict import IDLE, INVALID_DATA, LEFT, LOST, PROTOCOL_ERROR, TOO_LARGE, Verdict
from channels.websocket import Wire

# Why trio-websocket says a connection ended. Any other code is the client's goodbye.
_VERDICTS: Final = {
    1006: LOST,
    **{verdict.code: verdict for verdict in (PROTOCOL_ERROR, INVALID_DATA, TOO_LARGE)},
}


class Opening:
    """Answers one request."""

    def __init__(
        self, reception: Reception, around: Surroundings, address: str, host: str, life: Lifeline
    ) -> None:
        """The beginning of one client.

        Args:
            reception: decides whether it is let in.
            around: what connections share.
            address: of the peer; empty where the stream has none.
            host: to which it connects, as it says itself.
            life: of the child that serves it.
        """
        self.status = 0
        """The HTTP status of a refusal; 0 where none was written."""
        self._reception = reception
        self._around = around
        self._address = address
        self._host = host
        self._life = life

    async def shake_hands(self, wire: Wire, nursery: trio.Nursery) -> "Session | None":
        """Answer the request. None if the client was refused, or was too slow, or left.

        Raises:
            Exception: the application's `connect` failed; the client was told 500.
        """
        limits = self._around.limits
        with trio.move_on_after(limits.handshake_s) as scope:
            wire.on_lost = lambda _verdict: scope.cancel()
            request = await wrap_server_stream(
                nursery,
                wire,
                message_queue_size=DECODED_MESSAGES_MAX,
                max_message_size=limits.message_bytes,
                receive_buffer_size=RECEIVE_BYTES,
            )
            with suppress(ConnectionClosed):  # the client did not wait for the answer
                return await self._answer(request, wire, nursery)
        return None

    async def _answer(
        self, request: WebSocketRequest, wire: Wire, nursery: trio.Nursery
    ) -> "Session | None":
        headers = {
            name.decode().lower(): value.decode("latin-1") for name, value in request.headers
        }
        target, offered = request.path, request.proposed_subprotocols
        asked = examine(target, offered, self._around.router.path)
        guest = Guest(self._address, self._host, headers)
        try:
            assigns = await self._reception.decide(asked, guest)
        except Exception:
            await self._reject(request, ConnectRefused(500))
            raise
        if isinstance(assigns, ConnectRefused):
            await self._reject(request, assigns)
            return None
        assert isinstance(asked, Asked), "who asks for nothing is refused"
        form = websocket_form(asked.serializer)
        connection = Connection(assigns, form, wire.outbox, nursery, self._around, self._life)
        wire.lift = connection.receive
        # It begins while the answer is written, so it is there when the first join comes.
        nursery.start_soon(connection.run_channels)
        websocket = await request.accept(subprotocol=asked.subprotocol)
        return Session(connection, wire, websocket)

    async def _reject(self, request: WebSocketRequest, refused: ConnectRefused) -> None:
        self.status = refused.status
        headers = [(b"connection", b"close")]
        if refused.text:
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        await request.reject(
            refused.status, extra_headers=headers, body=refused.text.encode() or None
        )


class Session:
    """A client that was let in."""

    def __init__(self, connection: Connection, wire: Wire, websocket: WebSocketConnection) -> None:
        """A session about to begin. From here on what ends the wire ends the connection."""
        self.connection = connection
        self._wire = wire
        self._websocket = websocket
        wire.on_lost = self._lost
        wire.close_code = self._close_code

    async def run(self) -> None:
        """Converse until the end, and say goodbye.

        Raises:
            Exception: a bug of ours that ended the connection; the client was told 1011.
        """
        await self._converse()
        verdict = self.connection.verdict
        assert verdict is not None, "no end without a reason"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.connection.end_channels)
            if verdict.code is not None and not verdict.said:
                nursery.start_soon(self._say_goodbye, verdict.code, verdict.reason)
        if self.connection.failure is not None:
            raise self.connection.failure

    async def _converse(self) -> None:
        """Take messages of the slow lane until the peer, the clock or a verdict ends it."""
        connection, wire = self.connection, self._wire
        with connection.scope as scope:
            scope.deadline = trio.current_time() + connection.limits.idle_s
            wire.idle_scope = scope
            try:
                while True:
                    message = await self._websocket.get_message()
                    connection.receive(message, TEXT if isinstance(message, str) else BINARY)
                    wire.consumed()
            except ConnectionClosed:
                self._lost(None)
        wire.idle_scope = None
        connection.end(IDLE)  # unless there was another reason

    async def _say_goodbye(self, code: int, reason: str) -> None:
        with trio.move_on_after(self.connection.limits.close_s):
            await self._websocket.aclose(code, reason)

    def _lost(self, verdict: Verdict | None) -> None:
        """The wire cannot go on."""
        self.connection.end(verdict or _VERDICTS.get(self._close_code(), LEFT))

    def _close_code(self) -> int | None:
        closed = self._websocket.closed
        return None if closed is None else int(closed.code)
