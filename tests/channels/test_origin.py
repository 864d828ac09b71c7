"""Which pages may connect."""

from base64 import b64encode

import pytest
import trio
import trio.testing

from channels.origin import Origins, parse_origins
from channels.testing import Node, serving

SAME_HOST = Origins()


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "shop.example.com", True),
        (None, "", True),
        ("https://shop.example.com", "shop.example.com", True),
        ("https://SHOP.example.com", "Shop.Example.Com", True),
        ("http://localhost:5173", "localhost:4000", True),
        ("http://[::1]:4000", "[::1]:4000", True),
        ("https://shop.example.com", "example.com", False),
        ("https://example.com.evil.com", "example.com", False),
        ("https://evil.com", "example.com", False),
        ("https://example.com@evil.com", "example.com", False),
        ("https://evil.com/example.com", "example.com", False),
        ("https://example.com", "", False),
        ("null", "example.com", False),
        ("", "example.com", False),
    ],
)
def test_pages_of_the_same_host_may_connect(
    origin: str | None, host: str, *, allowed: bool
) -> None:
    """On any port; what sends no origin is no page."""
    assert SAME_HOST.allow(origin, host) == allowed


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        ("https://example.com", "https://example.com", True),
        ("https://example.com", "https://example.com:443", True),
        ("https://example.com/", "https://example.com", True),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://example.com:8443", False),
        ("https://example.com:8443", "https://example.com:8443", True),
        ("https://example.com", "https://www.example.com", False),
        ("//example.com", "http://example.com:81", True),
        ("example.com", "https://example.com", True),
        ("//example.com:888", "http://example.com:888", True),
        ("//example.com:888", "http://example.com", False),
        ("//example.com:80", "http://example.com", True),
        ("//*.example.com", "https://a.b.example.com", True),
        ("//*.example.com", "https://example.com", True),
        ("//*.example.com", "https://badexample.com", False),
        ("https://*.example.com", "http://a.example.com", False),
        ("*.example.com", "https://a.example.com", True),
        ("app://shop", "app://shop", True),
        ("a.com, HTTPS://B.com", "https://b.com", True),
        ("a.com,b.com", "https://c.com", False),
        ("*", "https://anyone.at.all", True),
        ("*", "null", True),
        ("a.com", "null", False),
    ],
)
def test_listed_pages_may_connect(listed: str, origin: str, *, allowed: bool) -> None:
    """And those of the same host only if they are listed too."""
    origins = parse_origins(listed)
    assert origins is not None
    assert origins.allow(origin, "c.com") == allowed
    assert origins.allow(None, "c.com")


@pytest.mark.parametrize(
    "listed", ["", ",", "a.com,", "a b", "*,a.com", "*.*.com", "https://", "a.com/path", "a*.com"]
)
def test_what_is_no_list_of_origins(listed: str) -> None:
    """A list that says something else than was meant would let nobody in, or everybody."""
    assert parse_origins(listed) is None


async def answer_of(node: Node, *lines: str) -> bytes:
    """The status line that answers a handshake with these further lines in its head."""
    ours, theirs = trio.testing.memory_stream_pair()
    key = b64encode(b"sixteen bytes...").decode()
    head = [
        "GET /socket/websocket?vsn=2.0.0 HTTP/1.1",
        "Host: shop.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *lines,
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.endpoint.serve, theirs, "\r\n".join([*head, "", ""]).encode())
        answer = bytes(await ours.receive_some())
        await ours.aclose()
    return answer.splitlines()[0]


@pytest.mark.parametrize(
    ("listed", "line", "status"),
    [
        (None, [], b"101"),
        (None, ["Origin: https://shop.example.com"], b"101"),
        (None, ["Origin: https://evil.com"], b"403"),
        ("//evil.com", ["Origin: https://evil.com"], b"101"),
        ("//evil.com", ["Origin: https://shop.example.com"], b"403"),
        ("*", ["Origin: null"], b"101"),
    ],
)
async def test_a_handshake_from_another_page_is_refused(
    listed: str | None, line: list[str], status: bytes
) -> None:
    """Before the application is asked."""
    async with serving([], origins=parse_origins(listed) if listed else None) as node:
        assert (await answer_of(node, *line)).split()[1] == status
        assert node.endpoint.statistics().refused == (status == b"403")
