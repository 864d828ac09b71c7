"""How far one node has followed one topic's history, and what comes next: recovery without its IO.

Pure. Positions have no gaps, so one number says what members were given. A live message either
comes next, and is given with those that wait behind it; or it lies at or below that number, and is
a repetition; or it leaves a gap, and waits: what is missing is read from the history. What the
history has forgotten cannot be given any more, and then members are told to reload, once, and go on
from the history's head.

*Epochs.* A live message of another epoch proves nothing: it may be older or newer than what this
node follows. It only raises a suspicion, which a read that began later settles.

*Places.* Positions begin again with each epoch, but the hub wants numbers that only grow. So the
hub is told a position plus a base, which rises whenever positions go back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channels.cursor import Cursor
from channels.history import Kept
from channels.limits import HISTORY_AHEAD_MAX

# Nothing is known of another epoch but that there must be one.
_SOME_OTHER: Final = Cursor("", 0)


@dataclass(frozen=True, slots=True)
class Due:
    """A message that comes next for the members of the topic.

    Attributes:
        place: its number for the hub.
        cursor: its place in the history.
        broadcast: as V2 encoded it.
    """

    place: int
    cursor: Cursor
    broadcast: bytes


@dataclass(frozen=True, slots=True)
class Learned:
    """What a read has brought.

    Attributes:
        due: what comes next for the members, after the `reload` if there is one.
        healed: how many of these only the read has brought.
        reload: the members have missed something for good, and go on from the history's head.
    """

    due: Sequence[Due]
    healed: int = 0
    reload: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What was known when a read began.

    Attributes:
        cursor: how far the members were.
        suspicion: what there was to settle.
    """

    cursor: Cursor | None
    suspicion: Cursor | None


class TopicState:
    """What one node knows of one topic's history.

    Attributes:
        cursor: the place up to which this node's members were given everything; None before the
            first read.
        target: the highest position known of this epoch, never below that place.
        suspicion: a place of another epoch that was heard of; None when there is no doubt.
    """

    __slots__ = ("_ahead", "_base", "cursor", "suspicion", "target")

    def __init__(self) -> None:
        self.cursor: Cursor | None = None
        self.target = 0
        self.suspicion: Cursor | None = None
        self._ahead: dict[int, bytes] = {}  # heard, and waiting for what is before them
        self._base = 0

    @property
    def behind(self) -> bool:
        """Whether only a read can bring, or tell, what comes next."""
        if self.cursor is None or self.suspicion is not None:
            return True
        return self.cursor.position < self.target

    def place_of(self, cursor: Cursor) -> int:
        """The hub's number for a place of the present epoch."""
        return self._base + cursor.position

    def hear(self, cursor: Cursor, broadcast: bytes) -> Sequence[Due]:
        """Take a live message; what may be given now, itself among it or not."""
        mine = self.cursor
        if mine is None or mine.epoch != cursor.epoch:
            self.suspicion = cursor
            return []
        self.target = max(self.target, cursor.position)
        if cursor.position > mine.position and (
            cursor.position == mine.position + 1 or len(self._ahead) < HISTORY_AHEAD_MAX
        ):
            self._ahead[cursor.position] = broadcast
        return self._advance()

    def see(self, head: Cursor | None, asked: Asked) -> None:
        """Learn how far the history goes; None where there is none.

        Args:
            head: as the store says.
            asked: what was known before it was asked.
        """
        mine = asked.cursor
        if mine is None or self.cursor is None:
            return  # a read is due anyway
        if head is None or head.epoch != mine.epoch or head.position < mine.position:
            self.suspicion = head or _SOME_OTHER
        elif head.epoch == self.cursor.epoch:
            self.target = max(self.target, head.position)

    def ask(self) -> Asked:
        """What is known now, for whoever begins to read."""
        return Asked(self.cursor, self.suspicion)

    def learn(self, kept: Kept, asked: Asked) -> Learned:
        """Take what was read.

        Args:
            kept: all that is kept above the place in `asked`, at least.
            asked: what was known when the read began. One read of a topic is under way at a time.
        """
        head, mine = kept.head, self.cursor
        first = head.position - len(kept.messages) + 1
        healed, reload = 0, False
        if mine is None:
            self._go_to(head)
        elif head.epoch != mine.epoch or _went_back(head, asked):
            self._base += mine.position + 1
            self._ahead.clear()
            self.target = 0
            self._go_to(head)
            reload = True
        elif head.position > mine.position and first > mine.position + 1:
            self._go_to(head)
            reload = True
        else:
            healed = self._fill(first, kept.messages, after=mine.position)
            self.target = max(self.target, head.position)
        self._settle(head, asked)
        return Learned(self._advance(), healed, reload)

    def _go_to(self, head: Cursor) -> None:
        """What lies before this place is not given any more."""
        self.cursor = head
        self.target = max(self.target, head.position)

    def _fill(self, first: int, messages: Sequence[bytes], after: int) -> int:
        """Put what was read between what was heard; how many that are."""
        missing = {
            position: broadcast
            for position, broadcast in enumerate(messages, first)
            if position > after and position not in self._ahead
        }
        self._ahead |= missing
        return len(missing)

    def _settle(self, head: Cursor, asked: Asked) -> None:
        """A suspicion from before the read is settled by it; a later one may be news."""
        if self.suspicion is None:
            return
        if self.suspicion.epoch == head.epoch:
            self.target = max(self.target, self.suspicion.position)
            self.suspicion = None
        elif self.suspicion is asked.suspicion:
            self.suspicion = None

    def _advance(self) -> Sequence[Due]:
        """Give what comes next, as far as there is no gap."""
        assert self.cursor is not None, "the head was read first"
        epoch, position = self.cursor.epoch, self.cursor.position
        for passed in [each for each in self._ahead if each <= position]:
            del self._ahead[passed]
        due: list[Due] = []
        while (broadcast := self._ahead.pop(position + 1, None)) is not None:
            position += 1
            due.append(Due(self._base + position, Cursor(epoch, position), broadcast))
        if due:
            self.cursor = due[-1].cursor
            self.target = max(self.target, position)
        return due


def _went_back(head: Cursor, asked: Asked) -> bool:
    """Whether the store has lost what members were given already."""
    return asked.cursor is not None and head.position < asked.cursor.position
