"""Who is where, and what members are told of it: for every history of joins, leaves and losses."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels.presence_room_state import COUNT, DIFF, STATE, Meta
from channels.presence_state import PresenceState
from tests.channels.people import TOPIC, Viewer, meta, told


def test_one_who_joins_and_one_who_leaves_are_told_once() -> None:
    """A diff has both parts, always, and nothing follows it without a change."""
    state = PresenceState("a", listed_max=10)
    ann, bob = meta("1", "ann"), meta("2", "bob")
    state.enter(ann)
    state.enter(bob)
    assert told(state.tell(TOPIC)) == (DIFF, {"ann": ["1"], "bob": ["2"]}, {})
    assert state.tell(TOPIC) is None
    state.exit(ann)
    assert told(state.tell(TOPIC)) == (DIFF, {}, {"ann": ["1"]})
    assert state.take_changed() == []


def test_a_key_has_a_meta_for_each_device() -> None:
    """In the order in which they came; the key is there until the last one leaves."""
    state = PresenceState("a", listed_max=10)
    phone, laptop = meta("1", "ann"), meta("2", "ann")
    state.enter(phone)
    state.enter(laptop)
    assert told(state.tell(TOPIC)) == (DIFF, {"ann": ["1", "2"]}, {})
    assert state.count(TOPIC) == 1
    state.exit(phone)
    assert told(state.show(TOPIC)) == (STATE, {"ann": ["2", "1"]})  # the diff will take 1 away
    assert told(state.tell(TOPIC)) == (DIFF, {}, {"ann": ["1"]})
    assert told(state.show(TOPIC)) == (STATE, {"ann": ["2"]})
    assert [m.ref for m in state.metas(TOPIC)["ann"]] == ["2"]


def test_who_comes_and_goes_in_between_is_not_told() -> None:
    """Nobody has seen it."""
    state = PresenceState("a", listed_max=10)
    ann = meta("1", "ann")
    state.enter(ann)
    assert told(state.show(TOPIC)) == (STATE, {})
    state.exit(ann)
    assert state.tell(TOPIC) is None
    assert state.take_deltas(10) == []


def test_who_saw_itself_sees_itself_go() -> None:
    """A client is shown its own meta before it is told; then it comes and goes for everybody."""
    state = PresenceState("a", listed_max=10)
    ann = meta("1", "ann")
    state.enter(ann)
    assert told(state.show(TOPIC, {"1"})) == (STATE, {"ann": ["1"]})
    state.exit(ann)
    assert told(state.show(TOPIC)) == (STATE, {})
    assert told(state.tell(TOPIC)) == (DIFF, {"ann": ["1"]}, {"ann": ["1"]})


def test_an_empty_topic_is_forgotten() -> None:
    """After its members were told."""
    state = PresenceState("a", listed_max=1)
    people = [meta(ref, ref) for ref in "12"]
    for each in people:
        state.enter(each)
    state.tell(TOPIC)
    for each in people:
        state.exit(each)
    assert told(state.tell(TOPIC)) == (STATE, {})
    assert state.topics == 0


def test_a_large_topic_is_counted_until_it_has_halved() -> None:
    """Then its whole list is told, and diffs follow."""
    state = PresenceState("a", listed_max=4)
    people = [meta(str(n), f"k{n}") for n in range(5)]
    for each in people[:4]:
        state.enter(each)
    assert told(state.tell(TOPIC))[0] == DIFF
    state.enter(people[4])
    assert (state.take_changed(), state.take_recounted()) == ([TOPIC], [TOPIC])
    assert told(state.tell(TOPIC)) == (COUNT, 5)
    second = meta("5", "k4")
    state.enter(second)
    assert (state.take_changed(), state.take_recounted()) == ([], [TOPIC])
    state.exit(second)
    assert state.tell(TOPIC) is None
    assert told(state.show(TOPIC)) == (COUNT, 5)
    for each in people[:2]:
        state.exit(each)
    assert told(state.tell(TOPIC)) == (COUNT, 3)
    state.exit(people[2])
    assert told(state.show(TOPIC)) == (STATE, {"k3": ["3"], "k4": ["4"]})
    assert told(state.tell(TOPIC)) == (STATE, {"k3": ["3"], "k4": ["4"]})
    state.exit(people[3])
    assert told(state.tell(TOPIC)) == (DIFF, {}, {"k3": ["3"]})


def test_a_count_is_told_when_it_has_changed() -> None:
    """A second device is no second person."""
    state = PresenceState("a", listed_max=0)
    assert told(state.show(TOPIC)) == (COUNT, 0)
    state.enter(meta("1", "ann"))
    assert told(state.tell(TOPIC)) == (COUNT, 1)
    state.enter(meta("2", "ann"))
    assert state.tell(TOPIC) is None


def test_joins_into_a_large_topic_cost_the_same_each() -> None:
    """Ten thousand come one by one and are told of; what is listed stays where the bound was."""
    state = PresenceState("a", listed_max=200)
    for n in range(10_000):
        ref = f"{n:x}"
        state.enter(meta(ref, f"k{n}"))
        state.show(TOPIC, {ref})
        state.tell(TOPIC)
        if n == 200:
            listed = state.work.listed
    assert told(state.show(TOPIC)) == (COUNT, 10_000)
    assert listed == state.work.listed
    assert listed <= 200 * 200


KEYS = st.sampled_from(["ann", "bob", "cid"])
BOUND = 4


class Telling(RuleBasedStateMachine):
    """Viewers who came at different times all know who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.state = PresenceState("a", listed_max=BOUND)
        self.people: list[Meta] = []
        self.viewers: list[Viewer] = []
        self.made = 0

    @rule(key=KEYS)
    def come(self, key: str) -> None:
        """Somebody comes, and watches from then on."""
        self.made += 1
        someone = meta(str(self.made), key)
        self.state.enter(someone)
        self.people.append(someone)
        self.watch({someone.ref})

    @rule(n=st.integers(0, 100))
    def go(self, n: int) -> None:
        """Somebody goes, and may watch on."""
        if self.people:
            self.state.exit(self.people.pop(n % len(self.people)))

    @rule()
    def watch(self, own: frozenset[str] | set[str] = frozenset()) -> None:
        """A newcomer is shown who is there."""
        viewer = Viewer()
        viewer.take(self.state.show(TOPIC, own))
        self.viewers.append(viewer)

    @rule()
    def tell(self) -> None:
        """All are told; who is listed is known exactly."""
        event = self.state.tell(TOPIC)
        for viewer in self.viewers:
            viewer.take(event)
        name, shown = told(self.state.show(TOPIC))
        if name == STATE:
            present: dict[str, set[str]] = {}
            for each in self.people:
                present.setdefault(each.key, set()).add(each.ref)
            for people in [shown, *(viewer.people for viewer in self.viewers)]:
                assert {key: set(some) for key, some in people.items()} == present
        else:
            assert shown == len({each.key for each in self.people})

    @invariant()
    def nobody_comes_twice(self) -> None:
        """One diff tells of a join, whoever was shown it before."""
        for viewer in self.viewers:
            assert len(viewer.seen) == len(set(viewer.seen))

    @invariant()
    def the_truth_is_at_hand(self) -> None:
        """The application sees who is there, told or not."""
        there = [m.ref for metas in self.state.metas(TOPIC).values() for m in metas]
        assert sorted(there) == sorted(each.ref for each in self.people)
        assert self.state.count(TOPIC) == len({each.key for each in self.people})


TestTelling = pytest.mark.slow(Telling.TestCase)
TestTelling.settings = settings(max_examples=100, stateful_step_count=40)
