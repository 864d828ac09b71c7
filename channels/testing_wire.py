"""The client's side of the serializers, for `channels.testing`: what it says, and what it reads.

Pure.
"""

from typing import Any

import msgspec
from wsproto.events import BytesMessage, TextMessage

from channels.protocol import REPLY
from channels.serializer import Envelope, Ref
from channels.serializer_binary import BROADCAST, PUSH
from channels.serializer_binary import REPLY as BINARY_REPLY


def say(envelope: Envelope, version: str) -> TextMessage | BytesMessage:
    """A message as a client of this version sends it; a payload of bytes goes as binary."""
    if isinstance(envelope.payload, bytes):
        return BytesMessage(binary_push(envelope))
    if version.startswith("2"):
        return TextMessage(msgspec.json.encode(envelope).decode())
    sent = {name: getattr(envelope, name) for name in ("topic", "event", "payload", "ref")}
    if envelope.join_ref is not None:
        sent["join_ref"] = envelope.join_ref
    return TextMessage(msgspec.json.encode(sent).decode())


def binary_push(envelope: Envelope) -> bytes:
    """A push whose payload is bytes, as JavaScript's client sends it."""
    refs = ["" if ref is None else str(ref) for ref in (envelope.join_ref, envelope.ref)]
    names = [name.encode() for name in (*refs, envelope.topic, envelope.event)]
    return bytes((PUSH, *map(len, names))) + b"".join(names) + bytes(envelope.payload)


def read(message: bytes) -> Envelope:
    """A message of the server, in any version; text as UTF-8."""
    if message.startswith(b"["):
        return msgspec.json.decode(message, type=Envelope)
    if message.startswith(b"{"):
        fields: dict[str, Any] = msgspec.json.decode(message)
        return Envelope(None, fields["ref"], fields["topic"], fields["event"], fields["payload"])
    return _read_binary(message)


def bytes_of(event: TextMessage | BytesMessage) -> bytes:
    """A part of a message, in the form that `read` takes."""
    return event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)


def _read_binary(message: bytes) -> Envelope:
    kind = message[0]
    names, begin = [], 1 + {PUSH: 3, BINARY_REPLY: 4, BROADCAST: 2}[kind]
    for size in message[1:begin]:
        names.append(message[begin : begin + size].decode())
        begin += size
    data = message[begin:]
    if kind == BINARY_REPLY:
        join_ref, ref, topic, status = names
        told = {"status": status, "response": data}
        return Envelope(_ref(join_ref), _ref(ref), topic, REPLY, told)
    *refs, topic, event = names
    return Envelope(_ref(refs[0]) if refs else None, None, topic, event, data)


def _ref(name: str) -> Ref:
    return name or None
