"""What all connections of an endpoint have in common."""

from dataclasses import dataclass

from channels.access import Access
from channels.broker import Broker
from channels.guard import Guard
from channels.hub import Hub
from channels.limits import Limits
from channels.publishing import Publishing
from channels.router import Router


@dataclass(slots=True)
class Tally:
    """Counters that the connections of an endpoint share.

    Attributes:
        received: messages that clients sent.
        malformed: of these, those that were none.
        joined: joins granted.
        crashed: channels that crashed.
        slow_lanes: clients that sent what is not plainly a message.
    """

    received: int = 0
    malformed: int = 0
    joined: int = 0
    crashed: int = 0
    slow_lanes: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What one connection shares with all others.

    Attributes:
        router: knows the topics.
        hub: of the node.
        broker: of the node.
        limits: of each connection.
        publishing: the ways to the members of a topic, on every node.
        tally: counts.
        access: knows until when clients may be here.
        guard: keeps the limits on clients.
    """

    router: Router
    hub: Hub
    broker: Broker
    limits: Limits
    publishing: Publishing
    tally: Tally
    access: Access
    guard: Guard
