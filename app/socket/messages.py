"""Messages that HTTP callers send to a topic: which may be sent, and by whom. Without IO.

Nothing that clients take for a fact, for somebody's words or for the protocol's own can be sent in
this way. A sale's topic keeps nothing of it: members who are there are told, and nobody else; its
chat keeps it as it keeps what people say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.domain.errors import Code, Refusal
from app.domain.names import is_event, is_topic
from app.identity.model import Identity, Role
from app.limits import MESSAGE_BYTES_MAX
from app.sales.model import EVENTS, topic_of
from app.socket.chat import CHAT, REMOVED, SAID
from channels.protocol import ACCESS_TOKEN, HEARTBEAT, RESERVED_PREFIX, TOKEN_EXPIRING
from channels.recovery import RELOAD

NO_TOPIC: Final = Refusal(Code.NOT_FOUND, "There is no such topic.")

# Phoenix's own, presence's, and those by which its JavaScript client finds the answer to a push.
_PREFIXES: Final = (RESERVED_PREFIX, "presence_", "chan_")
# Facts, somebody's words, and what the server itself says.
_TAKEN: Final = EVENTS | {SAID, REMOVED, RELOAD, ACCESS_TOKEN, HEARTBEAT, TOKEN_EXPIRING}

# What a sale's topics begin with: its own, and its chat's.
_OF_SALES: Final = (topic_of(""), CHAT)
_ROOM: Final = re.compile(r"bench:[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to send.

    Attributes:
        topic: the whole topic.
        event: its name.
        payload: a JSON object.
    """

    topic: str
    event: str
    payload: Mapping[str, Any]


def refuse_message(message: NewMessage) -> Refusal | None:
    """Why nobody may send this, if so."""
    if not is_topic(message.topic):
        return NO_TOPIC
    event = message.event
    if not is_event(event):
        return _invalid("`event` must be lower-case letters, digits and _, 63 at most.")
    if event in _TAKEN or event.startswith(_PREFIXES):
        return _invalid(f"`{event}` is an event of the server's own.")
    if len(msgspec.json.encode(message.payload)) > MESSAGE_BYTES_MAX:
        return Refusal(Code.TOO_LARGE, f"A payload has at most {MESSAGE_BYTES_MAX} bytes.")
    return None


def refuse_to_send(identity: Identity) -> Refusal | None:
    """Sending to a topic is for those who sell."""
    if identity.role in {Role.OPERATOR, Role.SELLER}:
        return None
    return Refusal(Code.FORBIDDEN, "Messages are sent by sellers and operators.")


def refuse_to_send_away(identity: Identity) -> Refusal | None:
    """Kicking from a topic and disconnecting are for operators."""
    return None if identity.role is Role.OPERATOR else Refusal(Code.FORBIDDEN)


def sale_of(topic: str) -> str | None:
    """The id of the sale that a topic is of, or the chat of; None where it is of none."""
    for beginning in _OF_SALES:
        if topic.startswith(beginning):
            return topic.removeprefix(beginning)
    return None


def is_room(topic: str) -> bool:
    """Whether it is the topic of a load room."""
    return _ROOM.fullmatch(topic) is not None


def _invalid(detail: str) -> Refusal:
    return Refusal(Code.INVALID_REQUEST, detail)
