"""V2 JSON, both ways."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from channels.errors import MalformedMessage
from channels.serializer import Envelope
from channels.serializer_v2 import V2

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
REFS = st.none() | st.integers(-(2**53), 2**53) | NAMES
PAYLOADS = st.dictionaries(NAMES, st.none() | st.booleans() | st.integers(0, 9) | NAMES)


@pytest.mark.slow
@given(st.builds(Envelope, REFS, REFS, NAMES, NAMES, PAYLOADS))
def test_what_is_encoded_is_decoded(envelope: Envelope) -> None:
    """Encoding and decoding are each other's inverse."""
    assert envelope == V2.decode(V2.encode(*astuple(envelope)))


def test_parts_beyond_the_fifth_are_ignored() -> None:
    """As in Phoenix."""
    assert Envelope("1", 2, "t", "e", []) == V2.decode('["1",2,"t","e",[],"x",{}]')


def test_any_payload_is_read() -> None:
    """A client may send any JSON value."""
    assert V2.decode(b'[null,null,"t","e",3]').payload == 3


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"{}",
        b"[]",
        b'["1","1","t","e"]',
        b'["1","1",null,"e",{}]',
        b'["1","1","t",4,{}]',
        b'["1","1","","e",{}]',
        b'["1","1","t","",{}]',
        b'[[],"1","t","e",{}]',
        b'["1",{},"t","e",{}]',
        b'["1",true,"t","e",{}]',
        b'["1",1.5,"t","e",{}]',
        b'["1",123456789012345678901234567890,"t","e",{}]',
        b'["1","1","' + b"t" * 256 + b'","e",{}]',
        b'["1","1","' + "é".encode() * 128 + b'","e",{}]',
        b'["1","' + b"1" * 256 + b'","t","e",{}]',
        b'["1","1","t","e",{}] ]',
        b'["1","1","t","e",NaN]',
        b'["1","1","\\ud800","e",{}]',
        b"[" * 5000 + b"]" * 5000,
        b'["1","1","\xff","e",{}]',
    ],
)
def test_what_is_no_message_is_malformed(text: bytes) -> None:
    """The reason is told without a word of the content."""
    with pytest.raises(MalformedMessage) as caught:
        V2.decode(text)
    assert "ttt" not in str(caught.value)


def test_any_mapping_is_a_payload() -> None:
    """Handlers may answer with what they have."""
    payload = MappingProxyType({"a": 1})
    assert V2.encode(None, None, "t", "e", payload) == b'[null,null,"t","e",{"a":1}]'


def test_what_json_cannot_say_is_a_bug() -> None:
    """It is not sent in some other form."""
    with pytest.raises(TypeError):
        V2.encode(None, None, "t", "e", {"a": object()})
