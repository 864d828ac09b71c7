"""Brokers: the same for members, alone or with other nodes, with the bus or without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from actors import Lifeline
from channels.broker import Broker, MemoryBroker, MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.limits import BUS_BATCH_MAX, BUS_QUEUE_MAX, BUS_SUBSCRIBE_S

Heard = list[tuple[str, bytes]]


@asynccontextmanager
async def running(*brokers: Broker) -> AsyncIterator[None]:
    """Run brokers."""
    async with trio.open_nursery() as nursery:
        lives = [Lifeline() for _ in brokers]
        for broker, life in zip(brokers, lives, strict=True):
            nursery.start_soon(broker.run, life)
        yield
        for life in lives:
            life.request_stop()


def node(name: str, wire: MemoryWire) -> tuple[RedisBroker, Heard]:
    """A broker, and what it heard from others."""
    heard: Heard = []
    broker = RedisBroker(MemoryBus(wire), name)
    broker.attach(lambda topic, data: heard.append((topic, data)))
    return broker, heard


@pytest.mark.parametrize(
    "broker", [MemoryBroker(), RedisBroker(MemoryBus(MemoryWire()), "a")], ids=["alone", "bus"]
)
async def test_every_broker_serves_its_own_node(broker: Broker) -> None:
    """Raw messages reach local listeners at once; broadcasts never come back."""
    heard: list[bytes] = []
    remote: Heard = []
    broker.attach(lambda topic, data: remote.append((topic, data)))
    broker.subscribe_raw("log", heard.append)
    async with running(broker):
        await broker.subscribe("t")
        broker.publish("t", b"broadcast")
        broker.publish_raw("log", b"raw")
        assert heard == [b"raw"]
        await trio.testing.wait_all_tasks_blocked()
        assert (heard, remote, broker.statistics().topics) == ([b"raw"], [], 1)
        broker.unsubscribe("t")
        assert broker.statistics().topics == 0


async def test_broadcasts_reach_nodes_with_members() -> None:
    """Once each, whatever the number of members, and in order."""
    wire = MemoryWire()
    (a, _), (b, heard_b), (c, heard_c) = (node(name, wire) for name in "abc")
    async with running(a, b, c):
        await b.subscribe("t")
        await b.subscribe("t")
        await c.subscribe("other")
        for n in range(2 * BUS_BATCH_MAX + 1):
            a.publish("t", b"%d" % n)
        await trio.testing.wait_all_tasks_blocked()
        assert heard_b == [("t", b"%d" % n) for n in range(2 * BUS_BATCH_MAX + 1)]
        assert heard_c == []


async def test_a_node_listens_until_its_last_member_left() -> None:
    """Members are counted."""
    wire = MemoryWire()
    (a, _), (b, heard) = node("a", wire), node("b", wire)
    async with running(a, b):
        await b.subscribe("t")
        await b.subscribe("t")
        b.unsubscribe("t")
        a.publish("t", b"1")
        await trio.testing.wait_all_tasks_blocked()
        b.unsubscribe("t")
        await trio.testing.wait_all_tasks_blocked()
        a.publish("t", b"2")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [("t", b"1")]


async def test_a_topic_left_and_joined_again_is_heard() -> None:
    """Even if both happen while the bus is busy."""
    wire = MemoryWire()
    (a, _), (b, heard) = node("a", wire), node("b", wire)
    async with running(a, b):
        await b.subscribe("t")
        b.unsubscribe("t")
        await b.subscribe("t")
        a.publish("t", b"1")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [("t", b"1")]


async def test_raw_messages_reach_every_node() -> None:
    """Also those that begin to listen before the broker runs."""
    wire = MemoryWire()
    (a, _), (b, _) = node("a", wire), node("b", wire)
    heard: list[bytes] = []
    b.subscribe_raw("log", heard.append)
    b.subscribe_raw("log", heard.append)
    async with running(a, b):
        await trio.testing.wait_all_tasks_blocked()
        a.publish_raw("log", b"1 with spaces")
        await trio.testing.wait_all_tasks_blocked()
    assert heard == [b"1 with spaces"] * 2


async def test_a_topic_and_a_raw_channel_of_one_name_are_two() -> None:
    """Clients choose topics; they must not reach the event log by that."""
    wire = MemoryWire()
    (a, _), (b, heard) = node("a", wire), node("b", wire)
    raw: list[bytes] = []
    b.subscribe_raw("log", raw.append)
    async with running(a, b):
        await b.subscribe("log")
        a.publish("log", b"broadcast")
        await trio.testing.wait_all_tasks_blocked()
    assert (heard, raw) == ([("log", b"broadcast")], [])


async def test_without_the_bus_a_node_goes_on_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Joins wait a moment and no longer, broadcasts are dropped and counted, and it heals."""
    wire = MemoryWire()
    (a, _), (b, heard) = node("a", wire), node("b", wire)
    wire.cut = True
    async with running(a, b):
        await b.subscribe("t")
        assert autojump_clock.current_time() <= BUS_SUBSCRIBE_S
        a.publish("t", b"lost")
        await trio.testing.wait_all_tasks_blocked()
        assert (a.statistics().dropped, a.statistics().connected) == (1, False)
        wire.cut = False
        a.publish("t", b"heard")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [("t", b"heard")]
        assert (a.statistics().published, a.statistics().connected) == (1, True)


def test_what_waits_for_the_bus_is_bounded() -> None:
    """The newest is dropped, and counted."""
    broker, _ = node("a", MemoryWire())
    for _ in range(BUS_QUEUE_MAX + 2):
        broker.publish("t", b"x")
    assert broker.statistics().dropped == 2


async def test_a_broker_may_run_again() -> None:
    """Its supervisor restarts it, and what was wanted still is."""
    wire = MemoryWire()
    (a, _), (b, heard) = node("a", wire), node("b", wire)
    async with running(b):
        await b.subscribe("t")
    async with running(a, b):
        a.publish("t", b"1")
        await trio.testing.wait_all_tasks_blocked()
    assert heard == [("t", b"1")]
