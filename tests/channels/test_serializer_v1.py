"""V1 JSON, both ways."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import MalformedMessage
from channels.serializer import Envelope
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
PAYLOADS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers(0, 9) | NAMES | st.lists(NAMES, max_size=2)
)


def test_a_message_is_an_object() -> None:
    """A join_ref is read where there is one, and other members are passed over."""
    text = '{"topic":"t","event":"e","payload":[1],"ref":"2","more":true}'
    assert V1.decode(text) == Envelope(None, "2", "t", "e", [1])
    assert V1.decode(f'{{"join_ref":"1",{text[1:]}').join_ref == "1"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'["1","1","t","e",{}]',
        b'{"topic":"t","event":"e","payload":{}}',
        b'{"topic":"t","event":"e","ref":null}',
        b'{"topic":"","event":"e","payload":{},"ref":null}',
        b'{"topic":"t","event":4,"payload":{},"ref":null}',
        b'{"topic":"t","event":"e","payload":{},"ref":[]}',
        b'{"topic":"' + "é".encode() * 128 + b'","event":"e","payload":{},"ref":null}',
    ],
)
def test_what_is_no_message_is_malformed(text: bytes) -> None:
    """All four members are wanted, as in Phoenix."""
    with pytest.raises(MalformedMessage):
        V1.decode(text)


def test_there_are_no_binary_messages() -> None:
    """Neither in nor out."""
    with pytest.raises(MalformedMessage, match="no binary"):
        V1.decode_binary(b"\0\0\0\1\1te")
    assert V1.encode("1", None, "t", "e", b"x") is None
    assert V1.encode_reply("1", "2", "t", "ok", b"x") is None
    assert V1.translate(V2.encode_broadcast("t", "e", b"x")) is None


def test_a_join_ref_is_never_said() -> None:
    """There is no member for it."""
    payload = MappingProxyType({"a": 1})
    pushed = V1.encode("1", None, "t", "e", payload)
    answered = V1.encode_reply("1", "2", "t", "ok", payload)
    assert pushed == b'{"topic":"t","event":"e","payload":{"a":1},"ref":null}'
    assert answered == (
        b'{"topic":"t","event":"phx_reply","payload":{"status":"ok","response":{"a":1}},"ref":"2"}'
    )


@pytest.mark.slow
@given(NAMES, NAMES, PAYLOADS)
def test_a_translated_broadcast_says_the_same(
    topic: str, event: str, payload: dict[str, object]
) -> None:
    """As if it had been encoded in V1."""
    translated = V1.translate(V2.encode_broadcast(topic, event, payload))
    assert translated is not None
    assert json.loads(translated) == {
        "topic": topic,
        "event": event,
        "payload": payload,
        "ref": None,
    }
