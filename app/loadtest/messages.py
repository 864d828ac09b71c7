"""What is said in Phoenix's protocol, V2: joins, heartbeats, pushes, and what comes of them. Pure.

A push's payload carries the run's word, the message's number in its room, from 1, and when it was
meant to be sent. It ends in the filler, which is given to the masker apart.
"""

from typing import Any, Final

import msgspec

from app.loadtest.model import Plan

JOIN_REF: Final = "1"

_ENCODE: Final = msgspec.json.Encoder().encode


class Body(msgspec.Struct):
    """What we read of a payload, be it a push of ours or a reply.

    Attributes:
        run: of a push.
        seq: of a push.
        t: of a push: nanoseconds of the machine's monotonic clock.
        status: of a reply.
        response: of a reply.
    """

    run: str = ""
    seq: int = 0
    t: int = 0
    status: str = ""
    response: msgspec.Raw = msgspec.Raw(b"{}")


class Envelope(msgspec.Struct, array_like=True):
    """One message from the server."""

    join_ref: str | int | None
    ref: str | int | None
    topic: str
    event: str
    payload: Body


_READ: Final = msgspec.json.Decoder(Envelope)


def read_message(text: bytes) -> Envelope | None:
    """What a text frame says; None if it is nothing that we know."""
    try:
        return _READ.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def reason_of(body: Body) -> str:
    """Why a reply is an error, in the server's words."""
    try:
        told: Any = msgspec.json.decode(body.response)
    except (msgspec.DecodeError, RecursionError):
        told = None
    for name in ("message", "reason", "code"):
        if isinstance(told, dict) and isinstance(told.get(name), str):
            return str(told[name])
    return body.status


class Room:
    """What is sent in one room.

    Args:
        plan: the topic, the event and the join's parameters.
        number: of the room.
        run: the word that tells this run's messages from all others.
    """

    def __init__(self, plan: Plan, number: int, run: str) -> None:
        self.topic: Final = plan.topic.replace("{room}", str(number))
        self.join: Final = _ENCODE([JOIN_REF, JOIN_REF, self.topic, "phx_join", plan.join_params])
        told = _ENCODE([self.topic, plan.event, {"run": run}])
        # From `["topic","event",{"run":"word"}]`: what follows the ref, up to our numbers.
        self._after_ref = b"," + told[1:-2] + b',"seq":'

    def push(self, seq: int, moment_ns: int) -> bytes:
        """A push, up to its filler."""
        return b'["1","%d"%s%d,"t":%d,"p":"' % (seq, self._after_ref, seq, moment_ns)


HEARTBEAT: Final = b'[null,"0","phoenix","heartbeat",{}]'


def filler(plan: Plan) -> bytes:
    """What every push ends with."""
    return b"x" * plan.payload_bytes + b'"}]'
