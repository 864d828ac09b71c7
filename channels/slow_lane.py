"""The slow lane: trio-websocket, for the bytes of a client that are not plainly a whole message.

Theory of operation. Most clients never send any, so it is made when the first such bytes come. The
handshake is over by then; trio-websocket is shown one that is always the same, on a stream of ours,
and its answer goes nowhere. From then on what it reads is what the inbound lane passed on, and what
it writes goes out behind what waits for the client.

`take` returns when trio-websocket has dealt with what it was given: it has asked for more, and if
that held whole messages, they were taken out of its queue and acted upon. So messages reach the
connection in the order in which they were sent, whichever lane they took.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors import Wakeup
from channels.frames import BINARY, CLOSE, OPCODE, TEXT, close_frame
from channels.limits import DECODED_MESSAGES_MAX, LAST_WORD_S, RECEIVE_BYTES
from channels.verdict import INVALID_DATA, LEFT, LOST, PROTOCOL_ERROR, TOO_LARGE
from channels.websocket import Wire

Receive: TypeAlias = Callable[[bytes | str, int], None]
"""Takes a message and its opcode."""

_HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
# Why trio-websocket says a connection ended. Any other code is the client's goodbye.
_LOST_CODE: Final = 1006
_VERDICTS: Final = {
    _LOST_CODE: LOST,
    **{verdict.code: verdict for verdict in (PROTOCOL_ERROR, INVALID_DATA, TOO_LARGE)},
}
# The offences for which trio-websocket ends the stream without a word; the RFC asks for one.
_SPOKEN_OF: Final = frozenset({PROTOCOL_ERROR.code, INVALID_DATA.code})


class _Stream(trio.abc.Stream):
    """What trio-websocket takes for the client's stream."""

    def __init__(self, wire: Wire) -> None:
        self.closed = False
        self._idle = False  # it has dealt with all it was given
        self._asked = Wakeup()
        self._wire = wire
        self._given = _HANDSHAKE
        self._ended = False  # the client sends nothing more
        self._filled = Wakeup()
        self._opened = False

    async def deal_with(self, data: bytes) -> None:
        """Hand bytes over, none at the end, and wait until trio-websocket asks for more."""
        while not self._idle and not self.closed:
            await self._asked.wait()
        self._idle = False
        self._given, self._ended = data, not data
        self._filled.set()
        while not self._idle and not self.closed:
            await self._asked.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; empty at the end."""
        if not self._given and not self._ended:
            self._idle = True
            self._asked.set()
        while not self._given and not self._ended and not self.closed:
            await self._filled.wait()
        await trio.lowlevel.checkpoint()
        given, self._given = self._given, b""
        return given

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write what trio-websocket has to say; all but its answer to the handshake."""
        if not self._opened:
            self._opened = True
            await trio.lowlevel.checkpoint()
        elif data and data[0] & OPCODE == CLOSE:
            await self._wire.write_close(bytes(data))
        else:
            await self._wire.write(data)

    async def wait_send_all_might_not_block(self) -> None:
        """It may always be asked to."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """trio-websocket is done."""
        self.closed = True
        self._filled.set()
        self._asked.set()
        await trio.lowlevel.checkpoint()


class SlowLane:
    """One client's. `open` makes it."""

    def __init__(
        self, wire: Wire, stream: _Stream, websocket: WebSocketConnection, receive: Receive
    ) -> None:
        self._wire = wire
        self._stream = stream
        self._websocket = websocket
        self._receive = receive
        self._consumed = 0  # messages that were acted upon
        self._was_consumed = Wakeup()
        self._over = False

    @classmethod
    async def open(
        cls, wire: Wire, nursery: trio.Nursery, receive: Receive, message_bytes: int
    ) -> "SlowLane":
        """Make one that has seen a handshake.

        Args:
            wire: the client's.
            nursery: where trio-websocket reads, and its messages are waited for.
            receive: takes each message, and its opcode.
            message_bytes: of the largest message.
        """
        stream = _Stream(wire)
        request = await wrap_server_stream(
            nursery,
            stream,
            message_queue_size=DECODED_MESSAGES_MAX,
            max_message_size=message_bytes,
            receive_buffer_size=RECEIVE_BYTES,
        )
        lane = cls(wire, stream, await request.accept(), receive)
        nursery.start_soon(lane._read)
        return lane

    async def take(self, passed: bytes) -> None:
        """Have bytes dealt with. What comes of them may end the connection.

        Args:
            passed: what the inbound lane passed on; empty at the end.
        """
        await self._stream.deal_with(passed)
        while self._wire.messages_passed > self._consumed and not self._over:
            await self._was_consumed.wait()

    async def _read(self) -> None:
        """Take the messages that trio-websocket read, until it ends."""
        try:
            while True:
                message = await self._websocket.get_message()
                self._receive(message, TEXT if isinstance(message, str) else BINARY)
                self._consumed += 1
                self._was_consumed.set()
        except ConnectionClosed:
            closed = self._websocket.closed
            code = _LOST_CODE if closed is None else int(closed.code)
        if code in _SPOKEN_OF:
            await self._say_last(code)
        self._over = True
        self._was_consumed.set()
        self._wire.on_lost(_VERDICTS.get(code, LEFT))

    async def _say_last(self, code: int) -> None:
        with trio.move_on_after(LAST_WORD_S), suppress(trio.BrokenResourceError):
            await self._wire.write_close(close_frame(code))
