"""How far a node has followed the log, and what of a batch comes next: the feed without its IO.

Positions are gapless, so one number says what was applied. A batch either joins on to it, wholly
or in part, and then its new events come next; or it lies at or below it, and is old; or it leaves a
gap, and then it only says how far the log goes: what is missing is read from the database, which
has all of it, and the batch itself comes along with that. Whatever happens to batches on their way,
each event is therefore given out once, in order.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.events.model import StoredEvent


class Batch(msgspec.Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """A piece of the log on its way to the nodes, as JSON on the wire.

    Attributes:
        epoch: which log.
        first: the position of the first event; `from` on the wire.
        last: the position of the last one; `to` on the wire.
        events: every event from `first` to `last`, in order.
    """

    epoch: str
    first: int
    last: int
    events: tuple["WireEvent", ...]

    @classmethod
    def of(cls, epoch: str, events: Sequence[StoredEvent]) -> "Batch":
        """The batch of these events: at least one, without gaps."""
        wire = tuple(WireEvent(e.position, e.type, e.topics, dict(e.data)) for e in events)
        return cls(epoch, wire[0].position, wire[-1].position, wire)

    @property
    def whole(self) -> bool:
        """Whether the events are those that `first` and `last` say."""
        positions = [event.position for event in self.events]
        return bool(positions) and positions == list(range(self.first, self.last + 1))


class WireEvent(msgspec.Struct, frozen=True):
    """An event of a batch; the members are those of `StoredEvent`."""

    position: int
    type: str
    topics: tuple[str, ...]
    data: dict[str, Any]

    def stored(self) -> StoredEvent:
        """The event as the rest of the code knows it."""
        return StoredEvent(self.position, self.type, self.topics, self.data)


_DECODER = msgspec.json.Decoder(Batch)


def encode(batch: Batch) -> bytes:
    """The bytes that travel between nodes."""
    return msgspec.json.encode(batch)


def decode(data: bytes) -> Batch | None:
    """The batch that these bytes spell, None where they spell none."""
    try:
        batch = _DECODER.decode(data)
    except msgspec.DecodeError:
        return None
    return batch if batch.whole else None


class FeedState:
    """What one node knows of the log.

    Attributes:
        position: the last position applied.
        target: the highest position known to be in the log, never below `position`.
    """

    __slots__ = ("position", "target")

    def __init__(self, position: int) -> None:
        self.position = position
        self.target = position

    @property
    def behind(self) -> bool:
        """Whether the log is known to go on beyond what was applied."""
        return self.position < self.target

    def see(self, position: int) -> None:
        """Learn that the log goes at least this far."""
        self.target = max(self.target, position)

    def next_of(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Those of `events` that come next; none where they are old or leave a gap.

        Args:
            events: a piece of the log, in order and without gaps; may be empty.
        """
        if not events:
            return ()
        self.see(events[-1].position)
        known = self.position + 1 - events[0].position
        return events[known:] if known >= 0 else ()

    def apply(self, event: StoredEvent) -> None:
        """Note that this event, the next, was given out."""
        assert event.position == self.position + 1, f"{event.position} follows {self.position}"
        self.position = event.position
        self.see(event.position)
