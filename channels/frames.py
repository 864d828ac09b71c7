"""WebSocket frames as bytes: those we write whole, and the small facts about those we read.

Server frames are unmasked and we negotiate no extension, so a frame is the same for every client
and is made once.
"""

from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
FIN: Final = 0x80
OPCODE: Final = 0x0F
MASKED: Final = 0x80
LENGTH: Final = 0x7F

# Binary messages begin with their kind, and JSON with a bracket or a brace.
_KIND_MAX: Final = 0x2
# Sizes that the second byte of a frame says itself, and the heads of such text frames.
_SHORT: Final = 126
_SHORT_TEXT: Final = tuple(bytes((FIN | TEXT, size)) for size in range(_SHORT))


def message_frame(message: bytes) -> bytes:
    """One unfragmented frame of a serializer's message, text or binary as its first byte says."""
    size = len(message)
    if message[0] <= _KIND_MAX:
        return _header(BINARY, size) + message
    return (_SHORT_TEXT[size] if size < _SHORT else _header(TEXT, size)) + message


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; a reason beyond 123 bytes is cut."""
    told = reason.encode()[:123].decode(errors="ignore").encode()
    return _header(CLOSE, 2 + len(told)) + code.to_bytes(2, "big") + told


def unmask(payload: bytes, key: bytes) -> bytes:
    """The payload of a client's frame, without its mask."""
    size = len(payload)
    if key == b"\0\0\0\0" or not size:
        return payload
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(
        size, "little"
    )


def _header(opcode: int, size: int) -> bytes:
    if size < _SHORT:
        return bytes((FIN | opcode, size))
    if size < 65_536:
        return bytes((FIN | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((FIN | opcode, 127)) + size.to_bytes(8, "big")
