"""The two connections between a bus and one server: one that publishes, one that listens.

Theory of operation. All of this runs on the annex. `redis.asyncio` makes each connection: it knows
TLS, users, passwords and databases. From then on the connection's two streams are used directly,
since the client's own commands and parser cost more than everything else a message meets.

A `Speaker` sends a batch in one piece and counts the answers as they come; one batch is under way
at a time, so answers are never mistaken for another's, and a batch that was interrupted takes the
connection with it. A `Listener` keeps its wishes: it connects, renews every subscription that is
wished for, and reads until the connection fails; then it waits, longer each time, and begins again.
`subscribe` returns when Redis confirmed it, and gives up waiting, not wishing, without an answer.

A connection on which nothing is heard for a while is asked for a sign of life, and given up without
one: a server that vanished without a word would otherwise look like a quiet one.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from app.storage.limits import (
    BUS_ANSWER_S,
    BUS_BACKOFF_CEILING_S,
    BUS_BACKOFF_FIRST_S,
    BUS_CLOSE_S,
    BUS_PIPELINE_MAX,
    BUS_READ_BYTES,
    BUS_SILENCE_S,
)
from app.storage.redis_wire import (
    MOVED,
    Dialect,
    Ear,
    Part,
    Receipts,
    ServerRefused,
    WireError,
    pack_publish,
)
from channels.broker import BusMessage
from channels.errors import BusDown

Connect: TypeAlias = Callable[[], AbstractConnection]
"""Makes a connection, not connected yet."""

# Redis failed, or the way to it.
DOWN: Final = (RedisError, OSError, ServerRefused, WireError)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where what a listener hears goes. All are called on the annex.

    Attributes:
        own: messages that begin like this are skipped, unless it is empty.
        on_messages: takes (channel, bytes) of each message, in order.
        greet: looks at each new connection before anything is subscribed on it. What it raises
            that is no failure of Redis ends the listener.
        on_ended: told of a channel whose subscription the server itself ended, or with None that
            it refused one, since the channel is another's.
        tell: told of each change: None when it is connected, else why it no longer is.
    """

    own: bytes
    on_messages: Callable[[list[tuple[bytes, bytes]]], None]
    greet: Callable[[AbstractConnection], Awaitable[None]]
    on_ended: Callable[[str | None], None]
    tell: Callable[[str | None], None]


class Speaker:
    """The connection that publishes; made when it is needed, and again when it was lost."""

    def __init__(self, connect: Connect, dialect: Dialect) -> None:
        self._connect = connect
        self._dialect = dialect
        self._turn = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._closed = False  # for good: whoever goes this way again has another speaker

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send messages, in order among all callers; returns how many heard the last.

        Raises:
            TimeoutError, RedisError, OSError, ServerRefused, WireError: some were not sent.
        """
        heard = 0
        codes: set[str] = set()
        positions: list[int] = []
        async with asyncio.timeout(BUS_ANSWER_S), self._turn:
            for start in range(0, len(messages), BUS_PIPELINE_MAX):
                try:
                    heard = await self._publish(messages[start : start + BUS_PIPELINE_MAX])
                except ServerRefused as refused:  # each by itself: the others are sent
                    codes |= refused.codes
                    positions += [start + position for position in refused.positions]
        if codes:
            raise ServerRefused(codes, positions)
        return heard

    async def close(self) -> None:
        """Close the connection, after the batch under way; those that wait behind it fail."""
        self._closed = True
        try:
            with suppress(*DOWN):
                async with asyncio.timeout(BUS_CLOSE_S), self._turn:
                    pass
        finally:
            await self._drop()

    async def _publish(self, messages: Sequence[BusMessage]) -> int:
        reader, writer = await self._open()
        receipts = Receipts(len(messages))
        whole = False
        try:
            writer.write(pack_publish(messages, self._dialect))
            while not whole:
                data = await reader.read(BUS_READ_BYTES)
                if not data:
                    raise ConnectionResetError
                whole = receipts.feed(data)
        finally:
            if not whole:  # what is still to come belongs to nobody
                await self._drop()
        return receipts.heard()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection's streams; made anew where the server has closed them, as idle ones."""
        if self._connection is None or streams(self._connection)[0].at_eof():
            await self._drop()
            connection = self._connect()
            try:
                if not self._closed:
                    await connection.connect()  # type: ignore[no-untyped-call] # it forgot it
                self._connection = None if self._closed else connection
            finally:
                if self._connection is None:
                    await connection.disconnect(nowait=True)
            if self._connection is None:
                raise ConnectionResetError
        return streams(self._connection)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*DOWN):
                await connection.disconnect(nowait=True)


class Listener:
    """The connection that listens. `run` is its whole life.

    Attributes:
        wished: the bus channels to listen to.
        connected: whether there is a connection.
        connections_lost: how often one failed.
    """

    def __init__(
        self,
        connect: Connect,
        dialect: Dialect,
        wished: set[str],
        hooks: "Hooks",
    ) -> None:
        """Describe it.

        Args:
            connect: makes a connection to the one server that is listened to.
            dialect: how to subscribe.
            wished: the bus channels to listen to, for this to change.
            hooks: where what it hears goes.
        """
        self.wished = wished
        self.connections_lost = 0
        self._connect = connect
        self._dialect = dialect
        self._hooks = hooks
        self._away = False
        self._connection: AbstractConnection | None = None
        self._confirmed: set[str] = set()
        self._unconfirmed: dict[str, asyncio.Future[None]] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    async def run(self) -> NoReturn:
        """Connect, listen, and begin again; until cancelled."""
        pause = BUS_BACKOFF_FIRST_S
        while True:
            lost_before = self.connections_lost
            await self._listen(self._connect())
            if self.connections_lost > lost_before:
                pause = BUS_BACKOFF_FIRST_S
            # Not all nodes at the same moment.
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret
            pause = min(2 * pause, BUS_BACKOFF_CEILING_S)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Wish for channels and wait for the confirmation of those that lack it.

        Raises:
            BusDown: there is no connection, or there is none any more.
            TimeoutError, RedisError, OSError: Redis did not answer.
        """
        fresh = [channel for channel in dict.fromkeys(channels) if channel not in self.wished]
        self.wished.update(fresh)
        if self._connection is None:
            raise BusDown("not connected")
        loop = asyncio.get_running_loop()
        for channel in fresh:
            self._unconfirmed.setdefault(channel, loop.create_future())
        waits = [self._unconfirmed[channel] for channel in channels if channel in self._unconfirmed]
        async with asyncio.timeout(BUS_ANSWER_S):
            for start in range(0, len(fresh), BUS_PIPELINE_MAX):
                batch = fresh[start : start + BUS_PIPELINE_MAX]
                await self._name(self._connection, self._dialect.subscribe, batch)
            if waits:
                await asyncio.wait(waits)
        if not self._confirmed.issuperset(channels):
            raise BusDown("it went away")

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Forget the wish for these.

        Raises:
            BusDown: there is no connection; they are forgotten all the same.
            TimeoutError, RedisError, OSError: Redis did not answer.
        """
        self.wished.difference_update(channels)
        self._confirmed.difference_update(channels)
        if self._connection is None:
            raise BusDown("not connected")
        await self._name(self._connection, self._dialect.unsubscribe, channels)

    async def renew(self) -> None:
        """Subscribe again to what the server ended by itself."""
        if self._connection is not None:
            await self._renew(self._connection)

    async def _listen(self, connection: AbstractConnection) -> None:
        """One connection's life; returns when it failed."""
        try:
            async with asyncio.timeout(BUS_ANSWER_S):
                await connection.connect()  # type: ignore[no-untyped-call] # the client forgot it
                await self._hooks.greet(connection)
            self._connection = connection
            self._away = False
            self._hooks.tell(None)
            await self._renew(connection)
            await self._read(connection)
        except DOWN as error:
            if self._connection is not None:
                self.connections_lost += 1
            if not self._away:
                self._away = True
                self._hooks.tell(type(error).__name__)
        finally:
            self._forget_connection()
            with suppress(*DOWN):
                await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> NoReturn:
        """Take what arrives, until the connection fails."""
        loop = asyncio.get_running_loop()
        reader, _ = streams(connection)
        ear = Ear(self._dialect, self._hooks.own)
        asked = False
        while True:
            try:
                async with asyncio.timeout(BUS_SILENCE_S) as silence:
                    while data := await reader.read(BUS_READ_BYTES):
                        asked = False
                        self._hear(*ear.feed(data))
                        deadline = loop.time() + BUS_SILENCE_S
                        # Moving it costs: only when that matters.
                        if deadline - (silence.when() or 0) > BUS_SILENCE_S / 10:
                            silence.reschedule(deadline)
                raise ConnectionResetError
            except TimeoutError:
                if asked:
                    raise
                asked = True
                await self._renew(connection)
                await self._send(connection, ("PING",))

    async def _renew(self, connection: AbstractConnection) -> None:
        """Subscribe to all that is wished for and not confirmed."""
        missing = sorted(self.wished - self._confirmed)
        loop = asyncio.get_running_loop()
        for start in range(0, len(missing), BUS_PIPELINE_MAX):
            batch = missing[start : start + BUS_PIPELINE_MAX]
            for channel in batch:
                self._unconfirmed.setdefault(channel, loop.create_future())
            await self._name(connection, self._dialect.subscribe, batch)

    async def _name(
        self, connection: AbstractConnection, word: str, channels: Sequence[str]
    ) -> None:
        """Send a command that names these channels, or one for each; `_read` hears the answers."""
        if self._dialect.together:
            commands = [(word, *channels)]
        else:
            commands = [(word, channel) for channel in channels]
        await self._send(connection, *commands)

    async def _send(self, connection: AbstractConnection, *commands: tuple[str, ...]) -> None:
        packed = connection.pack_commands(commands)
        async with asyncio.timeout(BUS_ANSWER_S):
            await connection.send_packed_command(packed, check_health=False)

    def _hear(self, messages: list[tuple[bytes, bytes]], answers: list[list[Part]]) -> None:
        """Take what Redis sent."""
        for answer in answers:
            match answer:
                case [bytes(word), bytes(channel), _]:
                    self._change(word.decode().upper(), channel.decode())
                case [bytes(word)] if word == MOVED.encode():
                    self._hooks.on_ended(None)
                case _:
                    pass  # the answer to a PING
        if messages:
            self._hooks.on_messages(messages)

    def _change(self, word: str, channel: str) -> None:
        """Redis confirmed something, or ended a subscription by itself."""
        if word == self._dialect.subscribe:
            if channel in self.wished:
                self._confirmed.add(channel)
            if waiter := self._unconfirmed.pop(channel, None):
                waiter.set_result(None)
        elif word == self._dialect.unsubscribe and channel in self._confirmed:
            self._confirmed.discard(channel)
            self._hooks.on_ended(channel)

    def _forget_connection(self) -> None:
        """Nothing is confirmed any more; whoever waits is told."""
        self._connection = None
        self._confirmed.clear()
        for waiter in self._unconfirmed.values():
            waiter.set_result(None)
        self._unconfirmed.clear()


def streams(connection: AbstractConnection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The streams of a connected connection. They have no public name; a test holds on to them."""
    reader, writer = connection._reader, connection._writer  # noqa: SLF001 - see above
    if reader is None or writer is None:
        raise ConnectionResetError
    return reader, writer
