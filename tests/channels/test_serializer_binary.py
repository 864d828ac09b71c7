"""Binary messages, byte by byte. The golden ones are those of the npm client's own tests."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import MalformedMessage, NameTooLong
from channels.limits import NAME_BYTES_MAX
from channels.serializer import Envelope, Ref
from channels.serializer_v2 import V2
from channels.testing_wire import binary_push, read

LONGEST = "é" * 127 + "x"  # 255 bytes

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
REFS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        (V2.encode("123", None, "top", "some-event", b"\x01"), b"\0\x03\x03\n123topsome-event\x01"),
        (V2.encode_reply("100", "12", "top", "ok", b"\x01"), b"\x01\x03\x02\x03\x0210012topok\x01"),
        (V2.encode_broadcast("top", "some-event", b"\x01"), b"\x02\x03\ntopsome-event\x01"),
        (V2.encode(None, None, "t", "e", b""), b"\0\0\x01\x01te"),
        (V2.encode_reply(11, 1, "t", "ok", b""), b"\x01\x02\x01\x01\x02111tok"),
    ],
)
def test_what_goes_out_is_spelt_as_clients_read_it(message: bytes, golden: bytes) -> None:
    """A null ref has no length; a number is spelt in digits."""
    assert message == golden


@pytest.mark.parametrize(
    ("data", "envelope"),
    [
        (b"\0\x01\x01\x01\x0101te\x01", Envelope("0", "1", "t", "e", b"\x01")),
        (b"\0\0\0\x01\x01te", Envelope(None, None, "t", "e", b"")),
        (b"\0\0\x01\x02\x01\x31\xc3\xa9e\xff\xfe", Envelope(None, "1", "é", "e", b"\xff\xfe")),
    ],
)
def test_what_comes_in_is_read(data: bytes, envelope: Envelope) -> None:
    """Its data is not looked into."""
    assert V2.decode_binary(data) == envelope


@pytest.mark.slow
@given(REFS, REFS, NAMES, NAMES, st.binary(max_size=300))
def test_what_a_client_sends_is_what_is_read(
    join_ref: Ref, ref: Ref, topic: str, event: str, data: bytes
) -> None:
    """Whatever the names; lengths are those of UTF-8."""
    if max(len(topic.encode()), len(event.encode())) <= NAME_BYTES_MAX:
        envelope = Envelope(join_ref, ref, topic, event, data)
        assert V2.decode_binary(binary_push(envelope)) == envelope


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0\0\1",
        b"\0\0\0\1\1t",
        b"\0\xff\xff\xff\xff" + b"x" * 1019,
        b"\1\1\1\1\x0101te\1",
        b"\2\1\1te",
        b"\3\0\0\1\1te",
        b"[\0\0\1\1te",
        b"\0\0\0\0\1e",
        b"\0\0\0\1\0t",
        b"\0\0\0\1\1\xffe",
        b"\0\x40\0\1\1" + b"r" * 64 + b"te",
        b"\0\0\x40\1\1" + b"r" * 64 + b"te",
    ],
)
def test_what_is_no_push_is_malformed(data: bytes) -> None:
    """Kinds that only the server sends, lengths that lie, names that are none."""
    with pytest.raises(MalformedMessage):
        V2.decode_binary(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_push_or_malformed(data: bytes) -> None:
    """Nothing else is raised."""
    try:
        envelope = V2.decode_binary(data)
    except MalformedMessage:
        return
    assert data.endswith(envelope.payload)


def test_names_have_a_byte_for_their_length() -> None:
    """Up to 255 bytes, whatever the characters."""
    assert V2.encode("1", None, LONGEST, LONGEST, b"x")[:4] == b"\0\x01\xff\xff"
    assert V2.encode_reply("1", "2", LONGEST, LONGEST, b"x")[3:5] == b"\xff\xff"
    assert read(V2.encode_broadcast(LONGEST, "e", b"x")).topic == LONGEST


@pytest.mark.parametrize(
    ("what", "encode"),
    [
        ("topic", lambda name: V2.encode_broadcast(name, "e", b"")),
        ("topic", lambda name: V2.encode_reply("1", "2", name, "ok", b"")),
        ("event", lambda name: V2.encode_broadcast("t", name, b"")),
        ("event", lambda name: V2.encode("1", None, "t", name, b"")),
        ("status", lambda name: V2.encode_reply("1", "2", "t", name, b"")),
    ],
    ids=["topic of a broadcast", "topic of a reply", "event of a broadcast", "event", "status"],
)
def test_a_longer_name_is_a_bug_that_says_which(what: str, encode: Callable[[str], bytes]) -> None:
    """And how long it may be."""
    with pytest.raises(NameTooLong, match=rf"^{what} has 256 bytes; .* 255 are the most$"):
        encode(LONGEST + "x")
