"""Frames as clients send them, sound ones and others, and a client that sends nothing but bytes."""

from collections.abc import Iterable
from typing import Final

import trio
import trio.testing

from channels.endpoint import Endpoint
from channels.frames import unmask
from channels.testing import Streams
from tests.support.sockets import plain

KEY: Final = b"\x01\x80\xff\x42"
CONTINUED: Final = 0x00
FINAL: Final = 0x80
FINAL_TEXT: Final = 0x81
FINAL_BINARY: Final = 0x82
FIRST_TEXT: Final = 0x01
FIRST_BINARY: Final = 0x02
PING: Final = 0x89
PONG: Final = 0x8A
CLOSING: Final = 0x88

REQUEST: Final = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def masked(
    first: int, payload: bytes = b"", *, key: bytes = KEY, extra: int | None = None
) -> bytes:
    """A client's frame.

    Args:
        first: its first byte: FIN, reserved bits, opcode.
        payload: of any size.
        key: of the mask.
        extra: bytes in which the length is spelt behind the second byte, minimal or not.
    """
    size = len(payload)
    if extra is None:
        extra = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[extra]
    spelt = size.to_bytes(extra, "big") if extra else b""
    return bytes((first, 0x80 | short)) + spelt + key + unmask(payload, key)


def closing(code: int, reason: bytes = b"") -> bytes:
    """A client's goodbye."""
    return masked(CLOSING, code.to_bytes(2, "big") + reason)


async def answered(endpoint: Endpoint, pieces: Iterable[bytes], *, sockets: bool = False) -> bytes:
    """What an endpoint says to these bytes until it ends the connection, without the upgrade."""
    ours, theirs = _sockets() if sockets else trio.testing.memory_stream_pair()
    said = bytearray()
    async with ours, trio.open_nursery() as nursery:
        nursery.start_soon(endpoint.serve, theirs, REQUEST)
        for piece in pieces:
            await ours.send_all(piece)
        while data := await ours.receive_some():
            said += data
    return bytes(said).partition(b"\r\n\r\n")[2]


def _sockets() -> Streams:
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), plain(theirs)
