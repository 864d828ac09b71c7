"""What HTTP callers do to those who are connected: tell them something, or send them away.

Whoever may not see a topic is told that it is not there, as with everything else. A sale's topic is
of the sale's line; a load room is of nobody, so the people of every line may be in it, and a caller
still reaches only those of the caller's own.

All of it goes to every node at once, and once. Where the bus between nodes is away it reaches the
node that was asked, and the answer says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.errors import Code, Refusal
from app.identity.model import Identity
from app.sales.service import Sales
from app.socket.messages import (
    NO_TOPIC,
    NewMessage,
    is_room,
    refuse_message,
    refuse_to_send,
    refuse_to_send_away,
    sale_of,
)
from channels.broker import Broker
from channels.cursor import Cursor
from channels.errors import HistoryDown


class Sockets(Protocol):
    """The connections of all nodes: the endpoint."""

    async def publish(self, topic: str, event: str, payload: Any) -> Cursor | None:
        """Send an event to the members of a topic; its place, where the topic keeps a history."""

    def kick(self, topic: str, who: str) -> None:
        """End a client's membership of a topic."""

    def disconnect(self, who: str) -> None:
        """Close a client's connections."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message was sent.

    Attributes:
        cursor: its place, where the topic keeps a history.
    """

    cursor: Cursor | None


class Audience:
    """Those who are connected, on all nodes."""

    def __init__(self, sockets: Sockets, broker: Broker, sales: Sales, *, rooms_open: bool) -> None:
        """The audience of this node and those beside it.

        Args:
            sockets: where they are connected.
            broker: the way to the other nodes.
            sales: tells whose a sale is.
            rooms_open: there are load rooms.
        """
        self._sockets = sockets
        self._broker = broker
        self._sales = sales
        self._rooms_open = rooms_open

    @property
    def everywhere(self) -> bool:
        """Whether, as far as this node knows, what it says reaches the other nodes."""
        return self._broker.statistics().connected

    async def tell(
        self, identity: Identity, messages: Sequence[NewMessage]
    ) -> Refusal | list[Sent | Refusal]:
        """Send messages, each to its topic, in order. For sellers and operators.

        Returns:
            Why none may be sent; or for each message that it was sent, or why it was not:
            invalid_request, too_large, not_found for a topic that the caller may not see,
            unavailable where the topic's history cannot be reached.

        Raises:
            StorageDown: PostgreSQL cannot be reached; nothing was sent.
        """
        refusal = refuse_to_send(identity)
        if refusal:
            return refusal
        seen = await self._seen(identity, (message.topic for message in messages))
        return [await self._tell(message, seen) for message in messages]

    async def kick(self, identity: Identity, topic: str, person: str) -> Refusal | None:
        """End a person's membership of a topic. For operators; not_found as with `tell`."""
        refusal = refuse_to_send_away(identity)
        if refusal:
            return refusal
        if topic not in await self._seen(identity, [topic]):
            return NO_TOPIC
        self._sockets.kick(topic, identity.namesake(person))
        return None

    def disconnect(self, identity: Identity, person: str) -> Refusal | None:
        """Close a person's connections; they come back if they still may. For operators."""
        refusal = refuse_to_send_away(identity)
        if refusal is None:
            self._sockets.disconnect(identity.namesake(person))
        return refusal

    async def _tell(self, message: NewMessage, seen: frozenset[str]) -> Sent | Refusal:
        refusal = refuse_message(message)
        if refusal is None and message.topic not in seen:
            refusal = NO_TOPIC
        if refusal is not None:
            return refusal
        try:
            return Sent(await self._sockets.publish(message.topic, message.event, message.payload))
        except HistoryDown:
            return Refusal(Code.UNAVAILABLE)

    async def _seen(self, identity: Identity, topics: Iterable[str]) -> frozenset[str]:
        """Those of these topics that the caller may see."""
        asked = frozenset(topics)
        sales = {topic: sale for topic in asked if (sale := sale_of(topic)) is not None}
        known = await self._sales.known(identity, sales.values())
        rooms = {topic for topic in asked if self._rooms_open and is_room(topic)}
        return frozenset({topic for topic, sale in sales.items() if sale in known} | rooms)
