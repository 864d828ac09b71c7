"""The members of this node's topics, and the way from one message to all of them.

Theory of operation. A broadcast is encoded and framed once, and every member's outbox gets the same
bytes object. Publishing sends nothing: it marks outboxes dirty, and one flusher for the node sends
each of them what it has, together. While more messages keep coming the flusher lets them come,
within bounds, so under load the number of system calls stops growing with that of messages.

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
from channels.channel import Payload
from channels.frames import text_frame
from channels.limits import FLUSH_SENDS_A_TURN, FLUSH_TURNS_MAX, RUN_BYTES_MAX, Limits
from channels.outbox import Outbox, Totals
from channels.serializer import V2Json


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
        dropped: of these, volatile ones that found no room.
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
        outbox: where its messages go.
        held: while the join is under way, what was published: (position, frame).
        after: the position at and below which messages are not for this member.
        lost: more was published during the join than may be held.
        over: it ended.
    """

    __slots__ = ("after", "held", "lost", "outbox", "over", "topic")

    def __init__(self, topic: str, outbox: Outbox) -> None:
        self.topic = topic
        self.outbox = outbox
        self.held: list[tuple[int | None, bytes]] | None = []
        self.after = 0
        self.lost = False
        self.over = False


class _Topic:
    """The members of one topic: ordinary ones, and those whose messages pass a filter first."""

    __slots__ = ("members", "waiting")

    def __init__(self) -> None:
        self.members: dict[Subscription, Outbox] = {}
        self.waiting: dict[Subscription, None] = {}


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
        self._topics: dict[str, _Topic] = {}
        self._subscriptions = 0
        self._published = 0
        self._run_of: _Topic | None = None  # the topic of the run not settled yet
        self._run_durable = False
        self._run: list[bytes] = []
        self._run_bytes = 0
        self._dirty: list[Outbox] = []
        self._turn = 0  # changes with everything there is to send
        self._wakeup = Wakeup()

    def publish(
        self, topic: str, event: str, payload: Payload, position: int | None = None
    ) -> None:
        """Send an event to the members of this node. Never waits.

        Args:
            topic: the whole topic.
            event: its name.
            payload: a JSON object.
            position: its place on a durable topic, above those before; None on a volatile one.
        """
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            frame = text_frame(V2Json.encode(None, None, topic, event, payload))
            self._fan_out(present, frame, position)

    def publish_text(self, topic: str, text: bytes) -> None:
        """Send a volatile broadcast that is encoded already to the members of this node."""
        self._published += 1
        present = self._topics.get(topic)
        if present is not None:
            self._fan_out(present, text_frame(text), None)

    def push(self, outbox: Outbox, frame: bytes) -> None:
        """Send a frame to one client. It may not be lost: without room, the connection ends."""
        self.settle()
        self._offer(outbox, frame, durable=True)
        self._stir()

    def subscribe(self, topic: str, outbox: Outbox) -> Subscription:
        """Begin to hold what is published on a topic for one client, to be released or ended."""
        subscription = Subscription(topic, outbox)
        present = self._topics.get(topic)
        if present is None:
            present = self._topics[topic] = _Topic()
        present.waiting[subscription] = None
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
            self._admit(self._topics[subscription.topic], subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a membership. Doing it again changes nothing."""
        if subscription.over:
            return
        self.settle()
        subscription.over = True
        subscription.held = None
        self._subscriptions -= 1
        present = self._topics[subscription.topic]
        present.members.pop(subscription, None)
        present.waiting.pop(subscription, None)
        if not present.members and not present.waiting:
            del self._topics[subscription.topic]

    def settle(self) -> None:
        """Put the present run into the outboxes of its topic's members."""
        run, present = self._run, self._run_of
        if present is None:
            return
        self._run, self._run_of, self._run_bytes = [], None, 0
        piece = run[0] if len(run) == 1 else b"".join(run)
        size, count = len(piece), len(run)
        room = self._outbox_bytes - size
        without_room: list[Outbox] = []
        dirty = self._dirty
        for outbox in present.members.values():
            if outbox.size > room:
                without_room.append(outbox)
                continue
            queue = outbox.queue
            if not queue:
                dirty.append(outbox)
            queue.append(piece)
            outbox.size += size
            outbox.count += count
        self.totals.offered += count * len(present.members)
        for outbox in without_room:
            self._refuse(outbox, count, durable=self._run_durable)

    async def run(self, life: Lifeline) -> None:
        """Flush until asked to stop."""
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

    def _fan_out(self, present: _Topic, frame: bytes, position: int | None) -> None:
        if present.waiting:
            self._pass_waiting(present, frame, position)
        if present.members:
            durable = position is not None
            if present is not self._run_of or durable is not self._run_durable:
                self.settle()
                self._run_of, self._run_durable = present, durable
            self._run.append(frame)
            self._run_bytes += len(frame)
            if self._run_bytes > RUN_BYTES_MAX:
                self.settle()
        self._stir()

    def _pass_waiting(self, present: _Topic, frame: bytes, position: int | None) -> None:
        """Hold, filter, or admit, for each member that is not an ordinary one yet."""
        for subscription in list(present.waiting):
            if subscription.held is not None:
                self._hold(subscription, frame, position)
            elif position is None:
                self.settle()
                self._offer(subscription.outbox, frame, durable=False)
            elif position > subscription.after:
                self._admit(present, subscription)

    def _hold(self, subscription: Subscription, frame: bytes, position: int | None) -> None:
        assert subscription.held is not None, "only a joining member holds"
        if len(subscription.held) < self._held_messages:
            subscription.held.append((position, frame))
        else:
            subscription.lost = True

    def _admit(self, present: _Topic, subscription: Subscription) -> None:
        self.settle()
        del present.waiting[subscription]
        present.members[subscription] = subscription.outbox

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
        for begin in range(0, len(dirty), FLUSH_SENDS_A_TURN):
            if begin:
                await trio.lowlevel.checkpoint()
            for outbox in dirty[begin : begin + FLUSH_SENDS_A_TURN]:
                outbox.flush()
