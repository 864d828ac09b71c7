"""The members of this node's topics, and the way from one message to all of them.

Theory of operation. A broadcast is encoded and framed once, and every member gets the same bytes.
Publishing sends nothing: the node's flusher (`flusher`) sends each member what it has, together, so
under load the number of system calls stops growing with that of messages.

*Forms.* The members of a topic stand in groups, one for each form in which they are written to,
nearly always one. A broadcast is encoded in V2 and translated once for a group.

*Joining.* A member subscribes held, before its channel's `join` is asked: what is published
meanwhile is kept. When the join is answered it is released: what was kept and lies after the join's
position follows, and later messages come as they are published. This node's feed may lag behind the
database that the join read, so the filter stays until a message passes it; from then on the member
is an ordinary one, since positions of a topic only grow. One that intercepts messages stays aside.

Rules for editors: change `members` only after `settle`.
"""

from dataclasses import dataclass

import trio

from actors import Lifeline
from channels.channel import Body
from channels.delivery import DROP_OLDEST, Delivery, Policy
from channels.flusher import Flusher
from channels.form import WEBSOCKET, Form
from channels.limits import Limits
from channels.members import Group, Interception, Subscription, Told, place, unplace
from channels.outbox import Outbox, Totals
from channels.serializer_v2 import V2


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """The hub now, and its counts since it was made.

    Always `offered == delivered + dropped + disconnected + queued`.

    Attributes:
        topics: topics with members here.
        subscriptions: members of all topics, those still joining included.
        published: broadcasts, whether anybody was there or not.
        offered: messages meant for a client, one for each client, replies included.
        delivered: of these, taken by the transport.
        dropped: of these, those that gave way to others by their topic's policy, or found no room,
            or no form in the client's version.
        disconnected: of these, on their way when the connection ended.
        queued: of these, waiting now.
        bytes_sent: bytes taken by transports.
        sends: writes to transports.
        overflows: connections ended because they read too slowly.
    """

    topics: int
    subscriptions: int
    published: int
    offered: int
    delivered: int
    dropped: int
    disconnected: int
    queued: int
    bytes_sent: int
    sends: int
    overflows: int


class Hub:
    """The members of this node's topics. One for each node; `run` is its flusher."""

    def __init__(self, limits: Limits | None = None) -> None:
        """A hub without members.

        Args:
            limits: `outbox_bytes` and `held_messages` matter here.
        """
        limits = limits or Limits()
        self._flusher = Flusher(limits.outbox_bytes)
        self._held_messages = limits.held_messages
        self._topics: dict[str, list[Group]] = {}  # none of which is empty
        self._subscriptions = 0
        self._published = 0

    @property
    def totals(self) -> Totals:
        """What became of messages, for the outboxes of this node to count in."""
        return self._flusher.totals

    def publish(
        self,
        topic: str,
        event: str,
        payload: Body,
        position: int | None = None,
        *,
        cursor: str | None = None,
        vital: bool = False,
    ) -> None:
        """Send an event to the members of this node. Never waits.

        Args:
            topic: the whole topic.
            event: its name.
            payload: a JSON object; without a position it may be bytes.
            position: its place on the topic, above those before, where it has one.
            cursor: how that place is spelt, for clients that want to see it.
            vital: it may not be missed, though it has no position.

        Raises:
            TypeError: the payload holds what JSON has no word for.
            NameTooLong: beside bytes there is no room for such a name.
        """
        # Some clients cannot be sent bytes, and of such a message nobody may go without.
        assert position is None or not isinstance(payload, bytes), "durable events are JSON objects"
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            broadcast = V2.encode_broadcast(topic, event, payload)
            self._fan_out(present, broadcast, position, cursor, vital=vital)

    def publish_encoded(
        self,
        topic: str,
        broadcast: bytes,
        position: int | None = None,
        *,
        cursor: str | None = None,
        vital: bool = False,
    ) -> None:
        """As `publish`, for a broadcast that V2 encoded."""
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            self._fan_out(present, broadcast, position, cursor, vital=vital)

    def push(self, outbox: Outbox, frame: bytes) -> None:
        """Send a frame to one client. It may not be lost: without room, the connection ends."""
        self._flusher.offer(outbox, frame, vital=True)

    def drop(self, count: int = 1) -> None:
        """Account for messages that have no form in the version of the client they are for."""
        self.totals.offered += count
        self.totals.dropped += count

    def subscribe(
        self,
        topic: str,
        outbox: Outbox,
        form: Form = WEBSOCKET,
        delivery: Delivery = DROP_OLDEST,
        interception: Interception | None = None,
    ) -> Subscription:
        """Begin to hold what is published on a topic for one client, to be released or ended.

        Args:
            topic: the whole topic.
            outbox: the client's.
            form: how it is written to.
            delivery: the topic's; the first member's counts.
            interception: what somebody wants to see before the client does.
        """
        group = self._group(topic, form, delivery)
        subscription = Subscription(topic, group, outbox, interception)
        group.waiting[subscription] = None
        self._subscriptions += 1
        return subscription

    def release(self, subscription: Subscription, after: int | None) -> None:
        """Let held messages, and all later ones, through to the client.

        Args:
            subscription: one not released before.
            after: only those above this position, and those without one; None for all.
        """
        if subscription.over:
            return
        assert subscription.held is not None, "a subscription is released once"
        held, subscription.held = subscription.held, None
        subscription.after = 0 if after is None else after
        passed = after is None
        for told in held:
            if told.position is None or told.position > subscription.after:
                self._hand(subscription, told, vital=True)
                passed = passed or told.position is not None
        if passed and subscription.interception is None:
            self._admit(subscription)
        elif passed:
            subscription.after = 0

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a membership. Doing it again changes nothing."""
        if subscription.over:
            return
        self.settle()
        subscription.over = True
        subscription.held = None
        self._subscriptions -= 1
        group = subscription.group
        if group.members.pop(subscription, None) is not None:
            unplace(subscription.outbox, group)
        group.waiting.pop(subscription, None)
        if not group.members and not group.waiting:
            present = self._topics[subscription.topic]
            present.remove(group)
            if not present:
                del self._topics[subscription.topic]

    def settle(self) -> None:
        """Put all that is pending into the outboxes: it precedes whatever comes next."""
        self._flusher.settle()

    async def run(self, life: Lifeline) -> None:
        """Flush until asked to stop."""
        self._flusher.stir()  # an earlier run may have ended in the middle of something
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flusher.flush_forever)
            life.ready()
            await life.stop_requested.wait()
            nursery.cancel_scope.cancel()

    def statistics(self) -> HubStatistics:
        """The hub now."""
        self.settle()
        totals = self.totals
        return HubStatistics(
            topics=len(self._topics),
            subscriptions=self._subscriptions,
            published=self._published,
            offered=totals.offered,
            delivered=totals.delivered,
            dropped=totals.dropped,
            disconnected=totals.disconnected,
            queued=totals.offered - totals.delivered - totals.dropped - totals.disconnected,
            bytes_sent=totals.bytes_sent,
            sends=totals.sends,
            overflows=totals.overflows,
        )

    # Publishing.

    def _group(self, topic: str, form: Form, delivery: Delivery) -> Group:
        """The members of a topic that are written to in this form, made if there are none."""
        present = self._topics.setdefault(topic, [])
        for group in present:
            if group.form is form:
                return group
        present.append(Group(form, present[0].delivery if present else delivery))
        return present[-1]

    def _fan_out(
        self,
        present: list[Group],
        broadcast: bytes,
        position: int | None,
        cursor: str | None,
        *,
        vital: bool,
    ) -> None:
        vital = vital or position is not None or present[0].delivery.policy is Policy.DISCONNECT
        for group in present:
            frame = group.form.write(broadcast, cursor)
            if frame is None:
                self.drop(len(group.members))
                continue
            if group.waiting:
                self._pass_waiting(group, Told(broadcast, frame, position, vital))
            if group.members:
                self._flusher.add(group, broadcast, frame, vital=vital)
        self._flusher.stir()

    def _pass_waiting(self, group: Group, told: Told) -> None:
        """Hold, filter, hand on or admit, for each member that is not an ordinary one."""
        for subscription in list(group.waiting):
            if subscription.held is not None:
                self._hold(subscription, told)
            elif told.position is not None and told.position <= subscription.after:
                continue
            elif told.position is None or subscription.interception is not None:
                self._hand(subscription, told, vital=told.vital)
            else:
                self._admit(subscription)

    def _hold(self, subscription: Subscription, told: Told) -> None:
        assert subscription.held is not None, "only a joining member holds"
        if len(subscription.held) < self._held_messages:
            subscription.held.append(told)
        else:
            subscription.lost = True

    def _hand(self, subscription: Subscription, told: Told, *, vital: bool) -> None:
        """Give one message to one member, or to whoever wants to see it first."""
        interception = subscription.interception
        if interception is not None:
            seen = V2.read_broadcast(told.broadcast)
            if seen.event in interception.events:
                interception.on_out(seen.event, seen.payload, vital)
                return
        self._flusher.offer(subscription.outbox, told.frame, vital=vital)

    def _admit(self, subscription: Subscription) -> None:
        """Make somebody an ordinary member."""
        self.settle()
        group, outbox = subscription.group, subscription.outbox
        del group.waiting[subscription]
        group.members[subscription] = outbox
        place(outbox, group)
