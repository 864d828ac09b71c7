"""Topics find their channels."""

import pytest

from channels.channel import Channel, NowaitChannel
from channels.router import Router


class Whole(Channel):
    """For one topic."""


class Long(Channel):
    """For a longer beginning."""


ROUTER = Router([("room:*", Channel), ("room:vip:*", Long), ("room:lobby", Whole)])


@pytest.mark.parametrize(
    ("topic", "channel"),
    [
        ("room:1", Channel),
        ("room:", Channel),
        ("room:lobby", Whole),
        ("room:lobby2", Channel),
        ("room:vip:1", Long),
        ("room", None),
        ("other", None),
    ],
)
def test_the_closest_pattern_wins(topic: str, channel: type[Channel] | None) -> None:
    """A whole topic before a beginning, a longer one before a shorter."""
    route = ROUTER.route(topic)
    assert (route and route.make) is channel


@pytest.mark.parametrize("pattern", ["", "*", "a*b"])
def test_patterns_are_a_topic_or_a_beginning(pattern: str) -> None:
    """Anything else is a mistake of whoever wrote it."""
    with pytest.raises(AssertionError):
        Router([(pattern, NowaitChannel)])
