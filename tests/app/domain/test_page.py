"""A page is bounded, and says what follows it."""

import pytest

from app.domain.cursor import Cursor
from app.domain.page import Page, Paged, number_of
from app.limits import PAGE_ROWS_MAX


def test_a_page_is_the_first_and_full_unless_said() -> None:
    """Without more, the first page of the largest size is meant."""
    assert Page() == Page("", PAGE_ROWS_MAX)


@pytest.mark.parametrize("limit", [0, -1, PAGE_ROWS_MAX + 1])
def test_a_page_has_rows_and_not_too_many(limit: int) -> None:
    """The edges refuse such a size before they make a page: here it is a bug of ours."""
    with pytest.raises(AssertionError, match="no page"):
        Page(limit=limit)


@pytest.mark.parametrize(
    ("found", "items", "following"),
    [("", "", None), ("a", "a", None), ("ab", "ab", None), ("abc", "ab", "b")],
)
def test_a_page_is_cut_where_more_was_found(found: str, items: str, following: str | None) -> None:
    """One row beyond the page says that another follows, from the last one shown."""
    page, cursor = Page(limit=2), Cursor("log", 7)
    assert page.rows == 3
    assert page.cut(found, str, cursor) == Paged(tuple(items), following, cursor)


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [("0", 0), ("17", 17), ("9" * 18, 10**18 - 1)]
    + [(none, None) for none in ("9" * 19, "", "-1", "1.0", " 1", "٣", "²", "x")],
)
def test_numbers_of_rows(spelled: str, expected: int | None) -> None:
    """Digits of ASCII, few enough for a bigint, and nothing else."""
    assert expected == number_of(spelled)
