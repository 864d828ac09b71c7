"""V2 JSON: `[join_ref, ref, topic, event, payload]`, bytes to envelope and back.

Pure. A serializer is a class of functions with no state, so that one for V1 or for binary frames
can stand beside this one and the hub can encode a broadcast once for each that is in use.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from channels.errors import MalformedMessage
from channels.limits import NAME_BYTES_MAX

Ref: TypeAlias = str | int | None
"""What a client numbers its joins and pushes with. Echoed as it came."""


class Envelope(NamedTuple):
    """One message with its address, as a client sends it."""

    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: Any


_DECODER: Final = msgspec.json.Decoder(list[Any])
_ENCODER: Final = msgspec.json.Encoder()
_PARTS: Final = 5
_INT_MAX: Final = 2**53  # beyond it JavaScript would not read its own number back


class V2Json:
    """The serializer of `vsn=2.0.0`, text frames."""

    @staticmethod
    def decode(text: bytes | str) -> Envelope:
        """Read what a client sent. Parts beyond the fifth are ignored.

        Raises:
            MalformedMessage: it is no such array; the text says what is wrong, without the content.
        """
        try:
            parts = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage("not a JSON array") from error
        if len(parts) < _PARTS:
            raise MalformedMessage(f"{len(parts)} parts instead of {_PARTS}")
        envelope = Envelope._make(parts[:_PARTS])
        _check_names(envelope)
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


def _check_names(envelope: Envelope) -> None:
    for name in (envelope.topic, envelope.event):
        if type(name) is not str or not name or _bytes(name) > NAME_BYTES_MAX:
            raise MalformedMessage("topic and event are non-empty strings of at most 255 bytes")
    for ref in (envelope.join_ref, envelope.ref):
        if ref is None or (type(ref) is int and abs(ref) <= _INT_MAX):
            continue
        if type(ref) is not str or _bytes(ref) > NAME_BYTES_MAX:
            raise MalformedMessage("refs are null, small integers, or strings of at most 255 bytes")


def _bytes(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode(errors="surrogatepass"))
