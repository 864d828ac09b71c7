"""Crowds that come at once, and clients that come again and again: the others do not notice."""

from collections import Counter
from typing import Any

import pytest
import trio
import trio.testing

from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Channel, ChannelSocket, Joined, JoinResult
from channels.client_limits import ClientLimits
from channels.limits import FAILED_JOINS_S, JOINS_AT_ONCE, JOINS_WAITING_MAX, Limits
from channels.testing import Client, HandshakeRefused, Node, connect, serving
from tests.channels.guarded import Named, at_most, dial, guarded
from tests.channels.rooms import Script

CLIENTS, TOPICS = 100, 100
JOINS = CLIENTS * TOPICS
# A heartbeat takes some laps of the loop, and in each of them any join under way may make room:
# however many wait, only so many times those are answered before it.
LAPS = 24


class Database:
    """Serves sixteen at a time, in order of arrival, as a pool of connections does."""

    def __init__(self) -> None:
        self.served = 0
        self._pool = trio.CapacityLimiter(16)

    async def ask(self) -> None:
        """Wait for a turn, and for an answer."""
        async with self._pool:
            await trio.lowlevel.checkpoint()
            self.served += 1


class Shop(Channel):
    """A room whose joins ask a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Read what to show."""
        await self._database.ask()
        return Joined()


def adds_up(node: Node) -> bool:
    """Whether every message offered is in one count."""
    found = node.hub.statistics()
    return found.offered == found.delivered + found.dropped + found.disconnected + found.queued


async def join_all(client: Client, topics: list[str], told: Counter[str]) -> list[float]:
    """Join topics at once, and wait for all answers. Returns when the refused may come again."""
    refs = {await client.send_join(topic): topic for topic in topics}
    refused, waits = [], []
    while refs:
        answer = await client.receive()
        assert answer.event == "phx_reply"
        topic = refs.pop(str(answer.ref))
        told[answer.payload["response"].get("code", answer.payload["status"])] += 1
        if answer.payload["status"] == "error":
            refused.append(topic)
            waits.append(answer.payload["response"]["retry_after_ms"] / 1_000)
    topics[:] = refused
    return waits


@pytest.mark.slow
async def test_ten_thousand_joins_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """All are answered, and in the end granted; heartbeats and purchases go on between them."""
    database = Database()
    limits = Limits(clients=ClientLimits(joins_per_node=at_most(JOINS // 2)))
    told: Counter[str] = Counter()
    routes = [("shop:*", lambda: Shop(database))]
    async with serving(routes, limits=limits) as node, trio.open_nursery() as nursery:
        clients: list[Client] = []
        for _ in range(CLIENTS):
            ours, theirs = trio.testing.memory_stream_pair()
            clients.append(Client(ours))
            nursery.start_soon(node.endpoint.serve, theirs, b"")
            nursery.start_soon(clients[-1].listen)
            await clients[-1].shake_hands("/socket/websocket?vsn=2.0.0")
        wanted = [[f"shop:{n}" for n in range(TOPICS)] for _ in clients]
        async with connect(node.endpoint) as other:
            rounds = beats = 0
            while any(wanted):
                rounds += 1
                waits: list[float] = []

                async def join(client: Client, topics: list[str], waits: list[float]) -> None:
                    waits += await join_all(client, topics, told)

                async with trio.open_nursery() as storm:
                    for client, topics in zip(clients, wanted, strict=True):
                        storm.start_soon(join, client, topics, waits)
                    joined = -1
                    while joined < node.endpoint.statistics().joined:
                        joined = node.endpoint.statistics().joined
                        await other.heartbeat()
                        assert node.endpoint.statistics().joined - joined <= LAPS * JOINS_AT_ONCE
                        served = database.served
                        await database.ask()
                        assert database.served - served <= 2 * JOINS_AT_ONCE
                        beats += 1
                autojump_clock.jump(max(waits, default=0))
        statistics = node.endpoint.guard.statistics()
        assert told == {"ok": JOINS, "busy": told["busy"]}
        assert told["busy"] == statistics.refused["joins_per_node"] + statistics.joins_turned_away
        assert JOINS // 2 <= told["busy"] + JOINS_WAITING_MAX
        assert (statistics.joins_under_way, statistics.joins_waiting) == (0, 0)
        found = node.endpoint.statistics()
        assert (found.joined, found.channels, found.crashed) == (JOINS, JOINS, 0)
        assert (rounds <= 4, beats > 20, adds_up(node)) == (True, True, True)
        for client in clients:
            await client.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()


async def test_a_channel_that_crashes_in_a_loop(autojump_clock: trio.testing.MockClock) -> None:
    """Its client rejoins at once each time: after some crashes it is refused without a channel."""
    limits = ClientLimits(failed_joins=at_most(10))
    async with (
        guarded(limits) as node,
        connect(node.node.endpoint, token="ann") as ann,
        connect(node.node.endpoint, token="bob") as bob,
    ):
        for client in (ann, bob):
            await client.join("room:good")
        await bob.join("room:bad")
        crashes = refused = 0
        for n in range(200):
            ref = await ann.send_join("room:bad")
            answer = await ann.receive()
            assert (answer.ref, answer.event) == (ref, "phx_reply")
            if answer.payload["status"] == "ok":
                await ann.push("room:bad", "crash")
                await ann.assert_crash("room:bad")
                crashes += 1
            else:
                assert answer.payload["response"]["code"] == "rate_limited"
                refused += 1
            for client in (ann, bob):
                await client.assert_reply(await client.push("room:good", "echo", {"n": n}), "ok")
        assert (crashes, refused) == (10, 190)
        assert node.node.endpoint.statistics().crashed == crashes
        assert node.script.made == 3 + crashes
        assert node.refused() == {"failed_joins": refused}
        assert autojump_clock.current_time() < FAILED_JOINS_S / 10
        await bob.assert_reply(await bob.push("room:bad", "echo"), "ok")
        assert adds_up(node.node)


@pytest.mark.slow
async def test_a_flood_of_connections_from_one_address() -> None:
    """The application is asked about as many as may be; another address does not notice."""
    limits = ClientLimits(connections_per_address=at_most(5))
    ours, theirs, attempts = "127.0.0.3", "127.0.0.2", 300
    async with guarded(limits) as node, dial(node, ours) as client:
        await client.join("room:1")
        outcomes: Counter[int] = Counter()
        leave = trio.Event()

        async def come() -> None:
            try:
                async with dial(node, theirs, "eve"):
                    outcomes[101] += 1
                    await leave.wait()
            except HandshakeRefused as refused:
                outcomes[refused.status] += 1

        async with trio.open_nursery() as flood:
            for n in range(attempts):
                flood.start_soon(come)
                if n % 10 == 0:
                    await client.assert_reply(await client.push("room:1", "echo"), "ok")
            while outcomes.total() < attempts:
                await client.heartbeat()
            async with dial(node, ours) as another:
                await another.join("room:1")
            leave.set()
        assert outcomes == {101: 5, 429: attempts - 5}
        assert Counter(node.handler.addresses) == {ours: 2, theirs: 5}
        assert node.refused() == {"connections_per_address": attempts - 5}
        assert [told["count"] for told in node.told] == [1]


@pytest.mark.slow
async def test_a_storm_of_reconnects_after_a_drain(autojump_clock: trio.testing.MockClock) -> None:
    """All who were on one node come to the other at once, join all they had, and miss nothing."""
    wire, script, crowd = MemoryWire(), Script(), 200
    topics = [f"room:{n}" for n in range(5)]
    limits = Limits(clients=ClientLimits(connections_per_user=at_most(1)), drain_batch=50)
    brokers = [RedisBroker(MemoryBus(wire), name) for name in "ab"]
    routes = [("room:*", script.room)]
    heard: list[list[Any]] = []
    back = trio.Event()
    async with (
        serving(routes, broker=brokers[0], limits=limits, handler=Named()) as first,
        serving(routes, broker=brokers[1], limits=limits, handler=Named()) as second,
        connect(second.endpoint, token="resident") as resident,
    ):
        await resident.join(topics[0])

        async def live(name: str) -> None:
            async with connect(first.endpoint, token=name) as client:
                await join_all(client, list(topics), Counter())
                assert await client.assert_ended() == 1012
            async with connect(second.endpoint, token=name) as client:
                told: Counter[str] = Counter()
                await join_all(client, list(topics), told)
                assert told == {"ok": len(topics)}
                heard.append([await client.assert_broadcast(topic, "shout") for topic in topics])
                if len(heard) == crowd:
                    back.set()
                await back.wait()

        async with trio.open_nursery() as nursery:
            for n in range(crowd):
                nursery.start_soon(live, f"user {n}")
            await trio.testing.wait_all_tasks_blocked()
            assert first.endpoint.statistics().channels == crowd * len(topics)
            nursery.start_soon(first.endpoint.drain)
            while second.endpoint.statistics().joined <= crowd * len(topics):
                before = second.endpoint.statistics().joined
                await resident.heartbeat()
                passed = second.endpoint.statistics().joined - before
                assert passed <= LAPS * JOINS_AT_ONCE
                autojump_clock.jump(limits.drain_interval_s / 10)
            for topic in topics:
                second.endpoint.broadcast(topic, "shout", {"topic": topic})
        assert heard == [[{"topic": topic} for topic in topics]] * crowd
        assert first.endpoint.statistics().closed == {"drained": crowd}
        assert (adds_up(first), adds_up(second)) == (True, True)
        assert autojump_clock.current_time() < limits.idle_s
