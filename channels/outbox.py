"""What waits to be written to one client: whole frames, in order, bounded in bytes.

The hub and the channels put frames in without waiting, the hub's flusher sends them without
waiting, and only what a socket does not take at once is left to a writer that waits for it. While
somebody writes, the outbox is `busy` and the flusher keeps off; whoever writes takes along what
came meanwhile.

Every message offered ends up in exactly one count: delivered (all bytes of its batch were taken by
the transport), dropped (a volatile message for which there was no room) or disconnected (it was on
its way when the connection ended).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

# The size of a closed outbox: no room for anything, without one more check for each message.
_CLOSED_SIZE: Final = 1 << 62


@dataclass(slots=True)
class Totals:
    """Counters that the outboxes of a node share.

    Attributes:
        offered: messages meant for a client, one for each client.
        delivered: of these, taken by the transport.
        dropped: of these, volatile ones that found no room.
        disconnected: of these, on their way when the connection ended.
        bytes_sent: bytes taken by transports.
        sends: system calls that took them, or would have.
        overflows: connections that were ended because they read too slowly.
    """

    offered: int = 0
    delivered: int = 0
    dropped: int = 0
    disconnected: int = 0
    bytes_sent: int = 0
    sends: int = 0
    overflows: int = 0


class Sink(Protocol):
    """The transport of one client, as its outbox sees it."""

    def start_writer(self) -> None:
        """Have a task write all that waits, and the outbox be busy meanwhile."""

    def overflowed(self) -> None:
        """The client reads too slowly: end its connection."""

    def broke(self) -> None:
        """The transport failed: end the connection."""


class Outbox:
    """One client's outbox. `queue`, `size` and `count` are the hub's to change, nobody else's.

    Attributes:
        queue: frames that nobody has taken yet.
        size: bytes of these and of those being written.
        count: messages in `queue`.
        busy: somebody is writing to the transport.
        closed: nothing is taken any more.
    """

    __slots__ = (
        "_in_flight",
        "_send",
        "_sink",
        "busy",
        "closed",
        "count",
        "queue",
        "size",
        "totals",
    )

    def __init__(
        self, sink: Sink, totals: Totals, send_nowait: Callable[[bytes], int] | None = None
    ) -> None:
        """An empty outbox.

        Args:
            sink: the transport.
            totals: where to count.
            send_nowait: writes what the transport takes at once and says how many bytes that were;
                raises BlockingIOError for none and OSError for a transport that is gone. None if
                the transport can only be waited for.
        """
        self.queue: list[bytes] = []
        self.size = 0
        self.count = 0
        self.busy = False
        self.closed = False
        self.totals = totals
        self._in_flight = 0  # messages of the batch being written
        self._send = send_nowait
        self._sink = sink

    def flush(self) -> None:
        """Send what waits, if nobody is writing. What is not taken at once goes to the writer."""
        if self.busy or self.closed or not self.queue:
            return
        if self._send is None:
            self._sink.start_writer()
            return
        queue = self.queue
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        try:
            taken = self._send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._sink.broke()
            return
        totals = self.totals
        totals.sends += 1
        totals.bytes_sent += taken
        if taken == len(data):
            queue.clear()
            self.size = 0
            totals.delivered += self.count
            self.count = 0
            return
        self.queue = [data[taken:]]
        self.size -= taken
        self._sink.start_writer()

    def take(self) -> bytes:
        """For whoever writes: all that waits, as one batch. Then say `wrote` and `done`."""
        batch = b"".join(self.queue)
        self.queue.clear()
        self._in_flight, self.count = self.count, 0
        return batch

    def wrote(self, size: int) -> None:
        """For whoever writes: the transport took these bytes of the batch."""
        self.totals.sends += 1
        self.totals.bytes_sent += size
        self.size -= size

    def done(self) -> None:
        """For whoever writes: the whole batch is out."""
        self.totals.delivered += self._in_flight
        self._in_flight = 0

    def overflow(self) -> None:
        """A message that may not be lost found no room: the connection ends."""
        self.totals.overflows += 1
        self.close()
        self._sink.overflowed()

    def seal(self) -> None:
        """Take nothing more, but let what waits be written: a close frame is next."""
        self.closed = True
        self.size = _CLOSED_SIZE

    def close(self) -> None:
        """Take nothing more and give up what is left."""
        self.closed = True
        self.totals.disconnected += self.count + self._in_flight
        self.count = self._in_flight = 0
        self.queue.clear()
        self.size = _CLOSED_SIZE
