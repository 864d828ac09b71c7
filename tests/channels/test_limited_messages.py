"""How much one client may send: messages, bytes, topics, and how large a message may be."""

import pytest
import trio
import trio.testing

from channels.client_limits import ClientLimits
from channels.limits import EXCESS_MAX, LIMIT_TOLD_S, RATE_BURST_S
from channels.serializer import Envelope
from channels.testing import ANYTHING, connect
from tests.channels.guarded import at_most, dry, guarded

RATE = 4
BURST = int(RATE * RATE_BURST_S)

REFUSAL = {
    "reason": "rate_limited",
    "code": "rate_limited",
    "message": "More than this client may; try again later.",
    "retryable": True,
}


async def test_a_client_that_sends_too_often_is_answered_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """With the time until it may again; and then it may."""
    limits = ClientLimits(messages=at_most(RATE))
    async with guarded(limits) as node, connect(node.node.endpoint) as client:
        await client.join("room:1")
        for _ in range(BURST - 1):
            await client.assert_reply(await client.push("room:1", "echo", {"n": 1}), "ok")
        told = await client.assert_reply(await client.push("room:1", "echo"), "error")
        assert told == {**REFUSAL, "retry_after_ms": 1_000 // RATE}
        await client.send(Envelope(None, None, "room:1", "shout", {}))  # wants no answer
        assert await client.received() == []
        assert node.refused() == {"messages": 2}
        autojump_clock.jump(told["retry_after_ms"] / 1_000)
        await client.assert_reply(await client.push("room:1", "echo", {"n": 2}), "ok", {"n": 2})


async def test_a_heartbeat_and_a_leave_are_never_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """However much was said before."""
    limits = ClientLimits(messages=at_most(1), bytes=at_most(1))
    bounds = {"message_bytes": 60}
    async with guarded(limits, **bounds) as node, connect(node.node.endpoint) as client:
        await client.join("room:1")
        for _ in range(BURST):
            await client.heartbeat()
        refused = await client.push("room:1", "echo")
        await client.assert_reply(refused, "error", {**REFUSAL, "retry_after_ms": ANYTHING})
        await client.assert_reply(await client.leave("room:1"), "ok")
        await client.assert_close("room:1")
        assert node.script.ended == [("room:1", "left")]
        assert autojump_clock.current_time() < 1


async def test_who_goes_on_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    """With a code that says why. Who rests in between is not."""
    limits = ClientLimits(messages=at_most(RATE))
    async with guarded(limits) as node, connect(node.node.endpoint) as client:
        for _ in range(2):
            for _ in range(BURST + EXCESS_MAX):
                await client.push("room:1", "echo")
            await client.received()
            autojump_clock.jump(2 * RATE_BURST_S)
        await client.heartbeat()
        for _ in range(BURST + EXCESS_MAX + 1):
            await client.push("room:1", "echo")
        assert await client.assert_ended() == 4429
        await trio.testing.wait_all_tasks_blocked()
        assert node.node.endpoint.statistics().closed == {"excessive": 1}


async def test_a_client_that_sends_too_much_is_answered_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Bytes count as messages do; a smaller message may still find room."""
    limits = ClientLimits(bytes=at_most(1_000))
    async with guarded(limits, message_bytes=4_000) as node, connect(node.node.endpoint) as client:
        await client.join("room:1")
        fill = {"fill": "x" * 3_000}
        await client.assert_reply(await client.push("room:1", "echo", fill), "ok")
        refused = await client.push("room:1", "echo", fill)
        told = await client.assert_reply(refused, "error", {**REFUSAL, "retry_after_ms": ANYTHING})
        assert 0 < told["retry_after_ms"] < 2_000
        await client.assert_reply(await client.push("room:1", "echo"), "ok")
        assert node.refused() == {"bytes": 1}
        assert autojump_clock.current_time() < 1


@pytest.mark.parametrize("name", ["messages", "bytes"])
async def test_a_dry_run_counts_messages_and_takes_them(name: str) -> None:
    """As many as would have been refused, however many that are."""
    limits = ClientLimits(**{name: dry(1)})
    async with guarded(limits, message_bytes=60) as node, connect(node.node.endpoint) as client:
        await client.join("room:1")
        for n in range(EXCESS_MAX + BURST):
            await client.push("room:1", "quiet", {"n": n})
        await client.heartbeat()
        assert node.refused() == {}
        assert node.would_refuse()[name] > EXCESS_MAX
        assert node.node.endpoint.statistics().received == EXCESS_MAX + BURST + 2


async def test_topics_beyond_the_limit_are_refused_or_counted() -> None:
    """With the words that Phoenix has for it."""
    for limit, refused in ((at_most(1), True), (dry(1), False)):
        limits = ClientLimits(topics=limit)
        async with guarded(limits) as node, connect(node.node.endpoint) as client:
            await client.join("room:1")
            await client.join("room:1")  # again, which is no other topic
            told = {"reason": "too many channels joined"} if refused else {}
            ref = await client.send_join("room:2")
            await client.assert_reply(ref, "error" if refused else "ok", told)
            counted = node.refused() if refused else node.would_refuse()
            assert counted == {"topics": 1}


async def test_a_message_beyond_the_limit_is_counted() -> None:
    """Where it is enforced, the connection has ended by it; in a dry run it is taken."""
    fill = {"fill": "x" * 1_000}
    async with (
        guarded(ClientLimits(message_bytes=at_most(1_000)), message_bytes=1_000) as node,
        connect(node.node.endpoint) as client,
    ):
        await client.push("room:1", "echo", fill)
        assert await client.assert_ended() == 1009
        await trio.testing.wait_all_tasks_blocked()
        assert node.refused() == {"message_bytes": 1}
    async with (
        guarded(ClientLimits(message_bytes=dry(1_000))) as node,
        connect(node.node.endpoint) as client,
    ):
        await client.join("room:1")
        await client.assert_reply(await client.push("room:1", "echo", fill), "ok", fill)
        assert node.would_refuse() == {"message_bytes": 1}


async def test_the_log_is_told_at_once_and_then_now_and_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """With how often it was since; and nothing more once it is over."""
    line = {"limit": "messages", "allowed": 1, "mode": "dry_run"}
    limits = ClientLimits(messages=dry(1))
    async with guarded(limits) as node, connect(node.node.endpoint) as client:
        for _ in range(int(RATE_BURST_S) + 4):
            await client.push("room:1", "echo")
        await client.received()
        assert node.told == [{**line, "count": 1}]
        for _ in range(2):
            autojump_clock.jump(LIMIT_TOLD_S)
            await client.received()
            assert node.told[1:] == [{**line, "count": 3}]
