"""V2 JSON: `[join_ref, ref, topic, event, payload]`, bytes to envelope and back.

Pure. A serializer is a class of functions with no state, so that one for V1 or for binary frames
can stand beside this one and the hub can encode a broadcast once for each that is in use.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from channels.errors import MalformedMessage
from channels.limits import NAME_BYTES_MAX, REF_CHARACTERS_MAX

# Beyond it JavaScript would not read its own number back.
_INT_MAX: Final = 2**53

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]

Ref: TypeAlias = (
    Annotated[str, msgspec.Meta(max_length=REF_CHARACTERS_MAX)]
    | Annotated[int, msgspec.Meta(ge=-_INT_MAX, le=_INT_MAX)]
    | None
)
"""What a client numbers its joins and pushes with. Echoed as it came."""


class Envelope(msgspec.Struct, array_like=True, frozen=True):
    """One message with its address, as a client sends it: a JSON array of these, in this order."""

    join_ref: Ref
    ref: Ref
    topic: _Name
    event: _Name
    payload: Any


_DECODER: Final = msgspec.json.Decoder(Envelope)
_ENCODER: Final = msgspec.json.Encoder()


class V2Json:
    """The serializer of `vsn=2.0.0`, text frames."""

    @staticmethod
    def decode(text: bytes | str) -> Envelope:
        """Read what a client sent. Parts beyond the fifth are ignored.

        Raises:
            MalformedMessage: it is no such array; the text says what is wrong, without the content.
        """
        try:
            envelope = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(f"no message: {type(error).__name__}") from error
        if not (envelope.topic.isascii() and envelope.event.isascii()):
            _check_bytes(envelope.topic)
            _check_bytes(envelope.event)
        return envelope

    @staticmethod
    def encode(
        join_ref: Ref, ref: Ref, topic: str, event: str, payload: Mapping[str, Any]
    ) -> bytes:
        """The text of one message to a client.

        Raises:
            TypeError: the payload holds what JSON has no word for: a bug of the caller.
        """
        if type(payload) is not dict:
            payload = dict(payload)
        return _ENCODER.encode((join_ref, ref, topic, event, payload))


def _check_bytes(name: str) -> None:
    """Characters were counted already; a name that is not ASCII has more bytes than characters."""
    if len(name.encode()) > NAME_BYTES_MAX:
        raise MalformedMessage(f"a name of more than {NAME_BYTES_MAX} bytes")
