"""What the versions of the protocol have in common: the envelope, its names, and what each offers.

Pure. A serializer is a class of functions with no state: `serializer_v2.V2` and `serializer_v1.V1`.
A message is bytes; the first of them tells a binary message, which begins with its kind, from JSON.
"""

from typing import Annotated, Any, Final, Protocol, TypeAlias

import msgspec

from channels.channel import Body
from channels.errors import MalformedMessage
from channels.limits import NAME_BYTES_MAX, REF_CHARACTERS_MAX

# Beyond it JavaScript would not read its own number back.
_INT_MAX: Final = 2**53

Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]
"""A topic or an event."""

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
    topic: Name
    event: Name
    payload: Any


class Serializer(Protocol):
    """One version of the protocol.

    Where something has no form in that version, what is returned is None.
    """

    @staticmethod
    def decode(text: bytes | str) -> Envelope:
        """Read a text message of a client.

        Raises:
            MalformedMessage: it is none; the error says what is wrong, without the content.
        """

    @staticmethod
    def decode_binary(data: bytes) -> Envelope:
        """Read a binary message of a client.

        Raises:
            MalformedMessage: it is none; the error says what is wrong, without the content.
        """

    @staticmethod
    def encode(join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> bytes | None:
        """A message to one client.

        Raises:
            TypeError: the payload holds what JSON has no word for: a bug of the caller.
            NameTooLong: beside bytes there is no room for such a name: a bug of the caller.
        """

    @staticmethod
    def encode_reply(
        join_ref: Ref, ref: Ref, topic: str, status: str, response: Body
    ) -> bytes | None:
        """The answer to a push or a join.

        Raises:
            TypeError: as of `encode`.
            NameTooLong: as of `encode`.
        """

    @staticmethod
    def translate(broadcast: bytes) -> bytes | None:
        """A broadcast that V2 encoded, in this version."""


def check_names(envelope: Envelope) -> Envelope:
    """The same envelope, unless one of its names has too many bytes.

    Raises:
        MalformedMessage: so it is. Characters were counted already.
    """
    for name in (envelope.topic, envelope.event):
        if not name.isascii() and len(name.encode()) > NAME_BYTES_MAX:
            raise MalformedMessage(f"a name of more than {NAME_BYTES_MAX} bytes")
    return envelope
