"""Where clients connect: all the connections of one node.

Theory of operation. `serve` is the whole life of one client, in the task of whoever accepted it.
Its nursery holds the supervisor of the client's channels and, now and then, a writer or the slow
lane. What happens between the handshake and the end is in `session`. Whatever happens,
the stream is closed when `serve` returns.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import TOO_MANY_REQUESTS
from typing import Final

import trio

from actors import Lifeline, System
from channels.access import Access
from channels.broker import Broker
from channels.channel import Body
from channels.client_limits import LimitName
from channels.connection import Connection
from channels.cursor import Cursor
from channels.drain import send_away
from channels.guard import Guard
from channels.handshake import ConnectRefused
from channels.hub import Hub
from channels.limits import HEAD_BYTES_MAX, RECEIVE_BYTES, Limits
from channels.plain_stream import PlainStream
from channels.publishing import Publishing
from channels.reader import Reader
from channels.reception import Reception, SocketHandler
from channels.router import Router
from channels.session import Opening, Session
from channels.surroundings import Surroundings, Tally
from channels.verdict import DRAINED, TOO_LARGE
from channels.websocket import Wire

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    """The endpoint now, and its counts since it was made.

    Attributes:
        connections: clients connected.
        channels: topics they have joined, or are joining or leaving.
        opened: handshakes that succeeded.
        refused: handshakes that did not.
        received: messages that clients sent.
        malformed: of these, those that were none.
        joined: joins granted.
        crashed: channels that crashed.
        slow_lanes: clients that sent what is not plainly a message.
        closed: connections ended, by reason.
    """

    connections: int
    channels: int
    opened: int
    refused: int
    received: int
    malformed: int
    joined: int
    crashed: int
    slow_lanes: int
    closed: Mapping[str, int]


class Endpoint:
    """The connections of one node."""

    def __init__(
        self,
        handler: SocketHandler,
        router: Router,
        hub: Hub,
        broker: Broker,
        limits: Limits | None = None,
        *,
        system: System | None = None,
    ) -> None:
        """An endpoint without connections.

        Args:
            handler: decides who may connect.
            router: knows the path and the topics.
            hub: of this node; it must run for anything to be sent.
            broker: of this node; the hub is attached to it here.
            limits: of each connection.
            system: of the tree that it is part of. It takes the events `socket.opened`,
                `socket.refused`, `socket.closed` and `socket.drained`.
        """
        self._hub = hub
        self._limits = limits or Limits()
        self._system = system or System()
        self.guard = Guard(self._limits.clients, self._system)
        """Keeps the limits on clients."""
        proxies = self._limits.trusted_proxies
        self.reception = Reception(handler, router, self.guard, proxies)
        self._emit = self._system.emit
        self._tally = Tally()
        self._opened = 0
        self._refused = 0
        self._closed: Counter[str] = Counter()
        self._connections: dict[Connection, None] = {}
        self._empty = trio.Event()
        self.access = Access(handler, broker, self._system.timers, self._limits)
        """Who is here, until when; and who is to be cut off."""
        self.publishing = Publishing(router, hub, broker)
        """Publishes from outside of channels, and is told what serves topics with history."""
        self.around = Surroundings(
            router,
            hub,
            broker,
            self._limits,
            self.publishing,
            self._tally,
            self.access,
            self.guard,
        )
        self.reader = Reader()
        """Reads the clients' sockets; a child of the node runs it."""

    def broadcast(self, topic: str, event: str, payload: Body) -> None:
        """As `Publishing.broadcast`: send an event to the members of a topic. Never waits."""
        self.publishing.broadcast(topic, event, payload)

    async def publish(self, topic: str, event: str, payload: Body) -> Cursor | None:
        """As `Publishing.publish`: the same, and say its place where the topic has history."""
        return await self.publishing.publish(topic, event, payload)

    def kick(self, topic: str, who: str) -> None:
        """End a client's membership of a topic, on every node; it does not rejoin by itself.

        Args:
            topic: the whole topic.
            who: the client's name, as the handler's `who` gives it.
        """
        self.access.kick(topic, who)

    def disconnect(self, who: str) -> None:
        """Close a client's connections with 1001, on every node: it connects again, if it may."""
        self.access.disconnect(who)

    async def serve(
        self, stream: trio.abc.Stream, head: bytes, life: Lifeline | None = None
    ) -> None:
        """The whole life of one client.

        Args:
            stream: the client's. It is closed in the end.
            head: what was read already, if anything.
            life: of the child that serves it; its channels are shown below that in the tree.

        Raises:
            Exception: a bug of ours, or a failure of the application's `connect`; the client was
                told 1011 or 500.
        """
        life = life or Lifeline("client", system=self._system)
        peer = stream.peer if isinstance(stream, PlainStream) else ""
        opening = Opening(self.reception, self.around, peer, life)
        async with trio.open_nursery() as nursery:
            wire = Wire(
                stream,
                limits=self._limits,
                totals=self._hub.totals,
                nursery=nursery,
                reader=self.reader,
            )
            try:
                session = await self._open(opening, stream, head, wire, nursery)
                if session is None:
                    self.turn_away(opening.refused, opening.address)
                else:
                    self.arrive(session.connection, opening.address)
                    try:
                        await session.run()
                    finally:
                        self.depart(session.connection, opening.address)
            finally:
                opening.leave()
                await wire.aclose()
                nursery.cancel_scope.cancel()

    async def drain(self) -> None:
        """Send every client elsewhere, with 1012 and a time to come back. Ends within `drain_s`."""
        self.reception.closed = True
        began = len(self._connections)
        try:
            with trio.move_on_after(self._limits.drain_s):
                await send_away(list(self._connections), self._limits, self._system.chance)
                if self._connections:
                    self._empty = trio.Event()
                    await self._empty.wait()
        finally:
            self.reception.closed = False
        self._emit("socket.drained", {"connections": began, "left": len(self._connections)})

    def statistics(self) -> EndpointStatistics:
        """The endpoint now."""
        return EndpointStatistics(
            connections=len(self._connections),
            channels=sum(len(connection.topics) for connection in self._connections),
            opened=self._opened,
            refused=self._refused,
            received=self._tally.received,
            malformed=self._tally.malformed,
            joined=self._tally.joined,
            crashed=self._tally.crashed,
            slow_lanes=self._tally.slow_lanes,
            closed=dict(self._closed),
        )

    # For the transports.

    def turn_away(self, refused: ConnectRefused, address: str) -> None:
        """A client was refused; with the status 0 where it was not even told."""
        self._refused += 1
        status, reason = refused.status, refused.reason
        if status != TOO_MANY_REQUESTS:  # of these the guard tells, and not of each
            self._emit("socket.refused", {"status": status, "reason": reason, "address": address})

    def arrive(self, connection: Connection, address: str) -> None:
        """A client is here, whatever it came over, until `depart`."""
        self._opened += 1
        self._connections[connection] = None
        self._emit("socket.opened", {"address": address})
        connection.stay.begin()
        if self.reception.closed:  # it was let in before; whoever drains does not know of it
            connection.end(DRAINED)

    def depart(self, connection: Connection, address: str) -> None:
        """It is gone."""
        connection.leave()
        self._forget(connection, address)

    async def _open(
        self,
        opening: Opening,
        stream: trio.abc.Stream,
        head: bytes,
        wire: Wire,
        nursery: trio.Nursery,
    ) -> Session | None:
        """Shake hands. None if the client was refused, or was too slow, or left."""
        try:
            if not self.reception.waits and head.endswith(_HEAD_END):  # nearly always
                return await opening.shake_hands(stream, head, wire, nursery)
            with trio.CancelScope(relative_deadline=self._limits.handshake_s):
                head, rest = await _read_head(stream, head)
                wire.feed(rest)
                return await opening.shake_hands(stream, head, wire, nursery)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return None
        return None

    def _forget(self, connection: Connection, address: str) -> None:
        del self._connections[connection]
        if not self._connections:
            self._empty.set()
        verdict = connection.verdict
        if verdict is TOO_LARGE and self._limits.clients.message_bytes.is_on:
            self.guard.excess(LimitName.MESSAGE_BYTES).add()
        reason = verdict.reason if verdict is not None else "cancelled"
        self._closed[reason] += 1
        self._emit("socket.closed", {"reason": reason, "address": address})


async def _read_head(stream: trio.abc.Stream, head: bytes) -> tuple[bytes, bytes]:
    """The request, up to and with the empty line, and what was read behind it.

    Raises:
        trio.BrokenResourceError: the client stopped before, or went on beyond the bound.
    """
    while _HEAD_END not in head:
        data = await stream.receive_some(RECEIVE_BYTES) if len(head) <= HEAD_BYTES_MAX else b""
        if not data:
            raise trio.BrokenResourceError
        head += data
    end = head.index(_HEAD_END) + len(_HEAD_END)
    return head[:end], head[end:]
