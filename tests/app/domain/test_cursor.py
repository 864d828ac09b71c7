"""A cursor survives the wire, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cursor import Cursor, parse_cursor


@given(st.from_regex(r"[0-9a-z]{1,16}", fullmatch=True), st.integers(0, 10**18 - 1))
def test_a_cursor_survives_the_wire(epoch: str, position: int) -> None:
    """What is written is read back."""
    cursor = Cursor(epoch, position)
    assert parse_cursor(str(cursor)) == cursor


def test_the_wire_form() -> None:
    """An epoch, a dash, a position."""
    assert str(Cursor("a1b2c3d4", 42)) == "a1b2c3d4-42"


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "-",
        "abc-",
        "-1",
        "abc",
        "ABC-1",
        "abc--1",
        "abc-1 ",
        "abc-1\n",
        "abc-1.0",
        "abc-٣",
        "abc-1234567890123456789",
        "abcdefghijklmnopq-1",
        None,
        7,
        ["abc-1"],
        b"abc-1",
    ],
)
def test_nothing_else_is_a_cursor(wire: object) -> None:
    """What does not spell a cursor is None, whatever it is."""
    assert parse_cursor(wire) is None
