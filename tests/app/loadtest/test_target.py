"""From a URL to the upgrade."""

import base64

import h11
import pytest

from app.loadtest.errors import LoadTestError
from app.loadtest.target import check_upgrade, read_target, upgrade_request


@pytest.mark.parametrize(
    ("url", "resource", "place"),
    [
        ("ws://a:4000/socket", "/socket/websocket?vsn=2.0.0", ("a", 4000, False)),
        ("http://a", "/socket/websocket?vsn=2.0.0", ("a", 80, False)),
        ("wss://a.example/", "/socket/websocket?vsn=2.0.0", ("a.example", 443, True)),
        ("https://a/live/websocket?x=1", "/live/websocket?x=1&vsn=2.0.0", ("a", 443, True)),
        ("ws://[::1]:5/s?vsn=2.0.0", "/s/websocket?vsn=2.0.0", ("::1", 5, False)),
    ],
)
def test_a_url_is_what_a_phoenix_client_is_given(
    url: str, resource: str, place: tuple[str, int, bool]
) -> None:
    """The client itself adds what is missing."""
    target = read_target(url)
    assert resource == target.resource
    assert place == (target.host, target.port, target.is_secure)
    assert "?" not in target.url


@pytest.mark.parametrize(
    "url", ["", "a:4000", "ftp://a", "ws://", "ws://a:x", "ws://a:0", "ws://u@a", "ws://a/ b"]
)
def test_what_is_no_url_is_told(url: str) -> None:
    """With one that is."""
    with pytest.raises(LoadTestError, match="--url is to be like ws://"):
        read_target(url)


def test_a_token_goes_into_a_parameter_or_a_subprotocol() -> None:
    """And into nothing that is shown."""
    by_param = read_target("ws://a", token="a+b/c.d")
    assert "/socket/websocket?vsn=2.0.0&token=a%2Bb%2Fc.d" == by_param.resource
    by_subprotocol = read_target("ws://a", token="a+b/c.d", by_subprotocol=True)
    ((name, value),) = by_subprotocol.headers
    assert "Sec-WebSocket-Protocol" == name
    chosen, _, sent = value.partition(", base64url.bearer.phx.")
    assert ("phoenix", b"a+b/c.d") == (chosen, base64.b64decode(sent + "=="))
    assert "token" not in by_param.url + by_subprotocol.url + by_subprotocol.resource


@pytest.mark.parametrize("token", ["", "a\nb", "é"])
def test_what_is_no_token_is_told_without_showing_it(token: str) -> None:
    """It may be half a secret."""
    with pytest.raises(LoadTestError, match=r"^--token is no token$"):
        read_target("ws://a", token=token)


@pytest.mark.parametrize("header", [("a b", "c"), ("", "c"), ("a", "b\r\nc: d")])
def test_a_header_cannot_smuggle_another(header: tuple[str, str]) -> None:
    """Nor be without a name."""
    with pytest.raises(LoadTestError, match="a --header is to be like"):
        read_target("ws://a", headers=[header])


def test_the_request_asks_for_the_upgrade() -> None:
    """As another library reads it, with the headers that were asked for."""
    target = read_target("ws://[::1]:5", headers=[("Origin", "https://example.com")])
    server = h11.Connection(h11.SERVER)
    server.receive_data(upgrade_request(target))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert target.resource.encode() == request.target
    fields = dict(request.headers.raw_items())
    assert (b"[::1]:5", b"websocket") == (fields[b"Host"], fields[b"Upgrade"])
    assert b"https://example.com" == fields[b"Origin"]


def test_a_host_header_of_ones_own_takes_its_place() -> None:
    """There is only one."""
    request = upgrade_request(read_target("ws://a", headers=[("host", "b")]))
    assert 1 == request.lower().count(b"host:")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"HTTP/1.1 403 Forbidden", "ws://a refuses with 403: is a --token missing, or expired?"),
        (b"HTTP/1.1 404 Not Found\r\na: b", "ws://a refuses with 404: is there a socket"),
        (b"HTTP/1.1 599 What", "ws://a refuses with 599$"),
        (b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x", "not as a WebSocket server does"),
        (b"SSH-2.0", "does not speak HTTP/1.1"),
    ],
)
def test_a_refused_upgrade_is_told(head: bytes, reason: str) -> None:
    """In one line that says what to look at."""
    with pytest.raises(LoadTestError, match=reason):
        check_upgrade(head, "ws://a")
