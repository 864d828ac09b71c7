"""The guide for those who write channels: its examples run, and its tables are true."""

import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from channels import channel, testing
from channels.channel import Channel

GUIDE = (Path(__file__).parents[2] / "docs" / "channels.md").read_text("utf-8")


async def test_the_examples_run() -> None:
    """The channel of the beginning, and the test of it at the end."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    names: dict[str, Any] = {"serving": testing.serving, "connect": testing.connect}
    for block in (blocks[0], blocks[-1]):
        exec(block, names)  # noqa: S102 - our own page
    example: Callable[[], Coroutine[Any, Any, None]] = names["test_a_shout_reaches_all"]
    await example()


def test_every_method_is_in_the_table() -> None:
    """And nothing else."""
    table = set(re.findall(r"^\| `([a-z_]+)\(", GUIDE, re.MULTILINE))
    assert table == {name for name in vars(Channel) if not name.startswith("_")} - {"intercepts"}


def test_what_the_socket_offers_is_told() -> None:
    """All of it, by name."""
    told = re.search(r"seen from this topic: (.*?) None of it waits", GUIDE, re.DOTALL)
    assert told is not None
    offered = {name for name in vars(channel.ChannelSocket) if not name.startswith("_")}
    assert offered <= set(re.findall(r"`([a-z_]+)`", told[1]))
