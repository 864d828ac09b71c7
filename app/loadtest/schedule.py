"""When to publish in open loop. Pure.

Message `m` is due `m / rate` seconds after the beginning, in room `m % rooms`, whatever became of
those before it: a server that stalls finds them all due when it goes on, and the latency of each
counts from when it was due.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from app.loadtest.model import NS


class Schedule:
    """The messages of one process.

    Args:
        rooms: the numbers of the rooms in which it publishes, in order; not none.
        rooms_in_all: of all processes.
        rate: messages a second of all processes.
        start_ns: the beginning.
    """

    def __init__(self, rooms: Sequence[int], rooms_in_all: int, rate: float, start_ns: int) -> None:
        self._rooms = rooms
        self._rooms_in_all = rooms_in_all
        self._rate = rate
        self._start_ns = start_ns
        self._turn = 0
        self._index = 0
        self.due_ns = self._moment()
        """When the next message is due."""

    def take(self) -> tuple[int, int]:
        """The place of the next message's room among `rooms`, and when it is due; goes on."""
        taken = self._index, self.due_ns
        self._index += 1
        if self._index == len(self._rooms):
            self._index = 0
            self._turn += 1
        self.due_ns = self._moment()
        return taken

    def due_before(self, moment_ns: int) -> int:
        """How many messages are due before a moment, sent or not."""
        in_all = max(ceil((moment_ns - self._start_ns) * self._rate / NS), 0)
        turns, rest = divmod(in_all, self._rooms_in_all)
        return turns * len(self._rooms) + bisect_left(self._rooms, rest)

    def _moment(self) -> int:
        number = self._turn * self._rooms_in_all + self._rooms[self._index]
        return self._start_ns + int(number * NS / self._rate)
