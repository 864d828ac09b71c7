"""What waits to be written to one client: whole frames, in order, bounded in bytes.

The hub and the channels put frames in without waiting, the hub's flusher sends them without
waiting, and only what a socket does not take at once is left to a writer that waits for it. While
somebody writes, the outbox is `busy` and the flusher keeps off; whoever writes takes along what
came meanwhile.

What may be dropped stands in the queue as a `Piece`, which knows how many messages it holds and
what they are about; all else is plain bytes, and stays. Only what nobody has taken yet is dropped:
behind a socket that takes everything nothing ever waits.

Every message offered ends up in exactly one count: delivered (all bytes of its batch were taken by
the transport), dropped (it gave way to others, or found no room) or disconnected (it was on its way
when the connection ended).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Protocol

from channels.limits import OUTBOX_SLACK

# The size of a closed outbox: no room for anything, without one more check for each message.
_CLOSED_SIZE: Final = 1 << 62
# Places of dropped messages that a queue keeps before it is made anew.
_GAPS_MAX: Final = 64


class Piece(bytes):
    """Frames that may be dropped, together.

    Attributes:
        messages: how many are in it.
        thing: what it is about, where a newer one about the same replaces it; else None.
    """

    messages: int
    thing: Hashable | None

    @classmethod
    def of(cls, frames: bytes, messages: int = 1, thing: Hashable | None = None) -> "Piece":
        """The same bytes, as what may be dropped."""
        piece = cls(frames)
        piece.messages, piece.thing = messages, thing
        return piece


@dataclass(slots=True)
class Totals:
    """Counters that the outboxes of a node share.

    Attributes:
        offered: messages meant for a client, one for each client.
        delivered: of these, taken by the transport.
        dropped: of these, those that gave way to others, or found no room.
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


class Place(Protocol):
    """Where an outbox gets messages from.

    Attributes:
        shared: how many of the outboxes there get messages from elsewhere, too.
    """

    shared: int


class Outbox:
    """One client's outbox. `queue`, `size`, `count` and `groups` are the hub's to change.

    Attributes:
        queue: frames that nobody has taken yet.
        size: bytes of these and of those being written.
        count: messages in `queue`.
        busy: somebody is writing to the transport.
        closed: nothing is taken any more.
        groups: where its client is an ordinary member.
        send_nowait: writes what the transport takes at once; None if it can only be waited for.
    """

    __slots__ = (
        "_gaps",
        "_in_flight",
        "_sink",
        "_stuck",
        "_things",
        "busy",
        "closed",
        "count",
        "groups",
        "queue",
        "send_nowait",
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
        self.groups: tuple[Place, ...] = ()
        self.totals = totals
        self.send_nowait = send_nowait
        self._in_flight = 0  # messages of the batch being written
        self._sink = sink
        self._things: dict[Hashable, int] | None = None  # where in the queue each is spoken of
        self._gaps = 0  # places in the queue that were emptied
        self._stuck = 0  # bytes of which it is known that they cannot be dropped; may be more

    def make_room(self, size: int, most: int) -> bool:
        """Drop the oldest of what may be dropped, so that bytes find room.

        More is dropped than needed, so that the next ones do not have to look again.

        Args:
            size: so many bytes.
            most: that may wait.

        Returns:
            Whether there is room; where there cannot be, nothing is dropped.
        """
        if self.closed or self._stuck + size > most:
            return False
        stuck = self.size - sum(len(it) for it in self.queue if type(it) is Piece)
        if stuck + size > most:
            self._stuck = stuck  # so that the next ones need not count again
            return False
        keep = max(0, most - size - most // OUTBOX_SLACK)
        queue = []
        for piece in self.queue:
            if type(piece) is Piece and self.size > keep:
                self._give_up(piece)
            elif piece:
                queue.append(piece)
        self._requeue(queue)
        return True

    def replace(self, piece: Piece) -> None:
        """Put this in the queue's end; what is there about the same thing gives way to it."""
        if self._things is None:
            self._things = {
                it.thing: place
                for place, it in enumerate(self.queue)
                if type(it) is Piece and it.thing is not None
            }
        place = self._things.get(piece.thing)
        if place is not None:
            older = self.queue[place]
            assert type(older) is Piece, "places are of pieces"
            self._give_up(older)
            self.queue[place] = b""
            self._gaps += 1
        self._things[piece.thing] = len(self.queue)
        self.queue.append(piece)
        self.size += len(piece)
        self.count += piece.messages
        if self._gaps > _GAPS_MAX + len(self.queue) // 2:
            self._requeue([it for it in self.queue if it])

    def send(self, data: bytes, count: int) -> bool:
        """Send a batch to a transport that nobody is writing to, and for which nothing waits.

        Returns:
            Whether all of it was taken; the rest goes to a writer.
        """
        assert self.send_nowait is not None, "this transport can only be waited for"
        try:
            taken = self.send_nowait(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self.count += count
            self._sink.broke()
            return False
        if taken == len(data):
            return True
        self.totals.sends += 1
        self.totals.bytes_sent += taken
        self.queue = [data[taken:]]
        self.size = len(data) - taken
        self.count = count
        self._sink.start_writer()
        return False

    def flush(self) -> None:
        """Send what waits, if nobody is writing. What is not taken at once goes to the writer."""
        if self.busy or self.closed or not self.queue:
            return
        if self.send_nowait is None:
            self._sink.start_writer()
            return
        queue = self.queue
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        if self._stuck or self._things is not None:
            self._requeue(queue)
        count, self.count, self.size = self.count, 0, 0
        if self.send(data, count):
            totals = self.totals
            totals.sends += 1
            totals.bytes_sent += len(data)
            totals.delivered += count

    def take(self) -> bytes:
        """For whoever writes: all that waits, as one batch. Then say `wrote` and `done`."""
        batch = b"".join(self.queue)
        self._requeue([])
        self._in_flight += self.count  # a batch before may have been interrupted
        self.count = 0
        return batch

    def wrote(self, size: int) -> None:
        """For whoever writes: the transport took these bytes of the batch."""
        self.totals.sends += 1
        self.totals.bytes_sent += size
        self.size -= size
        self._stuck -= size

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
        self._requeue([])
        self.size = _CLOSED_SIZE

    def _give_up(self, piece: Piece) -> None:
        self.size -= len(piece)
        self.count -= piece.messages
        self.totals.dropped += piece.messages

    def _requeue(self, queue: list[bytes]) -> None:
        self.queue = queue
        self._things = None
        self._gaps = 0
        self._stuck = 0
