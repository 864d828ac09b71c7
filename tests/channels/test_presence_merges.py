"""What nodes know of each other's people: whatever is lost on the way, it comes out right."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from channels.presence_room_state import DIFF, Meta
from channels.presence_state import Delta, PresenceState, Whole
from tests.channels.people import TOPIC, meta, told

KEYS = st.sampled_from(["ann", "bob", "cid"])


def take(state: PresenceState, word: Delta | Whole) -> bool:
    """Have a node hear this; False if it would ask."""
    if isinstance(word, Delta):
        return state.merge(word)
    state.remove(word.node, state.merge_whole(word))
    return True


def test_a_delta_is_taken_once_and_in_order() -> None:
    """One that is missing is noticed; one that was heard changes nothing."""
    a, b = (PresenceState(name, listed_max=9) for name in "ab")
    ann = meta("1", "ann")
    a.enter(ann)
    (first,) = a.take_deltas(10)
    a.exit(ann)
    a.enter(meta("2", "bob"))
    (second,) = a.take_deltas(10)
    assert not b.merge(second)
    assert b.merge(first)
    assert b.merge(second)
    assert b.merge(first)
    assert told(b.tell(TOPIC)) == (DIFF, {"bob": ["2"]}, {})
    assert (b.version("a"), b.refs("a"), b.version("nobody")) == (2, ["2"], 0)


def test_changes_are_told_in_pieces() -> None:
    """Each with its number, joins before leaves."""
    a = PresenceState("a", listed_max=9)
    people = [meta(str(n), str(n)) for n in range(5)]
    for each in people[:2]:
        a.enter(each)
    a.take_deltas(10)
    for each in people[2:]:
        a.enter(each)
    for each in people[:2]:
        a.exit(each)
    deltas = a.take_deltas(2)
    assert [(d.version, [m.ref for m in d.joins], d.leaves) for d in deltas] == [
        (2, ["2", "3"], []),
        (3, ["4"], ["0"]),
        (4, [], ["1"]),
    ]


def test_the_whole_replaces_what_is_known() -> None:
    """Those who are not in it are told to leave; a part out of turn is as good as none."""
    a, b = (PresenceState(name, listed_max=9) for name in "ab")
    people = [meta(str(n), str(n)) for n in range(5)]
    for each in people[:2]:
        a.enter(each)
    take(b, a.take_deltas(10)[0])
    a.exit(people[0])
    for each in people[2:]:
        a.enter(each)
    a.take_deltas(10)
    first, second = a.whole(2)
    assert b.merge_whole(second) == []
    assert b.merge_whole(first) == []
    assert b.merge_whole(second) == ["0"]
    b.remove("a", ["0"])
    assert b.version("a") == 2
    assert sorted(b.refs("a")) == ["1", "2", "3", "4"]
    b.remove("a", b.refs("a"))
    b.forget("a")
    assert (b.version("a"), b.refs("a"), b.count(TOPIC)) == (0, [], 0)


def test_a_whole_that_comes_late_changes_nothing() -> None:
    """What is known is newer."""
    a, b = (PresenceState(name, listed_max=9) for name in "ab")
    ann = meta("1", "ann")
    a.enter(ann)
    take(b, a.take_deltas(10)[0])
    (late,) = a.whole(10)
    a.exit(ann)
    take(b, a.take_deltas(10)[0])
    assert b.merge_whole(late) == []
    assert (b.version("a"), b.refs("a")) == (2, [])


def test_the_whole_of_nobody_is_one_part() -> None:
    """A node whose people have left says so."""
    (whole,) = PresenceState("a", listed_max=9).whole(10)
    assert (whole.version, whole.part, whole.last, whole.metas) == (0, 0, True, [])


class Nodes(RuleBasedStateMachine):
    """Three nodes over a bus that loses what it likes know the same in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes = [PresenceState(name, listed_max=4) for name in "abc"]
        self.people: list[list[Meta]] = [[], [], []]
        self.under_way: dict[tuple[int, int], list[Delta | Whole]] = {
            (i, j): [] for i in range(3) for j in range(3) if i != j
        }
        self.made = 0

    @rule(i=st.integers(0, 2), key=KEYS)
    def come(self, i: int, key: str) -> None:
        """Somebody comes to a node."""
        self.made += 1
        someone = meta(str(self.made), key)
        self.nodes[i].enter(someone)
        self.people[i].append(someone)

    @rule(i=st.integers(0, 2), n=st.integers(0, 100))
    def go(self, i: int, n: int) -> None:
        """Somebody goes."""
        if self.people[i]:
            self.nodes[i].exit(self.people[i].pop(n % len(self.people[i])))

    @rule(i=st.integers(0, 2))
    def tell(self, i: int) -> None:
        """A node tells the others."""
        deltas = self.nodes[i].take_deltas(2)
        for (source, _), way in self.under_way.items():
            if source == i:
                way.extend(deltas)

    @rule(i=st.integers(0, 2), j=st.integers(0, 2))
    def tell_the_whole(self, i: int, j: int) -> None:
        """A node tells another everything."""
        if i != j:
            self.tell(i)
            self.under_way[i, j] += self.nodes[i].whole(2)

    @rule(i=st.integers(0, 2), j=st.integers(0, 2), lost=st.booleans())
    def arrive(self, i: int, j: int, *, lost: bool) -> None:
        """What was sent first arrives, or does not."""
        if i != j and self.under_way[i, j]:
            word = self.under_way[i, j].pop(0)
            if not lost:
                take(self.nodes[j], word)

    def teardown(self) -> None:
        """Once the bus loses nothing, who misses something is sent the whole."""
        for i in range(3):
            self.tell(i)
        for (i, j), way in self.under_way.items():
            source, target = self.nodes[i], self.nodes[j]
            for word in way:
                take(target, word)
            if target.version(source.node) < source.version(source.node):
                for part in source.whole(2):
                    take(target, part)
        everybody = sorted(each.ref for people in self.people for each in people)
        for node in self.nodes:
            there = [m.ref for metas in node.metas(TOPIC).values() for m in metas]
            assert sorted(there) == everybody


TestNodes = pytest.mark.slow(Nodes.TestCase)
TestNodes.settings = settings(max_examples=100, stateful_step_count=40)
