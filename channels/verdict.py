"""Why connections end, and what clients are told: a closed list. Pure.

The code tells a client what to do, and all of these say "connect again": 1000 is not among them,
since older clients take it for the user's own wish and never come back. Codes from 4400 on are
ours; they tell a person who looks what happened.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Verdict:
    """One way for a connection to end.

    Attributes:
        reason: one word, for events and counts.
        code: the close code that the client is told; None where nobody is there to hear it, or the
            client said goodbye itself.
        said: whoever read the offence has said it: nothing is left to say.
        told: what the close frame says beside the code, where that is not the reason.
    """

    reason: str
    code: int | None = None
    said: bool = False
    told: str = ""


# From the endpoint, for many at once.
DRAINED: Final = Verdict("drained", 1012)  # the node stops: connect to another
DISCONNECTED: Final = Verdict("disconnected", 1001)  # the application sends this client away

# From the connection, which knows what messages mean.
BUG: Final = Verdict("crashed", 1011)  # a bug of ours
MALFORMED: Final = Verdict("malformed", 4400)  # too many messages that are none
EXCESSIVE: Final = Verdict("excessive", 4429)  # it goes on beyond its rate

# From its stay, which knows until when it may be here.
EXPIRED: Final = Verdict("expired", 4401)  # its token is over: connect again with a new one
REVOKED: Final = Verdict("revoked", 4403)  # its token was taken away: sign in again

# From the session, which has the clock, and hears from the WebSocket library.
IDLE: Final = Verdict("idle", 4408)  # not a byte for too long
PROTOCOL_ERROR: Final = Verdict("protocol_error", 1002, said=True)
INVALID_DATA: Final = Verdict("invalid_data", 1007, said=True)
TOO_LARGE: Final = Verdict("too_large", 1009, said=True)
LEFT: Final = Verdict("left")  # the client closed
LOST: Final = Verdict("lost")  # the stream ended without a goodbye

# From the outbox, by way of the wire.
SLOW_READER: Final = Verdict("slow_reader")  # what it does not read would be lost
BROKEN: Final = Verdict("broken")  # the stream takes nothing any more

VERDICTS: Final = (
    DRAINED,
    DISCONNECTED,
    BUG,
    MALFORMED,
    EXPIRED,
    REVOKED,
    EXCESSIVE,
    IDLE,
    PROTOCOL_ERROR,
    INVALID_DATA,
    TOO_LARGE,
    LEFT,
    LOST,
    SLOW_READER,
    BROKEN,
)
