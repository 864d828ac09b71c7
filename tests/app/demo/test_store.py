"""The demo is there after the first start, and never put back."""

from typing import Final

import pytest

from app.demo.store import load_demo
from app.domain.money import EXPONENTS
from app.storage import Database, ReadConnection, WriteConnection, load_queries

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__)


async def _rows(conn: ReadConnection, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await conn.fetch(query)]


async def _sell_one(conn: WriteConnection) -> None:
    await conn.execute(_SQL.sell_one)


async def test_the_demo_is_what_the_papers_say(database: Database) -> None:
    """One line that keeps 8 %, a person of each role, one sale with three listings."""
    assert await database.write(load_demo) is True
    assert await database.read(_rows, _SQL.line) == [("demo", 800)]
    assert await database.read(_rows, _SQL.people) == [
        ("demo-buyer", "buyer"),
        ("demo-operator", "operator"),
        ("demo-seller", "seller"),
    ]
    assert await database.read(_rows, _SQL.listings) == [
        ("demo-mug", 1_250, "EUR", 50),
        ("demo-poster", 1_800, "JPY", 500),
        ("demo-vase", 24_500, "KWD", 20),
    ]


async def test_a_used_demo_keeps_what_was_sold(database: Database) -> None:
    """Loading again changes nothing."""
    await database.write(load_demo)
    await database.write(_sell_one)
    before = await database.read(_rows, _SQL.listings)
    assert await database.write(load_demo) is False
    assert await database.read(_rows, _SQL.listings) == before
    assert ("demo-mug", 1_250, "EUR", 49) in before


async def test_the_demo_shows_currencies_of_each_kind(database: Database) -> None:
    """Two, no and three decimals are all met on the first day."""
    await database.write(load_demo)
    listings = await database.read(_rows, _SQL.listings)
    assert {EXPONENTS[str(currency)] for _, _, currency, _ in listings} == {0, 2, 3}
