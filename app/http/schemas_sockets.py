"""The bodies of what HTTP callers do to sockets and sessions, as `schemas` has the others."""

from typing import Annotated, Any

import msgspec

from app.domain.errors import Code
from app.domain.names import EVENT_PATTERN, TOPIC_PATTERN
from app.http.schemas import Moment, Name, WireCursor
from app.limits import MESSAGES_A_REQUEST_MAX

Session = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9_-]{16}(?!\n)$",
        description="A token's own id, its claim `jti`.",
        examples=["ZbNXgAABAgMEBQYH"],
    ),
]
Topic = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^{TOPIC_PATTERN}(?!\n)$", description="A topic.", examples=["sale:demo"]
    ),
]
EventName = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^{EVENT_PATTERN}(?!\n)$",
        description="Any event but the server's own.",
        examples=["announcement"],
    ),
]


class NewRevocation(msgspec.Struct, forbid_unknown_fields=True):
    """What to revoke: a session, or a person's tokens until now; without either, the caller's."""

    session: Session | None = None
    person: Name | None = None


class RevocationAnswer(msgspec.Struct):
    """What is revoked.

    Attributes:
        session: the token's own id, where it is one token.
        person: whose tokens, where it is all of a person's.
        issued_until: of a person, those that were issued up to this second.
        expires_at: when the last of them would have run out anyhow, and this is forgotten.
    """

    session: Session | None
    person: Name | None
    issued_until: Moment | None
    expires_at: Moment


class MessageToTopic(msgspec.Struct, forbid_unknown_fields=True):
    """An event for all members of the topic."""

    event: EventName
    payload: dict[str, Any]


class MessageWithTopic(MessageToTopic):
    """An event for all members of a topic."""

    topic: Topic


class NewMessages(msgspec.Struct, forbid_unknown_fields=True):
    """Events to send, in this order."""

    messages: Annotated[
        list[MessageWithTopic], msgspec.Meta(min_length=1, max_length=MESSAGES_A_REQUEST_MAX)
    ]


class MessageAnswer(msgspec.Struct):
    """The event was given to the members of the topic who are there.

    Attributes:
        everywhere: false where the other nodes cannot be reached, and only this one's were.
        cursor: its place, where the topic keeps a history.
    """

    everywhere: bool
    cursor: WireCursor | None


class MessageOutcome(msgspec.Struct, omit_defaults=True):
    """What became of one event of several.

    Attributes:
        status: that of the answer, had it been sent alone.
        cursor: its place, where it was sent and the topic keeps a history.
        code: why it was not sent.
        message: the same, for a person.
        retryable: whether the same may succeed later.
    """

    status: int
    cursor: WireCursor | None = None
    code: Code | None = None
    message: str | None = None
    retryable: bool | None = None


class MessagesAnswer(msgspec.Struct):
    """What became of each event, in the order in which they came.

    Attributes:
        items: one for each.
        everywhere: false where the other nodes cannot be reached, and only this one's members were.
    """

    items: list[MessageOutcome]
    everywhere: bool


class Kick(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to be out of which topic."""

    topic: Topic
    person: Name


class Disconnect(msgspec.Struct, forbid_unknown_fields=True):
    """Whose connections are to be closed."""

    person: Name


class SentAwayAnswer(msgspec.Struct):
    """Whoever of that name was there is on the way out.

    Attributes:
        everywhere: false where the other nodes cannot be reached, and only this one did it.
    """

    everywhere: bool
