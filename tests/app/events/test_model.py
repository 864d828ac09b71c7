"""What an event may be."""

import pytest

from app.events.model import NewEvent, StoredEvent


def test_a_payload_is_the_data_and_the_cursor() -> None:
    """Members get what the event says, and its place on the wire."""
    event = StoredEvent(17, "told", ("a",), {"n": 1})
    assert event.payload("abc") == {"n": 1, "cursor": "abc-17"}


@pytest.mark.parametrize(
    ("topics", "data", "why"),
    [
        ((), {}, "tells nobody"),
        (("a", "a"), {}, "twice"),
        (("a",), {"cursor": 1}, "the name that its cursor has"),
    ],
)
def test_an_event_that_cannot_be_told_is_our_bug(
    topics: tuple[str, ...], data: dict[str, int], why: str
) -> None:
    """No topics, a topic twice and a member named cursor fail where the event is made."""
    with pytest.raises(AssertionError, match=why):
        NewEvent("told", topics, data)
