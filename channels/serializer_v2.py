"""V2, `vsn=2.0.0`: `[join_ref, ref, topic, event, payload]` as JSON, or bytes behind a short head.

Pure. It is also how nodes speak among themselves: a broadcast is encoded in V2 once, and translated
for clients of another version where there are some.
"""

from typing import Final

import msgspec

from channels.channel import Body
from channels.errors import MalformedMessage
from channels.protocol import REPLY
from channels.serializer import Envelope, Ref, check_names
from channels.serializer_binary import (
    BROADCAST,
    broadcast_of,
    decode_push,
    push_of,
    read_broadcast,
    reply_of,
)

_DECODER: Final = msgspec.json.Decoder(Envelope)
_ENCODER: Final = msgspec.json.Encoder()


class V2:
    """The serializer of today's clients."""

    @staticmethod
    def decode(text: bytes | str) -> Envelope:
        """Read a text message of a client. Parts beyond the fifth are ignored.

        Raises:
            MalformedMessage: it is no such array; the error says what is wrong, without the
                content.
        """
        try:
            envelope = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedMessage(f"no message: {type(error).__name__}") from error
        if envelope.topic.isascii() and envelope.event.isascii():
            return envelope
        return check_names(envelope)

    @staticmethod
    def decode_binary(data: bytes) -> Envelope:
        """Read a binary message of a client: a push, whose payload is bytes.

        Raises:
            MalformedMessage: it is none.
        """
        return decode_push(data)

    @staticmethod
    def encode(join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> bytes:
        """A message to one client. Beside bytes there is no place for a `ref`.

        Raises:
            TypeError: the payload holds what JSON has no word for: a bug of the caller.
            NameTooLong: beside bytes there is no room for such a name: a bug of the caller.
        """
        if type(payload) is dict:  # nearly always
            return _ENCODER.encode((join_ref, ref, topic, event, payload))
        if isinstance(payload, bytes):
            return push_of(join_ref, topic, event, payload)
        return _ENCODER.encode((join_ref, ref, topic, event, dict(payload)))

    @staticmethod
    def encode_reply(join_ref: Ref, ref: Ref, topic: str, status: str, response: Body) -> bytes:
        """The answer to a push or a join.

        Raises:
            TypeError: as of `encode`.
            NameTooLong: as of `encode`.
        """
        if isinstance(response, bytes):
            return reply_of(join_ref, ref, topic, status, response)
        told = {"status": status, "response": dict(response)}
        return _ENCODER.encode((join_ref, ref, topic, REPLY, told))

    @staticmethod
    def encode_broadcast(topic: str, event: str, payload: Body) -> bytes:
        """A message to all members of a topic.

        Raises:
            TypeError: as of `encode`.
            NameTooLong: as of `encode`.
        """
        if type(payload) is dict:  # nearly always
            return _ENCODER.encode((None, None, topic, event, payload))
        if isinstance(payload, bytes):
            return broadcast_of(topic, event, payload)
        return _ENCODER.encode((None, None, topic, event, dict(payload)))

    @staticmethod
    def read_broadcast(broadcast: bytes) -> Envelope:
        """The other way: what `encode_broadcast` was given."""
        if broadcast[0] == BROADCAST:
            return read_broadcast(broadcast)
        return _DECODER.decode(broadcast)

    @staticmethod
    def translate(broadcast: bytes) -> bytes:
        """The same: broadcasts are V2."""
        return broadcast
