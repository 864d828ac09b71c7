"""Frames we write, and masks we take off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.frame_protocol import XorMaskerSimple

from channels.frames import close_frame, message_frame, unmask


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
