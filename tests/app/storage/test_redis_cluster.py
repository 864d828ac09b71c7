"""The bus over a real cluster of three: each message on its shard, whatever becomes of them."""

import itertools
import signal
import socket
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import trio
from redis.crc import key_slot

from actors import Lifeline, System
from app.child_process import popen
from app.storage import Annex
from app.storage.embedded import find_valkey
from app.storage.redis import RedisBus
from channels.errors import BusDown

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_SLOTS = 16_384
_SHARDS = 3
_PATIENCE_S = 30
_NUMBERS = itertools.count(1)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Shard:
    """One primary of the cluster."""

    folder: Path
    port: int
    bus_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it knew of the cluster it knows again."""
        binary = find_valkey()
        assert binary is not None
        self.process = popen(
            [
                *(str(binary), "--port", str(self.port), "--cluster-port", str(self.bus_port)),
                *("--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""),
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                *("--cluster-require-full-coverage", "no"),
            ],
            signal.SIGKILL,
            stdout=subprocess.DEVNULL,
        )

    def ask(self, *command: object) -> Any:
        """What it answers to one command; None while it does not."""
        with suppress(redis.ConnectionError), redis.Redis(port=self.port) as client:
            return client.execute_command(*command)
        return None

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


@dataclass
class Three:
    """The cluster."""

    shards: list[Shard]

    @property
    def url(self) -> str:
        """Of one of them; the others are found."""
        return f"redis://127.0.0.1:{self.shards[0].port}/0"

    def channel_of(self, shard: int) -> str:
        """A new channel that began on this shard."""
        return next(
            name
            for name in (f"agio:topic:cluster:{next(_NUMBERS)}" for _ in itertools.count())
            if key_slot(name.encode()) * _SHARDS // _SLOTS == shard
        )

    def is_whole(self) -> bool:
        """Whether all of them say so."""
        wanted = (b"cluster_state:ok", b"cluster_slots_ok:%d" % _SLOTS, b"cluster_known_nodes:3")
        infos = [shard.ask("CLUSTER", "INFO") or b"" for shard in self.shards]
        return all(word in info for info in infos for word in wanted)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three primaries, each with a third of the slots."""
    if find_valkey() is None:
        pytest.skip("there is no Valkey for this machine")
    shards = [
        Shard(tmp_path_factory.mktemp("shard"), _free_port(), _free_port()) for _ in range(_SHARDS)
    ]
    with ExitStack() as stack:
        for shard in shards:
            shard.start()
            stack.callback(shard.stop)
        for number, shard in enumerate(shards):
            while shard.ask("PING") is None:
                pass
            first, last = -(-_SLOTS * number // _SHARDS), -(-_SLOTS * (number + 1) // _SHARDS) - 1
            shard.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            shard.ask("CLUSTER", "MEET", "127.0.0.1", shards[0].port, shards[0].bus_port)
        three = Three(shards)
        while not three.is_whole():
            pass
        yield three


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
    channels = [three.channel_of(number % _SHARDS) for number in range(9)]
    await node.bus.subscribe(channels)
    batch = [(channel, b"%d" % n) for n in range(300) for channel in channels]
    assert await node.bus.publish(batch) == 1
    await node.until(lambda: all(len(node.heard[channel]) == 300 for channel in channels))
    for channel in channels:
        assert node.heard[channel] == [b"%d" % n for n in range(300)]
    for number, shard in enumerate(three.shards):
        here = {name.decode() for name in shard.ask("PUBSUB", "SHARDCHANNELS")}
        assert here == set(channels[number::_SHARDS])
    await node.bus.unsubscribe(channels)
    assert await node.bus.publish([(channels[0], b"nobody")]) == 0


async def test_a_slot_that_moves_takes_its_channels_along(node: Node, three: Three) -> None:
    """The old owner ends the subscription; it is made again at the new one, and nobody is deaf."""
    channel, other = three.channel_of(0), three.channel_of(1)
    await node.bus.subscribe([channel, other])
    slot = key_slot(channel.encode())
    ids = [shard.ask("CLUSTER", "MYID") for shard in three.shards]
    for shard in three.shards:
        shard.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[2])

    async def hears() -> bool:
        return await node.bus.publish([(other, b"o"), (channel, b"moved")]) == 1

    await _until_it_works(hears)
    await node.until(lambda: b"moved" in node.heard[channel])
    assert channel.encode() in three.shards[2].ask("PUBSUB", "SHARDCHANNELS")
    assert node.bus.statistics().connections_lost == 0
    for shard in three.shards:
        shard.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[0])
    await _until_it_works(hears)


async def test_a_shard_that_dies_takes_only_its_own(node: Node, three: Three) -> None:
    """The others are heard all the while; its channels are when it is back."""
    lost, kept = three.channel_of(1), three.channel_of(2)
    await node.bus.subscribe([lost, kept])
    three.shards[1].stop()
    await node.until(lambda: node.events.count("bus.lost") == 1)
    with pytest.raises(BusDown):
        await node.bus.publish([(kept, b"1"), (lost, b"1")])
    assert await node.bus.publish([(kept, b"2")]) == 1
    await node.until(lambda: node.heard[kept] == [b"1", b"2"])
    three.shards[1].start()

    async def hears() -> bool:
        return await node.bus.publish([(lost, b"back")]) == 1

    await _until_it_works(hears)
    await node.until(lambda: b"back" in node.heard[lost])
    await node.until(lambda: node.bus.statistics().connected)
