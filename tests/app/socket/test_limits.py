"""What the settings allow clients."""

from typing import Any

import pytest

from app.config import Settings, read_settings
from app.socket.limits import limits_of
from channels.client_limits import Limit, LimitName, Mode
from channels.limits import MESSAGE_BYTES_CEILING, RATE_BURST_S, TOPICS_CEILING


def test_each_setting_is_the_limit_of_its_name() -> None:
    """None is left out, and none is another's."""
    values = {name: 1_024 + at for at, name in enumerate(LimitName)}
    values[LimitName.TOPICS] = 1_000
    given = {f"AGIO_LIMIT_{name.upper()}": f"{value}:dry_run" for name, value in values.items()}
    clients = limits_of(read_settings(given)).clients
    for name, value in values.items():
        assert clients.of(name) == Limit(value, Mode.DRY_RUN)


@pytest.mark.parametrize(
    ("spelt", "channels", "message_bytes"),
    [
        ("", 100, 131_072),
        ("1024", 1_024, 1_024),
        ("1024:dry_run", TOPICS_CEILING, MESSAGE_BYTES_CEILING),
        ("off", TOPICS_CEILING, MESSAGE_BYTES_CEILING),
    ],
)
def test_topics_and_sizes_are_bounded_whatever_is_set(
    spelt: str, channels: int, message_bytes: int
) -> None:
    """By the limit where it is enforced, else by what a node can bear."""
    given = {"AGIO_LIMIT_TOPICS": spelt, "AGIO_LIMIT_MESSAGE_BYTES": spelt}
    limits = limits_of(read_settings(given))
    assert (limits.channels, limits.message_bytes) == (channels, message_bytes)


def test_by_default_whatever_load_tests_do_goes_on() -> None:
    """20,000 clients may come from one address with one token, and say what they like."""
    clients = limits_of(Settings()).clients
    dry: dict[str, Any] = {
        name.value: clients.of(name).mode is Mode.DRY_RUN
        for name in LimitName
        if clients.of(name).mode is not Mode.ENFORCE
    }
    names = ("connections_per_address", "connections_per_user", "messages", "bytes")
    assert dry == dict.fromkeys(names, True)
    # A page that connects joins all its topics, and may do so again soon.
    assert clients.joins.value * RATE_BURST_S == 2 * clients.topics.value
