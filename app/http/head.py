"""The head of an HTTP request, looked at before anybody has decided who serves it."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from app.limits import HEAD_BYTES_MAX

Receive = Callable[[int], Awaitable[bytes]]

_UPGRADE: Final = re.compile(rb"\nupgrade:[^\n]*\bwebsocket\b", re.IGNORECASE)
# As nearly everybody spells it.
_PLAIN_UPGRADE: Final = b"\nUpgrade: websocket\r\n"
_TARGET: Final = re.compile(rb"GET ([^ ?\r\n]*)")


async def read_head(receive: Receive, begun: bytes = b"") -> bytes:
    """Read until the head is whole, too long, plainly not HTTP, or the peer ends.

    Args:
        receive: reads at most so many bytes; nothing at the end.
        begun: what was read before.

    Returns:
        What was read, which may go on beyond the head.
    """
    read = bytearray(begun)
    while not is_settled(read):
        data = await receive(HEAD_BYTES_MAX)
        if not data:
            break
        read += data
    return bytes(read)


def is_whole(read: bytes | bytearray) -> bool:
    """Whether a head's end has been read."""
    return _end_of(read) > 0


def is_too_long(read: bytes) -> bool:
    """Whether this much was read without coming to the head's end."""
    return len(read) >= HEAD_BYTES_MAX and not is_whole(read)


def is_websocket_upgrade(read: bytes) -> bool:
    """Whether this is the head of a request to speak WebSocket."""
    end = _end_of(read)
    if not end or not read.startswith(b"GET "):
        return False
    return _PLAIN_UPGRADE in read[:end] or _UPGRADE.search(read, 0, end) is not None


def path_of(read: bytes) -> str:
    """The path that a GET asks for, as it was sent."""
    match = _TARGET.match(read)
    return match[1].decode("latin-1") if match else ""


def is_settled(read: bytes | bytearray) -> bool:
    """Whether reading on would tell nothing more. No method begins with a control character."""
    if not read:
        return False
    return read[0] <= 0x20 or len(read) >= HEAD_BYTES_MAX or is_whole(read)


def _end_of(read: bytes | bytearray) -> int:
    """Where the head ends, behind its empty line; 0 if that is not there."""
    bare, usual = read.find(b"\n\n"), read.find(b"\n\r\n")
    if bare < 0 or 0 <= usual < bare:
        return usual + 3 if usual >= 0 else 0
    return bare + 2
