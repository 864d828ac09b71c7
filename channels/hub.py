"""The members of this node's topics, and the way from one message to all of them.

Theory of operation. A broadcast is encoded and framed once, and every member's outbox gets the same
bytes object. Publishing sends nothing: it marks outboxes dirty, and one flusher for the node sends
each of them what it has, together. While more messages keep coming the flusher lets them come,
within bounds, so under load the number of system calls stops growing with that of messages.

*Versions.* The members of a topic stand in groups, one for each version of the protocol that is
spoken among them, nearly always one. A broadcast is encoded in V2 and translated once for a group.

*Runs.* Messages published one after another to the same topic form a run, which is distributed
as one piece: the cost for each member is paid once a run. The run must be *settled*, that is put
into the outboxes, before anything that could tell the difference: a message to another topic or to
a single client, a change among the members, the flush. Each client thus sees all its messages in
the order in which they were published.

*Joining.* A member subscribes held, before its channel's `join` is asked: what is published
meanwhile is kept. When the join is answered it is released: what was kept and lies after the join's
position follows, and later messages come as they are published. This node's feed may lag behind the
database that the join read, so the filter stays until a message passes it; from then on the member
is an ordinary one, since positions of a topic only grow.

*Slow readers.* Nothing here waits for a client. A durable message that finds no room ends the
connection, which comes back and recovers by its cursor; a volatile one is dropped; both count.

Rules for editors: change `members` only after `settle`; never await between a look at an outbox and
what is done about it.
"""

from dataclasses import dataclass

import trio

from actors import Lifeline, Wakeup
from channels.channel import Body
from channels.frames import message_frame
from channels.limits import FLUSH_SENDS_A_TURN, FLUSH_TURNS_MAX, RUN_BYTES_MAX, Limits
from channels.outbox import Outbox, Totals
from channels.serializer import Serializer
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
        dropped: of these, volatile ones that found no room, or no form in the client's version.
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


class Subscription:
    """One client's place among the members of a topic. For the hub to change.

    Attributes:
        topic: the whole topic.
        group: where it stands, or waits.
        outbox: where its messages go.
        held: while the join is under way, what was published: (position, frame).
        after: the position at and below which messages are not for this member.
        lost: more was published during the join than may be held.
        over: it ended.
    """

    __slots__ = ("after", "group", "held", "lost", "outbox", "over", "topic")

    def __init__(self, topic: str, group: "_Group", outbox: Outbox) -> None:
        self.topic = topic
        self.group = group
        self.outbox = outbox
        self.held: list[tuple[int | None, bytes]] | None = []
        self.after = 0
        self.lost = False
        self.over = False


class _Group:
    """The members of one topic that speak one version of the protocol.

    Attributes:
        serializer: that version.
        members: ordinary ones.
        waiting: those whose messages pass a filter first.
        run: frames for the members that are not in their outboxes yet.
    """

    __slots__ = ("members", "run", "serializer", "waiting")

    def __init__(self, serializer: type[Serializer]) -> None:
        self.serializer = serializer
        self.members: dict[Subscription, Outbox] = {}
        self.waiting: dict[Subscription, None] = {}
        self.run: list[bytes] = []


class Hub:
    """The members of this node's topics. One for each node; `run` is its flusher."""

    def __init__(self, limits: Limits | None = None) -> None:
        """A hub without members.

        Args:
            limits: `outbox_bytes` and `held_messages` matter here.
        """
        limits = limits or Limits()
        self.totals = Totals()
        self._outbox_bytes = limits.outbox_bytes
        self._held_messages = limits.held_messages
        self._topics: dict[str, list[_Group]] = {}  # none of which is empty
        self._subscriptions = 0
        self._published = 0
        self._run_of: list[_Group] | None = None  # the topic of the run not settled yet
        self._run_durable = False
        self._run_bytes = 0
        self._dirty: list[Outbox] = []
        self._turn = 0  # changes with everything there is to send
        self._wakeup = Wakeup()

    def publish(self, topic: str, event: str, payload: Body, position: int | None = None) -> None:
        """Send an event to the members of this node. Never waits.

        Args:
            topic: the whole topic.
            event: its name.
            payload: a JSON object; on a volatile topic it may be bytes.
            position: its place on a durable topic, above those before; None on a volatile one.

        Raises:
            TypeError: the payload holds what JSON has no word for.
            NameTooLong: beside bytes there is no room for such a name.
        """
        # Some clients cannot be sent bytes, and of a durable message nobody may go without.
        assert position is None or not isinstance(payload, bytes), "durable events are JSON objects"
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            self._fan_out(present, V2.encode_broadcast(topic, event, payload), position)

    def publish_encoded(self, topic: str, broadcast: bytes) -> None:
        """Send a volatile broadcast that V2 encoded to the members of this node."""
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            self._fan_out(present, broadcast, None)

    def push(self, outbox: Outbox, frame: bytes) -> None:
        """Send a frame to one client. It may not be lost: without room, the connection ends."""
        self.settle()
        self._offer(outbox, frame, durable=True)
        self._stir()

    def drop(self, count: int = 1) -> None:
        """Account for messages that have no form in the version of the client they are for."""
        self.totals.offered += count
        self.totals.dropped += count

    def subscribe(
        self, topic: str, outbox: Outbox, serializer: type[Serializer] = V2
    ) -> Subscription:
        """Begin to hold what is published on a topic for one client, to be released or ended."""
        group = self._group(topic, serializer)
        subscription = Subscription(topic, group, outbox)
        group.waiting[subscription] = None
        self._subscriptions += 1
        return subscription

    def release(self, subscription: Subscription, after: int | None) -> None:
        """Let held messages, and all later ones, through to the client.

        Args:
            subscription: one not released before.
            after: only those above this position, and volatile ones; None for all.
        """
        if subscription.over:
            return
        assert subscription.held is not None, "a subscription is released once"
        held, subscription.held = subscription.held, None
        subscription.after = 0 if after is None else after
        passed = after is None
        for position, frame in held:
            if position is None or position > subscription.after:
                self.push(subscription.outbox, frame)
                passed = passed or position is not None
        if passed:
            self._admit(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a membership. Doing it again changes nothing."""
        if subscription.over:
            return
        self.settle()
        subscription.over = True
        subscription.held = None
        self._subscriptions -= 1
        group = subscription.group
        group.members.pop(subscription, None)
        group.waiting.pop(subscription, None)
        if not group.members and not group.waiting:
            present = self._topics[subscription.topic]
            present.remove(group)
            if not present:
                del self._topics[subscription.topic]

    def settle(self) -> None:
        """Put the present run into the outboxes of its topic's members."""
        present = self._run_of
        if present is None:
            return
        self._run_of, self._run_bytes = None, 0
        dirty = self._dirty
        for group in present:
            run = group.run
            if not run:
                continue
            group.run = []
            piece = run[0] if len(run) == 1 else b"".join(run)
            size, count = len(piece), len(run)
            room = self._outbox_bytes - size
            without_room: list[Outbox] = []
            for outbox in group.members.values():
                if outbox.size > room:
                    without_room.append(outbox)
                    continue
                queue = outbox.queue
                if not queue:
                    dirty.append(outbox)
                queue.append(piece)
                outbox.size += size
                outbox.count += count
            self.totals.offered += count * len(group.members)
            for outbox in without_room:
                self._refuse(outbox, count, durable=self._run_durable)

    async def run(self, life: Lifeline) -> None:
        """Flush until asked to stop."""
        self._wakeup.set()  # an earlier run may have ended in the middle of something
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flush_forever)
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

    def _group(self, topic: str, serializer: type[Serializer]) -> _Group:
        """The members of a topic that speak this version, made if there are none."""
        present = self._topics.setdefault(topic, [])
        for group in present:
            if group.serializer is serializer:
                return group
        present.append(_Group(serializer))
        return present[-1]

    def _fan_out(self, present: list[_Group], broadcast: bytes, position: int | None) -> None:
        durable = position is not None
        for group in present:
            message = broadcast
            if group.serializer is not V2:
                translated = group.serializer.translate(broadcast)
                if translated is None:
                    self.drop(len(group.members))
                    continue
                message = translated
            frame = message_frame(message)
            if group.waiting:
                self._pass_waiting(group, frame, position)
            if group.members:
                if present is not self._run_of or durable is not self._run_durable:
                    self.settle()
                    self._run_of, self._run_durable = present, durable
                group.run.append(frame)
                self._run_bytes += len(frame)
        if self._run_bytes > RUN_BYTES_MAX:
            self.settle()
        self._stir()

    def _pass_waiting(self, group: _Group, frame: bytes, position: int | None) -> None:
        """Hold, filter, or admit, for each member that is not an ordinary one yet."""
        for subscription in list(group.waiting):
            if subscription.held is not None:
                self._hold(subscription, frame, position)
            elif position is None:
                self.settle()
                self._offer(subscription.outbox, frame, durable=False)
            elif position > subscription.after:
                self._admit(subscription)

    def _hold(self, subscription: Subscription, frame: bytes, position: int | None) -> None:
        assert subscription.held is not None, "only a joining member holds"
        if len(subscription.held) < self._held_messages:
            subscription.held.append((position, frame))
        else:
            subscription.lost = True

    def _admit(self, subscription: Subscription) -> None:
        self.settle()
        group = subscription.group
        del group.waiting[subscription]
        group.members[subscription] = subscription.outbox

    def _offer(self, outbox: Outbox, frame: bytes, *, durable: bool) -> None:
        self.totals.offered += 1
        if outbox.size + len(frame) > self._outbox_bytes:
            self._refuse(outbox, 1, durable=durable)
            return
        if not outbox.queue:
            self._dirty.append(outbox)
        outbox.queue.append(frame)
        outbox.size += len(frame)
        outbox.count += 1

    def _refuse(self, outbox: Outbox, count: int, *, durable: bool) -> None:
        """An outbox has no room for these messages."""
        if outbox.closed:
            self.totals.disconnected += count
        elif durable:
            self.totals.disconnected += count
            outbox.overflow()
        else:
            self.totals.dropped += count

    def _stir(self) -> None:
        self._turn += 1
        self._wakeup.set()

    async def _flush_forever(self) -> None:
        while True:
            await self._wakeup.wait()
            for _ in range(FLUSH_TURNS_MAX):
                turn = self._turn
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
                if turn == self._turn:
                    break
            await self._flush()

    async def _flush(self) -> None:
        """Send what every dirty outbox has, pausing now and then for everybody else."""
        self.settle()
        dirty, self._dirty = self._dirty, []
        flushed = 0
        try:
            for outbox in dirty:
                if flushed and flushed % FLUSH_SENDS_A_TURN == 0:
                    await trio.lowlevel.checkpoint()
                flushed += 1
                outbox.flush()
        finally:
            self._dirty[:0] = dirty[flushed:]  # for the next run, where this one ends here
