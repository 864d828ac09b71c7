"""The ways from one message to all members of its topic, on this node and on others.

A topic without history is *volatile*: what is broadcast goes to the hub at once, and to the broker
for the other nodes. On a topic with history a message first gets its place, and comes to this
node's members as it comes to those of all others.
"""

from channels.broker import Broker
from channels.channel import Body
from channels.cursor import Cursor
from channels.history import PLACED, History
from channels.hub import Hub
from channels.recovery import Recovery
from channels.router import Router
from channels.serializer_v2 import V2


class Publishing:
    """What publishes on one node."""

    def __init__(self, router: Router, hub: Hub, broker: Broker) -> None:
        """Attach the hub to the broker."""
        self._recovery: Recovery | None = None
        self._router = router
        self._hub = hub
        self._broker = broker
        broker.attach(self._hear)

    @property
    def recovery(self) -> Recovery:
        """What serves the topics with history."""
        assert self._recovery is not None, "routes with history need a recovery to be attached"
        return self._recovery

    def attach(self, recovery: Recovery) -> None:
        """Say what serves the topics with history. Once, before clients come."""
        assert self._recovery is None, "a node has one recovery"
        self._recovery = recovery

    def broadcast(self, topic: str, event: str, payload: Body) -> None:
        """Send an event to the members of a topic, on every node. Never waits.

        On a topic with history, a message that is refused is only counted: see `publish`.

        Raises:
            TypeError: the payload holds what JSON has no word for, or is bytes where there is
                history.
            NameTooLong: beside bytes there is no room for such a name.
        """
        history = self._history(topic)
        if history is None:
            self.spread(topic, event, payload)
        else:
            self.keep_nowait(topic, history, event, payload)

    async def publish(self, topic: str, event: str, payload: Body) -> Cursor | None:
        """As `broadcast`, and waits for the message's place in the history, if there is one.

        Raises:
            HistoryDown: it was refused, and may be tried again.
            TypeError: as of `broadcast`.
            NameTooLong: as of `broadcast`.
        """
        history = self._history(topic)
        if history is not None:
            return await self.keep(topic, history, event, payload)
        self.spread(topic, event, payload)
        return None

    def spread(self, topic: str, event: str, payload: Body) -> None:
        """Send an event to the members of a topic without history."""
        message = V2.encode_broadcast(topic, event, payload)
        self._hub.publish_encoded(topic, message)
        self._broker.publish(topic, message)

    def keep_nowait(self, topic: str, history: History, event: str, payload: Body) -> None:
        """Send an event to the members of a topic with history, without waiting for its place."""
        self.recovery.publish_nowait(topic, history, _encode(topic, event, payload))

    async def keep(self, topic: str, history: History, event: str, payload: Body) -> Cursor:
        """Send an event to the members of a topic with history, and say its place."""
        return await self.recovery.publish(topic, history, _encode(topic, event, payload))

    def _history(self, topic: str) -> History | None:
        route = self._router.route(topic)
        return None if route is None else route.history

    def _hear(self, topic: str, data: bytes) -> None:
        """Another node has published, or any node, where the message has a place."""
        if data.startswith(PLACED):
            self.recovery.hear(topic, data)
        else:
            self._hub.publish_encoded(topic, data)


def _encode(topic: str, event: str, payload: Body) -> bytes:
    if isinstance(payload, bytes):  # no cursor fits beside them, and V1 has no form for them
        raise TypeError("a topic with history carries JSON objects, not bytes")
    return V2.encode_broadcast(topic, event, payload)
