"""A market to sell on."""

import pytest

from app.sales.service import Sales
from app.storage import Database
from tests.app.sales.market import LINE, Market


@pytest.fixture
async def market(database: Database) -> Market:
    """A business line without sales."""
    opened = Market(database, Sales(database))
    await opened.write("open_line", LINE)
    return opened
