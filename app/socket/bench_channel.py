"""The topics `bench:<n>`: rooms for load testers, where every pushed event goes to every member.

Nothing of the product uses them, and they are there only when the settings say so. A push has no
reply, so that what is measured is the fan-out; it is handled where it is read, without a mailbox.
"""

from typing import Any, Final

from app.domain.errors import Code, Refusal
from app.socket.messages import is_room
from app.socket.refusal import response_of
from channels.channel import (
    ChannelSocket,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    NoReply,
    NowaitChannel,
    Reply,
)

# What JSON objects and binary messages are read as.
_BODIES: Final = (dict, bytes)


class BenchChannel(NowaitChannel):
    """One client in one room."""

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Everybody with a valid token is let in; rooms have numbers."""
        if not is_room(topic):
            return JoinRefused(response_of(Refusal(Code.NOT_FOUND, "Rooms have numbers.")))
        return Joined()

    def handle_in_nowait(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Gives the event to every member, the sender too."""
        if not isinstance(payload, _BODIES):
            refusal = Refusal(Code.INVALID_REQUEST, "An object is expected, or bytes.")
            return Reply.error(response_of(refusal))
        socket.broadcast(event, payload)
        return NoReply()
