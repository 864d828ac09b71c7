"""V1, `vsn=1.0.0` or none at all: JSON objects of `topic`, `event`, `payload` and `ref`.

Pure. Older mobile clients and load testers speak it. A `join_ref` is read where a client sends one,
and never sent, as in Phoenix; there is no form for bytes.
"""

from typing import Any, Final

import msgspec

from channels.channel import Body
from channels.errors import MalformedMessage
from channels.protocol import REPLY
from channels.serializer import Envelope, Name, Ref, check_names


class _Message(msgspec.Struct, frozen=True):
    """What a client sends."""

    topic: Name
    event: Name
    payload: Any
    ref: Ref
    join_ref: Ref = None


class _Broadcast(msgspec.Struct, array_like=True, frozen=True):
    """A broadcast in V2, the payload left as it is spelt."""

    join_ref: None
    ref: Any
    topic: str
    event: str
    payload: msgspec.Raw


_DECODER: Final = msgspec.json.Decoder(_Message)
_BROADCAST: Final = msgspec.json.Decoder(_Broadcast)
_ENCODER: Final = msgspec.json.Encoder()


class V1:
    """The serializer of older clients."""

    @staticmethod
    def decode(text: bytes | str) -> Envelope:
        """Read a text message of a client. Members of other names are ignored.

        Raises:
            MalformedMessage: it is no such object; the error says what is wrong, without the
                content.
        """
        try:
            read = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(f"no message: {type(error).__name__}") from error
        return check_names(Envelope(read.join_ref, read.ref, read.topic, read.event, read.payload))

    @staticmethod
    def decode_binary(data: bytes) -> Envelope:
        """There are no binary messages in this version.

        Raises:
            MalformedMessage: always.
        """
        raise MalformedMessage(f"{len(data)} bytes: V1 has no binary messages")

    @staticmethod
    def encode(
        join_ref: Ref,  # noqa: ARG004 - V1 has no place for it
        ref: Ref,
        topic: str,
        event: str,
        payload: Body,
    ) -> bytes | None:
        """A message to one client; None for bytes.

        Raises:
            TypeError: the payload holds what JSON has no word for: a bug of the caller.
        """
        return None if isinstance(payload, bytes) else _object(topic, event, ref, dict(payload))

    @staticmethod
    def encode_reply(
        join_ref: Ref,  # noqa: ARG004 - V1 has no place for it
        ref: Ref,
        topic: str,
        status: str,
        response: Body,
    ) -> bytes | None:
        """The answer to a push or a join; None for bytes.

        Raises:
            TypeError: as of `encode`.
        """
        if isinstance(response, bytes):
            return None
        return _object(topic, REPLY, ref, {"status": status, "response": dict(response)})

    @staticmethod
    def translate(broadcast: bytes) -> bytes | None:
        """A broadcast that V2 encoded, its payload and its cursor untouched; None for bytes."""
        if not broadcast.startswith(b"["):
            return None
        read = _BROADCAST.decode(broadcast)
        return _object(read.topic, read.event, read.ref, read.payload)


def _object(topic: str, event: str, ref: Ref, payload: object) -> bytes:
    return _ENCODER.encode({"topic": topic, "event": event, "payload": payload, "ref": ref})
