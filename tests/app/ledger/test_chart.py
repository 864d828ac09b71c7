"""What a chart says of a path: the pattern that says most, and whose money it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.chart import Chart, Pattern, Place, is_path
from app.ledger.model import Kind

PATTERNS = [
    Pattern("bank:*", Kind.ASSET),
    Pattern("bank:main", Kind.ASSET, floor=0),
    Pattern("seller:{owner}:payable", Kind.LIABILITY),
    Pattern("seller:*:*", Kind.EXPENSE),
    Pattern("seller:sam:*", Kind.REVENUE),
    Pattern("opening", Kind.EQUITY),
]
CHART = Chart(PATTERNS)


@pytest.mark.parametrize(
    ("path", "pattern", "owner"),
    [
        ("opening", "opening", None),
        ("bank:main", "bank:main", None),
        ("bank:other", "bank:*", None),
        ("bank:Main", "bank:*", None),
        ("seller:sue:payable", "seller:{owner}:payable", "sue"),
        ("seller:sue.b-c_d@e:payable", "seller:{owner}:payable", "sue.b-c_d@e"),
        ("seller:sam:payable", "seller:sam:*", None),
        ("seller:sue:held", "seller:*:*", None),
        *(
            (path, None, None)
            for path in (
                *("", "bank", "bank:", "bank:a:b", "opening:x", "Opening", ":opening", "opening\n"),
                *("bank:*", "bank:{owner}", "bank:ä", "bank: a", "bank:\0", "bank:" + "a" * 251),
            )
        ),
    ],
)
def test_what_fits(path: str, pattern: str | None, owner: str | None) -> None:
    """Word for word from the left, a word says more than a placeholder."""
    known = {each.pattern: each for each in PATTERNS}
    expected = None if pattern is None else Place(known[pattern], owner)
    assert CHART.find(path) == expected


@given(st.permutations(PATTERNS), st.sampled_from(["bank:main", "seller:sam:payable", "opening"]))
def test_the_order_of_patterns_says_nothing(patterns: list[Pattern], path: str) -> None:
    """However they were added, the same one counts."""
    assert Chart(patterns).find(path) == CHART.find(path)


def test_the_longest_path() -> None:
    """255 characters, which the database takes, too."""
    assert is_path("bank:" + "a" * 250)
    assert not is_path("bank:" + "a" * 251)
