"""A purchase's automaton, as data: which state may follow which, and what is to be done next. Pure.

A purchase is driven by asking its payment provider. `NEXT` says, for each thing that can be asked
and each thing that can come back, what follows; where something can never come back, it has no
row. An answer that is lost never leads to a refusal by itself: stock is released only once the
provider has said that no money moved and none will.

                     accepted ── CHARGE ──┬─ approved ───────────────► CAPTURE
                                 ▲        ├─ declined ───────────────► DECLINE
         found open ── RESUME ───┘        ├─ cancelled by another ───► EXPIRE
          (not overdue)  ▲ not found      └─ lost ─► LOOK_UP ─ not found, lost ─► HOLD
                         │                                                         │
                         └─────────────────────────── not yet ─────────────────────┤
         found open ─────────────────► CANCEL ◄────── overdue ─────────────────────┘
          (overdue)                      └─ lost ─► HOLD

A charge that is not found may still be on its way, or lost for good. So it is waited for, and then
made again, under the same attempt: whichever arrives first counts, and the other tells the same.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.domain.errors import Code, Refusal
from app.payments.gateway import Approved, Cancelled, Declined, NotFound, Outcome
from app.transactions.model import Answer, Receipt, State, Transaction

# Which states may follow each. A state that nothing follows is final.
FOLLOWS: Final[Mapping[State, frozenset[State]]] = {
    State.PAYING: frozenset({State.UNKNOWN, State.CAPTURED, State.REFUSED}),
    State.UNKNOWN: frozenset({State.CAPTURED, State.REFUSED}),
    State.CAPTURED: frozenset(),
    State.REFUSED: frozenset(),
}

OPEN: Final = frozenset(state for state, following in FOLLOWS.items() if following)


class Step(StrEnum):
    """What to do with an open transaction."""

    # Ask the provider.
    CHARGE = "charge"
    LOOK_UP = "look_up"
    RESUME = "resume"  # a look-up when no charge is under way: nothing found means charge again
    CANCEL = "cancel"
    # Settle: the transaction is over.
    CAPTURE = "capture"
    DECLINE = "decline"
    EXPIRE = "expire"
    # Say that the outcome is unknown, wait, and ask again.
    HOLD = "hold"


class Fact(StrEnum):
    """What can come back from a provider."""

    APPROVED = "approved"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"
    LOST = "lost"


_SETTLED: Final = {
    Fact.APPROVED: Step.CAPTURE,
    Fact.DECLINED: Step.DECLINE,
    Fact.CANCELLED: Step.EXPIRE,
}

NEXT: Final[Mapping[Step, Mapping[Fact, Step]]] = {
    Step.CHARGE: {**_SETTLED, Fact.LOST: Step.LOOK_UP},
    Step.LOOK_UP: {**_SETTLED, Fact.NOT_FOUND: Step.HOLD, Fact.LOST: Step.HOLD},
    Step.RESUME: {**_SETTLED, Fact.NOT_FOUND: Step.CHARGE, Fact.LOST: Step.HOLD},
    Step.CANCEL: {**_SETTLED, Fact.LOST: Step.HOLD},
}

# The state that a settlement leads to.
SETTLES: Final[Mapping[Step, State]] = {
    Step.CAPTURE: State.CAPTURED,
    Step.DECLINE: State.REFUSED,
    Step.EXPIRE: State.REFUSED,
}


def first_step(*, fresh: bool, overdue: bool) -> Step:
    """Where to begin with an open transaction: one just accepted, or one that was found."""
    if fresh:
        return Step.CHARGE
    return Step.CANCEL if overdue else Step.RESUME


def step_after_hold(*, overdue: bool) -> Step:
    """What to ask once a wait is over."""
    return Step.CANCEL if overdue else Step.RESUME


def fact_of(outcome: Outcome | NotFound) -> Fact:
    """What a provider's answer says."""
    match outcome:
        case Approved():
            return Fact.APPROVED
        case Declined():
            return Fact.DECLINED
        case Cancelled():
            return Fact.CANCELLED
        case NotFound():
            return Fact.NOT_FOUND


def answer(transaction: Transaction) -> Answer | None:
    """What its caller is told of a transaction; None while its payment is under way."""
    match transaction.state:
        case State.CAPTURED:
            assert transaction.cursor is not None, "a capture has its place in the log"
            return Receipt(transaction.id, transaction.cursor)
        case State.REFUSED:
            assert transaction.refusal is not None, "a refusal says why"
            return Refusal(transaction.refusal)
        case State.UNKNOWN:
            return Refusal(Code.OUTCOME_UNKNOWN)
        case State.PAYING:
            return None
