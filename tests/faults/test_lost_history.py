"""Redis killed, started empty, out of reach: in a topic with history nothing is missed in silence.

A listener checks each message against the one before it, by their cursors.
"""

import itertools
import os
import signal

import pytest
import redis.asyncio
import trio

from actors import ChildSpec, Supervisor, run_root
from app.storage import Annex
from app.storage.embedded import EmbeddedValkey, StateFolder, find_valkey
from channels.cursor import Cursor
from channels.history import History
from tests.faults.door import door_to
from tests.faults.talkers import Listener, Talker, talkers

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(find_valkey() is None, reason="there is no Valkey for this machine"),
]

_NUMBERS = itertools.count(1)


def topic_of_its_own() -> str:
    """A topic that no other test uses."""
    return f"talk:fault-{next(_NUMBERS)}"


async def listen(nursery: trio.Nursery, nodes: list[Talker], topic: str) -> list[Listener]:
    """A listener on each node."""
    listeners = [Listener(topic) for _ in nodes]
    for node, listener in zip(nodes, listeners, strict=True):
        await nursery.start(listener.run, node.endpoint)
    return listeners


async def test_a_server_that_was_killed_comes_back_empty(state: StateFolder, annex: Annex) -> None:
    """Members are told to reload; what is said meanwhile is said in the end, or was refused."""
    topic = topic_of_its_own()
    valkey = EmbeddedValkey(state)
    servers = Supervisor("servers", [ChildSpec("valkey", valkey.run)])
    async with trio.open_nursery() as nursery:
        await nursery.start(run_root, servers)
        async with talkers(annex, [valkey.url] * 2, History(size=50)) as nodes:
            one, two = await listen(nursery, nodes, topic)
            await nodes[0].say(topic, *range(10))
            await one.until_heard(9)
            await two.until_heard(9)
            await annex.call(_kill, valkey.url)
            async with trio.open_nursery() as speaking:
                speaking.start_soon(nodes[0].say, topic, *range(10, 20))
                speaking.start_soon(nodes[1].say, topic, *range(20, 30))
            await one.news.until(lambda: one.reloads, "a reload")
            await two.news.until(lambda: two.reloads, "a reload")
            await nodes[1].say(topic, 99)
            for listener in (one, two):
                await listener.until_heard(99)
                _adds_up(nodes, listener)
        nursery.cancel_scope.cancel()


def _adds_up(nodes: list[Talker], listener: Listener) -> None:
    """Each message was refused, or heard once, or lies before a reload."""
    heard = [n for n, _ in listener.heard]
    assert len(heard) == len(set(heard))
    said = nodes[0].said | nodes[1].said
    refused = {*nodes[0].refused, *nodes[1].refused}
    assert said.keys() | refused == {*range(30), 99}
    assert not said.keys() & refused
    for n, cursor in listener.heard:
        assert said.get(n, cursor) == cursor
    for n, cursor in said.items():
        if n not in heard:
            assert any(_covers(reload, cursor) for reload in listener.reloads)


def _covers(reload: Cursor, missed: Cursor) -> bool:
    """Whether whoever is told to reload to this place knows that something was missed there."""
    return missed.epoch != reload.epoch or missed.position <= reload.position


async def _kill(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        pid = int((await client.info("server"))["process_id"])
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("size", "reloads"), [(100, 0), (5, 1)], ids=["healed", "reload"])
async def test_a_node_that_cannot_reach_redis_heals_when_it_can(
    size: int, reloads: int, annex: Annex, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives its members what they missed, in order, or says that it cannot."""
    monkeypatch.setattr("app.storage.redis_link.BUS_ANSWER_S", 0.2)
    monkeypatch.setattr("app.storage.redis_link.BUS_SILENCE_S", 0.2)
    monkeypatch.setattr("app.storage.redis_shards.BUS_ANSWER_S", 0.2)
    topic = topic_of_its_own()
    async with (
        door_to(valkey_url) as door,
        talkers(annex, [valkey_url, door.url], History(size=size)) as nodes,
        trio.open_nursery() as nursery,
    ):
        near, far = await listen(nursery, nodes, topic)
        await nodes[0].say(topic, 1)
        await far.until_heard(1)
        door.shut()
        await nodes[0].say(topic, *range(2, 22))
        await nodes[1].say(topic, 50)
        await near.until_heard(21)
        assert nodes[1].refused == [50]
        assert [n for n, _ in far.heard] == [1]
        door.open()
        await far.news.until(lambda: len(far.heard) > 1 or far.reloads, "anything")
        await nodes[0].say(topic, 99)
        await far.until_heard(99)
        assert len(far.reloads) == reloads
        assert [n for n, _ in far.heard] == ([1, 99] if reloads else [1, *range(2, 22), 99])
        assert [n for n, _ in near.heard] == [1, *range(2, 22), 99]
        nursery.cancel_scope.cancel()
