"""Rows as CSV (RFC 4180), for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

# What a spreadsheet takes for the begin of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


Cell = str | int | None


def csv_of(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A head of names, then the rows, in UTF-8; see `csv_rows`."""
    return csv_rows([names, *rows])


def csv_rows(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows, without a head, in UTF-8.

    Numbers stand as they are and None is an empty cell. Text that a spreadsheet would run as a
    formula has an apostrophe in front: whoever wrote it is not whoever opens the file.
    """
    text = io.StringIO()
    csv.writer(text).writerows([_cell(each) for each in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Cell) -> Cell:
    harmful = isinstance(value, str) and value.startswith(_FORMULA)
    return f"'{value}" if harmful else value
