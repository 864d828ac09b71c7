"""Rows as CSV (RFC 4180), for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

# What a spreadsheet takes for the begin of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_of(names: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> bytes:
    """A head of names, then the rows, in UTF-8.

    Numbers stand as they are and None is an empty cell. Text that a spreadsheet would run as a
    formula has an apostrophe in front: whoever wrote it is not whoever opens the file.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(each) for each in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: str | int | None) -> str | int | None:
    harmful = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if harmful else value
