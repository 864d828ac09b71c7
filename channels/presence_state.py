"""Who is where: the people of every node by topic and key, and what is not told yet. Pure.

Theory of operation. A *meta* is one client's stay in a topic under a key; a key may have several,
as a person has several devices. A meta never changes: an update is a new one and the end of the
old.

*Nodes.* A node speaks for its own people only, so what each knows of another is a copy with one
writer. The writer numbers its changes; a copy takes the next one, ignores what it has, and knows
by the number when it missed something. The whole of a node's people, in parts, replaces a copy.

*Members.* What has changed in a room and was not told yet is kept beside it. Telling it makes a
diff; what came and went in between is never told. A newcomer is shown the people as of the last
telling, so what it is shown and all diffs after that are exactly the people, each change once. Of
what is newer it is shown its own metas, for a client looks for itself in the list; from then on
these do not vanish untold, but come and go in one diff.

*Large rooms.* Beyond a bound of metas a room is *counted*: its members are told how many keys it
has, and no more, for lists to everybody of everybody grow as the square. When it has shrunk to half
the bound, its whole list is told once, and diffs follow again. Half, so that a room at the bound
does not change to and fro.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
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


class Delta(msgspec.Struct, array_like=True, frozen=True, tag="delta"):
    """A change of one node's people.

    Attributes:
        node: whose.
        version: its number; the first is 1.
        joins: metas that came.
        leaves: refs of those that went, none of which is among the joins.
    """

    node: str
    version: int
    joins: list[Meta]
    leaves: list[str]


class Whole(msgspec.Struct, array_like=True, frozen=True, tag="whole"):
    """A part of all of one node's people.

    Attributes:
        node: whose.
        version: of its changes that are in it.
        part: its number; the first is 0.
        last: it is the last one.
        metas: those of this part.
    """

    node: str
    version: int
    part: int
    last: bool
    metas: list[Meta]


class _Room:
    """One topic."""

    __slots__ = ("counted", "joined", "keys", "left", "relist", "shown", "size", "told")

    def __init__(self, *, counted: bool) -> None:
        self.keys: dict[str, dict[str, Meta]] = {}  # to metas by ref
        self.size = 0  # metas
        self.counted = counted
        self.told = -1  # the count that members know; none at first
        self.relist = False  # the whole list is told next
        self.joined: dict[str, Meta] = {}  # not told yet
        self.left: dict[str, Meta] = {}  # not told yet
        self.shown: set[str] = set()  # of the joined, those that somebody was shown

    def metas(self) -> Iterator[Meta]:
        """All that are here."""
        return (meta for metas in self.keys.values() for meta in metas.values())

    def forget_news(self) -> None:
        """What was not told yet is told in another way."""
        self.joined.clear()
        self.left.clear()
        self.shown.clear()


class _Copy:
    """What is known of one node's people."""

    __slots__ = ("arrived", "arriving", "metas", "part", "version")

    def __init__(self) -> None:
        self.version = 0
        self.metas: dict[str, Meta] = {}
        # While parts of a whole arrive:
        self.arriving = -1  # its version
        self.part = 0  # the next one
        self.arrived: set[str] = set()


class PresenceState:
    """The people of every node, as one node knows them.

    Attributes:
        node: this one.
        changed: topics whose members are to be told a list or a diff.
        recounted: topics whose members are to be told a count.
        listed: metas ever put into a list or a diff: the work that grows with rooms.
    """

    def __init__(self, node: str, *, listed_max: int) -> None:
        """Nobody anywhere.

        Args:
            node: like no other's, ever.
            listed_max: metas of the largest room that is listed; 0 to count them all.
        """
        self.node = node
        self.changed: dict[str, None] = {}
        self.recounted: dict[str, None] = {}
        self.listed = 0
        self._listed_max = listed_max
        self._rooms: dict[str, _Room] = {}
        self._own = _Copy()
        self._copies: dict[str, _Copy] = {node: self._own}
        self._joins: dict[str, Meta] = {}  # of this node, that others were not told yet
        self._leaves: list[str] = []

    # The people of this node.

    def enter(self, meta: Meta) -> None:
        """Somebody came."""
        self._arrive(self._own, meta)
        self._joins[meta.ref] = meta

    def exit(self, meta: Meta) -> None:
        """Somebody who had come went."""
        self._depart(self._own, meta.ref)
        if self._joins.pop(meta.ref, None) is None:
            self._leaves.append(meta.ref)

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell other nodes."""
        return bool(self._joins or self._leaves)

    def take_deltas(self, size_max: int) -> list[Delta]:
        """What other nodes were not told yet, in pieces of at most so many changes."""
        joins, self._joins = list(self._joins.values()), {}
        leaves, self._leaves = self._leaves, []
        deltas: list[Delta] = []
        for begin in range(0, len(joins) + len(leaves), size_max):
            self._own.version += 1
            end = begin + size_max
            gone = leaves[max(begin - len(joins), 0) : max(end - len(joins), 0)]
            deltas.append(Delta(self.node, self._own.version, joins[begin:end], gone))
        return deltas

    def whole(self, size_max: int) -> list[Whole]:
        """All people of this node, in parts. Nothing may be left that others were not told."""
        assert not self.has_news, "news is told before the whole"
        metas = list(self._own.metas.values())
        begins = range(0, max(len(metas), 1), size_max)
        return [
            Whole(
                self.node,
                self._own.version,
                part,
                begin == begins[-1],
                metas[begin : begin + size_max],
            )
            for part, begin in enumerate(begins)
        ]

    # The people of other nodes.

    @property
    def nodes(self) -> Collection[str]:
        """All nodes of which something is known, this one too."""
        return self._copies.keys()

    def version(self, node: str) -> int:
        """Up to which change a node's people are known; 0 if nothing is."""
        copy = self._copies.get(node)
        return 0 if copy is None else copy.version

    def refs(self, node: str) -> list[str]:
        """The metas of a node."""
        copy = self._copies.get(node)
        return [] if copy is None else list(copy.metas)

    def merge(self, delta: Delta) -> bool:
        """Take a change of another node's people. False: one before it is missing."""
        copy = self._copy(delta.node)
        if delta.version <= copy.version:
            return True
        if delta.version > copy.version + 1:
            return False
        for ref in delta.leaves:
            self._depart(copy, ref)
        for meta in delta.joins:
            self._arrive(copy, meta)
        copy.version = delta.version
        return True

    def merge_whole(self, whole: Whole) -> list[str]:
        """Take a part of another node's whole people. Out of turn it changes nothing.

        Returns:
            With the last part the refs of those who are not among them: to be removed.
        """
        copy = self._copy(whole.node)
        if whole.part == 0:
            copy.arriving, copy.part, copy.arrived = whole.version, 0, set()
        if (whole.version, whole.part) != (copy.arriving, copy.part) or (
            whole.version < copy.version
        ):
            copy.arriving = -1
            return []
        copy.part += 1
        for meta in whole.metas:
            copy.arrived.add(meta.ref)
            self._arrive(copy, meta)
        if not whole.last:
            return []
        arrived, copy.arrived = copy.arrived, set()
        copy.version, copy.arriving = whole.version, -1
        return [ref for ref in copy.metas if ref not in arrived]

    def remove(self, node: str, refs: Iterable[str]) -> None:
        """Some people of a node are not there any more."""
        copy = self._copy(node)
        for ref in refs:
            self._depart(copy, ref)

    def forget(self, node: str) -> None:
        """A node without people is gone."""
        copy = self._copies.pop(node, None)
        assert copy is None or not copy.metas, "its people are removed first"

    # What members are told.

    @property
    def size(self) -> int:
        """Metas of this node."""
        return len(self._own.metas)

    @property
    def topics(self) -> int:
        """Topics with anybody in them, and those whose members do not know yet that nobody is."""
        return len(self._rooms)

    def take_changed(self) -> list[str]:
        """Topics whose members are to be told a list or a diff, since the last time."""
        topics, self.changed = list(self.changed), {}
        return topics

    def take_recounted(self) -> list[str]:
        """Topics whose members are to be told a count, since the last time."""
        topics, self.recounted = list(self.recounted), {}
        return topics

    def metas(self, topic: str) -> Mapping[str, Collection[Meta]]:
        """All who are in a topic, by key, those who came first before the others."""
        room = self._rooms.get(topic)
        return {} if room is None else {key: [*by.values()] for key, by in room.keys.items()}

    def count(self, topic: str) -> int:
        """How many keys a topic has."""
        room = self._rooms.get(topic)
        return 0 if room is None else len(room.keys)

    def show(self, topic: str, own: Collection[str] = ()) -> Told:
        """What a newcomer is told: a list or a count. All that `tell` returns later follows on it.

        Args:
            topic: the whole topic.
            own: refs of its own metas.
        """
        room = self._rooms.get(topic)
        if room is None:
            return (STATE, {}) if self._listed_max else (COUNT, {"count": 0})
        if room.counted:
            return COUNT, {"count": len(room.keys)}
        room.shown.update(ref for ref in own if ref in room.joined)
        old = (m for m in room.metas() if m.ref not in room.joined or m.ref in own)
        gone = (m for m in room.left.values() if m.ref not in room.joined)
        return STATE, self._listing([*old, *gone])

    def tell(self, topic: str) -> Told | None:
        """What members are told of the changes since the last time; None if nothing."""
        self.changed.pop(topic, None)
        self.recounted.pop(topic, None)
        room = self._rooms.get(topic)
        if room is None:
            return None
        if not room.size:
            del self._rooms[topic]
        if room.counted:
            return _recount(room)
        if room.relist:
            room.relist = False
            return STATE, self._listing(room.metas())
        if not room.joined and not room.left:
            return None
        joins, leaves = self._listing(room.joined.values()), self._listing(room.left.values())
        room.forget_news()
        return DIFF, {"joins": joins, "leaves": leaves}

    def relist(self, topic: str) -> None:
        """Have a listed topic's members told the whole list next: some may have missed a diff."""
        room = self._rooms.setdefault(topic, _Room(counted=not self._listed_max))
        if not room.counted:
            room.forget_news()
            room.relist = True
        self._mark(topic, room)

    def _copy(self, node: str) -> _Copy:
        assert node != self.node, "only this node speaks for its own people"
        return self._copies.setdefault(node, _Copy())

    def _arrive(self, copy: _Copy, meta: Meta) -> None:
        if meta.ref in copy.metas:
            return
        copy.metas[meta.ref] = meta
        room = self._rooms.get(meta.topic)
        if room is None:
            room = self._rooms[meta.topic] = _Room(counted=not self._listed_max)
        room.keys.setdefault(meta.key, {})[meta.ref] = meta
        room.size += 1
        if not room.counted and room.size > self._listed_max:
            room.counted, room.relist, room.told = True, False, -1
            room.forget_news()
        elif not room.counted and not room.relist:
            room.joined[meta.ref] = meta
        self._mark(meta.topic, room)

    def _depart(self, copy: _Copy, ref: str) -> None:
        meta = copy.metas.pop(ref, None)
        if meta is None:
            return
        room = self._rooms[meta.topic]
        metas = room.keys[meta.key]
        del metas[ref]
        if not metas:
            del room.keys[meta.key]
        room.size -= 1
        if room.counted:
            room.counted = room.size > self._listed_max // 2 or not self._listed_max
            room.relist = not room.counted
        elif not room.relist:
            _note_leave(room, meta)
        self._mark(meta.topic, room)

    def _mark(self, topic: str, room: _Room) -> None:
        (self.recounted if room.counted else self.changed)[topic] = None

    def _listing(self, metas: Iterable[Meta]) -> dict[str, Any]:
        """Metas as they are told: `{key: {"metas": [...]}}`."""
        listing: dict[str, Any] = {}
        for meta in metas:
            self.listed += 1
            listing.setdefault(meta.key, {"metas": []})["metas"].append(meta.text)
        return listing


def _note_leave(room: _Room, meta: Meta) -> None:
    """Somebody left a listed room. Who was neither told nor shown was never there."""
    if meta.ref in room.joined and meta.ref not in room.shown:
        del room.joined[meta.ref]
    else:
        room.left[meta.ref] = meta


def _recount(room: _Room) -> Told | None:
    count = len(room.keys)
    if count == room.told:
        return None
    room.told = count
    return COUNT, {"count": count}
