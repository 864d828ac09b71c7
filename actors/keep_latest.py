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
        # Of each key's message: where it is in the queue, plus how often the queue was shifted.
        self._places: dict[Hashable, int] = {}
        self._shifted = 0

    def put_nowait(self, message: M) -> bool:
        """Add a message, in the place of the one of its key if one waits.

        Raises:
            MailboxClosed: nobody will read it.
        """
        key = None if self.closed else self._key_of(message)
        if not self._replaces(key, message):
            super().put_nowait(message)  # which may drop the oldest
            self._note(key)
        return True

    def take(self) -> list[M]:
        """What waits, up to the capacity, the oldest last."""
        batch = super().take()
        self._queue_up(self._queue)
        return batch

    def put_back(self, messages: Sequence[M] = ()) -> None:
        """Give back what was taken and not handled; it goes before what came since.

        Where a later one of its key came since, that one takes its place.
        """
        super().put_back(messages)
        self._queue_up(self._queue)

    def _queue_up(self, messages: Sequence[M]) -> None:
        """Have these wait, and none beside."""
        self._queue = []
        self._places.clear()
        for message in messages:
            key = self._key_of(message)
            if not self._replaces(key, message):
                self._queue.append(message)
                self._note(key)

    def _note(self, key: Hashable | None) -> None:
        """The last message has this key."""
        if key is not None:
            self._places[key] = len(self._queue) - 1 + self._shifted

    def _replaces(self, key: Hashable | None, message: M) -> bool:
        """Put a message in the place of the one of its key. False where none waits."""
        place = None if key is None else self._places.get(key)
        if place is None:
            return False
        place -= self._shifted
        replaced, self._queue[place] = self._queue[place], message
        for tally in self._tallies():
            tally.replaced += 1
        if self._owner is not None:
            self._owner.dropped(replaced)
        return True

    def _drop_oldest(self) -> None:
        self._places.pop(self._key_of(self._queue[0]), None)
        self._shifted += 1
        super()._drop_oldest()
