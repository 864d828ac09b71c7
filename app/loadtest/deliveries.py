"""Every delivery that is expected, and what became of it. Pure.

A room's messages are numbered from 1 and each member knows which number it waits for, so what came,
what came twice, what came late and what is lost is known for each member, not only in sum.

A server that fans out sends the same bytes to every member of a room, so a chunk that was read
once is recognised by its bytes: all that is left to do then for a member is to compare two numbers
and to note the moment. The moments, which are in order, are counted later, many at once.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from app.loadtest.histogram import Histogram
from app.loadtest.limits import CHUNK_BYTES_KEPT, FOLD_NS, MISSING_MAX

# Less than any number of deliveries that are on their way.
_NEVER: Final = -(1 << 62)


class Heard(NamedTuple):
    """A message of ours that came back.

    Attributes:
        seq: its number in its room.
        moment_ns: when it was meant to be sent.
    """

    seq: int
    moment_ns: int


class Seat:
    """A member's place in a room."""

    __slots__ = ("missing", "next", "room")

    def __init__(self, room: "RoomCount") -> None:
        self.room = room
        self.next = 1
        """The number that it waits for."""
        self.missing: set[int] | None = None
        """Earlier ones that have not come; None where none were ever missed."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was passed over is still to come."""
        return not self.missing

    def miss(self, up_to: int) -> None:
        """Pass over the numbers before this one."""
        if self.missing is None:
            self.missing = set()
        room_left = MISSING_MAX - len(self.missing)
        self.missing.update(range(self.next, min(up_to, self.next + room_left)))
        self.next = up_to


class RoomCount:
    """One room, as far as it is in this process.

    Args:
        total: members in all processes.
        window: messages in flight, where that decides when this process sends; else None.
    """

    __slots__ = ("least", "open", "seats", "sent", "total", "window")

    def __init__(self, total: int, window: int | None) -> None:
        self.total = total
        self.window = window
        self.seats: list[Seat] = []
        self.sent = 0
        """The number of the last message."""
        self.open = 0
        """Deliveries to members here that are on their way, as far as we sent the messages."""
        self.least = _NEVER
        """Where `open` is no more than this, the next message may be sent."""

    def take_seat(self, seat: Seat) -> None:
        """Somebody comes in."""
        self.seats.append(seat)
        self._count()

    def leave_seat(self, seat: Seat) -> None:
        """Somebody is gone, and waits for nothing any more."""
        self.seats.remove(seat)
        self.open -= max(self.sent + 1 - seat.next, 0)
        self._count()

    def send(self) -> int:
        """Number the next message."""
        self.sent += 1
        self.open += len(self.seats)
        return self.sent

    def give_up(self) -> None:
        """Expect no more of what is on its way; it is still counted if it comes."""
        for seat in self.seats:
            if seat.next <= self.sent:
                seat.miss(self.sent + 1)
        self.open = 0

    def _count(self) -> None:
        if self.window is not None and self.seats:
            self.least = (self.window - 1) * len(self.seats)
        else:
            self.least = _NEVER


@dataclass(slots=True)
class _Chunk:
    """Bytes that came, for all members to whom they come."""

    room: RoomCount
    messages: Sequence[Heard]
    first: int
    after: int
    moments: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Span:
    """What is measured: messages meant to be sent in `[begin_ns, end_ns)`.

    Attributes:
        begin_ns: the first moment.
        end_ns: the moment after the last.
        slot_ns: the span of one point of the plot over time.
        late_ns: the age beyond which a delivery is late.
    """

    begin_ns: int = 0
    end_ns: int = 0
    slot_ns: int = 1
    late_ns: int = 0


class Deliveries:
    """All that came to the members of one process."""

    def __init__(self) -> None:
        self.span = Span()
        self.slots: dict[int, Histogram] = {}
        """Latencies by point of the plot over time."""
        self.delivered = 0
        """Deliveries that were measured, each once."""
        self.seen = 0
        """All deliveries, whenever they were sent."""
        self.late = 0
        self.duplicates = 0
        self.reordered = 0
        self.ready: list[RoomCount] = []
        """Rooms that reached the point where the next message may be sent; the user clears it."""
        self._chunks: dict[bytes, _Chunk] = {}
        self._kept_bytes = 0
        self._folded_ns = 0

    def take(self, seat: Seat, data: bytes, now: int) -> bool:
        """Count what came to a member, if these bytes were read before.

        Args:
            seat: to whom it came.
            data: whole frames.
            now: the moment, never before that of an earlier call.

        Returns:
            Whether they were; if not, read them, `learn` them and come again.
        """
        chunk = self._chunks.get(data)
        if chunk is None:
            return False
        if chunk.first == seat.next:
            seat.next = chunk.after
            chunk.moments.append(now)
            room = chunk.room
            room.open -= chunk.after - chunk.first
            if room.open <= room.least:
                self.ready.append(room)
        else:
            for message in chunk.messages:
                self.take_one(seat, message, now)
        return True

    def take_one(self, seat: Seat, message: Heard, now: int) -> None:
        """Count one message that came to a member, whichever it is."""
        room, seq = seat.room, message.seq
        if seq >= seat.next:
            room.open -= seq + 1 - seat.next
            if seq > seat.next:
                seat.miss(seq)
            seat.next = seq + 1
        elif seat.missing and seq in seat.missing:
            seat.missing.remove(seq)
            self.reordered += self._is_measured(message.moment_ns)
        else:
            self.duplicates += self._is_measured(message.moment_ns)
            return
        self.seen += 1
        self._count(message.moment_ns, [now])
        if room.open <= room.least:
            self.ready.append(room)

    def learn(self, room: RoomCount, data: bytes, messages: Sequence[Heard]) -> None:
        """Remember what these bytes are: messages to a room, at least one."""
        if self._kept_bytes + len(data) > CHUNK_BYTES_KEPT:
            self.fold()
        self._kept_bytes += len(data)
        first = messages[0].seq
        is_row = [m.seq for m in messages] == list(range(first, first + len(messages)))
        chunk = _Chunk(room, messages, first if is_row else -1, first + len(messages))
        self._chunks[data] = chunk

    def fold_if_due(self, now: int) -> None:
        """Count the moments noted so far, if it is time for that."""
        if now - self._folded_ns >= FOLD_NS:
            self.fold()
            self._folded_ns = now

    def fold(self) -> None:
        """Count the moments noted so far."""
        chunks, self._chunks, self._kept_bytes = self._chunks, {}, 0
        for chunk in chunks.values():
            if chunk.moments:
                self.seen += len(chunk.moments) * len(chunk.messages)
                for message in chunk.messages:
                    self._count(message.moment_ns, chunk.moments)

    def _is_measured(self, moment_ns: int) -> bool:
        return self.span.begin_ns <= moment_ns < self.span.end_ns

    def _count(self, moment_ns: int, moments: Sequence[int]) -> None:
        if not self._is_measured(moment_ns):
            return
        span = self.span
        slot = (moment_ns - span.begin_ns) // span.slot_ns
        found = self.slots.get(slot)
        if found is None:
            found = self.slots[slot] = Histogram()
        found.add_since(moment_ns, moments)
        self.delivered += len(moments)
        self.late += len(moments) - bisect_right(moments, moment_ns + span.late_ns)
