"""Nodes whose rooms track their members, for tests of presence."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from trio.testing import MockClock

from actors import Lifeline, System
from actors.limits import TIMER_TICKS_PER_S
from channels.broker import Broker
from channels.channel import (
    Channel,
    ChannelSocket,
    InResult,
    Joined,
    JoinRefused,
    JoinResult,
    LaterReply,
    Recalled,
    Reply,
)
from channels.presence import Presence
from channels.presence_room_state import DIFF
from channels.testing import Client, Node, connect, serving
from tests.channels.people import Viewer

TOPIC = "room:1"


class Room(Channel):
    """Tracks its client under the name it connected with, and does what it is told."""

    def __init__(self, presence: Presence, building: "Building") -> None:
        self.presence = presence
        self.building = building

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Track, then wait where a test says so."""
        self.building.sockets.append(socket)
        if params.get("do") == "watch":
            self.presence.show(socket)
        else:
            self.presence.track(socket, socket.assigns, params.get("meta", {}))
        if params.get("do") == "refuse":
            return JoinRefused({"reason": "unauthorized"})
        if params.get("do") == "wait":
            await self.building.gate.wait()
        return Joined()

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Do what the event says."""
        match event:
            case "track":
                self.presence.track(socket, payload["key"])
            case "update":
                self.presence.update(socket, socket.assigns, payload)
            case "untrack":
                return Reply.ok({"was": self.presence.untrack(socket, socket.assigns)})
            case "crash":
                raise ValueError("a crash on purpose")
        return Reply.ok()


class Building:
    """Makes rooms. It is there before the presence that they share.

    Attributes:
        presence: who is there.
        gate: what joins that wait are waiting for.
        sockets: of every join, in order.
    """

    def __init__(self) -> None:
        self.presence: Presence | None = None
        self.gate = trio.Event()
        self.sockets: list[ChannelSocket] = []

    def room(self) -> Room:
        """Make a room, as a router does."""
        assert self.presence is not None
        return Room(self.presence, self)


@dataclass
class Attended:
    """A node that runs.

    Attributes:
        node: its endpoint, hub and broker.
        presence: who is there.
        building: what its rooms share.
        life: of the presence.
    """

    node: Node
    presence: Presence
    building: Building
    life: Lifeline

    def another_life(self) -> Lifeline:
        """For whoever runs presence again."""
        return Lifeline("presence", system=self.life.system)


@dataclass(eq=False)
class Visitor:
    """A channel's socket, and no more: it notes what it is pushed."""

    topic: str = TOPIC
    assigns: str = ""
    pushed: list[tuple[str, Any]] = field(default_factory=list)
    endings: list[Callable[[], None]] = field(default_factory=list)

    def push(self, event: str, payload: Any) -> None:
        """Note it."""
        self.pushed.append((event, payload))

    def broadcast(self, event: str, payload: Any) -> None:
        """Nobody hears it."""

    async def publish(self, event: str, payload: Any) -> str | None:
        """Nobody hears it."""
        raise AssertionError

    async def past(self) -> Recalled:
        """There is no history."""
        raise AssertionError

    def reply_later(self) -> LaterReply:
        """There is no push to answer."""
        raise AssertionError

    def on_end(self, callback: Callable[[], None]) -> None:
        """Keep it for `end`."""
        self.endings.append(callback)

    def notify(self, message: object) -> None:
        """Nobody handles it."""

    def end(self) -> None:
        """The channel is over."""
        for ending in self.endings:
            ending()


@asynccontextmanager
async def attended(broker: Broker | None = None, **options: Any) -> AsyncIterator[Attended]:
    """Run a node with presence. At the end it vanishes without a word, as if killed."""
    system = System()
    building = Building()
    async with (
        serving([("room:*", building.room)], broker=broker, system=system) as node,
        trio.open_nursery() as nursery,
    ):
        building.presence = presence = Presence(node.hub, node.broker, **options)
        here = Attended(node, presence, building, Lifeline("presence", system=system))
        nursery.start_soon(presence.run, here.life)
        yield here
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def member(here: Attended, name: str, **params: Any) -> AsyncIterator[Client]:
    """A client that has joined, until the end of the block."""
    async with connect(here.node.endpoint, token=name) as client:
        await client.join(TOPIC, params)
        yield client


async def view(client: Client) -> Viewer:
    """What a client sees, of all that has come to it. The state comes before any diff."""
    viewer = Viewer()
    events = [e for e in await client.received() if e.event.startswith("presence_")]
    assert not events or events[0].event != DIFF
    for each in events:
        viewer.take((each.event, each.payload))
    return viewer


async def pass_time(clock: MockClock, seconds: float) -> None:
    """Let this much pass on a clock that jumps, and everybody act on it."""
    late = 2 / TIMER_TICKS_PER_S  # a timer is at most a tick late
    await trio.sleep_until(clock.current_time() + seconds + late)
    await trio.testing.wait_all_tasks_blocked()
