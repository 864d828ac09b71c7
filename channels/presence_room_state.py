"""The people of one topic, and what its members were not told of them yet. Pure.

Theory of operation. A *meta* is one client's stay in a topic under a key; a key may have several,
as a person has several devices. A meta never changes: an update is a new one and the end of the
old.

What has changed and was not told yet is kept beside the people. Telling it makes a diff; what came
and went in between is never told. A newcomer is shown the people as of the last telling, so what it
is shown and all diffs after that are exactly the people, each change once. Of what is newer it is
shown its own metas, for a client looks for itself in the list; from then on these do not vanish
untold, but come and go in one diff.

Beyond a bound of metas a room is *counted*: its members are told how many keys it has, and no more,
for lists to everybody of everybody grow as the square. When it has shrunk to half the bound, its
whole list is told once, and diffs follow again. Half, so that a room at the bound does not change
to and fro.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

STATE: Final = "presence_state"
DIFF: Final = "presence_diff"
COUNT: Final = "presence_count"

Told: TypeAlias = tuple[str, Mapping[str, Any]]
"""An event, and its payload."""


class Meta(msgspec.Struct, array_like=True, frozen=True, eq=False, gc=False):
    """One client's stay in a topic under a key.

    Attributes:
        ref: like no other's, on any node, ever.
        topic: the whole topic.
        key: who it is.
        text: what members are told about it: a JSON object, `phx_ref` included.
    """

    ref: str
    topic: str
    key: str
    text: msgspec.Raw


@dataclass(slots=True)
class Work:
    """What rooms have done, all together.

    Attributes:
        listed: metas put into lists and diffs: the work that grows with rooms.
    """

    listed: int = 0


class Room:
    """One topic.

    Attributes:
        keys: to metas by ref; those who came first before the others.
        size: metas.
        counted: members are told counts, not lists.
    """

    __slots__ = (
        "_joined",
        "_left",
        "_listed_max",
        "_relist",
        "_shown",
        "_told",
        "_work",
        "counted",
        "keys",
        "size",
    )

    def __init__(self, listed_max: int, work: Work) -> None:
        """An empty room.

        Args:
            listed_max: metas of the largest room that is listed; 0 to count them all.
            work: where to count.
        """
        self.keys: dict[str, dict[str, Meta]] = {}
        self.size = 0
        self.counted = not listed_max
        self._listed_max = listed_max
        self._work = work
        self._told = -1  # the count that members know; none at first
        self._relist = False  # the whole list is told next
        self._joined: dict[str, Meta] = {}  # not told yet
        self._left: dict[str, Meta] = {}  # not told yet
        self._shown: set[str] = set()  # of the joined, those that somebody was shown

    def enter(self, meta: Meta) -> None:
        """Somebody came."""
        self.keys.setdefault(meta.key, {})[meta.ref] = meta
        self.size += 1
        if self.counted:
            return
        if self.size > self._listed_max:
            self.counted, self._relist, self._told = True, False, -1
            self._forget_news()
        elif not self._relist:
            self._joined[meta.ref] = meta

    def exit(self, meta: Meta) -> None:
        """Somebody who had come went."""
        metas = self.keys[meta.key]
        del metas[meta.ref]
        if not metas:
            del self.keys[meta.key]
        self.size -= 1
        if self.counted:
            self.counted = self.size > self._listed_max // 2 or not self._listed_max
            self._relist = not self.counted
        elif not self._relist:
            self._note_leave(meta)

    def show(self, own: Collection[str] = ()) -> Told:
        """What a newcomer is told. All that `tell` returns later follows on it.

        Args:
            own: refs of its own metas.
        """
        if self.counted:
            return COUNT, {"count": len(self.keys)}
        self._shown.update(ref for ref in own if ref in self._joined)
        old = (m for m in self._metas() if m.ref not in self._joined or m.ref in own)
        gone = (m for m in self._left.values() if m.ref not in self._joined)
        return STATE, self._listing([*old, *gone])

    def tell(self) -> Told | None:
        """What members are told of the changes since the last time; None if nothing."""
        if self.counted:
            return self._tell_count()
        if self._relist:
            self._relist = False
            return STATE, self._listing(self._metas())
        if not self._joined and not self._left:
            return None
        joins, leaves = self._listing(self._joined.values()), self._listing(self._left.values())
        self._forget_news()
        return DIFF, {"joins": joins, "leaves": leaves}

    def _metas(self) -> Iterator[Meta]:
        return (meta for metas in self.keys.values() for meta in metas.values())

    def _forget_news(self) -> None:
        """What was not told yet is told in another way."""
        self._joined.clear()
        self._left.clear()
        self._shown.clear()

    def _note_leave(self, meta: Meta) -> None:
        """Who was neither told of nor shown was never there."""
        if meta.ref in self._joined and meta.ref not in self._shown:
            del self._joined[meta.ref]
        else:
            self._left[meta.ref] = meta

    def _tell_count(self) -> Told | None:
        count = len(self.keys)
        if count == self._told:
            return None
        self._told = count
        return COUNT, {"count": count}

    def _listing(self, metas: Iterable[Meta]) -> dict[str, Any]:
        """Metas as they are told: `{key: {"metas": [...]}}`."""
        listing: dict[str, Any] = {}
        for meta in metas:
            self._work.listed += 1
            listing.setdefault(meta.key, {"metas": []})["metas"].append(meta.text)
        return listing
