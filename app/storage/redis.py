"""The bus between nodes: Redis or Valkey pub/sub, by the connections of `redis.asyncio`.

Theory of operation. This is trio's side of it; the connections, on the annex, are in `redis_link`.
Messages go into a bounded inbox which trio empties in one go, so a burst costs one wakeup; what no
longer fits is dropped and counted, for losing broadcasts between nodes is allowed and filling
memory is not. Publishing crosses over once a batch, and sends it once: the client's own retries are
off. What this node published itself does not cross back, where it can be told by how it begins.

A subscription is a wish that outlives connections.

Nothing here is kept: Redis may vanish and money does not notice.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, TypeVarTuple

import trio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from actors import Emit, Lifeline, drop_event
from app.storage.annex import Annex, end_with_annex
from app.storage.errors import AnnexDown
from app.storage.limits import (
    BUS_INBOX_MAX,
    BUS_SUBSCRIPTIONS_MAX,
)
from app.storage.place import place_of
from app.storage.redis_cluster import Cluster
from app.storage.redis_link import DOWN, Hooks
from app.storage.redis_slots import ClusterFound, connections_to, tells_of_cluster
from app.storage.redis_way import OneServer, Way
from channels.broker import BusMessage, OnBusChange, OnBusMessage, ignore_change
from channels.errors import BusDown

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """What the bus did since it was made.

    Attributes:
        place: where it connects to, `host:port/database`.
        connected: whether the listener has a connection.
        subscriptions: bus channels wished for.
        published: messages sent.
        received: messages handed on.
        dropped: messages received that did not fit the inbox.
        connections_lost: how often the listener's connection failed.
    """

    place: str
    connected: bool
    subscriptions: int
    published: int
    received: int
    dropped: int
    connections_lost: int


class RedisBus:
    """A `channels.broker.Bus` over one Redis or Valkey server, or over a cluster of them."""

    def __init__(self, annex: Annex, url: str) -> None:
        """Describe the bus; `run` connects it.

        Args:
            annex: where the client runs; it must be running whenever this is used.
            url: `redis://user:password@host:port/database`, or `rediss://` for TLS.
        """
        self.place = place_of(url)
        self._annex = annex
        self._url = url
        self._emit: Emit = drop_event
        self._on_message: OnBusMessage | None = None
        self._on_change: OnBusChange = ignore_change
        self._own = b""
        # Both sides; either end of a deque may be worked on by another thread.
        self._inbox: deque[tuple[bytes, bytes]] = deque()
        # The annex's side.
        self._way: Way | None = None
        self._wished: set[str] = set()
        self._delivery_due = False
        self._published = 0
        self._received = 0
        self._dropped = 0
        self._connections_lost = 0

    def __repr__(self) -> str:
        state = "connected" if self._connected else "down"
        return f"<RedisBus {self.place}, {state}, {len(self._wished)} subscriptions>"

    @property
    def _connected(self) -> bool:
        return self._way is not None and self._way.connected

    def statistics(self) -> BusStatistics:
        """What it did so far."""
        lost = 0 if self._way is None else self._way.connections_lost
        return BusStatistics(
            place=self.place,
            connected=self._connected,
            subscriptions=len(self._wished),
            published=self._published,
            received=self._received,
            dropped=self._dropped,
            connections_lost=self._connections_lost + lost,
        )

    # Trio's side ---------------------------------------------------------------------------------

    async def run(self, life: Lifeline) -> None:
        """Listen until a stop is asked for; ready at once, Redis or no Redis."""
        self._emit = life.system.emit
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            life.ready()
            try:
                await self._annex.call(self._listen_forever)
            except AnnexDown as down:
                await end_with_annex(life, down)

    def attach(
        self,
        on_message: OnBusMessage,
        *,
        own: bytes = b"",
        on_change: OnBusChange = ignore_change,
    ) -> None:
        """Say where messages go. Once, before anything else."""
        assert self._on_message is None, "a bus has one listener"
        self._on_message, self._own, self._on_change = on_message, own, on_change

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send these in order, in one go; own subscriptions hear them too.

        Returns:
            How many nodes heard the last of them.

        Raises:
            BusDown: some of them were not sent.
        """
        return await self._call(self._publish, messages)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Listen to these too. Returns when Redis confirmed it.

        Raises:
            BusDown: not now; the wish is kept.
        """
        await self._call(self._subscribe, channels)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Listen to these no more.

        Raises:
            BusDown: not now; the wish is forgotten all the same.
        """
        await self._call(self._unsubscribe, channels)

    async def _call(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        try:
            return await self._annex.call(fn, *args)
        except (AnnexDown, BusDown, *DOWN) as error:
            reason = str(error) if isinstance(error, BusDown) else type(error).__name__
            raise BusDown(f"Redis at {self.place} failed: {reason}") from error

    def _deliver(self) -> None:
        """Hand on what the inbox holds."""
        self._delivery_due = False
        assert self._on_message is not None, "attach comes first"
        while self._inbox:
            channel, data = self._inbox.popleft()
            self._on_message(channel.decode(), data)
            self._received += 1

    # The annex's side ----------------------------------------------------------------------------

    async def _listen_forever(self) -> None:
        """Listen until cancelled."""
        self._delivery_due = False
        connect_to = connections_to(self._url)
        hooks = Hooks(self._own, self._take, _greet, _ignore, self._turn)
        try:
            await self._go(OneServer(partial(connect_to, None), self._wished, hooks))
        except ClusterFound:
            await self._go(Cluster(connect_to, self._wished, hooks))

    async def _go(self, way: Way) -> None:
        """Use one way to Redis until cancelled."""
        self._way = way
        try:
            await way.run()
        finally:
            self._way = None
            self._connections_lost += way.connections_lost

    async def _publish(self, messages: Sequence[BusMessage]) -> int:
        heard = await self._is_running().publish(messages)
        self._published += len(messages)
        return heard

    async def _subscribe(self, channels: Sequence[str]) -> None:
        if len(self._wished) + len(channels) > BUS_SUBSCRIPTIONS_MAX:
            raise BusDown(f"{BUS_SUBSCRIPTIONS_MAX} bus channels are all that a node may hear")
        if self._way is None:
            self._wished.update(channels)
        await self._is_running().subscribe(channels)

    async def _unsubscribe(self, channels: Sequence[str]) -> None:
        self._wished.difference_update(channels)
        await self._is_running().unsubscribe(channels)

    def _is_running(self) -> Way:
        if self._way is None:
            raise BusDown("it has no listener")
        return self._way

    def _take(self, messages: list[tuple[bytes, bytes]]) -> None:
        """What arrived, from any connection: into the inbox, as far as it fits."""
        room = BUS_INBOX_MAX - len(self._inbox)
        if len(messages) > room:
            self._dropped += len(messages) - room
            del messages[room:]
        self._inbox.extend(messages)
        if not self._delivery_due and self._inbox:
            self._delivery_due = True
            self._annex.post(self._deliver)

    def _turn(self, reason: str | None) -> None:
        """The listener is connected, or has lost its connection for a reason."""
        if reason is None:
            self._tell("bus.connected")
        else:
            self._tell("bus.lost", reason=reason)
        self._annex.post(self._on_change)

    def _tell(self, event: str, **fields: object) -> None:
        self._annex.post(self._emit, event, {"place": self.place, **fields})


async def _greet(connection: AbstractConnection) -> None:
    """Ask whether this is a cluster, where messages go another way.

    Raises:
        ClusterFound: it is.
    """
    await connection.send_command("INFO", "cluster", check_health=False)
    with suppress(ResponseError):  # who may not ask that is on no cluster of ours
        told: bytes = await connection.read_response()
        if tells_of_cluster(told):
            raise ClusterFound


def _ignore(_channel: str | None) -> None:
    """One server ends no subscription by itself."""
