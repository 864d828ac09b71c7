"""WebSocket frames as bytes: those we write whole, and the small facts about those we read.

Server frames are unmasked and we negotiate no extension, so a frame is the same for every client
and is made once.
"""

from struct import Struct
from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80
OPCODE: Final = 0x0F
MASKED: Final = 0x80
LENGTH: Final = 0x7F

_CONTROLS: Final = frozenset({FIN | CLOSE, FIN | PING, FIN | PONG})
_CONTROL_HEAD: Final = 6  # with the mask
_CONTROL_MAX: Final = 125
# Close codes below 3000 that a client may send: RFC 6455, section 7.4.1.
_CODES: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011})

# Binary messages begin with their kind, and JSON with a bracket or a brace.
_KIND_MAX: Final = 0x2
# Sizes that the second byte of a frame says itself, and the heads of such text frames.
_SHORT: Final = 126
_SHORT_TEXT: Final = tuple(bytes((FIN | TEXT, size)) for size in range(_SHORT))
# The heads of longer ones, whose size follows in two or eight bytes.
_LONG_HEAD: Final = Struct(">BBH")
_LONGEST_HEAD: Final = Struct(">BBQ")


def message_frame(message: bytes) -> bytes:
    """One unfragmented frame of a serializer's message, text or binary as its first byte says."""
    size = len(message)
    if message[0] <= _KIND_MAX:
        return frame(BINARY, message)
    return (_SHORT_TEXT[size] if size < _SHORT else _head(TEXT, size)) + message


def frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented frame."""
    return _head(opcode, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a reason beyond 123 bytes is cut."""
    told = reason.encode()[:123].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + told)


def plain_control(data: bytes) -> tuple[int, bytes] | None:
    """The opcode and the payload of a client's control frame, if that is plainly what this is.

    Args:
        data: bytes that begin with a frame.

    Returns:
        None where they are more or less than one whole, masked control frame that keeps the rules.
    """
    if len(data) < _CONTROL_HEAD or data[0] not in _CONTROLS:
        return None
    size = data[1] ^ MASKED
    if size > _CONTROL_MAX or len(data) != _CONTROL_HEAD + size:
        return None
    return data[0] & OPCODE, unmask(data[_CONTROL_HEAD:], data[2:_CONTROL_HEAD])


def goodbye_answer(payload: bytes) -> bytes | None:
    """The close frame that answers a client's, whose code is said back; None if that is doubtful.

    Args:
        payload: of the client's close frame.
    """
    if not payload:
        return frame(CLOSE, b"")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in _CODES or 3000 <= code < 5000):
        return None
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return None
    return close_frame(code)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping, of 125 bytes at most."""
    return frame(PONG, payload)


def unmask(payload: bytes, key: bytes) -> bytes:
    """The payload of a client's frame, without its mask."""
    size = len(payload)
    if key == b"\0\0\0\0" or not size:
        return payload
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(
        size, "little"
    )


def _head(opcode: int, size: int) -> bytes:
    if size < _SHORT:
        return bytes((FIN | opcode, size))
    if size < 65_536:
        return _LONG_HEAD.pack(FIN | opcode, 126, size)
    return _LONGEST_HEAD.pack(FIN | opcode, 127, size)
