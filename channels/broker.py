"""What carries messages between nodes: the contracts, and those of them that need no server.

Two contracts. A *bus* moves bytes between nodes by the name of a bus channel and knows nothing
else: Redis is one (`app.storage.redis`), `MemoryBus` another. A *broker* stands on a bus and knows
topics: one subscription per topic and node however many members it has, its own echo dropped, and
life without the bus.

Losing a bus loses broadcasts between nodes, never money and never the members of this node. Facts
come from the event log, whose readers find gaps by themselves; what goes through here only makes
them come sooner.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import trio

from actors import Lifeline
from channels.errors import BusDown

BusMessage: TypeAlias = tuple[str, bytes]
"""A bus channel's name, and the bytes."""

OnBusMessage: TypeAlias = Callable[[str, bytes], None]
"""Called on the trio loop; must neither block nor raise."""

OnBusChange: TypeAlias = Callable[[], None]
"""Called on the trio loop when a bus came or went: messages may be missing. As `OnBusMessage`."""

OnRaw: TypeAlias = Callable[[bytes], None]
"""Called on the trio loop; must neither block nor raise."""

OnRemote: TypeAlias = Callable[[str, bytes], None]
"""Called with a topic and an encoded broadcast from another node; must neither block nor raise."""


def ignore_change() -> None:
    """An `OnBusChange` for those whom a gap does not concern."""


class Bus(Protocol):
    """Bytes between nodes, by the name of a bus channel: at most once, in order per publisher.

    A subscription is a wish that outlives connections: the bus renews all of them by itself when
    it comes back. What was published meanwhile is lost.
    """

    def attach(
        self,
        on_message: OnBusMessage,
        *,
        own: bytes = b"",
        on_change: OnBusChange = ignore_change,
    ) -> None:
        """Say where messages go. Once, before anything else.

        Args:
            on_message: takes each message.
            own: those that begin like this are this node's and not handed on; none if it is empty.
            on_change: told each time the bus came or went.
        """

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send these in order, in one go; own subscriptions hear them too.

        Returns:
            How many buses heard the last of them.

        Raises:
            BusDown: some of them were not sent.
        """

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Listen to these too. Returns when the server confirmed it.

        Raises:
            BusDown: not now; the wish is kept.
        """

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Listen to these no more.

        Raises:
            BusDown: not now; the wish is forgotten all the same.
        """


@dataclass(frozen=True, slots=True)
class BrokerStatistics:
    """Counts since the broker was made.

    Attributes:
        topics: topics subscribed now.
        published: messages handed to the bus.
        received: messages of other nodes delivered here.
        dropped: messages that no longer fitted the queue to the bus, or that the bus lost.
        connected: whether the last thing asked of the bus went well.
    """

    topics: int = 0
    published: int = 0
    received: int = 0
    dropped: int = 0
    connected: bool = True


class Broker(Protocol):
    """Broadcasts between nodes."""

    async def run(self, life: Lifeline) -> None:
        """Work until asked to stop; ready at once, bus or no bus."""

    def attach(self, on_remote: OnRemote) -> None:
        """Say where broadcasts of other nodes go. Once."""

    async def subscribe(self, topic: str) -> None:
        """Count one more local member of this topic.

        Returns when broadcasts of other nodes reach this one, or when the bus was too slow to say.
        """

    def unsubscribe(self, topic: str) -> None:
        """Count one member less."""

    def publish(self, topic: str, data: bytes) -> None:
        """Send an encoded broadcast to the other nodes' members. Never waits."""

    def publish_raw(self, channel: str, data: bytes) -> None:
        """Send bytes to all who called `subscribe_raw`, on every node. Never waits."""

    def subscribe_raw(self, channel: str, on_raw: OnRaw) -> None:
        """Have `on_raw` called with all that is published on `channel`, for good."""

    def statistics(self) -> BrokerStatistics:
        """What went through so far."""


class RawChannels:
    """Local listeners of raw channels: the part that every broker shares."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, list[OnRaw]] = defaultdict(list)

    def add(self, channel: str, on_raw: OnRaw) -> bool:
        """Add a listener; True for the first of its channel."""
        self._listeners[channel].append(on_raw)
        return len(self._listeners[channel]) == 1

    def deliver(self, channel: str, data: bytes) -> None:
        """Call every listener of the channel."""
        for on_raw in self._listeners.get(channel, ()):
            on_raw(data)


class MemoryBroker:
    """The broker of a node that is alone: all members are here, and the hub reaches them."""

    def __init__(self) -> None:
        self._raw = RawChannels()
        self._members: defaultdict[str, int] = defaultdict(int)
        self._published = 0

    async def run(self, life: Lifeline) -> None:
        """Nothing to do but to be there."""
        life.ready()
        await life.stop_requested.wait()

    def attach(self, on_remote: OnRemote) -> None:
        """There are no other nodes, so nobody ever calls it."""

    async def subscribe(self, topic: str) -> None:
        """Count one more member."""
        self._members[topic] += 1

    def unsubscribe(self, topic: str) -> None:
        """Count one member less."""
        self._members[topic] -= 1
        if not self._members[topic]:
            del self._members[topic]

    def publish(self, topic: str, data: bytes) -> None:
        """All members are here and were served by the hub."""
        self._published += 1

    def publish_raw(self, channel: str, data: bytes) -> None:
        """Hand the bytes to the listeners of this node."""
        self._published += 1
        self._raw.deliver(channel, data)

    def subscribe_raw(self, channel: str, on_raw: OnRaw) -> None:
        """Add a listener."""
        self._raw.add(channel, on_raw)

    def statistics(self) -> BrokerStatistics:
        """What went through so far."""
        return BrokerStatistics(topics=len(self._members), published=self._published)


class MemoryBus:
    """A bus within one process. Nodes that share one `MemoryWire` hear each other.

    It stands in for Redis where several nodes live in one process, and can be cut off like it.
    """

    def __init__(self, wire: "MemoryWire") -> None:
        self._wire = wire
        self._on_message: OnBusMessage | None = None
        self._own = b""
        self._on_change: OnBusChange = ignore_change
        self._channels: set[str] = set()

    def attach(
        self,
        on_message: OnBusMessage,
        *,
        own: bytes = b"",
        on_change: OnBusChange = ignore_change,
    ) -> None:
        """Say where messages go."""
        assert self._on_message is None, "a bus has one listener"
        self._on_message, self._own, self._on_change = on_message, own, on_change
        self._wire.buses.append(self)

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send these in order."""
        await trio.lowlevel.checkpoint()
        self._wire.check()
        heard = 0
        for channel, data in messages:
            heard = sum([bus.hear(channel, data) for bus in self._wire.buses])
        return heard

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Listen to these too."""
        self._channels.update(channels)
        await trio.lowlevel.checkpoint()
        self._wire.check()

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Listen to these no more."""
        self._channels.difference_update(channels)
        await trio.lowlevel.checkpoint()
        self._wire.check()

    def hear(self, channel: str, data: bytes) -> bool:
        """For the wire: something was published. Returns whether this bus listens to it."""
        if channel not in self._channels or self._on_message is None:
            return False
        if not self._own or not data.startswith(self._own):
            self._on_message(channel, data)
        return True

    def change(self) -> None:
        """For the wire: it was cut, or joined again."""
        self._on_change()


class MemoryWire:
    """What memory buses share. `cut` stands for a server that went away."""

    def __init__(self) -> None:
        self.buses: list[MemoryBus] = []
        self._cut = False

    @property
    def cut(self) -> bool:
        """Whether nothing goes through."""
        return self._cut

    @cut.setter
    def cut(self, cut: bool) -> None:
        changed, self._cut = cut is not self._cut, cut
        for bus in self.buses if changed else ():
            bus.change()

    def check(self) -> None:
        """Fail as a bus does that has lost its server.

        Raises:
            BusDown: the wire is cut.
        """
        if self.cut:
            raise BusDown("the wire is cut")
