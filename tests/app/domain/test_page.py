"""A page is bounded."""

import pytest

from app.domain.page import Page
from app.limits import PAGE_ROWS_MAX


def test_a_page_is_the_first_and_full_unless_said() -> None:
    """Without more, the first page of the largest size is meant."""
    assert Page() == Page("", PAGE_ROWS_MAX)


@pytest.mark.parametrize("limit", [0, -1, PAGE_ROWS_MAX + 1])
def test_a_page_has_rows_and_not_too_many(limit: int) -> None:
    """The edges refuse such a size before they make a page: here it is a bug of ours."""
    with pytest.raises(AssertionError, match="no page"):
        Page(limit=limit)
