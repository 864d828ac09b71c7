"""Reads the sockets of a node's clients: one task for all of them.

Theory of operation. A task that waits for its own socket costs a system call and a switch of tasks
for each packet, several times what the message in it costs. So the sockets stand in an epoll set of
their own, and one task waits for that set, which is itself something to be waited for. When it is
readable, whoever has something is called, one after another, and reads and acts without waiting;
only what takes a wait wakes the client's own task. Where thousands leave at once, their tasks are
woken a few in each turn: all of them together would keep everybody else waiting for seconds. So
would those who send a whole buffer of small messages at once: few of these are read in a turn, too.

Where there is no epoll, or while this does not run, each client waits for its own socket.
"""

import select
from collections.abc import Callable
from typing import Final

import trio

from actors import Lifeline
from channels.limits import READS_A_TURN, WAKES_A_TURN

_READABLE: Final = getattr(select, "EPOLLIN", 0)


class Reader:
    """One node's. `run` is a child's whole life, and may be run again."""

    def __init__(self) -> None:
        """Nobody to read from yet."""
        self.running = False
        self._epoll: select.epoll | None = None
        self._on_readable: dict[int, Callable[[], int]] = {}

    async def run(self, life: Lifeline) -> None:
        """Read until asked to stop. Without epoll it only stands by."""
        if self._epoll is None and hasattr(select, "epoll"):
            self._epoll = select.epoll()
        async with trio.open_nursery() as nursery:
            if self._epoll is not None:
                self.running = True
                nursery.start_soon(self._read_forever, self._epoll)
            life.ready()
            await life.stop_requested.wait()
            nursery.cancel_scope.cancel()

    def add(self, descriptor: int, on_readable: Callable[[], int]) -> None:
        """Have `on_readable` called whenever there is something to read, until `remove`.

        Args:
            descriptor: of an open socket.
            on_readable: reads without waiting; must neither block nor raise. It says what it cost:
                1 for a task that it woke, and 1 for each `READ_COST_BYTES` that it read.
        """
        assert self._epoll is not None, "it ran before"
        self._epoll.register(descriptor, _READABLE)
        self._on_readable[descriptor] = on_readable

    def remove(self, descriptor: int) -> None:
        """Call it no more. The socket must still be open. Doing it again changes nothing."""
        if self._on_readable.pop(descriptor, None) is not None:
            assert self._epoll is not None, "something was added"
            self._epoll.unregister(descriptor)

    async def _read_forever(self, epoll: select.epoll) -> None:
        on_readable = self._on_readable
        while True:
            await trio.lowlevel.wait_readable(epoll.fileno())
            cost = 0
            for descriptor, _ in epoll.poll(0, READS_A_TURN):
                read = on_readable.get(descriptor)
                if read is not None:  # nobody before it in this turn had it removed
                    cost += read()
                if cost >= WAKES_A_TURN:
                    break  # what is left is readable still
