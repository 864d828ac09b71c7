"""The bus between nodes: Redis or Valkey pub/sub, by `redis.asyncio` on the annex.

Theory of operation. One listener runs on the annex for the bus's whole life: it connects, renews
every subscription that is wished for, and reads until the connection fails; then it waits, longer
each time, and begins again. Messages go into a bounded inbox which trio empties in one go, so a
burst costs one wakeup; what no longer fits is dropped and counted, for losing broadcasts between
nodes is allowed and filling memory is not. Publishing has a connection of its own and sends a batch
as one pipeline, never twice: the client's own retries are off.

A subscription is a wish that outlives connections. `subscribe` returns when Redis confirmed it, and
gives up waiting, not wishing, when there is no connection or no answer in time.

A connection on which nothing is heard for a while is asked for a sign of life, and given up without
one: a server that vanished without a word would otherwise look like a quiet one.

Nothing here is kept: Redis may vanish and money does not notice.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVarTuple

import redis.asyncio
import trio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from actors import Emit, Lifeline, drop_event
from app.limits import (
    BUS_ANSWER_S,
    BUS_BACKOFF_CEILING_S,
    BUS_BACKOFF_FIRST_S,
    BUS_CLOSE_S,
    BUS_CONNECTIONS_MAX,
    BUS_INBOX_MAX,
    BUS_PIPELINE_MAX,
    BUS_SILENCE_S,
    BUS_SUBSCRIPTIONS_MAX,
)
from app.storage.annex import Annex, end_with_annex
from app.storage.errors import AnnexDown
from app.storage.place import place_of
from channels.broker import BusMessage, OnBusMessage
from channels.errors import BusDown

Ts = TypeVarTuple("Ts")

# Redis failed, or the way to it.
_DOWN: Final = (RedisError, OSError)


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
    """A `channels.broker.Bus` over one Redis or Valkey server."""

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
        # Both sides; either end of a deque may be worked on by another thread.
        self._inbox: deque[BusMessage] = deque()
        # The annex's side.
        self._client: redis.asyncio.Redis | None = None
        self._connection: AbstractConnection | None = None
        self._publishing = asyncio.Lock()
        self._wished: set[str] = set()
        self._confirmed: set[str] = set()
        self._unconfirmed: dict[str, asyncio.Future[None]] = {}
        self._delivery_due = False
        self._published = 0
        self._received = 0
        self._dropped = 0
        self._connections_lost = 0
        self._away = False

    def __repr__(self) -> str:
        state = "connected" if self._connection is not None else "down"
        return f"<RedisBus {self.place}, {state}, {len(self._wished)} subscriptions>"

    def statistics(self) -> BusStatistics:
        """What it did so far."""
        return BusStatistics(
            place=self.place,
            connected=self._connection is not None,
            subscriptions=len(self._wished),
            published=self._published,
            received=self._received,
            dropped=self._dropped,
            connections_lost=self._connections_lost,
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

    def attach(self, on_message: OnBusMessage) -> None:
        """Say where messages go. Once, before anything else."""
        assert self._on_message is None, "a bus has one listener"
        self._on_message = on_message

    async def publish(self, messages: Sequence[BusMessage]) -> None:
        """Send these in order, in one go; own subscriptions hear them too.

        Raises:
            BusDown: some of them were not sent.
        """
        await self._call(self._publish, messages)

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

    async def _call(self, fn: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
        try:
            await self._annex.call(fn, *args)
        except (AnnexDown, *_DOWN) as error:
            raise BusDown(f"Redis at {self.place} failed: {type(error).__name__}") from error

    def _deliver(self) -> None:
        """Hand on what the inbox holds."""
        self._delivery_due = False
        assert self._on_message is not None, "attach comes first"
        while self._inbox:
            self._on_message(*self._inbox.popleft())
            self._received += 1

    # The annex's side: publishing and subscribing -------------------------------------------------

    async def _publish(self, messages: Sequence[BusMessage]) -> None:
        """Send messages, in order among all callers."""
        client = self._client
        if client is None:  # asked before the lock, which may be of an earlier loop
            raise BusDown(f"Redis at {self.place} has no listener")
        async with asyncio.timeout(BUS_ANSWER_S), self._publishing:
            for start in range(0, len(messages), BUS_PIPELINE_MAX):
                if self._client is not client:
                    raise BusDown(f"Redis at {self.place} has another listener")
                batch = messages[start : start + BUS_PIPELINE_MAX]
                async with client.pipeline(transaction=False) as pipeline:
                    for channel, data in batch:
                        pipeline.publish(channel, data)
                    await pipeline.execute()
                self._published += len(batch)

    async def _subscribe(self, channels: Sequence[str]) -> None:
        """Wish for channels and wait for the confirmation of those that lack it."""
        if len(self._wished) + len(channels) > BUS_SUBSCRIPTIONS_MAX:
            raise BusDown(f"{BUS_SUBSCRIPTIONS_MAX} bus channels are all that a node may hear")
        fresh = [channel for channel in dict.fromkeys(channels) if channel not in self._wished]
        self._wished.update(fresh)
        if self._connection is None:
            raise BusDown(f"Redis at {self.place} is not connected")
        loop = asyncio.get_running_loop()
        for channel in fresh:
            self._unconfirmed.setdefault(channel, loop.create_future())
        waits = [self._unconfirmed[channel] for channel in channels if channel in self._unconfirmed]
        async with asyncio.timeout(BUS_ANSWER_S):
            if fresh:
                await self._send(self._connection, "SUBSCRIBE", *fresh)
            if waits:
                await asyncio.wait(waits)
        if not self._confirmed.issuperset(channels):
            raise BusDown(f"Redis at {self.place} went away")

    async def _unsubscribe(self, channels: Sequence[str]) -> None:
        self._wished.difference_update(channels)
        self._confirmed.difference_update(channels)
        if self._connection is None:
            raise BusDown(f"Redis at {self.place} is not connected")
        await self._send(self._connection, "UNSUBSCRIBE", *channels)

    # The annex's side: listening ------------------------------------------------------------------

    async def _listen_forever(self) -> None:
        """Connect, listen, and begin again; until cancelled."""
        self._publishing = asyncio.Lock()
        self._delivery_due = False
        self._client = redis.asyncio.Redis.from_url(
            self._url,
            max_connections=BUS_CONNECTIONS_MAX,
            # Deadlines are ours: the client's own run through asyncio.wait_for, which before Python
            # 3.12 can swallow a cancellation.
            socket_timeout=None,
            socket_connect_timeout=None,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        pause = BUS_BACKOFF_FIRST_S
        try:
            while True:
                lost_before = self._connections_lost
                pool = self._client.connection_pool
                await self._listen(pool.make_connection())  # type: ignore[no-untyped-call] # as below
                if self._connections_lost > lost_before:
                    pause = BUS_BACKOFF_FIRST_S
                # Not all nodes at the same moment.
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret
                pause = min(2 * pause, BUS_BACKOFF_CEILING_S)
        finally:
            client, self._client = self._client, None
            await self._close(client)

    async def _close(self, client: redis.asyncio.Redis) -> None:
        """Close all connections: after the batch under way, which would leave its own behind."""
        try:
            async with asyncio.timeout(BUS_CLOSE_S), self._publishing:
                await client.aclose()
        except _DOWN:
            with suppress(*_DOWN):
                async with asyncio.timeout(BUS_CLOSE_S):
                    await client.aclose()

    async def _listen(self, connection: AbstractConnection) -> None:
        """One connection's life; returns when it failed."""
        try:
            async with asyncio.timeout(BUS_ANSWER_S):
                await connection.connect()  # type: ignore[no-untyped-call] # the client forgot it
            self._connection = connection
            self._away = False
            self._tell("bus.connected")
            await self._renew(connection)
            heard = True
            while True:
                message = await connection.read_response(timeout=BUS_SILENCE_S)
                if message is not None:
                    self._hear(message)
                elif heard:
                    await self._renew(connection)
                    await self._send(connection, "PING")
                else:
                    raise TimeoutError
                heard = message is not None
        except _DOWN as error:
            if self._connection is not None:
                self._connections_lost += 1
            if not self._away:
                self._away = True
                self._tell("bus.lost", reason=type(error).__name__)
        finally:
            self._forget_connection()
            with suppress(*_DOWN):
                await connection.disconnect(nowait=True)

    async def _renew(self, connection: AbstractConnection) -> None:
        """Subscribe to all that is wished for and not confirmed."""
        missing = sorted(self._wished - self._confirmed)
        loop = asyncio.get_running_loop()
        for start in range(0, len(missing), BUS_PIPELINE_MAX):
            batch = missing[start : start + BUS_PIPELINE_MAX]
            for channel in batch:
                self._unconfirmed.setdefault(channel, loop.create_future())
            await self._send(connection, "SUBSCRIBE", *batch)

    async def _send(self, connection: AbstractConnection, *command: str) -> None:
        """Send a command; `_listen` hears the answer."""
        async with asyncio.timeout(BUS_ANSWER_S):
            await connection.send_command(*command, check_health=False)

    def _hear(self, message: Any) -> None:
        """Take what Redis sent."""
        match message:
            case [b"message", bytes(channel), bytes(data)]:
                if len(self._inbox) >= BUS_INBOX_MAX:
                    self._dropped += 1
                    return
                self._inbox.append((channel.decode(), data))
                if not self._delivery_due:
                    self._delivery_due = True
                    self._annex.post(self._deliver)
            case [b"subscribe", bytes(channel), _]:
                self._confirm(channel.decode())
            case _:
                pass  # the answer to a PING, or to an UNSUBSCRIBE

    def _confirm(self, channel: str) -> None:
        """Redis confirmed a subscription."""
        if channel in self._wished:
            self._confirmed.add(channel)
        if waiter := self._unconfirmed.pop(channel, None):
            waiter.set_result(None)

    def _forget_connection(self) -> None:
        """Nothing is confirmed any more; whoever waits is told."""
        self._connection = None
        self._confirmed.clear()
        for waiter in self._unconfirmed.values():
            waiter.set_result(None)
        self._unconfirmed.clear()

    def _tell(self, event: str, **fields: object) -> None:
        self._annex.post(self._emit, event, {"place": self.place, **fields})
