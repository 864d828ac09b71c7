"""The bus over Redis: order, confirmation, and what happens when Redis goes away."""

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import redis.asyncio
import trio

from actors import ChildSpec, Lifeline, System
from actors.root import running
from app.storage import Annex
from app.storage.embedded import EmbeddedValkey, StateFolder
from app.storage.redis import RedisBus
from channels.errors import BusDown

pytestmark = pytest.mark.servers

_NUMBERS = itertools.count(1)


def _name() -> str:
    """A bus channel that no other test uses."""
    return f"test-bus:{next(_NUMBERS)}"


class Node:
    """A bus with ears."""

    def __init__(self, annex: Annex, url: str) -> None:
        self.bus = RedisBus(annex, url)
        self.bus.attach(self._hear)
        self.heard: defaultdict[str, list[bytes]] = defaultdict(list)
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self._changed = trio.Event()
        self._told = trio.Event()

    def _hear(self, channel: str, data: bytes) -> None:
        self.heard[channel].append(data)
        self._changed.set()

    def tell(self, event: str, fields: Mapping[str, object]) -> None:
        """Take an event of the bus."""
        self.events.append((event, fields))
        self._told.set()

    async def hears(self, channel: str, count: int) -> list[bytes]:
        """What came on `channel`, once there are `count`."""
        with trio.fail_after(5):
            while len(self.heard[channel]) < count:
                self._changed = trio.Event()
                await self._changed.wait()
        return self.heard[channel]

    async def tells(self, event: str, count: int = 1) -> None:
        """Wait until it told of `event` so often."""
        with trio.fail_after(10):
            while [name for name, _ in self.events].count(event) < count:
                self._told = trio.Event()
                await self._told.wait()


@asynccontextmanager
async def _running(annex: Annex, url: str, *, connected: bool = True) -> AsyncIterator[Node]:
    """A node, from when it is connected, or has failed to be."""
    node = Node(annex, url)
    life = Lifeline(system=System(node.tell))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.bus.run, life)
        await node.tells("bus.connected" if connected else "bus.lost")
        yield node
        life.request_stop()


@pytest.fixture
async def node(annex: Annex, valkey_url: str) -> AsyncIterator[Node]:
    """A connected node."""
    async with _running(annex, valkey_url) as node:
        yield node


@pytest.fixture
async def other(annex: Annex, valkey_url: str) -> AsyncIterator[Node]:
    """Another connected node."""
    async with _running(annex, valkey_url) as node:
        yield node


async def _cut(annex: Annex, url: str) -> None:
    """End every subscriber's and publisher's connection at the server."""

    async def cut() -> None:
        async with redis.asyncio.Redis.from_url(url) as admin:
            await admin.client_kill_filter(_type="pubsub", skipme=True)
            await admin.client_kill_filter(_type="normal", skipme=True)

    await annex.call(cut)


async def test_messages_arrive_in_order_as_they_were(node: Node, other: Node) -> None:
    """Bytes published in one go arrive at every subscriber, in order, unchanged."""
    channel = _name()
    await node.bus.subscribe([channel])
    await other.bus.subscribe([channel])
    sent = [bytes([number % 256, 0, 10, 13, 255]) for number in range(3000)]
    await other.bus.publish([(channel, data) for data in sent])
    assert await node.hears(channel, 3000) == sent
    assert await other.hears(channel, 3000) == sent
    assert other.bus.statistics().published == 3000


async def test_subscribing_is_confirmed(node: Node, other: Node) -> None:
    """What is published once `subscribe` returned is heard."""
    for _ in range(50):
        channel = _name()
        await node.bus.subscribe([channel])
        await other.bus.publish([(channel, b"now")])
        assert await node.hears(channel, 1) == [b"now"]


async def test_only_what_is_subscribed_is_heard(node: Node) -> None:
    """Neither other channels nor those unsubscribed are heard."""
    heard, left, never = _name(), _name(), _name()
    await node.bus.subscribe([heard, left])
    await node.bus.unsubscribe([left])
    await node.bus.publish([(left, b"x"), (never, b"x"), (heard, b"y")])
    await node.hears(heard, 1)
    assert dict(node.heard) == {heard: [b"y"]}


async def test_a_channel_can_be_left_and_entered_again(node: Node) -> None:
    """Subscribing right after unsubscribing hears again."""
    channel = _name()
    for number in range(20):
        await node.bus.subscribe([channel])
        await node.bus.publish([(channel, b"%d" % number)])
        await node.hears(channel, number + 1)
        await node.bus.unsubscribe([channel])
    assert node.bus.statistics().subscriptions == 0


async def test_subscribing_at_once_to_the_same_is_harmless(node: Node) -> None:
    """Several tasks may wish for the same channel; each returns when it is confirmed."""
    channel = _name()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(node.bus.subscribe, [channel])
    await node.bus.publish([(channel, b"once")])
    assert await node.hears(channel, 1) == [b"once"]


async def test_subscriptions_outlive_a_connection(
    annex: Annex, valkey_url: str, node: Node, other: Node
) -> None:
    """After every connection was cut, the node is subscribed again by itself."""
    channels = [_name() for _ in range(2500)]
    await node.bus.subscribe(channels)
    await _cut(annex, valkey_url)
    await node.tells("bus.lost")
    await node.tells("bus.connected", 2)
    await node.bus.subscribe(channels[-1:])
    with trio.fail_after(5):
        while not node.heard[channels[-1]]:
            await _until_it_works(lambda: other.bus.publish([(channels[-1], b"again")]))
    assert node.bus.statistics().connections_lost == 1


async def _until_it_works(attempt: Callable[[], Awaitable[object]]) -> None:
    """Try until the bus is there again; each attempt goes to the server and back."""
    while True:
        try:
            await attempt()
        except BusDown:
            continue
        return


async def test_publishing_heals(annex: Annex, valkey_url: str, node: Node) -> None:
    """After its connection was cut, publishing works again."""
    channel = _name()
    await node.bus.publish([(channel, b"before")])
    await _cut(annex, valkey_url)
    with trio.fail_after(5):
        await _until_it_works(lambda: node.bus.publish([(channel, b"after")]))


async def test_publishing_heals_when_there_was_no_server(annex: Annex, state: StateFolder) -> None:
    """It was tried while nothing listened there; now something does, and it works."""
    server = EmbeddedValkey(state)
    async with _running(annex, server.url, connected=False) as node:
        with pytest.raises(BusDown):
            await node.bus.publish([("a", b"too soon")])
        async with running(ChildSpec("valkey", server.run)):
            with trio.fail_after(10):
                await _until_it_works(lambda: node.bus.publish([("a", b"now")]))


async def test_without_redis_it_is_ready_and_says_so(annex: Annex) -> None:
    """Without a server the bus runs, keeps wishes, refuses at once, and hides the password."""
    told: list[tuple[str, Mapping[str, object]]] = []
    lost = trio.Event()

    def hear(event: str, fields: Mapping[str, object]) -> None:
        told.append((event, fields))
        lost.set()

    bus = RedisBus(annex, "redis://:hush-hush@127.0.0.1:1/0")
    bus.attach(lambda *_: None)
    ready = trio.Event()
    life = Lifeline(system=System(hear))
    life.on_ready(ready.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.run, life)
        with trio.fail_after(5):
            await ready.wait()
            await lost.wait()
            with pytest.raises(BusDown) as subscribing:
                await bus.subscribe(["a"])
            with pytest.raises(BusDown) as publishing:
                await bus.publish([("a", b"x")])
            with pytest.raises(BusDown):
                await bus.unsubscribe(["b"])
        life.request_stop()
    said = f"{subscribing.value}{publishing.value}{publishing.value.__cause__!r}{bus!r}"
    assert "127.0.0.1:1/0" in said
    assert "hush" not in said + repr(told)
    assert [event for event, _ in told] == ["bus.lost"]
    assert bus.statistics().subscriptions == 1
    assert bus.statistics().connected is False


async def test_without_an_annex_it_is_down() -> None:
    """Before the annex runs, the bus is down like any other time."""
    bus = RedisBus(Annex(), "redis://127.0.0.1:1/0")
    with pytest.raises(BusDown):
        await bus.publish([("a", b"x")])


async def test_a_full_inbox_drops_and_counts(
    monkeypatch: pytest.MonkeyPatch, node: Node, other: Node
) -> None:
    """What trio has not taken is dropped beyond the bound, and every message is accounted for."""
    monkeypatch.setattr("app.storage.redis.BUS_INBOX_MAX", 10)
    channel, done = _name(), _name()
    await node.bus.subscribe([channel, done])
    await other.bus.publish([(channel, b"%d" % number) for number in range(900)])
    with trio.fail_after(5):
        while not node.heard[done]:
            await other.bus.publish([(done, b"")])
            await trio.lowlevel.checkpoint()
    statistics = node.bus.statistics()
    heard = len(node.heard[channel])
    assert heard >= 10
    assert node.heard[channel][:10] == [b"%d" % number for number in range(10)]
    assert heard + statistics.dropped >= 900


async def test_a_silent_server_is_given_up(annex: Annex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and then says nothing is not taken for a quiet one."""
    monkeypatch.setattr("app.storage.redis_link.BUS_ANSWER_S", 0.05)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    accepted = 0
    twice = trio.Event()

    async def say_nothing(stream: trio.SocketStream) -> None:
        nonlocal accepted
        accepted += 1
        if accepted == 2:
            twice.set()
        async for _ in stream:
            pass

    bus = RedisBus(annex, f"redis://127.0.0.1:{port}/0")
    bus.attach(lambda *_: None)
    life = Lifeline()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, say_nothing, listeners)
        nursery.start_soon(bus.run, life)
        with trio.fail_after(5):
            await twice.wait()
        nursery.cancel_scope.cancel()


async def test_a_quiet_connection_is_asked_for_a_sign_of_life(
    annex: Annex, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection without messages stays, for the server answers when asked."""
    # As little as it takes for three of them, and as much as an answer may take on a busy machine.
    monkeypatch.setattr("app.storage.redis_link.BUS_SILENCE_S", 0.5)

    async def pings() -> int:
        async with redis.asyncio.Redis.from_url(valkey_url) as admin:
            statistics = await admin.info("commandstats")
        return int(statistics.get("cmdstat_ping", {}).get("calls", 0))

    async with _running(annex, valkey_url) as node:
        before = await annex.call(pings)
        with trio.fail_after(30):
            while await annex.call(pings) < before + 3:
                pass
        assert node.bus.statistics().connections_lost == 0
        assert node.bus.statistics().connected is True
