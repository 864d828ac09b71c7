"""A shop with a full shelf."""

import pytest

from app.storage import Database
from tests.app.transactions.shop import Shop


@pytest.fixture
async def shop(database: Database, owner: Database) -> Shop:
    """A line, a sale, a listing, and 50 pieces at 10.00 EUR of which the line keeps a tenth."""
    opened = Shop(database, owner)
    await opened.open()
    return opened
