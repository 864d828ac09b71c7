"""A real cluster of three primaries on this machine."""

import itertools
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from app.child_process import popen, spawn
from app.storage.embedded import find_valkey
from app.storage.redis_slots import SLOTS

SHARDS = 3
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
        """Start it, from outside any trio loop."""
        self.process = self._make()

    async def start_again(self) -> None:
        """Start it; what it knew of the cluster it knows again."""
        self.process = await spawn(self._make)

    def _make(self) -> subprocess.Popen[bytes]:
        binary = find_valkey()
        assert binary is not None
        return popen(
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

    def owns(self, slot: int) -> bool:
        """Whether it says that a slot is its own."""
        own = str(self.ask("CLUSTER", "MYID"), "ascii")
        return any(
            first <= slot <= last and str(primary[2], "ascii") == own
            for first, last, primary, *_ in self.ask("CLUSTER", "SLOTS")
        )

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
        return self.url_of(0)

    def url_of(self, shard: int) -> str:
        """Of this one."""
        return f"redis://127.0.0.1:{self.shards[shard].port}/0"

    def began_on(self, channel: str) -> int:
        """The shard that a channel began on."""
        return key_slot(channel.encode()) * SHARDS // SLOTS

    def channel_of(self, shard: int) -> str:
        """A new channel that began on this shard."""
        names = (f"agio:topic:cluster:{number}" for number in _NUMBERS)
        return next(name for name in names if self.began_on(name) == shard)

    def move(self, channel: str, to: int) -> None:
        """Have a channel's slot at this shard, with the keys that are in it."""
        slot = key_slot(channel.encode())
        ids = [shard.ask("CLUSTER", "MYID") for shard in self.shards]
        source = next(shard for shard in self.shards if shard.owns(slot))
        target = self.shards[to]
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for shard in (target, source, *self.shards):
            shard.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[to])

    def is_whole(self) -> bool:
        """Whether all of them say so."""
        wanted = (b"cluster_state:ok", b"cluster_slots_ok:%d" % SLOTS, b"cluster_known_nodes:3")
        infos = [shard.ask("CLUSTER", "INFO") or b"" for shard in self.shards]
        return all(word in info for info in infos for word in wanted)


@contextmanager
def cluster_of_three(folders: list[Path]) -> Iterator[Three]:
    """Three primaries, each with a third of the slots.

    Args:
        folders: a new one for each.
    """
    shards = [Shard(folder, _free_port(), _free_port()) for folder in folders]
    with ExitStack() as stack:
        for shard in shards:
            shard.start()
            stack.callback(shard.stop)
        for number, shard in enumerate(shards):
            while shard.ask("PING") is None:
                pass
            first, last = -(-SLOTS * number // SHARDS), -(-SLOTS * (number + 1) // SHARDS) - 1
            shard.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            shard.ask("CLUSTER", "MEET", "127.0.0.1", shards[0].port, shards[0].bus_port)
        three = Three(shards)
        while not three.is_whole():
            pass
        yield three
