"""A market, as the tests of sales have it, and an account to watch."""

import pytest

from app.ledger.model import Account
from app.storage import Database
from tests.app.sales.conftest import market
from tests.app.socket.ledger import account_at, directly, sale
from tests.app.transactions.shop import Shop

__all__ = ["account", "market"]


@pytest.fixture
async def account(database: Database) -> Account:
    """A seller's account, with one posting: the book's first."""
    await Shop(database).open()
    await directly(database, sale("first"))
    return await account_at(database)
