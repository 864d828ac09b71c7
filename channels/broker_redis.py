"""The broker of a node that has others beside it, over any bus; in production Redis or Valkey.

Theory of operation. Publishing puts a message into a bounded queue and goes on; one task sends the
queue over the bus, a batch at a time, so a burst costs one crossing. A topic is *wanted* while
it has members here. One other task makes the bus's subscriptions equal to what is wanted; what
changes meanwhile is its next round, so a topic left and joined again in between ends up subscribed.

Each message begins with the name of its node, and a node drops its own: its members were served
directly, before anything was sent.

*Without the bus.* A batch that could not be sent is counted as dropped and not sent again: a late
broadcast is of no use, and a node that is cut off must not grow a queue. Members on this node
notice nothing. Subscriptions are wishes that the bus itself renews when it is back.
"""

from collections import defaultdict, deque
from typing import Final
from urllib.parse import quote, unquote

import trio

from actors import Lifeline, Wakeup
from channels.broker import BrokerStatistics, Bus, BusMessage, OnRaw, OnRemote, RawChannels
from channels.errors import BusDown
from channels.limits import BUS_BATCH_MAX, BUS_GATHER_S, BUS_QUEUE_MAX, BUS_SUBSCRIBE_S

# Names on the bus: topics and raw channels cannot be mistaken for one another, nor for another
# program's keys.
_TOPIC: Final = "agio:topic:"
# Before a topic whose name has to be spelt otherwise.
_QUOTED: Final = "agio:quoted-topic:"
_RAW: Final = "agio:raw:"
# Between a node's name and the message. No node's name holds it.
_SEPARATOR: Final = b" "
# Before a message that is of no node, so that every node hears it.
EVERYONE: Final = b"*" + _SEPARATOR


def topic_channel(topic: str) -> str:
    """The bus channel on which a topic's messages travel.

    No name of a channel holds a closing brace: on a cluster what is in braces decides on the slot,
    and a key that is to be in the slot of a channel has the whole name in them.
    """
    return _TOPIC + topic if "}" not in topic else _QUOTED + quote(topic, safe="")


def _topic_of(channel: str) -> str:
    if channel.startswith(_QUOTED):
        return unquote(channel.removeprefix(_QUOTED))
    return channel.removeprefix(_TOPIC)


class RedisBroker:
    """Broadcasts between nodes over a bus."""

    def __init__(self, bus: Bus, node: str) -> None:
        """A broker not running yet; what is published meanwhile waits.

        Args:
            bus: of this broker alone.
            node: the name of this node, like no other's; without spaces.
        """
        assert node, "a node has a name"
        assert node != "*", "no node is everyone"
        assert " " not in node, f"{node!r}: a node's name has no spaces"
        self._bus = bus
        self._mark = node.encode() + _SEPARATOR
        self._raw = RawChannels()
        self._on_remote: OnRemote | None = None
        self._members: defaultdict[str, int] = defaultdict(int)
        self._wanted: set[str] = set()  # bus channels
        self._subscribed: set[str] = set()
        self._waiting: dict[str, trio.Event] = {}  # set when the bus listens to that channel
        self._changed = Wakeup()
        self._queue: deque[BusMessage] = deque()
        self._filled = Wakeup()
        self._published = 0
        self._received = 0
        self._dropped = 0
        self._connected = True
        bus.attach(self._hear, own=self._mark)

    async def run(self, life: Lifeline) -> None:
        """Send and subscribe until asked to stop."""
        self._changed.set()  # an earlier run may have ended in the middle of something
        self._filled.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_forever)
            nursery.start_soon(self._subscribe_forever)
            life.ready()
            await life.stop_requested.wait()
            nursery.cancel_scope.cancel()

    def attach(self, on_remote: OnRemote) -> None:
        """Say where broadcasts of other nodes go."""
        assert self._on_remote is None, "a broker has one hub"
        self._on_remote = on_remote

    async def subscribe(self, topic: str) -> None:
        """Count one more member, and wait until the bus listens, or for a second."""
        self._members[topic] += 1
        channel = topic_channel(topic)
        self._want(channel)
        if channel not in self._subscribed:
            with trio.move_on_after(BUS_SUBSCRIBE_S):
                await self._waiting.setdefault(channel, trio.Event()).wait()

    def unsubscribe(self, topic: str) -> None:
        """Count one member less."""
        self._members[topic] -= 1
        if not self._members[topic]:
            del self._members[topic]
            self._wanted.discard(topic_channel(topic))
            self._changed.set()

    def publish(self, topic: str, data: bytes) -> None:
        """Send an encoded broadcast to the other nodes."""
        self._post(topic_channel(topic), data)

    def publish_raw(self, channel: str, data: bytes) -> None:
        """Hand the bytes to the listeners of this node, and send them to the other nodes."""
        self._post(_RAW + channel, data)
        self._raw.deliver(channel, data)

    def subscribe_raw(self, channel: str, on_raw: OnRaw) -> None:
        """Add a listener."""
        if self._raw.add(channel, on_raw):
            self._want(_RAW + channel)

    def statistics(self) -> BrokerStatistics:
        """What went through so far."""
        return BrokerStatistics(
            topics=len(self._members),
            published=self._published,
            received=self._received,
            dropped=self._dropped,
            connected=self._connected,
        )

    def _post(self, channel: str, data: bytes) -> None:
        if len(self._queue) >= BUS_QUEUE_MAX:
            self._dropped += 1
            return
        self._queue.append((channel, self._mark + data))
        self._filled.set()

    def _want(self, channel: str) -> None:
        if channel not in self._wanted:
            self._wanted.add(channel)
            self._changed.set()

    def _hear(self, channel: str, data: bytes) -> None:
        """Something came over the bus, from another node."""
        _, _, message = data.partition(_SEPARATOR)
        self._received += 1
        if channel.startswith(_RAW):
            self._raw.deliver(channel.removeprefix(_RAW), message)
        elif self._on_remote is not None:
            self._on_remote(_topic_of(channel), message)

    async def _send_forever(self) -> None:
        while True:
            await self._filled.wait()
            gathered = trio.current_time() + BUS_GATHER_S
            size = 0
            while self._queue:
                size = min(len(self._queue), BUS_BATCH_MAX)
                await self._send([self._queue.popleft() for _ in range(size)])
            if size > 1:  # they come faster than they go, and more will come
                await trio.sleep_until(gathered)

    async def _send(self, batch: list[BusMessage]) -> None:
        sent = False
        try:
            await self._bus.publish(batch)
            sent = self._connected = True
        except BusDown:
            self._connected = False
        finally:  # also where this run ends here: what became of the batch is then not known
            if sent:
                self._published += len(batch)
            else:
                self._dropped += len(batch)

    async def _subscribe_forever(self) -> None:
        while True:
            await self._changed.wait()
            while self._wanted != self._subscribed:
                await self._subscribe_once()

    async def _subscribe_once(self) -> None:
        """Make the bus's wishes equal to what is wanted at this moment."""
        more = sorted(self._wanted - self._subscribed)
        less = sorted(self._subscribed - self._wanted)
        try:
            if less:
                await self._bus.unsubscribe(less)
            if more:
                await self._bus.subscribe(more)
        except BusDown:
            self._connected = False  # the bus keeps the wishes, so they count as made
        self._subscribed.update(more)
        self._subscribed.difference_update(less)
        for channel in more:
            heard = self._waiting.pop(channel, None)
            if heard is not None:
                heard.set()
