"""The automaton of a purchase: its tables, and the laws that hold however providers behave."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.payments.gateway import Approved, Cancelled, Declined, NotFound
from app.transactions.model import Receipt, State, Transaction
from app.transactions.rules import (
    FOLLOWS,
    NEXT,
    OPEN,
    SETTLES,
    Fact,
    Step,
    answer,
    fact_of,
    first_step,
    step_after_hold,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PAYING = Transaction(
    "txn_1",
    "demo",
    "demo-buyer",
    "key-1",
    b"hash",
    "demo",
    "lamp",
    2,
    "demo-seller",
    Money(2000, "EUR"),
    Money(200, "EUR"),
    "pm_card_visa",
    State.PAYING,
    None,
    "att_1",
    None,
    overdue=False,
    created_at=NOW,
    updated_at=NOW,
)


def test_final_states_stay() -> None:
    """A purchase that was captured or refused never changes again."""
    assert {State.PAYING, State.UNKNOWN} == OPEN
    assert [FOLLOWS[state] for state in (State.CAPTURED, State.REFUSED)] == [frozenset()] * 2


def test_each_settlement_can_follow_each_open_state() -> None:
    """Whatever is learned while a purchase is open can be recorded."""
    for state in OPEN:
        assert set(SETTLES.values()) <= FOLLOWS[state]


def test_every_step_has_what_follows() -> None:
    """A step asks, settles or holds; what can come back has a row that leads on."""
    assert set(NEXT) | set(SETTLES) | {Step.HOLD} == set(Step)
    asked = {Step.CHARGE, Step.CANCEL}
    for step, following in NEXT.items():
        expected = set(Fact) - {Fact.NOT_FOUND} if step in asked else set(Fact)
        assert set(following) == expected


def test_only_the_providers_word_refuses() -> None:
    """No lost answer, and nothing found, settles a purchase."""
    for following in NEXT.values():
        assert not {
            following[fact] for fact in (Fact.LOST, Fact.NOT_FOUND) if fact in following
        } & set(SETTLES)


@pytest.mark.parametrize(
    ("fresh", "overdue", "step"),
    [
        (True, False, Step.CHARGE),
        (False, False, Step.RESUME),
        (False, True, Step.CANCEL),
    ],
)
def test_where_to_begin(fresh: bool, overdue: bool, step: Step) -> None:  # noqa: FBT001  # a table's columns
    """One just accepted is charged; one that was found is looked up, or given up if overdue."""
    assert first_step(fresh=fresh, overdue=overdue) is step


def test_after_a_wait() -> None:
    """A charge that was lost is made again until the reservation has run out; then none may be."""
    assert step_after_hold(overdue=False) is Step.RESUME
    assert NEXT[Step.RESUME][Fact.NOT_FOUND] is Step.CHARGE
    assert step_after_hold(overdue=True) is Step.CANCEL


def test_what_answers_say() -> None:
    """Each answer of a provider is one fact."""
    answers = (Approved("r"), Declined(), Cancelled(), NotFound())
    assert [fact_of(each) for each in answers] == [
        Fact.APPROVED,
        Fact.DECLINED,
        Fact.CANCELLED,
        Fact.NOT_FOUND,
    ]


def test_what_callers_are_told() -> None:
    """Each state has its answer; a purchase that is being paid has none yet."""
    cursor = Cursor("abc", 7)
    captured = replace(PAYING, state=State.CAPTURED, cursor=cursor)
    assert answer(PAYING) is None
    assert answer(replace(PAYING, state=State.UNKNOWN)) == Refusal(Code.OUTCOME_UNKNOWN)
    assert answer(captured) == Receipt("txn_1", cursor)
    for code in (Code.SOLD_OUT, Code.DECLINED, Code.EXPIRED):
        assert answer(replace(PAYING, state=State.REFUSED, refusal=code)) == Refusal(code)


@dataclass
class Provider:
    """A provider that keeps to the port's promises, as a model."""

    decided: Fact | None = None

    def ask(self, step: Step, card: Fact) -> Fact:
        """What is true once this was asked."""
        if step is Step.CHARGE:
            self.decided = self.decided or card
        if step is Step.CANCEL:
            self.decided = self.decided or Fact.CANCELLED
        return self.decided or Fact.NOT_FOUND


class TwoDrivers(RuleBasedStateMachine):
    """One purchase, two nodes that drive it and may crash, a provider whose answers get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.provider = Provider()
        self.card = Fact.APPROVED
        self.state = State.PAYING
        self.overdue = False
        self.settled: list[Step] = []
        self.steps: dict[str, Step | None] = {"a": Step.CHARGE, "b": None}

    @precondition(lambda self: self.provider.decided is None)
    @rule()
    def change_the_card(self) -> None:
        """The card turns out to be no good."""
        self.card = Fact.DECLINED

    @rule()
    def time_passes(self) -> None:
        """The reservation runs out."""
        self.overdue = True

    @rule(node=st.sampled_from("ab"))
    def crash(self, node: str) -> None:
        """A node forgets what it was doing."""
        self.steps[node] = None

    @rule(node=st.sampled_from("ab"))
    def recover(self, node: str) -> None:
        """A node finds the purchase open and takes it up."""
        assume(self.steps[node] is None and self.state in OPEN)
        self.steps[node] = first_step(fresh=False, overdue=self.overdue)

    @rule(node=st.sampled_from("ab"), arrives=st.booleans(), answered=st.booleans())
    def act(self, node: str, *, arrives: bool, answered: bool) -> None:
        """A node does its next step; a call may not arrive, and its answer may be lost."""
        step = self.steps[node]
        assume(step is not None)
        assert step is not None
        if step in SETTLES:
            self._settle(step)
            self.steps[node] = None
        elif step is Step.HOLD:
            if self.state is State.PAYING:
                self.state = State.UNKNOWN
            over = self.state not in OPEN
            self.steps[node] = None if over else step_after_hold(overdue=self.overdue)
        else:
            fact = self.provider.ask(step, self.card) if arrives else Fact.LOST
            self.steps[node] = NEXT[step][fact if answered else Fact.LOST]

    def _settle(self, step: Step) -> None:
        """The database's guard: only an open purchase is settled."""
        if self.state in OPEN:
            assert SETTLES[step] in FOLLOWS[self.state]
            self.state = SETTLES[step]
            self.settled.append(step)

    @invariant()
    def it_ends_once_and_as_the_provider_says(self) -> None:
        """Money that moved is captured, and stock is released only where none did."""
        assert len(self.settled) <= 1
        for step in self.settled:
            assert {
                Step.CAPTURE: Fact.APPROVED,
                Step.DECLINE: Fact.DECLINED,
                Step.EXPIRE: Fact.CANCELLED,
            }[step] is self.provider.decided

    def teardown(self) -> None:
        """Once nobody crashes and nothing is lost, it ends."""
        self.overdue = True
        for _ in range(6):
            for node in "ab":
                if self.steps[node] is None and self.state in OPEN:
                    self.recover(node)
                if self.steps[node] is not None:
                    self.act(node, arrives=True, answered=True)
        assert self.state not in OPEN
        self.it_ends_once_and_as_the_provider_says()


TestTwoDrivers = TwoDrivers.TestCase
