"""What may stand in a name."""

import pytest

from app.domain.names import is_event, is_id, is_person, is_text, is_topic

TOO_LONG = "a" * 64


@pytest.mark.parametrize("value", ["a", "0", "demo-mug", "a_b", "a" * 63])
def test_ids(value: str) -> None:
    """Lower-case letters, digits, _ and -, beginning with one of the first two kinds."""
    assert is_id(value)
    assert is_person(value)


@pytest.mark.parametrize("value", ["Ann", "ann.b", "ann@example", "A"])
def test_a_person_has_a_few_more_characters(value: str) -> None:
    """Capitals, points and at signs are for people, not for ids."""
    assert is_person(value)
    assert not is_id(value)


@pytest.mark.parametrize("value", ["", "-a", "_a", "a b", "a\n", "é", "٣", TOO_LONG, None, 7, b"a"])
def test_what_is_no_name(value: object) -> None:
    """Nothing longer, no other character, no line's end behind it, and nothing but text."""
    assert not is_id(value)
    assert not is_person(value)


@pytest.mark.parametrize("value", ["sale:demo", "bench:7", "a:0_-", f"{'a' * 16}:{'b' * 63}"])
def test_topics(value: str) -> None:
    """What serves it, a colon, an id."""
    assert is_topic(value)


@pytest.mark.parametrize(
    "value",
    ["sale", "sale:", ":demo", "Sale:demo", "sale:Demo", "a:b:c", "sale:a\n", "s1:a", None, 7],
)
def test_what_is_no_topic(value: object) -> None:
    """Nothing else than that."""
    assert not is_topic(value)


def test_events() -> None:
    """Lower-case letters, digits and _, beginning with a letter."""
    assert all(map(is_event, ["a", "announcement", "a_1", "a" * 63]))
    assert not any(map(is_event, ["", "A", "1a", "_a", "a-b", "a.b", "a\n", "a" * 64, None, 7]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("é", True), ("a b", True), ("abc", True), ("abcd", False), ("", False)]
    + [(value, False) for value in ("a\n", "\x00", "\ud800", "\u202e", None, 7)],
)
def test_text(value: object, expected: bool) -> None:  # noqa: FBT001 - it is what is expected
    """Printable characters of any script, bounded."""
    assert expected == is_text(value, 3)
