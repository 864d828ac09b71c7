"""Books for simulations."""

from collections.abc import Iterator

import pytest

from tests.simulation.books import Books


@pytest.fixture
def books(database_url: str, owner_url: str) -> Iterator[Books]:
    """Books in a database of their own."""
    books = Books(database_url, owner_url)
    yield books
    books.close()
