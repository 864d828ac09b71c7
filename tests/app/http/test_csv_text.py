"""CSV as spreadsheets read it."""

import csv
import io

import pytest

from app.http.csv_text import csv_of


def test_rows_come_back_as_they_were() -> None:
    """Numbers, text with commas, quotes, line ends and umlauts, and cells that are empty."""
    rows = [(1, "a,b", 'say "x"'), (-5, "two\r\nlines", None), (0, "Zürich", "")]
    written = csv_of(("number", "text", "more"), rows)
    assert written.startswith(b"number,text,more\r\n1,")
    assert list(csv.reader(io.StringIO(written.decode(), newline=""))) == [
        ["number", "text", "more"],
        *([str(cell) if cell is not None else "" for cell in row] for row in rows),
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_text_is_a_formula(text: str) -> None:
    """What a spreadsheet would run has an apostrophe in front; a negative number has none."""
    written = csv_of(("a", "b"), [(text, -1)])
    ((_, _), (shown, number)) = csv.reader(io.StringIO(written.decode(), newline=""))
    assert (shown, number) == (f"'{text}", "-1")
