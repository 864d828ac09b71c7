"""A gateway that remembers in memory, for tests: what goes wrong, and when, is the test's choice.

Every call passes two points, before its effect and after it. A test's `at` is awaited there: it
may raise `OutcomeUnknown` to lose the answer, wait to hold the call, or end whoever called.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import trio

from app.domain.ids import new_id
from app.payments import cards
from app.payments.gateway import (
    Approved,
    Attempt,
    AttemptReusedError,
    Cancelled,
    Declined,
    NotFound,
    Outcome,
    OutcomeUnknown,
)


class Point(StrEnum):
    """Where a call can be met."""

    CHARGE_BEFORE = "charge_before"
    CHARGE_AFTER = "charge_after"
    LOOKUP_BEFORE = "lookup_before"
    LOOKUP_AFTER = "lookup_after"
    CANCEL_BEFORE = "cancel_before"
    CANCEL_AFTER = "cancel_after"


async def pass_by(_point: Point, _attempt_id: str) -> None:
    """Meets a call and lets it go on."""
    await trio.lowlevel.checkpoint()


class MemoryGateway:
    """Implements `PaymentGateway`; `app.payments.cards` decides.

    Attributes:
        at: awaited at every point of every call.
        passed: how often each point was passed.
        outcomes: what became of each attempt, by its id.
    """

    provider: Final = "test"

    def __init__(self, at: Callable[[Point, str], Awaitable[None]] = pass_by) -> None:
        self.at = at
        self.passed: Counter[Point] = Counter()
        self.outcomes: dict[str, Outcome] = {}
        self._asked: dict[str, Attempt] = {}

    async def charge(self, attempt: Attempt) -> Outcome:
        """Approves or declines by the card's token, once an attempt."""
        await self._meet(Point.CHARGE_BEFORE, attempt.id)
        if attempt.payment_method == cards.LOST_BEFORE:
            raise OutcomeUnknown(attempt.id)
        if self._asked.setdefault(attempt.id, attempt) != attempt:
            raise AttemptReusedError(attempt.id)
        approved = cards.approves(attempt.payment_method)
        outcome = Approved(new_id("mch")) if approved else Declined()
        decided = self.outcomes.setdefault(attempt.id, outcome)
        await self._meet(Point.CHARGE_AFTER, attempt.id)
        if attempt.payment_method == cards.LOST_AFTER:
            raise OutcomeUnknown(attempt.id)
        return decided

    async def lookup(self, attempt_id: str) -> Outcome | NotFound:
        """What became of an attempt."""
        await self._meet(Point.LOOKUP_BEFORE, attempt_id)
        found = self.outcomes.get(attempt_id, NotFound())
        await self._meet(Point.LOOKUP_AFTER, attempt_id)
        return found

    async def cancel(self, attempt_id: str) -> Outcome:
        """Ends an attempt that has no outcome yet."""
        await self._meet(Point.CANCEL_BEFORE, attempt_id)
        decided = self.outcomes.setdefault(attempt_id, Cancelled())
        await self._meet(Point.CANCEL_AFTER, attempt_id)
        return decided

    async def _meet(self, point: Point, attempt_id: str) -> None:
        self.passed[point] += 1
        await self.at(point, attempt_id)
