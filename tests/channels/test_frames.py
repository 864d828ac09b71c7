"""Frames we write, and masks we take off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import XorMaskerSimple

from channels.frames import (
    close_frame,
    goodbye_answer,
    message_frame,
    plain_control,
    pong_frame,
    unmask,
)


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_is_read_by_any_client(size: int) -> None:
    """Each of the three ways to spell a length is right, for JSON and for bytes."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(message_frame(b"[" * size))
    client.receive_data(message_frame(b"\x02" * size))
    assert [TextMessage("[" * size), BytesMessage(b"\x02" * size)] == list(client.events())


def test_a_close_frame_carries_code_and_reason() -> None:
    """A reason that is too long is cut at a character."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(close_frame(1012, "é" * 100))
    assert [CloseConnection(1012, "é" * 61)] == list(client.events())


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_comes_off(payload: bytes, key: bytes) -> None:
    """As the WebSocket library takes it off."""
    assert unmask(payload, key) == bytes(XorMaskerSimple(key).process(bytearray(payload)))


def sent(event: Event) -> bytes:
    """What a client writes."""
    return bytes(Connection(ConnectionType.CLIENT).send(event))


@pytest.mark.parametrize(
    ("event", "opcode", "payload"),
    [
        (Ping(b""), 9, b""),
        (Ping(b"x" * 125), 9, b"x" * 125),
        (Pong(b"late"), 10, b"late"),
        (CloseConnection(1000, "bye"), 8, b"\x03\xe8bye"),
    ],
)
def test_a_plain_control_frame_is_known(event: Event, opcode: int, payload: bytes) -> None:
    """And nothing but one: neither a part of it nor something behind it."""
    frame = sent(event)
    assert plain_control(frame) == (opcode, payload)
    assert plain_control(frame + b"\x89") is None
    for size in range(len(frame)):
        assert plain_control(frame[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x89\x00",  # not masked
        b"\x89\x01abcdeX",  # not masked, and as long as if it were
        b"\x09\x80abcd",  # not the last of its message
        b"\xc9\x80abcd",  # a reserved bit
        b"\x8b\x80abcd",  # no such opcode
        b"\x81\x80abcd",  # a message
        b"\x89\xfe\x00\x7eabcd" + b"x" * 126,  # too long
    ],
)
def test_what_is_doubtful_is_no_plain_control_frame(data: bytes) -> None:
    """The slow lane knows what it is."""
    assert plain_control(data) is None


@given(st.binary(max_size=40))
def test_a_goodbye_is_answered_as_the_library_would(payload: bytes) -> None:
    """Or is left to it."""
    answer = goodbye_answer(payload)
    server = Connection(ConnectionType.SERVER)
    server.receive_data(b"\x88" + bytes((0x80 | len(payload),)) + b"\0\0\0\0" + payload)
    (event,) = server.events()
    assert isinstance(event, CloseConnection)
    if answer is not None:
        client = Connection(ConnectionType.CLIENT)
        client.receive_data(answer)
        (heard,) = client.events()
        assert isinstance(heard, CloseConnection)
        assert heard.code == event.code


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4999])
def test_a_goodbye_of_a_code_that_is_allowed_is_answered(code: int) -> None:
    """With the code that the client gave, and none where it gave none."""
    assert goodbye_answer(code.to_bytes(2, "big") + b"bye") == close_frame(code)
    assert goodbye_answer(b"") == b"\x88\x00"


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x03\xe8\xff", b"\x00\x01"])
def test_a_goodbye_that_breaks_a_rule_is_not(payload: bytes) -> None:
    """Half a code, one that may not be sent, a reason that is no UTF-8."""
    assert goodbye_answer(payload) is None


def test_a_pong_says_what_the_ping_said() -> None:
    """In one frame."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(pong_frame(b"x" * 125))
    assert [Pong(b"x" * 125)] == list(client.events())
