"""What is said in a sale's chat: which messages may be sent, and what is left of them. Without IO.

message  {"id": "msg_…", "from": "ann", "role": "buyer", "text": "Is it red?", "at": 1763721600000}
removed  {"id": "msg_…"}
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.domain.errors import Code, Refusal
from app.domain.names import is_text
from app.identity.model import Identity, Role
from app.limits import CHAT_TEXT_MAX
from channels.channel import Message

SAID: Final = "message"
REMOVED: Final = "removed"

CHAT: Final = "chat:"
"""What the topic of a chat begins with."""

# What joins several signs into one picture, as that of a family; it is not printed itself.
_JOINER: Final = "\u200d"
_ID_MAX: Final = 64


def sale_of_chat(topic: str) -> str:
    """The id of the sale whose chat this is."""
    return topic.removeprefix(CHAT)


def parse_text(payload: Any) -> str | Refusal:
    """The text that `{text}` says."""
    text = payload.get("text") if isinstance(payload, Mapping) else None
    if not isinstance(text, str) or not is_text(text.replace(_JOINER, ""), CHAT_TEXT_MAX):
        return Refusal(
            Code.INVALID_REQUEST, f"`text` must be one line of 1 to {CHAT_TEXT_MAX} characters."
        )
    if len(text) > CHAT_TEXT_MAX:
        return Refusal(Code.INVALID_REQUEST, f"`text` has at most {CHAT_TEXT_MAX} characters.")
    return text


def parse_removal(identity: Identity, payload: Any) -> str | Refusal:
    """The id of the message that `{id}` names. Removing is for those who sell."""
    if identity.role not in {Role.OPERATOR, Role.SELLER}:
        return Refusal(Code.FORBIDDEN, "Messages are removed by sellers and operators.")
    name = payload.get("id") if isinstance(payload, Mapping) else None
    if not is_text(name, _ID_MAX):
        return Refusal(Code.INVALID_REQUEST, "`id` must be that of a message.")
    return str(name)


def message_of(identity: Identity, name: str, text: str, at_ms: int) -> dict[str, Any]:
    """What members are told that somebody says.

    Args:
        identity: whose words they are.
        name: the message's id.
        text: what it says.
        at_ms: when, in milliseconds since the epoch.
    """
    return {
        "id": name,
        "from": identity.person,
        "role": identity.role.value,
        "text": text,
        "at": at_ms,
    }


def snapshot_of(messages: Iterable[Message]) -> dict[str, Any]:
    """The chat that these have led to: what was said and not removed, oldest first."""
    said: dict[str, Mapping[str, Any]] = {}
    for message in messages:
        if message.event == SAID:
            said[message.payload["id"]] = message.payload
        elif message.event == REMOVED:
            said.pop(message.payload["id"], None)
    return {"messages": list(said.values())}
