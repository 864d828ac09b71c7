"""One client's place in a topic: with the hub, with the broker, and in the topic's history.

Theory of operation. Taking a seat goes inwards: the hub holds what is published from then on, the
broker brings what other nodes publish, and only then is the history read. So what lies after the
read was held, and what lies before it was read: merged by position there is neither gap nor
duplicate. Leaving it goes the other way.
"""

import trio

from channels.channel import Body, Joined, Message, Recalled
from channels.client import Client
from channels.form import with_cursors
from channels.members import Interception, Subscription
from channels.past import Past, wish_of
from channels.protocol import Membership
from channels.router import Route


class Seat:
    """A membership's place. It is taken once, and left once or more."""

    __slots__ = (
        "_client",
        "_followed",
        "_past",
        "_registered",
        "_route",
        "_subscription",
        "_topic",
        "_wish",
        "membership",
    )

    def __init__(self, membership: Membership, route: Route, client: Client) -> None:
        """A seat not taken yet.

        Args:
            membership: whose.
            route: of its topic.
            client: of whom it is one.
        """
        self.membership = membership
        self._route = route
        self._client = client
        self._topic = membership.topic
        self._wish = wish_of(membership.join.payload)
        self._subscription: Subscription | None = None
        self._registered = False  # with the broker
        self._followed = False  # by recovery
        self._past: Past | None = None

    @property
    def overrun(self) -> bool:
        """Whether more was published during the join than may be held."""
        return self._subscription is not None and self._subscription.lost

    async def take(self, interception: Interception | None) -> None:
        """Have what is published held from now on; returns when other nodes' is, too.

        Args:
            interception: what the channel wants to see before its client does.
        """
        client, route = self._client, self._route
        form = with_cursors(client.form) if self._wish.cursors else client.form
        self._subscription = client.hub.subscribe(
            self._topic, client.outbox, form, route.delivery, interception
        )
        self._registered = True
        await client.broker.subscribe(self._topic)
        if route.history is not None:
            client.publishing.recovery.follow(self._topic, route.history)
            self._followed = True

    async def past(self) -> Recalled:
        """As `ChannelSocket.past`."""
        past = await self._read(0)
        return Recalled(past.messages, past.since(self._wish.cursor) is not None)

    async def complete(self, joined: Joined) -> Joined:
        """The answer to the join, with what the history has to say.

        Raises:
            HistoryDown: it cannot be read now.
        """
        if not self._followed:
            return joined
        past = await self._read(self._wish.after)
        return past.answer(joined, self._wish)

    def replay(self, message: Message) -> None:
        """Send what was missed, as a push: for this join, and none that replaces it."""
        cursor = message.cursor if self._wish.cursors else None
        join_ref = self.membership.join_ref
        self._client.send(join_ref, cursor, self._topic, message.event, message.payload)

    def release(self, joined: Joined) -> None:
        """Let through what was held, and all that comes, after what the join's answer shows."""
        assert self._subscription is not None, "a member was subscribed before it was asked"
        self._client.hub.release(self._subscription, last_position(joined))

    def broadcast(self, event: str, payload: Body) -> None:
        """Send an event to all members of the topic."""
        publishing, history = self._client.publishing, self._route.history
        if history is None:
            publishing.spread(self._topic, event, payload)
        else:
            publishing.keep_nowait(self._topic, history, event, payload)

    async def publish(self, event: str, payload: Body) -> str | None:
        """The same, and say its cursor, if it has one."""
        publishing, history = self._client.publishing, self._route.history
        if history is not None:
            return str(await publishing.keep(self._topic, history, event, payload))
        publishing.spread(self._topic, event, payload)
        await trio.lowlevel.checkpoint()
        return None

    def leave(self) -> None:
        """Be no member any more. Doing it again changes nothing."""
        if self._subscription is not None:
            self._client.hub.unsubscribe(self._subscription)
        if self._followed:
            self._followed = False
            self._client.publishing.recovery.leave(self._topic)
        if self._registered:
            self._registered = False
            self._client.broker.unsubscribe(self._topic)

    async def _read(self, after: int | None) -> Past:
        """What the first read has brought: all of a join is of one moment."""
        assert self._followed, "only a topic with history has a past"
        if self._past is None:
            self._past = await self._client.publishing.recovery.past(self._topic, after)
        return self._past


def last_position(joined: Joined) -> int | None:
    """The last place that the client has seen when its join is answered."""
    positions = [message.position for message in joined.replay if message.position is not None]
    if joined.position is not None:
        positions.append(joined.position)
    return max(positions, default=None)
