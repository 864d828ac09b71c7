"""Who is where: the people of every node, as one node knows them. Pure.

Theory of operation. A node speaks for its own people only, so what each knows of another is a copy
with one writer. The writer numbers its changes; a copy takes the next one, ignores what it has, and
knows by the number when it missed something. The whole of a node's people, in parts, replaces a
copy.

The people of all nodes meet in rooms, one for each topic (`presence_room_state`), and which topics
have something to tell is noted, so that only these are looked at.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from channels.presence_room_state import COUNT, STATE, Meta, Room, Told, Work


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
        work: what rooms have done.
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
        self.work = Work()
        self._listed_max = listed_max
        self._rooms: dict[str, Room] = {}
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
        if room is not None:
            return room.show(own)
        return (STATE, {}) if self._listed_max else (COUNT, {"count": 0})

    def tell(self, topic: str) -> Told | None:
        """What members are told of the changes since the last time; None if nothing."""
        self.changed.pop(topic, None)
        self.recounted.pop(topic, None)
        room = self._rooms.get(topic)
        if room is None:
            return None
        if not room.size:
            del self._rooms[topic]
        return room.tell()

    def _copy(self, node: str) -> _Copy:
        assert node != self.node, "only this node speaks for its own people"
        return self._copies.setdefault(node, _Copy())

    def _arrive(self, copy: _Copy, meta: Meta) -> None:
        if meta.ref in copy.metas:
            return
        copy.metas[meta.ref] = meta
        room = self._room(meta.topic)
        listed = not room.counted
        room.enter(meta)
        self._mark(meta.topic, room)
        if listed and room.counted:
            self.changed[meta.topic] = None  # told at once: from here on lists are out of date

    def _depart(self, copy: _Copy, ref: str) -> None:
        meta = copy.metas.pop(ref, None)
        if meta is not None:
            room = self._rooms[meta.topic]
            room.exit(meta)
            self._mark(meta.topic, room)

    def _room(self, topic: str) -> Room:
        room = self._rooms.get(topic)
        if room is None:
            room = self._rooms[topic] = Room(self._listed_max, self.work)
        return room

    def _mark(self, topic: str, room: Room) -> None:
        (self.recounted if room.counted else self.changed)[topic] = None
