"""How many may be connected: of one node, from one address, under one name."""

from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from channels.client_address import parse_networks
from channels.client_limits import ClientLimits
from channels.testing import HandshakeRefused, connect
from tests.channels.guarded import Guarded, at_most, dial, dry, from_address, guarded

OURS, OTHERS = "127.0.0.2", "127.0.0.3"


async def refusal(guarded: Guarded, address: str, name: str = "ann") -> int:
    """The HTTP status that a client there is refused with."""
    with pytest.raises(HandshakeRefused) as caught:
        async with dial(guarded, address, name):
            pass
    return caught.value.status


async def test_one_address_has_so_many_connections() -> None:
    """The next is refused before the application is asked; another address is let in."""
    async with guarded(ClientLimits(connections_per_address=at_most(2))) as node:
        async with dial(node, OURS), dial(node, OURS):
            assert await refusal(node, OURS) == 429
            async with dial(node, OTHERS) as other:
                await other.heartbeat()
            assert node.handler.addresses == [OURS, OURS, OTHERS]
            assert node.statistics().addresses == 1
        await trio.testing.wait_all_tasks_blocked()
        async with dial(node, OURS) as again:
            await again.heartbeat()
        assert node.refused() == {"connections_per_address": 1}
        assert node.node.endpoint.statistics().refused == 1
    assert (0, 0) == (node.statistics().addresses, node.statistics().clients)


async def test_a_node_has_so_many_connections() -> None:
    """Those that have no address count as well."""
    async with guarded(ClientLimits(connections=at_most(1))) as node:
        async with connect(node.node.endpoint, token="ann") as client:
            assert await refusal(node, OURS) == 503
            await client.heartbeat()
        assert node.refused() == {"connections": 1}


async def test_one_name_has_so_many_connections() -> None:
    """From wherever they come. Who has none is not counted."""
    async with guarded(ClientLimits(connections_per_user=at_most(1))) as node:
        async with dial(node, OURS, "ann"), dial(node, OURS, "bob"), AsyncExitStack() as stack:
            assert await refusal(node, OTHERS, "ann") == 429
            for _ in range(2):
                await stack.enter_async_context(dial(node, OURS, ""))
            assert node.statistics().users == 2
        await trio.testing.wait_all_tasks_blocked()
        async with dial(node, OTHERS, "ann") as client:
            await client.heartbeat()
        assert node.refused() == {"connections_per_user": 1}
    assert (0, 0) == (node.statistics().users, node.statistics().clients)


async def test_a_dry_run_refuses_nobody() -> None:
    """It counts those whom it would have refused."""
    limits = ClientLimits(
        connections=dry(1), connections_per_address=dry(1), connections_per_user=dry(1)
    )
    async with (
        guarded(limits) as node,
        dial(node, OURS),
        dial(node, OURS),
        dial(node, OURS) as last,
    ):
        await last.heartbeat()
        assert node.refused() == {}
        names = ("connections", "connections_per_address", "connections_per_user")
        assert node.would_refuse() == dict.fromkeys(names, 2)


async def test_behind_a_trusted_proxy_its_clients_are_counted() -> None:
    """And the application is told their addresses."""
    limits = ClientLimits(connections_per_address=at_most(1))
    async with (
        guarded(limits, proxies=parse_networks(OURS)) as node,
        trio.open_nursery() as nursery,
    ):
        assert [101, 429, 101, 101, 429] == [
            await knock(node, nursery, address, forwarded)
            for address, forwarded in (
                (OURS, "192.0.2.1"),
                (OURS, "203.0.113.1, 192.0.2.1"),  # a client may lie: the proxy says who it is
                (OURS, "192.0.2.2"),
                (OTHERS, "192.0.2.1"),  # that is no proxy
                (OTHERS, "192.0.2.9"),
            )
        ]
        assert node.handler.addresses == ["192.0.2.1", "192.0.2.2", OTHERS]
        nursery.cancel_scope.cancel()


async def knock(node: Guarded, nursery: trio.Nursery, address: str, forwarded: str) -> int:
    """The status of a handshake that says `X-Forwarded-For`; its connection stays."""
    ours, theirs = await from_address(address)
    nursery.start_soon(node.node.endpoint.serve, theirs, b"")
    lines = (
        "GET /socket/websocket?vsn=2.0.0&token=ann HTTP/1.1",
        "Host: test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"X-Forwarded-For: {forwarded}",
        "\r\n",
    )
    await ours.send_all("\r\n".join(lines).encode())
    status = int((await ours.receive_some()).split()[1])
    nursery.start_soon(_keep, ours)
    return status


async def _keep(stream: trio.abc.Stream) -> None:
    async with stream:
        await trio.sleep_forever()
