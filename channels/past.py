"""What was read of a topic's history, as joins see it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from channels.channel import Joined, Message
from channels.cursor import Cursor, parse_cursor
from channels.history import Kept
from channels.serializer_v2 import V2


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks of recovery, by the params of its join.

    Attributes:
        rejoins: it names a cursor, good or not.
        cursor: the newest it has seen.
        cursors: it wants the cursor of each message in the `ref` slot.
    """

    rejoins: bool = False
    cursor: Cursor | None = None
    cursors: bool = False

    @property
    def after(self) -> int | None:
        """The position above which it needs messages."""
        return None if self.cursor is None else self.cursor.position


_NOTHING: Final = Wish()


def wish_of(params: Any) -> Wish:
    """What the params of a join ask for."""
    if not params or not isinstance(params, Mapping):  # nearly always
        return _NOTHING
    wire = params.get("cursor")
    return Wish(wire is not None, parse_cursor(wire), params.get("cursors") is True)


class Past:
    """What one read has brought. Many joins may share it.

    Attributes:
        cursor: the history's head.
        place: the hub's number for it.
    """

    __slots__ = ("_kept", "_messages", "cursor", "place")

    def __init__(self, kept: Kept, place: int) -> None:
        self.cursor = kept.head
        self.place = place
        self._kept = kept.messages
        self._messages: list[Message] | None = None

    @property
    def messages(self) -> Sequence[Message]:
        """All that was read, oldest first."""
        if self._messages is None:
            first = self.cursor.position - len(self._kept) + 1
            self._messages = [
                self._message(position, broadcast)
                for position, broadcast in enumerate(self._kept, first)
            ]
        return self._messages

    def since(self, cursor: Cursor | None) -> Sequence[Message] | None:
        """What was published after a cursor; None where that cannot be told any more."""
        if cursor is None or cursor.epoch != self.cursor.epoch:
            return None
        missed = self.cursor.position - cursor.position
        if not 0 <= missed <= len(self._kept):
            return None
        return self.messages[len(self._kept) - missed :]

    def answer(self, joined: Joined, wish: Wish) -> Joined:
        """The answer to a join, with what it tells of the history, and what the client missed."""
        assert joined.position is None, "a topic with history has its positions from there"
        response: dict[str, Any] = {**joined.response, "cursor": str(self.cursor)}
        missed = self.since(wish.cursor)
        if missed is not None:
            response |= {"recovered": True, "missed": len(missed)}
        elif wish.rejoins:
            response |= {"recovered": False, "reload": True}
        replay = (*joined.replay, *(missed or ()))
        return replace(joined, response=response, position=self.place, replay=replay)

    def _message(self, position: int, broadcast: bytes) -> Message:
        told = V2.read_broadcast(broadcast)
        place = self.place - self.cursor.position + position
        cursor = str(Cursor(self.cursor.epoch, position))
        return Message(told.event, told.payload, place, cursor)
