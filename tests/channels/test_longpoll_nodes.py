"""Clients that poll whichever node they happen to reach."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.limits import LONGPOLL_RELAY_S, LONGPOLL_RELAYED_MAX, Limits
from channels.longpoll import LongPoll
from channels.testing import Node, serving
from tests.channels.polling import Poller, long_polling
from tests.channels.rooms import Hot

TOPIC = "hot:1"
WINDOW_S = Limits().poll_s


@dataclass
class Nodes:
    """Two nodes on one bus.

    Attributes:
        wire: what connects them.
        nodes: themselves.
        polls: their clients that poll.
        second_stopped: ends the second one when it is set.
    """

    wire: MemoryWire
    nodes: list[Node]
    polls: list[LongPoll]
    second_stopped: trio.Event


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    """Two nodes."""
    wire = MemoryWire()
    made = Nodes(wire, [], [], trio.Event())

    async def live(name: str, stopped: trio.Event) -> None:
        broker = RedisBroker(MemoryBus(wire), name)
        async with (
            serving([("hot:*", Hot)], broker=broker) as node,
            long_polling(node, name) as polls,
        ):
            made.nodes.append(node)
            made.polls.append(polls)
            await stopped.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live, "a", trio.Event())
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(live, "b", made.second_stopped)
        await trio.testing.wait_all_tasks_blocked()
        yield made
        nursery.cancel_scope.cancel()


async def test_a_client_may_reach_another_node_with_each_request(nodes: Nodes) -> None:
    """Polls and posts are passed on; what one was given, another acknowledges."""
    first, second = nodes.polls
    poller = await Poller(first).open()
    poller.at = second
    await poller.join(TOPIC)
    seen: list[Any] = []
    for n in range(6):
        poller.at = nodes.polls[n % 2]
        assert await poller.post(["1", str(n), TOPIC, "shout", {"n": n}]) == 200
        poller.at = nodes.polls[1 - n % 2]
        seen += await poller.poll()
    assert [payload["n"] for *_, payload in seen] == list(range(6))
    assert (first.statistics().sessions, second.statistics().sessions) == (1, 0)
    assert (first.statistics().relayed, second.statistics().relayed) == (0, 8)


async def test_a_poll_waits_on_another_node_as_on_its_own(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """For the window; it is answered at once where there is something, and gives way to others."""
    first, second = nodes.polls
    poller = await Poller(first).open()
    await poller.join(TOPIC)
    poller.at = second
    began = autojump_clock.current_time()
    assert await poller.poll() == []
    assert autojump_clock.current_time() - began == pytest.approx(WINDOW_S)
    bodies: list[dict[str, Any]] = []

    async def poll() -> None:
        bodies.append(await poller.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        poller.at = first
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        nodes.nodes[0].endpoint.broadcast(TOPIC, "shout", {})
    assert [body["status"] for body in bodies] == [204, 200]


async def test_an_answer_that_another_node_does_not_bring_back_is_given_again(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """The bus lost it: that is a response lost like any other."""
    first, second = nodes.polls
    poller = await Poller(first).open()
    await poller.join(TOPIC)
    poller.at = second
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.get)
        await trio.testing.wait_all_tasks_blocked()
        nodes.wire.cut = True
        nodes.nodes[0].endpoint.broadcast(TOPIC, "shout", {"n": 1})
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    nodes.wire.cut = False
    assert autojump_clock.current_time() == 0
    assert [payload for *_, payload in await poller.poll()] == [{"n": 1}]


async def test_a_client_whose_node_is_gone_learns_that_soon(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """Not after the window, and begins anew where it is."""
    first, second = nodes.polls
    poller = await Poller(second).open()
    await poller.join(TOPIC)
    poller.at = first
    nodes.second_stopped.set()
    await trio.testing.wait_all_tasks_blocked()
    began = autojump_clock.current_time()
    assert await poller.post(["1", "2", TOPIC, "shout", {}]) == 410
    body = await poller.get()
    assert autojump_clock.current_time() - began == pytest.approx(2 * LONGPOLL_RELAY_S)
    assert body["status"] == 410
    poller.ticket = body["token"]
    await poller.join(TOPIC)
    assert first.statistics().sessions == 1


async def test_a_node_that_ends_while_a_poll_waits_on_it_is_given_up(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """After the window, if it cannot say so itself."""
    first, second = nodes.polls
    poller = await Poller(second).open()
    await poller.join(TOPIC)
    poller.at = first
    bodies: list[dict[str, Any]] = []

    async def poll() -> None:
        bodies.append(await poller.get())

    began = autojump_clock.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        nodes.wire.cut = True
    assert [body["status"] for body in bodies] == [410]
    waited = autojump_clock.current_time() - began
    assert waited == pytest.approx(WINDOW_S + LONGPOLL_RELAY_S)


async def test_a_session_that_its_node_does_not_know_is_gone_at_once(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """That node says so."""
    first, second = nodes.polls
    poller = await Poller(first).open()
    nodes.nodes[0].endpoint.disconnect("ann")
    await trio.testing.wait_all_tasks_blocked()
    poller.at = second
    assert (await poller.get())["status"] == 410
    assert autojump_clock.current_time() == 0


async def test_a_node_that_answers_too_many_says_so(
    nodes: Nodes, autojump_clock: trio.testing.MockClock
) -> None:
    """Its clients elsewhere begin anew, and nobody waits for it."""
    first, second = nodes.polls
    assert first._relay.requests.statistics().max_children == LONGPOLL_RELAYED_MAX
    first._relay.requests._max_children = 1
    busy = Poller(second, ticket=(await Poller(first).open()).ticket)
    other = Poller(second, ticket=(await Poller(first).open()).ticket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy.get)
        await trio.testing.wait_all_tasks_blocked()
        assert (await other.get())["status"] == 410
        assert autojump_clock.current_time() == 0
        nursery.cancel_scope.cancel()


async def test_what_is_no_message_between_nodes_is_ignored(nodes: Nodes) -> None:
    """Of another version of this program, perhaps."""
    first, second = nodes.polls
    broker = nodes.nodes[1].broker
    for data in (b"", b"nonsense", b"\x93\xa4told\x01\xc0", b"\x92\xa5heard\x63"):
        broker.publish_raw("longpoll:a", data)
    await trio.testing.wait_all_tasks_blocked()
    poller = await Poller(first).open()
    poller.at = second
    await poller.join(TOPIC)


async def test_nodes_with_different_keys_do_not_know_each_other_s_clients(nodes: Nodes) -> None:
    """A ticket that somebody else signed is none."""
    async with (
        serving([("hot:*", Hot)]) as stranger,
        long_polling(stranger, key=b"another key") as longpoll,
    ):
        poller = await Poller(nodes.polls[0]).open()
        poller.at = longpoll
        assert await poller.post([]) == 410
