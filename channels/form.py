"""How one client is written to: its version, the framing, and whether it is told cursors. Pure.

The hub keeps the members of a topic in groups by form, compares forms by identity, and writes a
broadcast once for each. So forms are made once: asked for one form, the functions here give the
same object each time.

*Cursors.* The `ref` slot of a broadcast is empty in Phoenix. A client that asked for it finds the
cursor of the message there; it cannot be taken for a reply's ref, which is a number of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from channels.frames import message_frame
from channels.longpoll_wire import line_of
from channels.serializer import Serializer
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2

# How V2 begins a broadcast that carries no cursor.
_PLAIN: Final = b"[null,null,"


Frame: TypeAlias = Callable[[bytes], bytes | None]
"""What goes out for a serializer's message; None where it has no form."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One way to write to a client.

    Attributes:
        serializer: of the version it speaks.
        frame: what goes out for a serializer's message; None where it has no form.
        cursors: broadcasts carry their cursor, where they have one.
    """

    serializer: type[Serializer]
    frame: Frame
    cursors: bool = False

    def write(self, broadcast: bytes, cursor: str | None = None) -> bytes | None:
        """A broadcast that V2 encoded, framed; None where it has no form.

        Args:
            broadcast: the message, without a cursor.
            cursor: its own, of characters that JSON need not escape.
        """
        if cursor is not None and self.cursors and broadcast.startswith(_PLAIN):
            broadcast = b'[null,"%b",%b' % (cursor.encode(), broadcast[len(_PLAIN) :])
        message = broadcast if self.serializer is V2 else self.serializer.translate(broadcast)
        return None if message is None else self.frame(message)


_VERSIONS: Final[tuple[type[Serializer], ...]] = (V1, V2)
_FRAMES: Final[tuple[Frame, ...]] = (message_frame, line_of)
_FORMS: Final = {
    (serializer, frame, cursors): Form(serializer, frame, cursors)
    for serializer in _VERSIONS
    for frame in _FRAMES
    for cursors in (False, True)
}

WEBSOCKET: Final = _FORMS[V2, message_frame, False]
"""The form of nearly every client."""


def websocket_form(serializer: type[Serializer]) -> Form:
    """The form of a client that is connected over WebSocket."""
    return _FORMS[serializer, message_frame, False]


def longpoll_form(serializer: type[Serializer]) -> Form:
    """The form of a client that polls."""
    return _FORMS[serializer, line_of, False]


def with_cursors(form: Form) -> Form:
    """The form of the same client, where it is told cursors."""
    return _FORMS[form.serializer, form.frame, True]
