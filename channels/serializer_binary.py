"""The binary messages of V2: one byte of kind, one byte for the length of each name, names, data.

    push of a client     00 | join_ref ref topic event  | join_ref ref topic event  | data
    push to a client     00 | join_ref     topic event  | join_ref     topic event  | data
    reply to a client    01 | join_ref ref topic status | join_ref ref topic status | data
    broadcast to clients 02 |              topic event  |              topic event  | data

Pure. Left of the second bar are lengths, of UTF-8. A ref that is null has no length; one that was a
number is spelt in digits, which is how the client that sends binary messages numbers them anyway.
"""

from typing import Final

from channels.errors import MalformedMessage, NameTooLong
from channels.limits import NAME_BYTES_MAX, REF_CHARACTERS_MAX
from channels.serializer import Envelope, Ref

PUSH: Final = 0
REPLY: Final = 1
BROADCAST: Final = 2

_PUSH_HEAD: Final = 5
_BROADCAST_HEAD: Final = 3


def decode_push(data: bytes) -> Envelope:
    """Read a client's push.

    Raises:
        MalformedMessage: it is none; the error says what is wrong, without the content.
    """
    if len(data) < _PUSH_HEAD or data[0] != PUSH:
        raise MalformedMessage("no binary push: too short, or of another kind")
    names, begin = [], _PUSH_HEAD
    for size in data[1:_PUSH_HEAD]:
        names.append(data[begin : begin + size])
        begin += size
    if begin > len(data):
        raise MalformedMessage("a binary push that is shorter than its lengths say")
    try:
        join_ref, ref, topic, event = [name.decode() for name in names]
    except UnicodeDecodeError as error:
        raise MalformedMessage("a binary push with a name that is no UTF-8") from error
    if not topic or not event or max(len(join_ref), len(ref)) > REF_CHARACTERS_MAX:
        raise MalformedMessage("a binary push with a name that is empty or too long")
    return Envelope(join_ref or None, ref or None, topic, event, data[begin:])


def push_of(join_ref: Ref, topic: str, event: str, data: bytes) -> bytes:
    """A push to one client.

    Raises:
        NameTooLong: a name has more bytes than its length can say.
    """
    return _pack(PUSH, data, join_ref=_spelt(join_ref), topic=topic, event=event)


def reply_of(join_ref: Ref, ref: Ref, topic: str, status: str, data: bytes) -> bytes:
    """A reply to one client.

    Raises:
        NameTooLong: a name has more bytes than its length can say.
    """
    return _pack(
        REPLY, data, join_ref=_spelt(join_ref), ref=_spelt(ref), topic=topic, status=status
    )


def broadcast_of(topic: str, event: str, data: bytes) -> bytes:
    """A message to all members of a topic.

    Raises:
        NameTooLong: a name has more bytes than its length can say.
    """
    return _pack(BROADCAST, data, topic=topic, event=event)


def read_broadcast(data: bytes) -> Envelope:
    """The other way: a broadcast that `broadcast_of` made."""
    topic_size, event_size = data[1], data[2]
    topic_end = _BROADCAST_HEAD + topic_size
    event_end = topic_end + event_size
    topic, event = data[_BROADCAST_HEAD:topic_end], data[topic_end:event_end]
    return Envelope(None, None, topic.decode(), event.decode(), data[event_end:])


def _spelt(ref: Ref) -> str:
    return "" if ref is None else str(ref)


def _pack(kind: int, data: bytes, **names: str) -> bytes:
    encoded = [name.encode() for name in names.values()]
    for what, name in zip(names, encoded, strict=True):
        if len(name) > NAME_BYTES_MAX:
            raise NameTooLong(what, len(name), NAME_BYTES_MAX)
    return bytes((kind, *map(len, encoded))) + b"".join(encoded) + data
