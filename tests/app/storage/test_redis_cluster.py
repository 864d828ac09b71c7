"""The bus over a real cluster of three: each message on its shard, whatever becomes of them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import trio

from actors import Lifeline, System
from app.storage import Annex
from app.storage.redis import RedisBus
from channels.errors import BusDown
from tests.support.valkey_cluster import SHARDS, Three

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_PATIENCE_S = 30


class Node:
    """A bus with ears."""

    def __init__(self, annex: Annex, url: str) -> None:
        self.bus = RedisBus(annex, url)
        self.bus.attach(self._hear)
        self.heard: defaultdict[str, list[bytes]] = defaultdict(list)
        self.events: list[str] = []
        self._news = trio.Event()

    def _hear(self, channel: str, data: bytes) -> None:
        self.heard[channel].append(data)
        self._tell()

    def tell(self, event: str, _fields: object) -> None:
        """Take an event of the bus."""
        self.events.append(event)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until it is so, looking whenever something came."""
        with trio.fail_after(_PATIENCE_S):
            while not holds():
                await self._news.wait()


@pytest.fixture
async def node(annex: Annex, three: Three) -> AsyncIterator[Node]:
    """A connected node."""
    node = Node(annex, three.url)
    life = Lifeline(system=System(node.tell))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.bus.run, life)
        await node.until(lambda: "bus.connected" in node.events)
        yield node
        life.request_stop()


async def _until_it_works(attempt: Callable[[], Awaitable[bool]]) -> None:
    """Try until it is so; each attempt goes to the cluster and back."""
    with trio.fail_after(_PATIENCE_S):
        while True:
            with suppress(BusDown):
                if await attempt():
                    return


async def test_each_message_goes_by_its_own_shard(node: Node, three: Three) -> None:
    """In order for each channel; one call may name channels of all, and says who heard the last."""
    channels = [three.channel_of(number % SHARDS) for number in range(9)]
    await node.bus.subscribe(channels)
    batch = [(channel, b"%d" % n) for n in range(300) for channel in channels]
    assert await node.bus.publish(batch) == 1
    await node.until(lambda: all(len(node.heard[channel]) == 300 for channel in channels))
    for channel in channels:
        assert node.heard[channel] == [b"%d" % n for n in range(300)]
    for number, shard in enumerate(three.shards):
        here = {
            name.decode()
            for name in await trio.to_thread.run_sync(shard.ask, "PUBSUB", "SHARDCHANNELS")
        }
        assert here == set(channels[number::SHARDS])
    await node.bus.unsubscribe(channels)
    assert await node.bus.publish([(channels[0], b"nobody")]) == 0


async def test_a_slot_that_moves_takes_its_channels_along(node: Node, three: Three) -> None:
    """The old owner ends the subscription; it is made again at the new one, and nobody is deaf."""
    channel, other = three.channel_of(0), three.channel_of(1)
    await node.bus.subscribe([channel, other])
    await trio.to_thread.run_sync(three.move, channel, 2)

    async def hears() -> bool:
        return await node.bus.publish([(other, b"o"), (channel, b"moved")]) == 1

    await _until_it_works(hears)
    await node.until(lambda: b"moved" in node.heard[channel])
    assert channel.encode() in await trio.to_thread.run_sync(
        three.shards[2].ask, "PUBSUB", "SHARDCHANNELS"
    )
    assert node.bus.statistics().connections_lost == 0
    await trio.to_thread.run_sync(three.move, channel, 0)
    await _until_it_works(hears)


async def test_a_shard_that_dies_takes_only_its_own(node: Node, three: Three) -> None:
    """The others are heard all the while; its channels are when it is back."""
    lost, kept = three.channel_of(1), three.channel_of(2)
    await node.bus.subscribe([lost, kept])
    await trio.to_thread.run_sync(three.shards[1].stop)
    await node.until(lambda: node.events.count("bus.lost") == 1)
    with pytest.raises(BusDown):
        await node.bus.publish([(kept, b"1"), (lost, b"1")])
    assert await node.bus.publish([(kept, b"2")]) == 1
    await node.until(lambda: node.heard[kept] == [b"1", b"2"])
    await three.shards[1].start_again()

    async def hears() -> bool:
        return await node.bus.publish([(lost, b"back")]) == 1

    await _until_it_works(hears)
    await node.until(lambda: b"back" in node.heard[lost])
    await node.until(lambda: node.bus.statistics().connected)
