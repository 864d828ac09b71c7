"""A client vanishes without a word, as a telephone does in a tunnel: the idle limit ends it.

On real sockets, and on a clock that stands still but where a test moves it.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors import Lifeline, System
from channels.channel import Channel, ChannelSocket, Joined, JoinResult
from channels.limits import PRESENCE_DIFF_S, Limits
from channels.presence import Presence
from channels.testing import Client, Node, serving
from tests.channels.people import Viewer
from tests.faults.door import door_to
from tests.support.sockets import plain

TOPIC: Final = "room:1"
LIMITS: Final = Limits()
FILLER: Final = "x" * 60_000
# Far more of these than fit between a server and a client that takes nothing.
FLOOD: Final = 1_000


class Hall:
    """A node on a port, with one kind of room, whose members are told who is there.

    Attributes:
        farewells: (who, why) of each channel that said goodbye.
    """

    def __init__(self) -> None:
        self.farewells: list[tuple[object, str]] = []
        self.url = ""
        self.system = System(self._hear)
        self.node: Node
        self.presence: Presence
        self._changed = trio.Event()

    def room(self) -> "Room":
        """Make a room, as a router does."""
        return Room(self)

    def tell(self) -> None:
        """Something happened."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until this holds. The clock stands still: only what happens ends it."""
        while not holds():
            await self._changed.wait()

    def closed(self) -> Mapping[str, int]:
        """How many connections ended, by why."""
        return self.node.endpoint.statistics().closed

    def _hear(self, _name: str, _fields: Mapping[str, object]) -> None:
        self.tell()


class Room(Channel):
    """Tracks its client, and notes its end."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Let everybody in."""
        self._hall.presence.track(socket, socket.assigns, {})
        return Joined()

    async def terminate(self, reason: str, socket: ChannelSocket) -> None:
        """Note it."""
        self._hall.farewells.append((socket.assigns, reason))
        self._hall.tell()


@asynccontextmanager
async def open_hall() -> AsyncIterator[Hall]:
    """One that listens."""
    hall = Hall()
    async with (
        serving([("room:*", hall.room)], limits=LIMITS, system=hall.system) as hall.node,
        trio.open_nursery() as nursery,
    ):
        hall.presence = Presence(hall.node.hub, hall.node.broker)
        nursery.start_soon(hall.presence.run, Lifeline("presence", system=hall.system))

        async def serve(stream: trio.SocketStream) -> None:
            await hall.node.endpoint.serve(plain(stream.socket), b"")

        listen = partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        (listener,) = await nursery.start(listen)
        hall.url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield hall
        nursery.cancel_scope.cancel()


class Guest:
    """A member, and what it sees.

    Attributes:
        client: its own.
        viewer: of who is there.
        ticks: the numbers that it was told.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.viewer = Viewer()
        self.ticks: list[int] = []

    async def until(self, holds: Callable[[], object]) -> None:
        """Take what comes until this holds."""
        while not holds():
            message = await self.client.receive()
            if message.event == "tick":
                self.ticks.append(message.payload["n"])
            elif message.event.startswith("presence_"):
                self.viewer.take((message.event, message.payload))

    async def hears(self, n: int) -> None:
        """Wait until this was told."""
        await self.until(lambda: n in self.ticks[-1:])

    async def sees(self, *names: str) -> None:
        """Wait until exactly these are there."""
        await self.until(lambda: self.viewer.people.keys() == set(names))


@asynccontextmanager
async def entered(url: str, name: str) -> AsyncIterator[Guest]:
    """A member that came this way."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    stream = await trio.open_tcp_stream(parts.hostname, parts.port)
    async with stream, trio.open_nursery() as nursery:
        client = Client(stream)
        nursery.start_soon(client.listen)
        refused = await client.shake_hands(f"/socket/websocket?vsn=2.0.0&token={name}")
        assert refused is None
        await client.join(TOPIC)
        yield Guest(client)
        nursery.cancel_scope.cancel()


async def tell(hall: Hall, guests: list[Guest], n: int, filler: str) -> None:
    """Tell the room something; returns when these have heard it."""
    hall.node.hub.publish(TOPIC, "tick", {"n": n, "filler": filler})
    for guest in guests:
        await guest.hears(n)


async def others_see(hall: Hall, clock: MockClock, others: list[Guest], *names: str) -> None:
    """Wait until these are all who are there, as others are told, and as the node counts."""
    clock.jump(2 * PRESENCE_DIFF_S)
    for guest in others:
        await guest.sees(*names)
    assert hall.presence.count(TOPIC) == len(names)


@pytest.mark.parametrize("flooded", [False, True], ids=["quiet", "flooded"])
async def test_who_vanishes_is_gone_when_the_idle_limit_says_so(
    mock_clock: MockClock, *, flooded: bool
) -> None:
    """Its channel says goodbye, it is there no more, and nobody else has missed anything."""
    async with (
        open_hall() as hall,
        door_to(hall.url) as door,
        entered(hall.url, "ann") as ann,
        entered(hall.url, "bob") as bob,
        entered(door.url, "gone"),
    ):
        others = [ann, bob]
        await others_see(hall, mock_clock, others, "ann", "bob", "gone")
        door.shut()
        before, told = hall.node.hub.statistics(), 0
        while told < 3 or (flooded and not hall.node.hub.statistics().dropped):
            assert told < FLOOD, "nothing holds so much"
            told += 1
            await tell(hall, others, told, FILLER if flooded else "")
        mock_clock.jump(LIMITS.idle_s / 2)
        for guest in others:
            await guest.client.heartbeat()
        hub = hall.node.hub.statistics()
        heartbeats = len(others)
        assert hub.offered - before.offered == told * 3 + heartbeats
        assert (hall.farewells, hub.queued > 0) == ([], flooded)

        mock_clock.jump(LIMITS.idle_s / 2 + 1)
        await hall.until(lambda: hall.farewells)
        assert hall.farewells == [("gone", "closed")]
        await trio.testing.wait_all_tasks_blocked()  # it waits for an answer to its goodbye
        mock_clock.jump(LIMITS.close_s)
        await hall.until(hall.closed)
        assert hall.closed() == {"idle": 1}
        await others_see(hall, mock_clock, others, "ann", "bob")

        await tell(hall, others, told + 1, "")
        for guest in others:
            assert guest.ticks == list(range(1, told + 2))
            await guest.client.heartbeat()
        hub = hall.node.hub.statistics()
        assert (hub.disconnected > 0, hub.dropped > 0) == (flooded, flooded)
        assert hub.offered == hub.delivered + hub.dropped + hub.disconnected
