"""One node's view of one topic: for every order of messages, losses, repetitions and reads."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from channels.cursor import Cursor
from channels.history import Kept
from channels.limits import HISTORY_AHEAD_MAX
from channels.recovery_state import Asked, Learned, TopicState

EPOCH = "a"


def text(position: int, epoch: str = EPOCH) -> bytes:
    """What the message at this place says."""
    return f"{epoch}{position}".encode()


def kept(first: int, head: int, epoch: str = EPOCH) -> Kept:
    """A read that brought the messages from the first to the head."""
    return Kept(Cursor(epoch, head), [text(n, epoch) for n in range(first, head + 1)])


def begun(position: int, epoch: str = EPOCH) -> TopicState:
    """A state after its first read."""
    state = TopicState()
    assert state.behind
    assert state.learn(Kept(Cursor(epoch, position)), state.ask()) == Learned([])
    return state


def hear(state: TopicState, *positions: int, epoch: str = EPOCH) -> list[bytes]:
    """What is due after these were heard."""
    due = [state.hear(Cursor(epoch, n), text(n, epoch)) for n in positions]
    return [message.broadcast for messages in due for message in messages]


def test_what_comes_next_is_given() -> None:
    """Each with its place, and a place for the hub that grows."""
    state = begun(4)
    [due] = state.hear(Cursor(EPOCH, 5), b"five")
    assert (due.cursor, due.broadcast, due.place) == (Cursor(EPOCH, 5), b"five", 5)
    assert not state.behind


def test_what_was_given_is_not_given_again() -> None:
    """However often it comes."""
    state = begun(4)
    assert hear(state, 5, 5, 4, 1, 5) == [text(5)]


def test_what_leaves_a_gap_waits() -> None:
    """Until the gap has closed."""
    state = begun(4)
    assert hear(state, 7, 6) == []
    assert state.behind
    assert hear(state, 5) == [text(5), text(6), text(7)]
    assert not state.behind


def test_what_waits_is_bounded() -> None:
    """What is beyond it comes by a read, like all that is missing."""
    state = begun(0)
    last = HISTORY_AHEAD_MAX + 10
    assert hear(state, *range(2, last + 1)) == []
    learned = state.learn(kept(1, last), state.ask())
    assert [message.broadcast for message in learned.due] == [text(n) for n in range(1, last + 1)]
    assert learned.healed == 10


def test_a_read_does_not_take_back_what_was_heard_meanwhile() -> None:
    """Its head is behind by then, and that is no loss."""
    state = begun(4)
    asked = state.ask()
    assert hear(state, 5, 6) == [text(5), text(6)]
    assert state.learn(kept(5, 5), asked) == Learned([])
    assert state.cursor == Cursor(EPOCH, 6)


def test_a_head_that_went_back_is_a_reload() -> None:
    """The store has lost what was given already, and its positions begin to mean other things."""
    state = begun(4)
    before = state.place_of(Cursor(EPOCH, 4))
    learned = state.learn(kept(1, 2), state.ask())
    assert learned.reload
    assert state.place_of(Cursor(EPOCH, 2)) > before
    assert hear(state, 3) == [text(3)]


@pytest.mark.parametrize("late", [False, True], ids=["before the read", "during the read"])
def test_another_epoch_is_only_believed_by_a_read(late: bool) -> None:  # noqa: FBT001 - a case
    """A message of it may be older than what is followed; a read that began later settles it."""
    state = begun(4)
    asked = state.ask()
    assert hear(state, 1, epoch="b") == []
    assert state.behind
    if not late:
        asked = state.ask()
    state.learn(Kept(Cursor(EPOCH, 4)), asked)
    assert state.behind is late
    assert state.cursor == Cursor(EPOCH, 4)


def test_a_new_epoch_is_a_reload() -> None:
    """What waited is void; what follows the new head is given."""
    state = begun(4)
    hear(state, 6)
    hear(state, 2, epoch="b")
    learned = state.learn(Kept(Cursor("b", 2)), state.ask())
    assert (learned.reload, learned.due) == (True, [])
    assert not state.behind
    assert hear(state, 3, epoch="b") == [text(3, "b")]


def test_what_was_heard_before_the_first_read_is_not_forgotten() -> None:
    """It may lie above the head that the read brings: then another read is due."""
    state = TopicState()
    asked = state.ask()
    hear(state, 5)
    state.learn(Kept(Cursor(EPOCH, 4)), asked)
    assert state.behind
    learned = state.learn(kept(5, 5), state.ask())
    assert [message.broadcast for message in learned.due] == [text(5)]


@pytest.mark.parametrize(
    ("head", "behind"),
    [
        (Cursor(EPOCH, 4), False),
        (Cursor(EPOCH, 5), True),
        (Cursor(EPOCH, 3), True),
        (Cursor("b", 4), True),
        (None, True),
    ],
)
def test_a_head_tells_whether_something_is_missing(head: Cursor | None, *, behind: bool) -> None:
    """Ahead, behind, of another epoch, or gone."""
    state = begun(4)
    state.see(head, state.ask())
    assert state.behind is behind


def test_a_head_that_is_late_proves_nothing() -> None:
    """What was heard while it was on its way lies above it."""
    state = begun(4)
    asked = state.ask()
    hear(state, 5)
    state.see(Cursor(EPOCH, 4), asked)
    assert not state.behind


class Histories(RuleBasedStateMachine):
    """A store, a bus that loses, doubles and reorders, one node, and what its members saw."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0
        self.head = 0
        self.size = 3
        self.flying: list[Cursor] = []  # on the bus, in any order
        self.state = TopicState()
        self.answer: tuple[Kept, Asked] | None = None  # of the read under way
        self.seen: list[Cursor | None] = []  # None is a reload
        self.places: list[int] = []
        self._learn(self._read())

    @property
    def epoch(self) -> str:
        """The present one."""
        return f"e{self.epochs}"

    def _read(self) -> tuple[Kept, Asked]:
        asked = self.state.ask()
        after = asked.cursor.position if asked.cursor is not None else 0
        first = max(1, self.head - self.size + 1, after + 1)
        return kept(first, self.head, self.epoch), asked

    def _learn(self, answer: tuple[Kept, Asked]) -> None:
        learned = self.state.learn(*answer)
        if learned.reload:
            self.seen.append(None)
            self.places.append(self.state.place_of(answer[0].head))
            self.reloaded_to = answer[0].head
        if not self.seen:
            self.reloaded_to = answer[0].head
            self.seen.append(None)
        self._see(learned.due)

    def _see(self, due: object) -> None:
        assert isinstance(due, list | tuple)
        for message in due:
            assert message.broadcast == text(message.cursor.position, message.cursor.epoch)
            before = self.seen[-1] or self.reloaded_to
            assert message.cursor == Cursor(before.epoch, before.position + 1)
            self.seen.append(message.cursor)
            self.places.append(message.place)

    @rule()
    def publish(self) -> None:
        """A message gets its place, and is on the bus."""
        self.head += 1
        self.flying.append(Cursor(self.epoch, self.head))

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 9), stays=st.booleans())
    def hear(self, which: int, *, stays: bool) -> None:
        """The bus delivers any of its messages; it may deliver it once more."""
        cursor = self.flying[which % len(self.flying)]
        if not stays:
            self.flying.remove(cursor)
        self._see(self.state.hear(cursor, text(cursor.position, cursor.epoch)))

    @precondition(lambda self: self.flying)
    @rule()
    def lose(self) -> None:
        """The bus loses what is longest on it."""
        self.flying.pop(0)

    @rule()
    def restart_empty(self) -> None:
        """The store loses everything."""
        self.epochs += 1
        self.head = 0

    @precondition(lambda self: self.answer is None)
    @rule()
    def begin_to_read(self) -> None:
        """The store answers; the answer is on its way."""
        self.answer = self._read()

    @precondition(lambda self: self.answer is not None)
    @rule()
    def end_reading(self) -> None:
        """The answer has come."""
        assert self.answer is not None
        self._learn(self.answer)
        self.answer = None

    @rule()
    def compare(self) -> None:
        """A head is looked at."""
        asked = self.state.ask()
        self.state.see(Cursor(self.epoch, self.head) if self.head else None, asked)

    @invariant()
    def places_grow(self) -> None:
        """The hub's numbers only grow."""
        assert self.places == sorted(set(self.places))

    def teardown(self) -> None:
        """In the end a comparison and reads bring the members to the head."""
        if self.answer is not None:
            self._learn(self.answer)
        self.flying.clear()
        self.compare()
        for _ in range(3):
            if self.state.behind:
                self._learn(self._read())
        assert self.state.cursor == Cursor(self.epoch, self.head)
        assert not self.state.behind
        assert (self.seen[-1] or self.reloaded_to) == self.state.cursor


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=40)
