"""The same child many times over, each for its share of the keys: so that none is everybody's.

A key belongs to the same partition in every life, every process and every version of Python.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

from actors.limits import PARTITIONS_MAX
from actors.restart_state import Backoff, Intensity
from actors.spec import ChildSpec, Lifeline, Restart
from actors.supervisor import Supervisor, SupervisorStatistics


class PartitionSupervisor:
    """One child for each partition, restarted each alone."""

    def __init__(
        self,
        name: str,
        make: Callable[[int], ChildSpec],
        *,
        partitions: int,
        intensity: Intensity | None = None,
    ) -> None:
        """A supervisor not running yet. It may run again after it ended.

        Args:
            name: for events, errors and task names.
            make: the child of a partition, from 0. Its id is replaced by the partition's number.
            partitions: how many.
            intensity: how many restarts, all partitions together, before it gives up.
        """
        assert 0 < partitions <= PARTITIONS_MAX, f"{name} has {partitions} partitions"
        self.name = name
        self.partitions = partitions
        specs = [replace(make(number), id=str(number)) for number in range(partitions)]
        self._supervisor = Supervisor(name, specs, intensity=intensity)

    def as_child(
        self,
        *,
        restart: Restart = Restart.PERMANENT,
        backoff: Backoff | None = None,
        significant: bool = False,
    ) -> ChildSpec:
        """This supervisor as a child of another, with all the time its children need to stop."""
        return self._supervisor.as_child(restart=restart, backoff=backoff, significant=significant)

    async def run(self, life: Lifeline) -> None:
        """Start all partitions, be ready, and supervise until asked to stop; as a `Supervisor`."""
        await self._supervisor.run(life)

    def partition_of(self, key: str) -> int:
        """The number of the partition that a key belongs to."""
        return crc32(key.encode()) % self.partitions

    def of(self, key: str) -> Any:
        """What the child of this key's partition gave to `ready`: its Ref, or a supervisor.

        Raises:
            ActorDown: that child is not there, or not ready.
        """
        return self._supervisor.value_of(str(self.partition_of(key)))

    def all(self) -> tuple[Any, ...]:
        """What the children that are ready gave to `ready`, in the order of their numbers."""
        return self._supervisor.values()

    def statistics(self) -> SupervisorStatistics:
        """What it does now."""
        return self._supervisor.statistics()

    def __repr__(self) -> str:
        return f"<PartitionSupervisor {self.name} [{self.partitions} partitions]>"
