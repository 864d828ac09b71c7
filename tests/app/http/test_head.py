"""Looking at how a connection begins."""

from collections.abc import Iterable

import pytest

from app.http.head import Receive, is_too_long, is_websocket_upgrade, is_whole, path_of, read_head
from app.limits import HEAD_BYTES_MAX

UPGRADE = b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"


def pieces(sent: Iterable[bytes]) -> Receive:
    """A peer that sends these pieces and then ends."""
    left = list(sent)

    async def receive(_most: int) -> bytes:
        return left.pop(0) if left else b""

    return receive


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_head_may_come_in_pieces(size: int) -> None:
    """However a head is cut, it is read to its end and no further."""
    sent = [UPGRADE[i : i + size] for i in range(0, len(UPGRADE), size)]
    assert await read_head(pieces([*sent, b"more"])) == UPGRADE


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"\r\n", b" GET / HTTP/1.1\r\n", b"\x00"]
)
async def test_what_is_plainly_no_request_is_not_waited_for(sent: bytes) -> None:
    """A first byte that begins no method ends the reading at once."""
    assert await read_head(pieces([sent, b"never read"])) == sent


async def test_a_peer_that_ends_ends_the_head() -> None:
    """What was read before the end is given, though it is not whole."""
    read = await read_head(pieces([b"GET / HT"]))
    assert (read, is_whole(read)) == (b"GET / HT", False)


async def test_reading_stops_at_the_bound() -> None:
    """A head that goes on is given up at its bound."""
    read = await read_head(pieces([b"GET /" + b"a" * 8192] * 10))
    assert is_too_long(read)
    assert len(read) <= HEAD_BYTES_MAX + 8192 + 5


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (UPGRADE, True),
        (UPGRADE.replace(b"\r\n", b"\n"), True),
        (UPGRADE.replace(b"Upgrade: websocket", b"UPGRADE:WebSocket"), True),
        (UPGRADE.replace(b"websocket\r\n\r\n", b"h2c, websocket\r\n\r\n"), True),
        (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c"), False),
        (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: websockets"), False),
        (UPGRADE.replace(b"GET", b"POST"), False),
        (UPGRADE[:-2], False),
        (b"GET / HTTP/1.1\r\n\r\n\r\nUpgrade: websocket\r\n\r\n", False),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", False),
        (b"", False),
    ],
)
def test_an_upgrade_is_told_by_its_head_alone(head: bytes, expected: bool) -> None:  # noqa: FBT001 - a table
    """Only a whole head of a GET with the header counts; what follows the head does not."""
    assert is_websocket_upgrade(head) is expected


def test_the_path_leaves_out_the_query() -> None:
    """The path is what a GET asks for, up to the query."""
    assert path_of(UPGRADE) == "/socket/websocket"
    assert path_of(b"POST / HTTP/1.1") == ""
