"""A client's frames, and walking over a server's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from app.loadtest.errors import LoadTestError
from app.loadtest.wire import PING, Frame, Masker, read_frames
from channels.frames import FIN, TEXT


def understood(data: bytes) -> list[Event]:
    """What a server of another make reads."""
    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    return list(server.events())


def from_server(text: str) -> bytes:
    """The frame in which a server of another make sends this."""
    return Connection(ConnectionType.SERVER).send(TextMessage(text))


@given(st.binary(min_size=4, max_size=4), st.text(max_size=300), st.text(max_size=300))
def test_a_server_reads_what_we_send(key: bytes, before: str, filler: str) -> None:
    """Masked frames with any key, with the filler that was masked ahead and without it."""
    masker = Masker(key, filler.encode())
    sent = masker.filled(before.encode()) + masker.frame(b"ping", PING) + masker.close()
    text, ping, close = understood(sent)
    assert isinstance(text, TextMessage)
    assert before + filler == text.data
    assert isinstance(ping, Ping)
    assert isinstance(close, CloseConnection)
    assert (b"ping", 1000) == (bytes(ping.payload), close.code)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_frames_of_all_sizes_go_both_ways(size: int) -> None:
    """The length has one, three or nine bytes."""
    text = "x" * size
    (read,) = understood(Masker(b"abcd").frame(text.encode()))
    assert isinstance(read, TextMessage)
    assert size == len(read.data)
    sent = from_server(text)
    assert ([Frame(FIN | TEXT, text.encode())], len(sent)) == read_frames(sent)


@given(st.lists(st.text(max_size=200)), st.integers(0, 400))
def test_frames_are_read_up_to_the_last_whole_one(texts: list[str], cut: int) -> None:
    """What is begun stays until the rest is there."""
    frames = [from_server(text) for text in texts]
    data = b"".join(frames)[:cut]
    read, taken = read_frames(data)
    assert texts[: len(read)] == [frame.payload.decode() for frame in read]
    assert sum(map(len, frames[: len(read)])) == taken
    assert len(read) == len(frames) or taken + len(frames[len(read)]) > len(data)


def test_a_message_without_end_ends_the_test() -> None:
    """Its size is in its head, so nothing is kept."""
    with pytest.raises(LoadTestError, match="a message of 1099511627776 bytes"):
        read_frames(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))
