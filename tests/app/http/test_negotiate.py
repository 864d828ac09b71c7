"""Which media type a client is answered in."""

import pytest

from app.http.message import CSV, JSON, NDJSON
from app.http.negotiate import preferred


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV", CSV),
        ("text/*", CSV),
        ("text/csv;header=present", CSV),
        ("text/csv, application/json", JSON),
        ("text/csv, application/json;q=0.9", CSV),
        ("text/csv;q=0.8, */*;q=0.9", JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", JSON),
        ("application/json;q=0, */*", NDJSON),
        ("application/json;q=0.000, text/csv ; Q=0.1", CSV),
        ("application/x-ndjson", NDJSON),
        ("text/csv;q=2", CSV),
        ("text/csv;q=0.1;q=1, application/json;q=0.2", JSON),
        ("image/png", JSON),
        (";;;,,,;q=", JSON),
        ("image/png," * 50 + "text/csv", JSON),
    ],
)
def test_the_header_decides_and_then_our_order(accept: str, expected: str) -> None:
    """By weight, by the most exact range, and never with a refusal; the first 32 count."""
    assert preferred(accept, [JSON, NDJSON, CSV]) == expected
