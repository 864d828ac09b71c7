"""A mailbox in which a message gives way to a later one of its key: for news that replaces news.

A key is waited for by at most one message, which keeps its place in the queue, so that a key that
changes all the time is not put off for ever.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from actors.mailbox import Mailbox, Overflow, Owner
from actors.mailbox_statistics import Tally

M = TypeVar("M")


class KeepLatestMailbox(Mailbox[M]):
    """A mailbox with `Overflow.KEEP_LATEST`."""

    __slots__ = ("_key_of", "_places", "_shifted")

    def __init__(
        self,
        capacity: int,
        key_of: Callable[[Any], Hashable | None],
        *,
        name: str = "mailbox",
        owner: Owner | None = None,
        total: Tally | None = None,
    ) -> None:
        """An empty mailbox.

        Args:
            capacity: the most messages that may wait, and so the most keys.
            key_of: the key of a message; one of None is never replaced.
            name: whose it is, for errors.
            owner: told of what does not get through.
            total: counts it, too, with that of other mailboxes.
        """
        super().__init__(capacity, Overflow.KEEP_LATEST, name=name, owner=owner, total=total)
        self._key_of = key_of
        self._places: dict[Hashable, int] = {}  # of each key's message, counted from the beginning
        self._shifted = 0  # messages that were dropped in front of the queue since then

    def put_nowait(self, message: M) -> bool:
        """Add a message, in the place of the one of its key if one waits.

        Raises:
            MailboxClosed: nobody will read it.
        """
        key = None if self.closed else self._key_of(message)
        if key is None:
            return super().put_nowait(message)
        place = self._places.get(key)
        if place is not None:
            self._replace(place - self._shifted, message)
            return True
        super().put_nowait(message)  # which may drop the oldest
        self._places[key] = len(self._queue) - 1 + self._shifted
        return True

    def take(self) -> list[M]:
        """Everything that waits, the oldest last."""
        self._places.clear()
        self._shifted = 0
        return super().take()

    def put_back(self, messages: Sequence[M] = ()) -> None:
        """Give back what was taken and not handled; it goes before what came since."""
        self._shifted -= len(messages) + len(self._batch)
        super().put_back(messages)

    def _replace(self, place: int, message: M) -> None:
        replaced, self._queue[place] = self._queue[place], message
        for tally in self._tallies():
            tally.replaced += 1
        if self._owner is not None:
            self._owner.dropped(replaced)

    def _drop_oldest(self) -> None:
        key = self._key_of(self._queue[0])
        if key is not None and self._places.get(key) == self._shifted:
            del self._places[key]
        self._shifted += 1
        super()._drop_oldest()
