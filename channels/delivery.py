"""What becomes of a topic's messages for a client that reads too slowly. Pure.

Messages that have a position, and those said to be vital, may not be missed: whatever the topic,
they end a connection that has no room for them, which comes back and recovers.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import msgspec

from channels.serializer_v2 import V2


class Policy(Enum):
    """What gives way where there is no room."""

    DISCONNECT = auto()  # the connection: the client comes back and recovers by its cursor
    DROP_OLDEST = auto()  # the oldest messages that may be dropped
    LATEST = auto()  # of those that wait, all about the same thing but the newest


@dataclass(frozen=True, slots=True)
class Delivery:
    """The policy of a topic.

    Attributes:
        policy: what gives way.
        field: for LATEST, the field of the payload that names the thing a message is about;
            messages of one event that lack it are about the same thing.
    """

    policy: Policy
    field: str | None = None


DISCONNECT: Final = Delivery(Policy.DISCONNECT)
DROP_OLDEST: Final = Delivery(Policy.DROP_OLDEST)


def latest_by(field: str) -> Delivery:
    """Of each thing that this field names, a client that is behind gets the newest only."""
    return Delivery(Policy.LATEST, field)


def thing_of(broadcast: bytes, field: str | None) -> tuple[str, str, bytes]:
    """What a message is about: its topic, its event, and its field's value as JSON.

    Args:
        broadcast: as V2 encoded it.
        field: of the payload. Bytes have no fields.
    """
    told = V2.read_broadcast(broadcast)
    if field is None or not isinstance(told.payload, dict):
        return told.topic, told.event, b""
    return told.topic, told.event, msgspec.json.encode(told.payload.get(field))
