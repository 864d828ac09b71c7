"""How often clients may join: one of them, one that always fails, and all of a node."""

import pytest
import trio
import trio.testing

from channels.channel import Channel, ChannelSocket, Joined, JoinRefused
from channels.client_limits import ClientLimits
from channels.limits import (
    FAILED_JOINS_S,
    JOIN_PATIENCE_S,
    JOINS_AT_ONCE,
    RATE_BURST_S,
)
from channels.testing import ANYTHING, Client, connect, serving
from tests.channels.guarded import Guarded, at_most, dry, guarded

LIMITED = {
    "reason": "rate_limited",
    "code": "rate_limited",
    "message": "More than this client may; try again later.",
    "retryable": True,
    "retry_after_ms": ANYTHING,
}
BUSY = {
    "reason": "busy",
    "code": "busy",
    "message": "Too much is under way; try again shortly.",
    "retryable": True,
    "retry_after_ms": ANYTHING,
}


async def answers(client: Client, refs: list[str]) -> list[str]:
    """The codes that these joins were refused with; `ok` for those that were granted."""
    told = {envelope.ref: envelope.payload for envelope in await client.received()}
    return [told[ref]["response"].get("code", told[ref]["status"]) for ref in refs]


async def test_a_client_that_joins_too_often_is_refused_cheaply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """No channel is made for it; what it has joined stays; and later it may."""
    limits = ClientLimits(joins=at_most(1))
    burst = int(RATE_BURST_S)
    async with guarded(limits) as node, connect(node.node.endpoint) as client:
        for n in range(burst):
            await client.join(f"room:{n}")
        assert await client.join("room:0", status="error") == {**LIMITED, "retry_after_ms": 1_000}
        assert (burst, burst) == (node.script.made, len(node.script.sockets))
        assert node.refused() == {"joins": 1}
        await client.join("room:9", status="error")
        autojump_clock.jump(1)
        await client.join("room:9")
        assert node.node.endpoint.statistics().channels == burst + 1


async def crash(client: Client, topic: str) -> None:
    """Have a channel crash."""
    await client.join(topic)
    await client.push(topic, "crash")
    await client.assert_crash(topic)


async def crash_the_join(client: Client, topic: str) -> None:
    """Have a join crash."""
    assert await client.join(topic, {"do": "crash"}, status="error") == {"reason": "join crashed"}


async def be_refused(client: Client, topic: str) -> None:
    """Ask for what is not allowed."""
    assert await client.join(topic, {"do": "refuse"}, status="error") == {"reason": "unauthorized"}


@pytest.mark.parametrize("fail", [crash, crash_the_join, be_refused])
async def test_joins_that_always_fail_are_refused_after_a_while(
    fail: object, autojump_clock: trio.testing.MockClock
) -> None:
    """Of that topic alone; and tried again now and then."""
    assert callable(fail)
    limits = ClientLimits(failed_joins=at_most(3))
    async with (
        guarded(limits, idle_s=2 * FAILED_JOINS_S) as node,
        connect(node.node.endpoint) as client,
    ):
        for _ in range(3):
            await fail(client, "room:1")
        told = await client.join("room:1", status="error")
        assert told == {**LIMITED, "retry_after_ms": FAILED_JOINS_S * 1_000 / 3}
        assert (3, {"failed_joins": 1}) == (node.script.made, node.refused())
        await client.join("room:2")
        autojump_clock.jump(FAILED_JOINS_S / 3)
        await fail(client, "room:1")
        await client.join("room:1", status="error")
        autojump_clock.jump(FAILED_JOINS_S)
        await client.join("room:1")


async def test_joins_that_may_yet_be_granted_did_not_fail() -> None:
    """A refusal that says so may be asked for again and again; so may a topic left in peace."""
    refused = JoinRefused({"code": "unavailable", "retryable": True})
    limits = ClientLimits(failed_joins=at_most(1))
    async with guarded(limits) as node, connect(node.node.endpoint, token="ann") as client:
        node.script.on_join = lambda *_: refused
        for _ in range(5):
            await client.join("room:1", status="error")
        node.script.on_join = lambda *_: Joined()
        for _ in range(5):
            await client.join("room:1")  # replaces the one before
        for _ in range(5):
            await client.join("room:2")
            await client.assert_reply(await client.leave("room:2"))
            await client.assert_close("room:2")
        node.node.endpoint.kick("room:1", "ann")
        await client.assert_close("room:1")
        await client.join("room:1")
        assert node.refused() == {}


async def test_a_node_takes_so_many_joins_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Those beyond are told to come back one after the other, not all at once."""
    limits = ClientLimits(joins_per_node=at_most(10))
    async with (
        guarded(limits) as node,
        connect(node.node.endpoint) as ann,
        connect(node.node.endpoint) as bob,
    ):
        for n in range(5):
            await ann.join(f"room:{n}")
            await bob.join(f"room:{n}")
        waits = [await client.join("room:9", status="error") for client in (ann, bob, ann, bob)]
        assert waits == [{**BUSY, "retry_after_ms": wait["retry_after_ms"]} for wait in waits]
        after = [wait["retry_after_ms"] for wait in waits]
        assert after == sorted(after)
        assert after[-1] - after[0] > 250
        assert (node.script.made, node.refused()) == (10, {"joins_per_node": 4})
        assert autojump_clock.current_time() < 1


async def test_dry_runs_of_joins_grant_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """And count."""
    limits = ClientLimits(joins=dry(1), joins_per_node=dry(1), failed_joins=dry(1))
    async with guarded(limits) as node, connect(node.node.endpoint) as client:
        for _ in range(10):
            await crash(client, "room:1")
        assert node.refused() == {}
        assert node.would_refuse() == {"joins": 5, "joins_per_node": 9, "failed_joins": 9}
        assert autojump_clock.current_time() < 1


async def test_only_so_many_joins_are_under_way_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The others wait, and heartbeats and other clients' pushes do not."""
    async with (
        guarded(ClientLimits()) as node,
        connect(node.node.endpoint) as ann,
        connect(node.node.endpoint) as bob,
    ):
        await bob.join("room:b")
        topics = [f"room:{n}" for n in range(JOINS_AT_ONCE + 10)]
        node.script.joins = {topic: trio.Event() for topic in topics}
        refs = [await ann.send_join(topic) for topic in topics]
        assert await ann.received() == []
        statistics = node.statistics()
        assert (JOINS_AT_ONCE, 10) == (statistics.joins_under_way, statistics.joins_waiting)
        assert node.script.made == JOINS_AT_ONCE + 1
        await ann.heartbeat()
        await bob.assert_reply(await bob.push("room:b", "echo"), "ok")
        for event in node.script.joins.values():
            event.set()
        assert await answers(ann, refs) == ["ok"] * len(refs)
        assert node.statistics().joins_under_way == 0
        assert autojump_clock.current_time() < JOIN_PATIENCE_S


async def test_joins_that_hang_hold_up_nobody_for_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A topic whose joins all hang has its share, and no more."""
    async with (
        guarded(ClientLimits()) as node,
        connect(node.node.endpoint) as ann,
        connect(node.node.endpoint) as bob,
    ):
        for n in range(JOINS_AT_ONCE):
            await ann.send_join(f"room:{n}", {"do": "hang"})
        await ann.received()
        began = autojump_clock.current_time()
        await bob.join("room:b")
        assert JOIN_PATIENCE_S <= autojump_clock.current_time() - began < 2 * JOIN_PATIENCE_S


async def fill_up(node: Guarded, client: Client) -> list[trio.Event]:
    """Have as many joins under way as may be; each event lets one go on. Takes no virtual time."""
    topics = [f"room:{n}" for n in range(JOINS_AT_ONCE)]
    node.script.joins = {topic: trio.Event() for topic in topics}
    for topic in topics:
        await client.send_join(topic)
    assert await client.received() == []
    return list(node.script.joins.values())


async def test_a_join_that_waits_ends_with_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It never begins, and its place in the queue is free."""
    async with guarded(ClientLimits()) as node, connect(node.node.endpoint) as ann:
        under_way = await fill_up(node, ann)
        assert autojump_clock.current_time() < JOIN_PATIENCE_S
        async with connect(node.node.endpoint) as bob:
            await bob.send_join("room:b")
            await bob.received()
            assert node.statistics().joins_waiting == 1
        await ann.received()
        assert node.statistics().joins_waiting == 0
        for event in under_way:
            event.set()
        assert len(await ann.received()) == node.script.made == JOINS_AT_ONCE


async def test_a_connection_that_is_cut_off_takes_its_waiting_joins_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Also while it says goodbye: the end of one join begins the next, which ends as it begins."""
    ended = trio.Event()

    class Stubborn(Channel):
        async def join(self, topic: str, params: object, socket: ChannelSocket) -> Joined:
            with trio.move_on_after(60, shield=True):
                await ended.wait()
            return Joined()

    async with serving([("room:*", Stubborn)]) as node, trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        client, scope = Client(ours), trio.CancelScope()

        async def serve() -> None:
            with scope:
                await node.endpoint.serve(theirs, b"")

        nursery.start_soon(serve)
        nursery.start_soon(client.listen)
        assert await client.shake_hands("/socket/websocket?vsn=2.0.0") is None
        for n in range(JOINS_AT_ONCE + 2):
            await client.send_join(f"room:{n}")
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert autojump_clock.current_time() < JOIN_PATIENCE_S
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        ended.set()
        await trio.testing.wait_all_tasks_blocked()
        assert node.endpoint.statistics().closed == {"lost": 1}
        assert node.endpoint.statistics().connections == 0
        joins = node.endpoint.guard.statistics()
        assert (joins.joins_under_way, joins.joins_waiting) == (0, 0)


async def test_a_join_that_waits_may_be_replaced_or_kicked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It does not begin either; its client is told as if it had."""
    async with (
        guarded(ClientLimits()) as node,
        connect(node.node.endpoint) as ann,
        connect(node.node.endpoint, token="bob") as bob,
    ):
        under_way = await fill_up(node, ann)
        assert autojump_clock.current_time() < JOIN_PATIENCE_S
        for topic in ("room:kicked", "room:replaced", "room:replaced"):
            await bob.send_join(topic)
        await bob.received()
        node.node.endpoint.kick("room:kicked", "bob")
        under_way[0].set()
        assert [(each.topic, each.event, each.ref) for each in await bob.received()] == [
            ("room:kicked", "phx_close", "1"),
            ("room:replaced", "phx_reply", "3"),
            ("room:replaced", "phx_close", "2"),
        ]
        assert node.script.made == JOINS_AT_ONCE + 1


async def test_more_joins_than_may_wait_are_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """That bound is there whatever the limits are."""
    monkeypatch.setattr("channels.guard.JOINS_WAITING_MAX", 30)
    async with (
        guarded(ClientLimits()) as node,
        connect(node.node.endpoint) as ann,
        connect(node.node.endpoint) as bob,
    ):
        under_way = await fill_up(node, ann)
        refs = [await bob.send_join(f"room:b{n}") for n in range(40)]
        told = {answer.ref: answer.payload["response"] for answer in await bob.received()}
        assert told == dict.fromkeys(refs[30:], BUSY)
        assert (node.statistics().joins_waiting, node.statistics().joins_turned_away) == (30, 10)
        await bob.heartbeat()
        assert autojump_clock.current_time() < JOIN_PATIENCE_S
        for event in under_way:
            event.set()
        assert await answers(bob, refs[:30]) == ["ok"] * 30
