"""Rooms for load testers."""

from collections.abc import Mapping

import pytest

from app.socket.bench_channel import BenchChannel
from channels.channel import Joined, JoinRefused, NoReply, Reply
from tests.app.sales.market import BUYER
from tests.app.socket.client import Client


async def test_whatever_is_pushed_goes_to_everybody() -> None:
    """Any event is broadcast with its payload and has no reply."""
    client, channel = Client(BUYER, "bench:7"), BenchChannel()
    assert await channel.join("bench:7", {}, client) == Joined()
    assert channel.handle_in_nowait("anything", {"n": 1}, client) == NoReply()
    assert client.broadcasts == [("anything", {"n": 1})]


@pytest.mark.parametrize("topic", ["bench:", "bench:x", "bench:1:2", "bench:1234567890"])
async def test_rooms_have_numbers(topic: str) -> None:
    """Any other room is not found."""
    refused = await BenchChannel().join(topic, {}, Client(BUYER, topic))
    assert isinstance(refused, JoinRefused)
    assert refused.response["code"] == "not_found"


async def test_bytes_go_to_everybody_as_they_are() -> None:
    """Load testers measure binary messages too."""
    client, channel = Client(BUYER, "bench:7"), BenchChannel()
    assert channel.handle_in_nowait("anything", b"\0\xff", client) == NoReply()
    assert client.broadcasts == [("anything", b"\0\xff")]


async def test_what_is_no_object_is_refused() -> None:
    """Members are only ever sent objects, or bytes."""
    client = Client(BUYER, "bench:7")
    reply = BenchChannel().handle_in_nowait("anything", [1], client)
    assert isinstance(reply, Reply)
    assert isinstance(reply.response, Mapping)
    assert reply.response["code"] == "invalid_request"
    assert client.broadcasts == []
