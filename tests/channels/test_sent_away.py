"""Clients that are kicked, sent away, or cut off: by name on every node, or by what they are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from channels.access import CHANNEL
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.testing import HandshakeRefused, Node, connect
from tests.channels.guards import Guards, place, renewed
from tests.channels.tickets import Ticket


@pytest.fixture
def guards() -> Guards:
    """What the rooms do."""
    return Guards()


@pytest.fixture
async def node(guards: Guards) -> AsyncIterator[Node]:
    """A node with guarded rooms."""
    async with place(guards) as node:
        yield node


@asynccontextmanager
async def nodes(guards: Guards) -> AsyncIterator[list[Node]]:
    """Two nodes that hear each other."""
    wire = MemoryWire()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(place(guards, RedisBroker(MemoryBus(wire), name)))
            for name in "ab"
        ]


async def test_a_client_is_kicked_on_every_node(guards: Guards) -> None:
    """From one topic, by its name, whichever node it is on; its others go on."""
    async with nodes(guards) as (here, there):
        async with (
            connect(here.endpoint, token="ann") as first,
            connect(there.endpoint, token="ann") as second,
            connect(there.endpoint, token="bob") as other,
        ):
            for client in (first, second, other):
                await client.join("room:1")
                await client.join("room:2")
            here.endpoint.kick("room:1", "ann")
            for client in (first, second):
                await client.assert_close("room:1")
                await client.assert_reply(await client.push("room:2", "who"))
            await other.assert_reply(await other.push("room:1", "who"))
        assert [each.endpoint.access.statistics().kicked for each in (here, there)] == [1, 1]
        assert sorted(guards.ended)[:2] == [("room:1", "closed"), ("room:1", "kicked")]


async def test_a_client_is_sent_away_from_every_node(guards: Guards) -> None:
    """All its connections are closed, and nobody else's."""
    async with (
        nodes(guards) as (here, there),
        connect(here.endpoint, token="ann") as first,
        connect(there.endpoint, token="ann") as second,
        connect(there.endpoint, token="bob") as other,
    ):
        there.endpoint.disconnect("ann")
        assert [await first.assert_ended(), await second.assert_ended()] == [1001, 1001]
        await other.heartbeat()


async def test_those_of_one_name_come_and_go_in_any_order(node: Node) -> None:
    """However many there are, all that are left are found."""
    orders = [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)]
    for gone, second, third in orders:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            clients = [await enter(connect(node.endpoint, token="ann")) for _ in range(3)]
            await clients[gone].stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            await clients[second].stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            node.endpoint.disconnect("ann")
            assert await clients[third].assert_ended() == 1001
    assert node.endpoint.statistics().closed == {"lost": 8, "disconnected": 4}
    assert await node.endpoint.access.cut(lambda _: True) == 0


async def test_who_keeps_its_name_is_found_after_a_new_token(node: Node) -> None:
    """It is somebody new under the same name."""
    async with connect(node.endpoint, token="ann") as client:
        await renewed(client, "ann 900")
        node.endpoint.disconnect("ann")
        assert await client.assert_ended() == 1001


async def test_a_word_of_another_version_is_not_understood(node: Node) -> None:
    """And does no harm."""
    for word in (b"", b"nonsense", b'["banish","ann"]', b'["kick","room:1"]'):
        node.broker.publish_raw(CHANNEL, word)
    assert node.endpoint.access.statistics().unread == 4


async def test_whose_access_is_taken_away_is_closed(node: Node) -> None:
    """By what the application knows of its assigns, however many others are here."""

    def is_even(assigns: Ticket) -> bool:
        return int(assigns.name) % 2 == 0

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect(node.endpoint, token=str(n))) for n in range(6)
        ]
        assert await node.endpoint.access.cut(is_even) == 3
        for client in clients[::2]:
            assert await client.assert_ended() == 4403
        for client in clients[1::2]:
            await client.heartbeat()


async def test_looking_at_a_crowd_holds_nobody_up(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a pause after every so many, in which others come and go."""
    monkeypatch.setattr("channels.access.ACCESS_CLIENTS_A_TURN", 1)
    seen: list[str] = []

    def look(assigns: Ticket) -> bool:
        seen.append(assigns.name)
        return True

    async def interrupt() -> None:
        seen.append("a pause")

    async with (
        connect(node.endpoint, token="ann"),
        connect(node.endpoint, token="bob"),
        connect(node.endpoint, token="cid"),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(interrupt)
        assert await node.endpoint.access.cut(look) == 3
    assert [name for name in seen if name != "a pause"] == ["ann", "bob", "cid"]
    assert "a pause" in seen[1:3]


async def test_who_is_refused_does_not_stay(node: Node) -> None:
    """A token that is no good opens nothing."""
    with pytest.raises(HandshakeRefused):
        async with connect(node.endpoint, token="void"):
            pass
