"""Ids say what they name, sort by time, and never meet."""

import re

import pytest

from app.domain.ids import new_id


def test_the_form() -> None:
    """An id is a prefix and 26 characters of Crockford's base 32."""
    assert re.fullmatch(r"txn_[0-9a-hjkmnp-tv-z]{26}", new_id("txn"))


def test_later_ids_sort_later() -> None:
    """Ids of different milliseconds are in the order of their times, whatever follows."""
    moments = [0, 1, 1_000, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1]
    ids = [new_id("txn", now_ms=moment) for moment in moments]
    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    """Seventy-four random bits keep apart what the clock does not."""
    ids = {new_id("txn", now_ms=1_700_000_000_000) for _ in range(1_000)}
    assert len(ids) == 1_000


def test_the_layout_is_a_uuid_of_version_7() -> None:
    """The value is a UUIDv7: milliseconds, version, variant."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    value = 0
    for character in new_id("txn", now_ms=1_700_000_000_123).removeprefix("txn_"):
        value = value * 32 + alphabet.index(character)
    assert value >> 80 == 1_700_000_000_123
    assert (value >> 76) & 0xF == 7
    assert (value >> 62) & 0b11 == 0b10


def test_a_prefix_is_letters() -> None:
    """A prefix that would blur the form is a bug of ours."""
    with pytest.raises(AssertionError, match="no prefix"):
        new_id("a_b")
