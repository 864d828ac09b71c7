"""Joining: nothing is missed, nothing comes twice, and the answer comes first."""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Joined, Message, Reply
from channels.limits import Limits
from channels.serializer import Envelope
from channels.testing import Client, Node, connect, serving
from tests.channels.rooms import Hot, Script, reply

TOPIC = "room:1"


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture
async def node(script: Script) -> AsyncIterator[Node]:
    """A node with rooms."""
    limits = Limits(held_messages=20)
    async with serving([("room:*", script.room), ("hot:*", Hot)], limits=limits) as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of the node."""
    async with connect(node.endpoint, token="ann") as client:
        yield client


def event(position: int) -> Message:
    """An event of a durable topic."""
    return Message("moved", {"n": position}, position)


def publish(node: Node, *positions: int) -> None:
    """What the feed does."""
    for position in positions:
        node.hub.publish(TOPIC, "moved", {"n": position}, position)


def numbers(messages: list[Envelope]) -> list[int]:
    """Which events came, in order."""
    return [envelope.payload["n"] for envelope in messages]


async def test_a_joins_answer_precedes_what_is_published_meanwhile(
    node: Node, client: Client, script: Script
) -> None:
    """Volatile messages wait for it; none is lost."""
    script.joins[TOPIC] = trio.Event()
    ref = await client.send_join(TOPIC)
    assert await client.received() == []
    node.endpoint.broadcast(TOPIC, "shout", {"n": 1})
    node.hub.publish(TOPIC, "shout", {"n": 2})
    assert await client.received() == []
    script.joins[TOPIC].set()
    assert await client.received() == [
        reply(ref, ref, TOPIC, {}),
        Envelope(None, None, TOPIC, "shout", {"n": 1}),
        Envelope(None, None, TOPIC, "shout", {"n": 2}),
    ]


async def test_a_snapshot_joins_on_to_the_live_tail(
    node: Node, client: Client, script: Script
) -> None:
    """Events at or below its position are not sent again, whenever they are published."""
    script.joins[TOPIC] = trio.Event()
    script.on_join = lambda *_: Joined({"snapshot": "as of 5"}, position=5)
    await client.send_join(TOPIC)
    await trio.testing.wait_all_tasks_blocked()
    publish(node, 3, 4)
    script.joins[TOPIC].set()
    assert (await client.receive()).payload["response"] == {"snapshot": "as of 5"}
    publish(node, 5, 6, 7)
    assert numbers(await client.received()) == [6, 7]


async def test_a_replay_comes_between_the_answer_and_the_tail(
    node: Node, client: Client, script: Script
) -> None:
    """What was held and is in the replay too comes once."""
    script.joins[TOPIC] = trio.Event()
    script.on_join = lambda *_: Joined({}, position=2, replay=[event(3), event(4), event(5)])
    ref = await client.send_join(TOPIC)
    await trio.testing.wait_all_tasks_blocked()
    publish(node, 4, 5, 6)
    script.joins[TOPIC].set()
    messages = await client.received()
    publish(node, 7)
    assert messages[0] == reply(ref, ref, TOPIC, {})
    assert numbers(messages[1:] + await client.received()) == [3, 4, 5, 6, 7]


async def test_members_join_at_any_moment_and_see_the_same(node: Node, script: Script) -> None:
    """Snapshot and tail together are all events, once and in order, for everyone."""
    head = 0
    script.on_join = lambda *_: Joined({"seen": head}, position=head)
    seen: list[list[int]] = []

    async def watch(delay: int) -> None:
        async with connect(node.endpoint) as client:
            for _ in range(delay):
                await trio.lowlevel.checkpoint()
            response = await client.join(TOPIC)
            joined.append(delay)
            await over.wait()
            tail = numbers(await client.received())
            seen.append([*range(1, response["seen"] + 1), *tail])

    joined: list[int] = []
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        for delay in range(0, 60, 4):
            nursery.start_soon(watch, delay)
        while len(joined) < 15:
            head += 1
            publish(node, head)
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        over.set()
    assert seen == [list(range(1, head + 1))] * 15


async def test_a_join_under_which_too_much_happens_is_refused(
    node: Node, client: Client, script: Script
) -> None:
    """The client joins again, rather than missing something."""
    script.joins[TOPIC] = trio.Event()
    ref = await client.send_join(TOPIC)
    await trio.testing.wait_all_tasks_blocked()
    publish(node, *range(1, 30))
    script.joins[TOPIC].set()
    response = await client.assert_reply(ref, "error")
    assert response["reason"] == "busy"
    publish(node, 30)
    assert await client.received() == []


async def test_pushes_from_a_join_follow_its_answer(client: Client) -> None:
    """In their order."""
    ref = await client.send_join(TOPIC, {"do": "push"})
    assert await client.received() == [
        reply(ref, ref, TOPIC, {}),
        Envelope(ref, None, TOPIC, "early", {"n": 1}),
        Envelope(ref, None, TOPIC, "early", {"n": 2}),
    ]


async def test_a_member_that_left_hears_no_more(node: Node, client: Client) -> None:
    """And the hub forgets it."""
    await client.join(TOPIC)
    await client.assert_reply(await client.leave(TOPIC))
    await client.assert_close(TOPIC)
    publish(node, 1)
    assert await client.received() == []
    assert (node.hub.statistics().topics, node.broker.statistics().topics) == (0, 0)


@pytest.mark.parametrize("what", ["refuse", "crash"])
async def test_a_join_that_failed_leaves_nothing_behind(
    node: Node, client: Client, what: str
) -> None:
    """No member of the hub, nor of the broker."""
    await client.join(TOPIC, {"do": what}, status="error")
    await trio.testing.wait_all_tasks_blocked()
    assert (node.hub.statistics().topics, node.broker.statistics().topics) == (0, 0)


async def test_an_answer_that_json_cannot_say_is_a_crash(client: Client, script: Script) -> None:
    """Of a join that was never granted: it is told once, and no goodbye is asked for."""
    script.on_join = lambda *_: Joined({"an": object()})
    response = await client.join(TOPIC, status="error")
    assert response == {"reason": "join crashed"}
    assert await client.received() == []
    assert script.ended == []


async def test_a_broadcast_reaches_all_members_and_the_sender(node: Node, client: Client) -> None:
    """With null refs: the same bytes for everyone."""
    async with connect(node.endpoint, token="bob") as other:
        await client.join(TOPIC)
        await other.join(TOPIC)
        await client.push(TOPIC, "shout", {"text": "hi"})
        for member in (client, other):
            assert await member.received() == [Envelope(None, None, TOPIC, "shout", {"text": "hi"})]


async def test_a_push_reaches_one_client(node: Node, client: Client) -> None:
    """With the join_ref of its join."""
    async with connect(node.endpoint, token="bob") as other:
        await client.join(TOPIC)
        await other.join(TOPIC)
        await client.push(TOPIC, "whisper", {"text": "hi"})
        await client.assert_push(TOPIC, "whisper", {"text": "hi"})
        assert await other.received() == []


async def test_broadcasts_reach_members_on_other_nodes(script: Script) -> None:
    """Each once, with the same bytes as at home."""
    wire = MemoryWire()
    routes = [("room:*", script.room)]
    a, b = (RedisBroker(MemoryBus(wire), name) for name in "ab")
    async with (
        serving(routes, broker=a) as home,
        serving(routes, broker=b) as away,
        connect(home.endpoint) as near,
        connect(away.endpoint) as far,
    ):
        await near.join(TOPIC)
        await far.join(TOPIC)
        await near.push(TOPIC, "shout", {"text": "hi"})
        for client in (near, far):
            await client.assert_broadcast(TOPIC, "shout", {"text": "hi"})
            assert await client.received() == []


async def test_a_reply_may_come_later(client: Client, script: Script) -> None:
    """Out of order, and from anywhere."""
    await client.join(TOPIC)
    first, second = await client.push(TOPIC, "later"), await client.push(TOPIC, "later")
    assert await client.received() == []
    script.later[1].send(Reply.ok({"n": 2}))
    script.later[0].send(Reply.error({"n": 1}))
    assert await client.received() == [
        reply("1", second, TOPIC, {"n": 2}),
        reply("1", first, TOPIC, {"n": 1}, "error"),
    ]


async def test_a_late_reply_to_a_channel_that_ended_is_dropped(
    client: Client, script: Script
) -> None:
    """The client has left, or has joined anew and counts from there."""
    await client.join(TOPIC)
    await client.push(TOPIC, "later")
    await client.join(TOPIC)
    await client.received()
    script.later[0].send(Reply.ok())
    assert await client.received() == []


async def test_the_application_may_speak_to_a_channel(client: Client, script: Script) -> None:
    """Its messages are handled between pushes."""
    await client.join(TOPIC)
    script.sockets[0].notify({"do": "push"})
    await client.assert_push(TOPIC, "told")
    await client.push(TOPIC, "notify", {"do": "stop"})
    await client.assert_close(TOPIC)
    script.sockets[0].notify({"do": "push"})
    assert await client.received() == []


async def test_a_channel_that_is_far_behind_is_busy(
    client: Client, autojump_clock: trio.testing.MockClock
) -> None:
    """Pushes beyond its mailbox are refused; it can still be left."""
    await client.join(TOPIC)
    await client.push(TOPIC, "hang")
    await trio.testing.wait_all_tasks_blocked()
    refs = [await client.push(TOPIC, "echo") for _ in range(258)]
    refused = await client.received()
    assert [envelope.ref for envelope in refused] == refs[256:]
    assert {envelope.payload["response"]["reason"] for envelope in refused} == {"busy"}
    await client.assert_reply(await client.leave("room:1"))
    assert autojump_clock.current_time() >= Limits().terminate_s


async def test_the_same_person_may_join_twice_by_two_connections(node: Node) -> None:
    """Each is a member of its own."""
    async with connect(node.endpoint) as one, connect(node.endpoint) as two:
        await one.join("hot:1")
        await two.join("hot:1")
        await one.push("hot:1", "shout", {"n": 1})
        await two.assert_broadcast("hot:1", "shout", {"n": 1})
        await one.assert_broadcast("hot:1", "shout", {"n": 1})
