"""The request that asks for a WebSocket, and its answer, as bytes. Pure.

Read by itself, and not by an HTTP library: a node that restarts is asked by all its clients at
once, and what they send is always the same dozen lines. Only what is plainly well formed is let in;
all else is refused with 400, and nobody's client sends it.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from typing import Final

from channels.handshake import ConnectRefused

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_VERSION: Final = "13"
_KEY_BYTES: Final = 16
_REQUEST: Final = re.compile(rb"GET ([!-~]+) HTTP/1\.1")
_HEADER: Final = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\r\n", re.ASCII
)
_HEADERS: Final = re.compile(rf"(?:{_HEADER.pattern})*", re.ASCII)
# A second one of these would leave it open which is meant.
_SINGLE: Final = frozenset({"host", "origin", "sec-websocket-key", "sec-websocket-version"})

_MALFORMED: Final = ConnectRefused(400, "No WebSocket handshake.\n", reason="malformed request")
_OTHER_VERSION: Final = ConnectRefused(
    426, "This server speaks version 13 of WebSocket.\n", reason="other version of WebSocket"
)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request for a WebSocket.

    Attributes:
        target: path and query.
        headers: names in lower case; those that came more than once are joined by commas.
        subprotocols: those the client offers, in its order.
        key: its `Sec-WebSocket-Key`.
    """

    target: str
    headers: Mapping[str, str]
    subprotocols: tuple[str, ...]
    key: bytes


def read_upgrade(head: bytes) -> Upgrade | ConnectRefused:
    """Read a request.

    Args:
        head: all of it, up to and with the empty line.
    """
    first, _, lines = head.removesuffix(b"\r\n").partition(b"\r\n")
    request = _REQUEST.fullmatch(first)
    headers = _read_headers(lines.decode("latin-1"))
    if request is None or headers is None or "host" not in headers:
        return _MALFORMED
    if not _has_part(headers.get("connection"), "upgrade"):
        return _MALFORMED
    if not _has_part(headers.get("upgrade"), "websocket"):
        return _MALFORMED
    if headers.get("sec-websocket-version") != _VERSION:
        return _OTHER_VERSION
    key = headers.get("sec-websocket-key", "").encode("latin-1")
    if not _is_key(key):
        return _MALFORMED
    protocols = headers.get("sec-websocket-protocol")
    offered = _parts(protocols) if protocols else ()
    return Upgrade(request[1].decode("ascii"), headers, offered, key)


def accept_answer(key: bytes, subprotocol: str | None) -> bytes:
    """The answer to a client that is let in.

    Args:
        key: the one that the client sent.
        subprotocol: the one that is chosen of those it offered; None for none.
    """
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode() if subprotocol else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, chosen)
    )


def refuse_answer(refused: ConnectRefused) -> bytes:
    """The answer to a client that is not; the connection ends behind it."""
    status, body = refused.status, refused.text.encode()
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", "Connection: close"]
    if status == HTTPStatus.UPGRADE_REQUIRED:
        lines += ["Upgrade: websocket", f"Sec-WebSocket-Version: {_VERSION}"]
    if refused.retry_after_s:
        lines.append(f"Retry-After: {refused.retry_after_s}")
    if body:
        lines.append("Content-Type: text/plain; charset=utf-8")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _read_headers(lines: str) -> dict[str, str] | None:
    """Headers by their names in lower case; None where a line is no header."""
    if _HEADERS.fullmatch(lines) is None:
        return None
    headers: dict[str, str] = {}
    for spelt, text in _HEADER.findall(lines):
        name, value = spelt.lower(), text.rstrip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _SINGLE:
            return None
        else:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def _has_part(value: str | None, part: str) -> bool:
    """Whether a part in lower case is among those of a header, which may not be there."""
    if value is None:
        return False
    value = value.lower()
    return value == part or part in _parts(value)


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part for part in (each.strip() for each in value.split(",")) if part)


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a number of the application's own
        return "Refused"
