"""The request for a WebSocket, read as bytes: what is let in is what an HTTP library reads, too."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request

from channels.handshake import ConnectRefused
from channels.upgrade import Upgrade, accept_answer, read_upgrade, refuse_answer

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
LINES = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1",
    b"Host: a.example:4000",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: " + KEY,
    b"Sec-WebSocket-Version: 13",
)


def head(*more: bytes, without: bytes = b"\0") -> bytes:
    """A request with these further lines, and without that one."""
    lines = [line for line in LINES if not line.startswith(without)]
    return b"\r\n".join([*lines, *more, b"", b""])


def test_a_request_is_read() -> None:
    """With every header, names in lower case."""
    upgrade = read_upgrade(head(b"Origin: http://b.example", b"Sec-WebSocket-Protocol: x, phoenix"))
    assert isinstance(upgrade, Upgrade)
    assert (upgrade.target, upgrade.key) == ("/socket/websocket?vsn=2.0.0", KEY)
    assert upgrade.subprotocols == ("x", "phoenix")
    assert upgrade.headers["origin"] == "http://b.example"
    assert upgrade.headers["host"] == "a.example:4000"


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ((b"Cookie: a=1", b"cookie: b=2"), "cookie", "a=1, b=2"),
        ((b"X-Empty:",), "x-empty", ""),
        ((b"X-Space:\t  a b \t",), "x-space", "a b"),
        ((b"X-Latin: \xe9",), "x-latin", "é"),
    ],
)
def test_headers_mean_what_they_mean_elsewhere(
    more: tuple[bytes, ...], name: str, value: str
) -> None:
    """Space around a value is none of it, and what comes twice is a list."""
    upgrade = read_upgrade(head(*more))
    assert isinstance(upgrade, Upgrade)
    assert upgrade.headers[name] == value


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (head(without=b"GET"), 400),
        (head().replace(b"GET", b"POST"), 400),
        (head().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        (head().replace(b" /socket", b" /so cket"), 400),
        (head(without=b"Host"), 400),
        (head(b"Host: b"), 400),
        (head(b"Origin: a", b"Origin: b"), 400),
        (head(without=b"Upgrade"), 400),
        (head(without=b"Connection"), 400),
        (head(without=b"Sec-WebSocket-Key"), 400),
        (head(b"Sec-WebSocket-Key: " + KEY), 400),
        (head(b"Sec-WebSocket-Key: dG9vIHNob3J0", without=b"Sec-WebSocket-Key"), 400),
        (head(b"Sec-WebSocket-Key: !!!", without=b"Sec-WebSocket-Key"), 400),
        (head(b"Sec-WebSocket-Key: \xe9", without=b"Sec-WebSocket-Key"), 400),
        (head(without=b"Sec-WebSocket-Version"), 426),
        (head(b"Sec-WebSocket-Version: 8", without=b"Sec-WebSocket-Version"), 426),
        (head(b"no colon"), 400),
        (head(b" folded: onto the line before"), 400),
        (head(b"Name : spaced"), 400),
        (head(b"X: a\rb"), 400),
        (head(b"X: a\nHost: b"), 400),
        (head(b"X: a\0b"), 400),
    ],
)
def test_what_is_not_plainly_well_formed_is_refused(request_head: bytes, status: int) -> None:
    """Before anybody is asked."""
    refused = read_upgrade(request_head)
    assert isinstance(refused, ConnectRefused)
    assert refused.status == status


PIECES = st.sampled_from(
    [
        *LINES,
        b"",
        b" ",
        b"\r",
        b"\n",
        b"\t",
        b":",
        b"Host:",
        b"X: y",
        b"\0",
        b"\xff",
        b",",
        b"Upgrade",
    ]
)


@given(st.lists(PIECES, max_size=12), st.integers(0, 6))
@example([], 0)
def test_what_is_let_in_an_http_library_reads_the_same(pieces: list[bytes], at: int) -> None:
    """It may refuse more than we do of what nobody sends, but never reads it otherwise."""
    lines = [*LINES[:at], b"".join(pieces), *LINES[at:]]
    request_head = b"\r\n".join([*lines, b"", b""])
    upgrade = read_upgrade(request_head)
    if isinstance(upgrade, ConnectRefused):
        return
    library = h11.Connection(h11.SERVER)
    library.receive_data(request_head)
    event = library.next_event()
    assert isinstance(event, h11.Request)
    assert event.target.decode() == upgrade.target
    known: dict[str, list[str]] = {}
    for name, value in event.headers:
        known.setdefault(name.decode(), []).append(value.decode("latin-1"))
    assert {name: ", ".join(values) for name, values in known.items()} == upgrade.headers


@pytest.mark.parametrize("subprotocol", [None, "phoenix"])
def test_a_client_library_takes_the_answer(subprotocol: str | None) -> None:
    """The key is answered as the RFC has it."""
    client = WSConnection(ConnectionType.CLIENT)
    request = client.send(Request(host="a", target="/", subprotocols=["phoenix"]))
    key = next(
        line.partition(b": ")[2]
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    client.receive_data(accept_answer(key, subprotocol))
    (event,) = client.events()
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == subprotocol
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in accept_answer(KEY, None)


@pytest.mark.parametrize(("status", "text"), [(403, ""), (426, "Other.\n"), (599, "Ours.\n")])
def test_a_client_library_takes_a_refusal(status: int, text: str) -> None:
    """With a body if there is something to say; the number may be the application's own."""
    client = WSConnection(ConnectionType.CLIENT)
    client.send(Request(host="a", target="/"))
    client.receive_data(refuse_answer(ConnectRefused(status, text)))
    client.receive_data(None)
    events = list(client.events())
    assert isinstance(events[0], RejectConnection)
    assert events[0].status_code == status
    assert b"".join(e.data for e in events if isinstance(e, RejectData)) == text.encode()
