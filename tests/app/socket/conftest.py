"""A market, as the tests of sales have it."""

from tests.app.sales.conftest import market

__all__ = ["market"]
