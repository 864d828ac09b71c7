"""Whom a line knows."""

from dataclasses import replace

import pytest
import trio

from app.domain.errors import Code, Refusal
from app.identity.model import Identity, Role
from app.identity.store import meet_caller
from app.storage import Database
from tests.app.sales.conftest import market as market  # noqa: PLC0414 - a fixture
from tests.app.sales.market import LINE, OPERATOR, SELLER, Market

pytestmark = pytest.mark.servers


async def met(database: Database, identity: Identity) -> Code | None:
    """Why somebody was not met; None where they were."""
    refusal = await database.write(meet_caller, identity)
    return refusal.code if isinstance(refusal, Refusal) else None


async def test_a_person_is_met_once_and_stays_who_they_are(market: Market) -> None:
    """A new name is kept with its role; the same name in another role is refused."""
    assert await met(market.database, SELLER) is None
    assert await met(market.database, SELLER) is None
    assert await met(market.database, replace(SELLER, role=Role.BUYER)) is Code.FORBIDDEN
    assert await market.ask("person", LINE, SELLER.person) == "seller"


async def test_nobody_is_met_on_a_line_that_is_not_there(market: Market) -> None:
    """A token of an unknown line is refused, and nothing breaks."""
    assert await met(market.database, replace(OPERATOR, line="nowhere")) is Code.FORBIDDEN


async def test_a_name_met_by_many_at_once_has_one_role(market: Market) -> None:
    """Of two roles that ask for a name at the same time, one gets it and the other is refused."""
    answers: list[Code | None] = []

    async def meet(role: Role) -> None:
        answers.append(await met(market.database, replace(SELLER, person="new", role=role)))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(meet, Role.SELLER)
            nursery.start_soon(meet, Role.BUYER)
    assert (4, 4) == (answers.count(None), answers.count(Code.FORBIDDEN))
