"""What a client that does not poll misses, and how sessions end."""

from typing import Any

import pytest
import trio
import trio.testing

from channels.limits import Limits
from channels.longpoll_wire import Incoming
from channels.testing import Node, connect
from tests.channels.polling import Poller, Told, adds_up, long_polling
from tests.channels.rooms import Script

TOPIC = "room:1"
WINDOW_S = Limits().poll_s


async def test_a_client_that_does_not_poll_goes_without_what_may_be_dropped(
    poller: Poller, node: Node
) -> None:
    """The oldest, as the topic says; its outbox is bounded in bytes as any other."""
    await poller.join("hot:1")
    for n in range(200):
        node.endpoint.broadcast("hot:1", "shout", {"n": n, "a": "x" * 1000})
        await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked()
    seen = [payload["n"] for *_, payload in await poller.poll()]
    assert 0 < len(seen) < 100
    assert seen == list(range(200 - len(seen), 200))
    found = node.hub.statistics()
    assert (found.dropped, adds_up(node)) == (200 - len(seen), True)


async def test_a_client_that_does_not_poll_gets_the_latest_of_each_thing(
    poller: Poller, node: Node
) -> None:
    """Where the topic says so: also when there was room for all."""
    await poller.join("price:1")
    for n in range(10):
        node.endpoint.broadcast("price:1", "moved", {"of": n % 2, "n": n})
        await trio.testing.wait_all_tasks_blocked()
    assert [payload["n"] for *_, payload in await poller.poll()] == [8, 9]
    assert adds_up(node)


async def test_a_client_that_would_miss_what_it_may_not_begins_anew(
    poller: Poller, node: Node
) -> None:
    """Its session ends; what it did not get is counted."""
    await poller.join("strict:1")
    for n in range(200):
        node.endpoint.broadcast("strict:1", "shout", {"n": n, "a": "x" * 1000})
        await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {"slow_reader": 1}
    assert (await poller.get())["status"] == 410
    found = node.hub.statistics()
    assert found.disconnected > 0
    assert (found.delivered, found.dropped, found.queued, adds_up(node)) == (0, 0, 0, True)


async def test_a_client_that_stops_polling_is_given_up(
    poller: Poller, node: Node, script: Script, autojump_clock: trio.testing.MockClock
) -> None:
    """After one and a half windows; posts do not put it off, and its channels say goodbye."""
    await poller.join(TOPIC)
    node.endpoint.broadcast(TOPIC, "shout", {})
    began = autojump_clock.current_time()
    await trio.sleep(WINDOW_S)
    assert await poller.post(["1", "2", TOPIC, "quiet", {}]) == 200
    await trio.sleep_until(began + WINDOW_S * 1.5 - 0.1)
    assert poller.at.statistics().sessions == 1
    await trio.sleep_until(began + WINDOW_S * 1.5 + 0.1)
    assert node.endpoint.statistics().closed == {"idle": 1}
    assert script.ended == [(TOPIC, "closed")]
    found = node.hub.statistics()  # the join's answer is not acknowledged, either
    assert (found.disconnected, found.queued, adds_up(node)) == (2, 0, True)
    assert await poller.post(["1", "2", TOPIC, "quiet", {}]) == 410


async def test_a_session_that_is_gone_gives_way_to_a_new_one(poller: Poller, node: Node) -> None:
    """With the status 410, after which newer clients connect and join anew."""
    await poller.join(TOPIC)
    node.endpoint.disconnect("ann")
    await trio.testing.wait_all_tasks_blocked()
    body = await poller.get()
    assert (body["status"], body["messages"]) == (410, [])
    assert body["token"] != poller.ticket
    poller.ticket = body["token"]
    await poller.join(TOPIC)
    assert node.endpoint.statistics().closed == {"disconnected": 1}


async def test_an_older_client_is_told_of_a_failure_instead(poller: Poller, node: Node) -> None:
    """It takes 410 for a beginning, and would go on with channels that are gone."""
    node.endpoint.disconnect("ann")
    await trio.testing.wait_all_tasks_blocked()
    assert (await poller.get(**{"content-type": "application/json"}))["status"] == 500
    assert poller.at.statistics().sessions == 0


async def test_a_poll_that_waits_learns_of_the_end(poller: Poller, node: Node) -> None:
    """It is given what there is to say, or told that the session is gone."""
    await poller.join("hot:1")
    statuses: list[int] = []

    async def poll() -> None:
        statuses.append((await poller.get())["status"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        node.endpoint.disconnect("ann")
    assert statuses == [410]
    again = await Poller(poller.at).open()
    await again.join("hot:1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(again.poll)
        await trio.testing.wait_all_tasks_blocked()
        node.endpoint.broadcast("hot:1", "shout", {})
        node.endpoint.disconnect("ann")
    assert (node.hub.statistics().disconnected, adds_up(node)) == (1, True)


async def test_a_kicked_client_is_told_by_its_channel(poller: Poller, node: Node) -> None:
    """Its session goes on."""
    await poller.join(TOPIC)
    node.endpoint.kick(TOPIC, "ann")
    assert await poller.poll() == [["1", "1", TOPIC, "phx_close", {}]]
    await poller.join("room:2")


async def test_draining_sends_pollers_elsewhere(poller: Poller, node: Node, told: Told) -> None:
    """With those of any transport, and told when to come back; nobody begins here meanwhile."""
    await poller.join(TOPIC)
    heard: list[Any] = []

    async def poll() -> None:
        heard.extend(await poller.poll())

    async with connect(node.endpoint, token="bob") as other, trio.open_nursery() as nursery:
        await other.heartbeat()
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(node.endpoint.drain)
        await trio.lowlevel.checkpoint()
        assert await Poller(poller.at).get() == {"status": 500}
        body = await poller.get()
        assert (body["status"], body["token"]) == (410, None)
        assert await other.assert_ended() == 1012
    assert [message[2:4] for message in heard] == [["phoenix", "drain"]]
    assert node.endpoint.statistics().closed == {"drained": 2}
    assert ("socket.drained", {"connections": 2, "left": 0}) in told


async def test_bad_messages_are_forgiven_and_many_are_not(poller: Poller, node: Node) -> None:
    """As over any transport."""
    assert await poller.post(lines=b"not base64!\n[1,2]") == 200
    assert await poller.post(["1", "1", "hot:1", "phx_join", {}]) == 200
    assert await poller.post(lines=b"[\xff]") == 410
    assert node.endpoint.statistics().malformed == 3
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {"malformed": 1}


async def test_a_message_that_is_too_large_ends_the_session(poller: Poller, node: Node) -> None:
    """One of the largest size does not."""
    await poller.join(TOPIC)
    empty = len('["1","2","room:1","echo",{"a":""}]')
    assert await poller.post(["1", "2", TOPIC, "echo", {"a": "x" * (1000 - empty)}]) == 200
    assert await poller.post(["1", "2", TOPIC, "echo", {"a": "x" * (1001 - empty)}]) == 410
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {"too_large": 1}


async def test_a_node_that_is_full_refuses(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a status after which the client tries again."""
    monkeypatch.setattr("channels.longpoll.LONGPOLL_SESSIONS_MAX", 1)
    async with long_polling(node) as longpoll:
        await Poller(longpoll).open()
        assert await Poller(longpoll).get() == {"status": 500}


async def test_the_end_of_the_sessions_supervisor_ends_the_sessions(node: Node) -> None:
    """A poll that waits is told; the accounts are closed."""
    async with trio.open_nursery() as nursery:
        async with long_polling(node) as longpoll:
            poller = await Poller(longpoll).open()
            await poller.join("hot:1")
            node.endpoint.broadcast("hot:1", "shout", {})
            await trio.testing.wait_all_tasks_blocked()
        assert longpoll.statistics().sessions == 0
        assert node.endpoint.statistics().closed == {"cancelled": 1}
        assert (node.hub.statistics().queued, adds_up(node)) == (0, True)
        nursery.cancel_scope.cancel()
    incoming = Incoming("GET", "vsn=2.0.0&token=ann&", {"host": "test"}, b"", "")
    assert (await longpoll.handle(incoming)).body == b'{"status":500}'
