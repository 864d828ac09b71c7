"""Bytes as payloads, over the wire: in as pushes, out as replies, pushes and broadcasts."""

from collections.abc import AsyncIterator

import pytest
from wsproto.events import BytesMessage, Ping

from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import JoinRefused, Reply
from channels.serializer import Envelope
from channels.testing import Client, Node, connect, serving
from channels.testing_wire import binary_push
from tests.channels.rooms import Hot, Script

DATA = bytes(range(256))
V1 = {"vsn": "1.0.0"}


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture
async def node(script: Script) -> AsyncIterator[Node]:
    """A node with rooms."""
    async with serving([("room:*", script.room), ("hot:*", Hot)]) as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of the node."""
    async with connect(node.endpoint, token="ann") as client:
        yield client


@pytest.mark.parametrize("topic", ["room:1", "hot:1"])
@pytest.mark.parametrize("data", [b"", b"[", DATA, DATA * 300], ids=len)
async def test_a_push_of_bytes_is_answered_with_bytes(
    client: Client, topic: str, data: bytes
) -> None:
    """As they are, in any kind of channel."""
    await client.join(topic)
    await client.assert_reply(await client.push(topic, "echo", data), "ok", data)


@pytest.mark.parametrize("topic", ["room:1", "hot:1"])
async def test_a_broadcast_of_bytes_reaches_all_members(
    node: Node, client: Client, topic: str
) -> None:
    """Among other messages, in their order."""
    async with connect(node.endpoint) as other:
        await client.join(topic)
        await other.join(topic)
        for payload in ({"n": 1}, DATA, {"n": 2}):
            await client.push(topic, "shout", payload)
        for member in (client, other):
            assert await member.received() == [
                Envelope(None, None, topic, "shout", payload)
                for payload in ({"n": 1}, DATA, {"n": 2})
            ]


async def test_a_push_of_bytes_to_one_client_has_its_join_ref(client: Client) -> None:
    """There is no place for a ref."""
    await client.join("room:1")
    ref = await client.push("room:1", "whisper", DATA)
    assert await client.receive() == Envelope("1", None, "room:1", "whisper", DATA)
    await client.assert_reply(ref)


async def test_a_reply_of_bytes_may_come_later(client: Client, script: Script) -> None:
    """With the refs of its push."""
    await client.join("room:1")
    ref = await client.push("room:1", "later", DATA)
    assert await client.received() == []
    script.later[0].send(Reply("maybe", DATA))
    await client.assert_reply(ref, "maybe", DATA)


async def test_bytes_in_parts_are_one_message(client: Client) -> None:
    """The library's lane and the quick one mean the same, and keep their order."""
    await client.join("room:1")
    whole = binary_push(Envelope("1", "a", "room:1", "echo", DATA))
    await client.send_event(BytesMessage(whole[:9], message_finished=False))
    await client.send_event(Ping(b"within"))
    await client.send_event(BytesMessage(whole[9:]))
    quick = await client.push("room:1", "echo", b"quick")
    assert [(e.ref, e.payload["response"]) for e in await client.received()] == [
        ("a", DATA),
        (quick, b"quick"),
    ]
    assert client.pongs == [b"within"]


async def test_a_push_of_bytes_follows_the_state_table(client: Client) -> None:
    """Unmatched, stale and null are as for text."""
    await client.send(Envelope("1", "2", "room:1", "echo", b"x"))
    refused = {"status": "error", "response": {"reason": "unmatched topic"}}
    assert await client.receive() == Envelope(None, "2", "room:1", "phx_reply", refused)
    await client.join("room:1")
    await client.send(Envelope("0", "3", "room:1", "echo", b"x"))
    await client.send(Envelope(None, "4", "room:1", "echo", b"x"))
    assert [envelope.ref for envelope in await client.received()] == ["4"]


async def test_even_a_join_may_carry_bytes(client: Client, script: Script) -> None:
    """The channel decides what to make of them."""
    script.joins.clear()
    assert await client.join("hot:1", DATA) == {}
    script.on_join = lambda *_: JoinRefused({"reason": "never asked"})
    assert await client.join("room:1", DATA, status="error") == {"reason": "join crashed"}


async def test_a_name_too_long_crashes_the_channel_that_sends_it(client: Client) -> None:
    """And no other; as JSON it would have gone out."""
    await client.join("room:1")
    await client.join("hot:1")
    event = "x" * 255
    await client.push("hot:1", event, b"fits")
    await client.assert_broadcast("hot:1", event, b"fits")
    await client.push("room:1", "too long", b"")
    await client.assert_crash("room:1")
    await client.assert_reply(await client.push("hot:1", "echo"))


async def test_a_client_of_v1_does_without_bytes(node: Node, client: Client) -> None:
    """What it cannot be sent is dropped and counted; all else comes."""
    async with connect(node.endpoint, params=V1) as old:
        await client.join("hot:1")
        await old.join("hot:1")
        await client.push("hot:1", "shout", DATA)
        await client.push("hot:1", "shout", {"n": 1})
        assert [e.payload for e in await client.received()] == [DATA, {"n": 1}]
        assert await old.received() == [Envelope(None, None, "hot:1", "shout", {"n": 1})]
        assert node.hub.statistics().dropped == 1
        await old.join("room:1")
        await old.push("room:1", "bytes")
        assert await old.received() == []
        found = node.hub.statistics()
        assert (found.dropped, found.queued) == (3, 0)
        await old.send(Envelope(None, "9", "room:1", "echo", b"x"))
        await old.heartbeat()
        assert node.endpoint.statistics().malformed == 1


async def test_bytes_and_versions_cross_nodes(script: Script) -> None:
    """Each member gets each message in its own form, wherever it is."""
    wire = MemoryWire()
    routes = [("room:*", script.room)]
    a, b = (RedisBroker(MemoryBus(wire), name) for name in "ab")
    async with (
        serving(routes, broker=a) as here,
        serving(routes, broker=b) as there,
        connect(here.endpoint) as sender,
        connect(there.endpoint) as new,
        connect(there.endpoint, params=V1) as old,
    ):
        for member in (sender, new, old):
            await member.join("room:1")
        for payload in (DATA, {"n": "é"}):
            await sender.push("room:1", "shout", payload)
        for member in (sender, new):
            assert [e.payload for e in await member.received()] == [DATA, {"n": "é"}]
        assert [e.payload for e in await old.received()] == [{"n": "é"}]
