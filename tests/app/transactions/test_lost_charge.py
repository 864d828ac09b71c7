"""A charge that never reached the provider is made again, and counts once however often it is."""

import pytest
import trio.testing

from app.limits import HOLD_FIRST_S
from app.payments.gateway import Approved, OutcomeUnknown
from app.payments.memory_gateway import MemoryGateway, Point, pass_by
from tests.app.transactions.shop import BUYER, REQUEST, STOCK, Shop, open_node, said

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("lost", [Point.CHARGE_BEFORE, Point.CHARGE_AFTER])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_charge_that_was_lost_is_made_again(
    shop: Shop, mock_clock: trio.testing.MockClock, lost: Point, times: int
) -> None:
    """The buyer has not to wait until the reservation runs out for a provider that is back."""
    gateway = MemoryGateway()

    async def at(point: Point, attempt_id: str) -> None:
        await pass_by(point, attempt_id)
        if point is lost and gateway.passed[point] <= times:
            raise OutcomeUnknown(attempt_id)

    gateway.at = at
    async with open_node(shop.database, gateway) as node:
        answer = said(await node.service.checkout(BUYER, REQUEST))
        while answer == "outcome_unknown":
            mock_clock.jump(2**times * HOLD_FIRST_S)
            answer = said(await node.service.checkout(BUYER, REQUEST))
        assert answer == "captured"
    (outcome,) = gateway.outcomes.values()
    assert isinstance(outcome, Approved)
    assert gateway.passed[Point.CHARGE_BEFORE] == (times + 1 if lost is Point.CHARGE_BEFORE else 1)
    assert await shop.attempts() == ["succeeded"]
    assert await shop.shelf() == (STOCK - 1, 0)
    assert await shop.check() == []
