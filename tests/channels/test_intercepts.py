"""Broadcasts that a channel sees before its client does."""

from typing import Any

import pytest
import trio
import trio.testing

from channels.channel import (
    Channel,
    ChannelSocket,
    InfoResult,
    Joined,
    JoinResult,
    Message,
    NoReply,
    Stop,
)
from channels.limits import MAILBOX_CAPACITY
from channels.serializer import Envelope
from channels.testing import connect, serving
from tests.channels.rooms import Script

TOPIC = "quiet:1"


class Quiet(Channel):
    """Hides who speaks, keeps secrets, and ends when it is told to."""

    intercepts = frozenset({"said", "secret", "over", "wrong", "stuck"})

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Those who ask for it have seen something already."""
        if "wait" in params:
            await trio.testing.wait_all_tasks_blocked()
        return Joined(position=params.get("position"))

    async def handle_out(self, event: str, payload: Any, socket: ChannelSocket) -> InfoResult:
        """By the event."""
        match event:
            case "said":
                socket.push("said", {"text": payload["text"]})
            case "over":
                return Stop()
            case "wrong":
                return "wrong"  # type: ignore[return-value] # on purpose
            case "stuck":
                await trio.sleep_forever()
        return None if event == "secret" else NoReply()


ROUTES = [("quiet:*", Quiet), ("room:*", Script().room)]


async def test_an_intercepted_broadcast_is_not_sent_and_others_are() -> None:
    """What the channel pushes instead is a push, with the client's own join_ref."""
    async with serving(ROUTES) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "said", {"text": "hi", "by": "ann"})
        node.endpoint.broadcast(TOPIC, "secret", {})
        node.endpoint.broadcast(TOPIC, "plain", {})
        await client.assert_push(TOPIC, "said", {"text": "hi"})
        await client.assert_broadcast(TOPIC, "plain", {})
        assert await client.received() == []
        found = node.hub.statistics()
        assert found.offered == found.delivered == 3  # the join's answer, the push, the broadcast


async def test_each_member_intercepts_for_itself() -> None:
    """Members of a topic whose channels do not, get what was broadcast."""

    class Open(Quiet):
        intercepts = frozenset()

    made = iter((Quiet(), Open()))
    async with (
        serving([("quiet:*", made.__next__)]) as node,
        connect(node.endpoint) as quiet,
        connect(node.endpoint) as open_,
    ):
        await quiet.join(TOPIC)
        await open_.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "said", {"text": "hi", "by": "ann"})
        await quiet.assert_push(TOPIC, "said", {"text": "hi"})
        await open_.assert_broadcast(TOPIC, "said", {"text": "hi", "by": "ann"})


async def test_bytes_are_intercepted_too() -> None:
    """They are handed over as they are."""

    class Measure(Quiet):
        async def handle_out(self, event: str, payload: Any, socket: ChannelSocket) -> InfoResult:
            socket.push("size", {"bytes": len(payload)})
            return None

    async with serving([("quiet:*", Measure)]) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "said", b"\0\1\2")
        await client.assert_push(TOPIC, "size", {"bytes": 3})


async def test_what_a_join_has_seen_is_not_intercepted_again() -> None:
    """The filter by position is the same as for any member."""
    async with serving(ROUTES) as node, connect(node.endpoint) as client:
        ref = await client.send_join(TOPIC, {"wait": 1, "position": 2})
        await trio.lowlevel.checkpoint()
        while not node.hub.statistics().subscriptions:
            await trio.lowlevel.checkpoint()
        for position in (1, 2, 3):
            node.hub.publish(TOPIC, "said", {"text": str(position)}, position)
        await client.assert_reply(ref)
        node.hub.publish(TOPIC, "said", {"text": "4"}, 4)
        assert [each.payload["text"] for each in await client.received()] == ["3", "4"]


async def test_what_is_replayed_is_intercepted_too() -> None:
    """A client that comes back is shown no more than one that stayed."""

    class Missed(Quiet):
        async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
            said = [Message("said", {"text": str(n), "by": "ann"}, n) for n in (1, 3)]
            return Joined(replay=[said[0], Message("plain", {}, 2), said[1]])

    async with serving([("quiet:*", Missed)]) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        for position in (2, 3, 4):
            node.hub.publish(TOPIC, "said", {"text": str(position)}, position)
        got = [(each.event, each.payload) for each in await client.received()]
        assert got == [
            ("plain", {}),
            ("said", {"text": "1"}),
            ("said", {"text": "3"}),
            ("said", {"text": "4"}),
        ]


async def test_a_channel_may_end_by_what_it_intercepts() -> None:
    """The client is told as ever."""
    async with serving(ROUTES) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "over", {})
        await client.assert_close(TOPIC)


async def test_a_wrong_result_crashes_and_lists_the_right_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As of any handler."""
    async with serving(ROUTES) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "wrong", {})
        await client.assert_crash(TOPIC)
    assert not caplog.records


async def test_an_event_that_is_declared_has_to_be_handled() -> None:
    """A channel that forgets is told so by its crash."""

    class Forgetful(Channel):
        intercepts = frozenset({"said"})

    async with serving([("quiet:*", Forgetful)]) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        node.endpoint.broadcast(TOPIC, "said", {})
        await client.assert_crash(TOPIC)


@pytest.mark.parametrize("vital", [False, True])
async def test_a_channel_that_is_too_slow_for_what_it_intercepts(vital: bool) -> None:  # noqa: FBT001 - drawn
    """Goes without, and that is counted; of what is vital it may not, and joins again."""
    async with serving(ROUTES) as node, connect(node.endpoint) as client:
        await client.join(TOPIC)
        await client.received()
        for _ in range(MAILBOX_CAPACITY + 3):
            node.hub.publish(TOPIC, "stuck", {}, vital=vital)
            await trio.lowlevel.checkpoint()
        found = node.hub.statistics()
        assert found.offered == found.delivered + found.dropped + found.queued
        if vital:
            assert Envelope("1", "1", TOPIC, "phx_error", {"reason": "channel_crash"}) in (
                await client.received()
            )
        else:
            assert found.dropped >= 1
            assert await client.received() == []
