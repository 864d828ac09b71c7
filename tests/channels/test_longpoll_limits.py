"""Limits on clients that poll: their sessions are connections, what they post are messages."""

import trio.testing

from channels.client_address import parse_networks
from channels.client_limits import ClientLimits
from channels.limits import RATE_BURST_S
from tests.channels.guarded import at_most, guarded
from tests.channels.polling import Poller, long_polling


async def test_a_session_is_a_connection() -> None:
    """Of its address and of its name, for as long as it is there, whatever polls come."""
    limits = ClientLimits(connections_per_address=at_most(1), connections_per_user=at_most(1))
    proxies = parse_networks("192.0.2.1")
    async with guarded(limits, proxies=proxies) as node, long_polling(node.node) as longpoll:
        ann = await Poller(longpoll).open()
        assert await ann.join("room:1") == {}
        assert await Poller(longpoll, "vsn=2.0.0&token=bob").get() == {"status": 403}
        proxied = {"host": "test", "x-forwarded-for": "203.0.113.1"}
        assert await Poller(longpoll, headers=proxied).get() == {"status": 403}
        await Poller(longpoll, "vsn=2.0.0&token=bob", proxied).open()
        names = ("connections_per_address", "connections_per_user")
        assert node.refused() == dict.fromkeys(names, 1)
        assert node.handler.addresses == ["192.0.2.1", "203.0.113.1", "203.0.113.1"]
        assert node.statistics().clients == 2
        node.node.endpoint.disconnect("ann")
        await trio.testing.wait_all_tasks_blocked()
        assert (node.statistics().clients, node.statistics().users) == (1, 1)
    assert node.statistics().clients == 0


async def test_what_is_posted_are_messages(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """However many come in one post."""
    limits = ClientLimits(messages=at_most(1))
    async with guarded(limits) as node, long_polling(node.node) as longpoll:
        ann = await Poller(longpoll).open()
        await ann.join("hot:1")
        pushes = [["1", f"{n}", "hot:1", "echo", {}] for n in range(int(RATE_BURST_S) + 1)]
        assert await ann.post(*pushes) == 200
        statuses = [payload["status"] for *_, payload in await ann.poll()]
        assert sorted(statuses) == ["error"] * 2 + ["ok"] * int(RATE_BURST_S - 1)
        assert node.refused() == {"messages": 2}
        assert autojump_clock.current_time() < 1
