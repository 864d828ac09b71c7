"""Every gateway keeps the promises of the port, word by word.

A further gateway is held against them by one more `Candidate`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import trio

from app.domain.money import Money
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
    PaymentGateway,
)
from app.payments.memory_gateway import MemoryGateway, Point
from app.payments.test_gateway import TestGateway
from app.storage import Annex, Database

pytestmark = pytest.mark.servers

PRICE = Money(5_124, "KWD")


@dataclass(frozen=True)
class Candidate:
    """A gateway, and the payment methods that bring about each outcome there."""

    gateway: PaymentGateway
    approves: str = cards.APPROVES
    declines: str = cards.DECLINES
    lost_before: str = cards.LOST_BEFORE
    lost_after: str = cards.LOST_AFTER


@pytest.fixture(params=["memory", "test"])
def candidate(request: pytest.FixtureRequest, database: Database) -> Candidate:
    """Each gateway in turn."""
    make: dict[str, Callable[[], PaymentGateway]] = {
        "memory": MemoryGateway,
        "test": lambda: TestGateway(database),
    }
    return Candidate(make[request.param]())


def attempt(method: str, number: int = 1) -> Attempt:
    """The attempt of this number."""
    return Attempt(f"att_{number}", PRICE, method)


async def test_a_good_card_is_charged(candidate: Candidate) -> None:
    """An approval names the money that moved, and the look-up tells the same."""
    outcome = await candidate.gateway.charge(attempt(candidate.approves))
    assert isinstance(outcome, Approved)
    assert outcome.reference
    assert await candidate.gateway.lookup("att_1") == outcome


@pytest.mark.parametrize("method", ["declines", "nobody_knows_it"])
async def test_a_bad_card_is_declined(candidate: Candidate, method: str) -> None:
    """A card that is no good, or that nobody knows, is declined, and stays so."""
    bad = getattr(candidate, method, method)
    assert await candidate.gateway.charge(attempt(bad)) == Declined()
    assert await candidate.gateway.lookup("att_1") == Declined()


async def test_what_never_came_is_not_found(candidate: Candidate) -> None:
    """A look-up of nothing finds nothing, and leaves nothing behind."""
    assert await candidate.gateway.lookup("att_1") == NotFound()
    assert await candidate.gateway.lookup("att_1") == NotFound()
    assert isinstance(await candidate.gateway.charge(attempt(candidate.approves)), Approved)


async def test_a_charge_happens_once(candidate: Candidate) -> None:
    """A repeated charge is told what the first one did; another attempt is another charge."""
    first = await candidate.gateway.charge(attempt(candidate.approves))
    assert await candidate.gateway.charge(attempt(candidate.approves)) == first
    assert await candidate.gateway.charge(attempt(candidate.approves, 2)) != first


async def test_a_charge_happens_once_for_many_callers(candidate: Candidate) -> None:
    """Sixteen charges of one attempt at the same time are one."""
    outcomes: list[Outcome] = []

    async def charge() -> None:
        outcomes.append(await candidate.gateway.charge(attempt(candidate.approves)))

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(charge)
    assert outcomes == [await candidate.gateway.lookup("att_1")] * 16


async def test_an_answer_lost_before_the_effect(candidate: Candidate) -> None:
    """The charge is not known to have failed, and nothing is found."""
    with pytest.raises(OutcomeUnknown):
        await candidate.gateway.charge(attempt(candidate.lost_before))
    assert await candidate.gateway.lookup("att_1") == NotFound()


async def test_an_answer_lost_after_the_effect(candidate: Candidate) -> None:
    """The charge is not known to have gone through, and the look-up finds that it did."""
    with pytest.raises(OutcomeUnknown):
        await candidate.gateway.charge(attempt(candidate.lost_after))
    assert isinstance(await candidate.gateway.lookup("att_1"), Approved)
    assert isinstance(await candidate.gateway.cancel("att_1"), Approved)


async def test_a_cancellation_is_a_fence(candidate: Candidate) -> None:
    """A charge that comes after it moves nothing, ever."""
    assert await candidate.gateway.cancel("att_1") == Cancelled()
    assert await candidate.gateway.charge(attempt(candidate.approves)) == Cancelled()
    assert await candidate.gateway.cancel("att_1") == Cancelled()
    assert await candidate.gateway.lookup("att_1") == Cancelled()


@pytest.mark.parametrize("method", ["approves", "declines"])
async def test_a_cancellation_may_come_too_late(candidate: Candidate, method: str) -> None:
    """What has its outcome keeps it, and the cancellation is told."""
    outcome = await candidate.gateway.charge(attempt(getattr(candidate, method)))
    assert await candidate.gateway.cancel("att_1") == outcome
    assert await candidate.gateway.lookup("att_1") == outcome


async def test_a_charge_and_a_cancellation_race(candidate: Candidate) -> None:
    """Whichever comes first, both are told the same."""
    outcomes: list[Outcome] = []

    async def charge() -> None:
        outcomes.append(await candidate.gateway.charge(attempt(candidate.approves)))

    async def cancel() -> None:
        outcomes.append(await candidate.gateway.cancel("att_1"))

    async with trio.open_nursery() as nursery:
        for call in (charge, cancel, charge, cancel):
            nursery.start_soon(call)
    assert outcomes == [await candidate.gateway.lookup("att_1")] * 4


@pytest.mark.parametrize(
    "other",
    [
        Attempt("att_1", Money(5_125, "KWD"), cards.APPROVES),
        Attempt("att_1", Money(5_124, "BHD"), cards.APPROVES),
        Attempt("att_1", PRICE, cards.DECLINES),
    ],
)
async def test_an_attempt_stands_for_one_charge(candidate: Candidate, other: Attempt) -> None:
    """The same id with another amount, currency or card is a fault of ours, and moves nothing."""
    outcome = await candidate.gateway.charge(attempt(candidate.approves))
    with pytest.raises(AttemptReusedError):
        await candidate.gateway.charge(other)
    assert await candidate.gateway.lookup("att_1") == outcome


async def test_a_providers_name_fits_the_chart(candidate: Candidate) -> None:
    """It becomes a part of an account's path."""
    assert re.fullmatch("[a-z]+", candidate.gateway.provider)


async def test_the_test_gateway_outlives_its_object(database: Database) -> None:
    """Another process's gateway tells what this one did."""
    outcome = await TestGateway(database).charge(attempt(cards.APPROVES))
    assert await TestGateway(database).lookup("att_1") == outcome


async def test_a_database_that_is_away_does_not_answer(annex: Annex, database_url: str) -> None:
    """Each call's outcome is unknown, as with any provider that cannot be reached."""
    gateway = TestGateway(Database(annex, database_url))  # never opened
    with pytest.raises(OutcomeUnknown):
        await gateway.charge(attempt(cards.APPROVES))
    with pytest.raises(OutcomeUnknown):
        await gateway.lookup("att_1")
    with pytest.raises(OutcomeUnknown):
        await gateway.cancel("att_1")


async def test_the_memory_gateway_meets_every_call_twice() -> None:
    """A test may act before and after the effect of each call."""
    met: list[Point] = []

    async def at(point: Point, _attempt_id: str) -> None:
        met.append(point)
        await trio.lowlevel.checkpoint()

    gateway = MemoryGateway(at)
    await gateway.charge(attempt(cards.APPROVES))
    await gateway.lookup("att_1")
    await gateway.cancel("att_1")
    assert met == list(Point)
    assert gateway.passed == dict.fromkeys(Point, 1)
