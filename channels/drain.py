"""How a node that stops sends its clients away, so that they do not all come back at once.

Theory of operation. Clients leave in batches, and each is told when to come back: in an event
`drain` on the topic `phoenix`, and in the reason of the close frame behind it. Their returns are
spread over a window that grows with their number, one in each of as many equal pieces of it, at a
random moment of that: so the other nodes are met by an even stream, and not by a crowd after each
batch. Who does not heed it comes back as its library does, and meets the stream of its batch.

All batches are out by the middle of the time that a drain has, so that the last one can still say
goodbye.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import trio

from channels.channel import Body
from channels.limits import DRAIN_RETURNS_A_SECOND, DRAIN_WINDOW_MIN_S, Limits
from channels.protocol import SOCKET_TOPIC
from channels.serializer import Ref
from channels.verdict import DRAINED, Verdict

EVENT: Final = "drain"
FIELD: Final = "reconnect_after_ms"


class Leaver(Protocol):
    """A client to send away."""

    def send(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> None:
        """Send it a message."""

    def end(self, verdict: Verdict) -> None:
        """Close its connection behind what was sent."""


def window_s(clients: int) -> float:
    """Seconds over which so many clients come back."""
    return max(DRAIN_WINDOW_MIN_S, clients / DRAIN_RETURNS_A_SECOND)


async def send_away(clients: Sequence[Leaver], limits: Limits, chance: random.Random) -> None:
    """Tell each client when to come back and close its connection, in batches.

    Args:
        clients: all of them.
        limits: `drain_batch`, `drain_interval_s` and `drain_s` matter here.
        chance: what is drawn from.
    """
    began = trio.current_time()
    piece = window_s(len(clients)) / max(len(clients), 1)
    batches = -(-len(clients) // limits.drain_batch)
    interval = min(limits.drain_interval_s, limits.drain_s / 2 / max(batches, 1))
    for begin in range(0, len(clients), limits.drain_batch):
        if begin:
            await trio.sleep(interval)
        gone = trio.current_time() - began
        for rank, client in enumerate(clients[begin : begin + limits.drain_batch], begin):
            after_s = max(0.0, piece * (rank + chance.random()) - gone)
            _send_away(client, round(after_s * 1000))


def _send_away(client: Leaver, after_ms: int) -> None:
    client.send(None, None, SOCKET_TOPIC, EVENT, {FIELD: after_ms})
    client.end(replace(DRAINED, told=f"{FIELD}={after_ms}"))
