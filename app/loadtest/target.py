"""From a URL to the request that asks for the upgrade, and what is made of the answer. Pure."""

import base64
import hashlib
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from app.loadtest.errors import LoadTestError
from app.loadtest.limits import TEXT_MAX
from app.loadtest.model import Target

_SECURE: Final = {"ws": False, "http": False, "wss": True, "https": True}
_SCHEMES: Final = ("ws", "wss")
_PORTS: Final = (80, 443)

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)

# Any key will do, as it only proves that the server read this request: that of RFC 6455's example,
# which is the only one that some bare servers of benchmarks know the answer to.
_KEY: Final = base64.b64encode(b"the sample nonce").decode()
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PROOF: Final = hashlib.sha1(f"{_KEY}{_GUID}".encode()).digest()  # noqa: S324 - as RFC 6455 has it
_ACCEPT: Final = base64.b64encode(_PROOF)

_HINTS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: ": is a --token missing, or expired?",
    HTTPStatus.FORBIDDEN: ": is a --token missing, or expired?",
    HTTPStatus.NOT_FOUND: ": is there a socket at this path?",
    HTTPStatus.SERVICE_UNAVAILABLE: ": it is full, or stopping",
}


def read_target(
    url: str,
    *,
    token: str | None = None,
    by_subprotocol: bool = False,
    headers: Sequence[tuple[str, str]] = (),
) -> Target:
    """Where a URL leads.

    Args:
        url: of the socket, as a Phoenix client is given it; `/websocket` is added where it lacks,
            and a URL without a path means `/socket`.
        token: who we are, to the server.
        by_subprotocol: whether the token goes into a subprotocol instead of the query.
        headers: further ones of the upgrade.

    Raises:
        LoadTestError: the URL, the token or a header cannot be used.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not host or parts.scheme not in _SECURE or parts.username or port == 0:
        raise LoadTestError("--url is to be like ws://127.0.0.1:4000/socket")
    if token is not None and not (token.isascii() and token.isprintable() and token):
        raise LoadTestError("--token is no token")
    for name, value in headers:
        if not _NAME.fullmatch(name) or not value.isprintable() or len(value) > TEXT_MAX:
            raise LoadTestError("a --header is to be like 'Origin: https://example.com'")
    is_secure = _SECURE[parts.scheme]
    path = parts.path.rstrip("/") or "/socket"
    path = path if path.endswith("/websocket") else f"{path}/websocket"
    query = [parts.query] if parts.query else []
    if "vsn=" not in parts.query:
        query.append("vsn=2.0.0")
    offered: list[tuple[str, str]] = []
    if token is not None and by_subprotocol:
        sent = base64.b64encode(token.encode()).decode().rstrip("=")
        offered = [("Sec-WebSocket-Protocol", f"phoenix, base64url.bearer.phx.{sent}")]
    elif token is not None:
        query.append(f"token={quote(token, safe='')}")
    return Target(
        url=f"{_SCHEMES[is_secure]}://{parts.netloc}{path}",
        host=host,
        port=port or _PORTS[is_secure],
        is_secure=is_secure,
        resource=f"{path}?{'&'.join(query)}",
        headers=(*offered, *headers),
    )


def upgrade_request(target: Target) -> bytes:
    """What is sent first."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    given = {name.lower() for name, _ in target.headers}
    lines = [
        f"GET {target.resource} HTTP/1.1",
        *([] if "host" in given else [f"Host: {host}:{target.port}"]),
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in target.headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def check_upgrade(head: bytes, url: str) -> None:
    """Whether a response's head, without its empty line, means that we may go on.

    Raises:
        LoadTestError: it does not.
    """
    first, _, rest = head.partition(b"\r\n")
    found = re.match(rb"HTTP/1\.1 ([0-9]{3})\b", first)
    if found is None:
        raise LoadTestError(f"what answers at {url} does not speak HTTP/1.1")
    status = int(found[1])
    if status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise LoadTestError(f"{url} refuses with {status}{_HINTS.get(status, '')}")
    fields = (line.partition(b":") for line in rest.split(b"\r\n"))
    if _ACCEPT not in [v.strip() for k, _, v in fields if k.lower() == b"sec-websocket-accept"]:
        raise LoadTestError(f"{url} accepts, but not as a WebSocket server does")
