"""Stores and nodes that tests of recovery are made of."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from actors import Lifeline
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Channel, ChannelSocket, InResult, Joined, JoinResult, Reply
from channels.cursor import Cursor
from channels.endpoint import Endpoint
from channels.history import (
    AWAY,
    Addition,
    Away,
    History,
    Kept,
    MemoryHistory,
    Question,
    placed,
)
from channels.hub import Hub
from channels.recovery import Recovery
from channels.router import Route, Router
from channels.testing import Client
from channels.testing_node import Anyone, Node

TOPIC = "talk:1"
KEPT = History(size=10, ttl_s=600.0)


class Talk(Channel):
    """A room whose members hear everything that is said, once."""

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """With all that is kept, for who asks for it and did not recover."""
        if params.get("snapshot"):
            past = await socket.past()
            if not past.recovered:
                said = [message.payload["n"] for message in past.messages]
                return Joined({"snapshot": said})
        return Joined({"welcome": True})

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Say it to all: at once, or waiting for its place."""
        if event == "shout":
            socket.broadcast("said", payload)
            return Reply.ok()
        return Reply.ok({"cursor": await socket.publish("said", payload)})


@dataclass
class Shared:
    """One store of several nodes, which can be away, lose its answers, and be restarted empty.

    Attributes:
        tell: how messages get to nodes; a test may lose them.
        away: nothing is answered.
        lost: topics of which nothing is answered.
        mute: what is asked is done, and the answer lost.
    open: what is asked is answered when this is set.
    """

    tell: Callable[[str, bytes], None]
    away: bool = False
    lost: set[str] = field(default_factory=set)
    mute: bool = False
    open: trio.Event = field(default_factory=trio.Event)
    seen: dict[str, Cursor] = field(default_factory=dict)
    _memory: MemoryHistory = field(default_factory=MemoryHistory)

    def __post_init__(self) -> None:
        self.open.set()

    async def run(self, life: Lifeline) -> None:
        """As the store that it is made of."""
        await self._memory.run(life)

    def lose_all(self) -> None:
        """What a restart without a disk does."""
        self._memory = MemoryHistory()
        self.seen.clear()

    async def append(self, additions: Sequence[Addition]) -> Sequence[Cursor | Away]:
        """As the store does that tells nodes by itself, and knows what came before."""
        await self.open.wait()
        return [await self._add(addition) for addition in additions]

    async def read(self, questions: Sequence[Question]) -> Sequence[Kept | Away]:
        """What is kept."""
        await self.open.wait()
        return [
            AWAY if self._is_away(question.topic) else (await self._memory.read([question]))[0]
            for question in questions
        ]

    async def heads(self, topics: Sequence[str]) -> Sequence[Cursor | Away | None]:
        """The newest places."""
        await self.open.wait()
        return [
            AWAY if self._is_away(topic) else (await self._memory.heads([topic]))[0]
            for topic in topics
        ]

    async def _add(self, addition: Addition) -> Cursor | Away:
        if self._is_away(addition.topic):
            return AWAY
        cursor = self.seen.get(addition.id)
        if cursor is None:
            [cursor] = await self._memory.append([addition])
            self.seen[addition.id] = cursor
            self.tell(addition.topic, placed(cursor, addition.broadcast))
        return AWAY if self.mute else cursor

    def _is_away(self, topic: str) -> bool:
        return self.away or topic in self.lost


@dataclass
class Cluster:
    """Nodes with one store.

    Attributes:
        nodes: of it.
        recoveries: of each node.
        store: of all.
        lost: whether messages between nodes are.
        sign: changes when something may have been lost.
    """

    nodes: list[Node]
    recoveries: list[Recovery]
    store: Shared
    lost: bool = False
    sign: int = 0


@asynccontextmanager
async def cluster(count: int, history: History = KEPT) -> AsyncIterator[Cluster]:
    """Run nodes that share a store and a wire."""
    wire = MemoryWire()

    def tell(topic: str, data: bytes) -> None:
        for bus in wire.buses if not here.lost else ():
            bus.hear(f"agio:topic:{topic}", b"* " + data)

    here = Cluster([], [], Shared(tell))
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        stack.callback(nursery.cancel_scope.cancel)
        for number in range(count):
            name = f"n{number}"
            hub, broker = Hub(), RedisBroker(MemoryBus(wire), name)
            recovery = Recovery(here.store, hub, name, sign=lambda: here.sign)
            router = Router([Route("talk:*", Talk, history=history)])
            endpoint = Endpoint(Anyone(), router, hub, broker)
            endpoint.publishing.attach(recovery)
            for part in (hub, broker, recovery, endpoint.reader):
                nursery.start_soon(part.run, Lifeline(name))
            here.nodes.append(Node(endpoint, hub, broker))
            here.recoveries.append(recovery)
        yield here


async def say(node: Node, *numbers: int) -> list[str]:
    """Publish some messages; their cursors."""
    cursors = [await node.endpoint.publish(TOPIC, "said", {"n": n}) for n in numbers]
    return [str(cursor) for cursor in cursors]


async def heard(client: Client) -> list[Any]:
    """What came to a client until everything is quiet: the numbers said, and `reload`."""
    return [
        envelope.payload["n"] if envelope.event == "said" else envelope.event
        for envelope in await client.received()
        if envelope.event in {"said", "reload"}
    ]
