"""Histories on a real cluster of three: each on its shard, told to all nodes, lost only with it."""

import itertools
from collections.abc import AsyncIterator

import pytest
import trio
from redis.crc import key_slot

from app.storage import Annex
from app.storage.redis_history import RedisHistory
from channels.broker_redis import topic_channel
from channels.cursor import Cursor
from channels.history import AWAY, Addition, History, Question
from tests.app.storage.test_redis_history import appended, kept, running, said
from tests.faults.talkers import Listener, Talker, talkers
from tests.support.valkey_cluster import SHARDS, Three

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_PATIENCE_S = 30
_NUMBERS = itertools.count(1)


def topic_of(three: Three, shard: int, name: str = "talk:cluster-{}") -> str:
    """A new topic whose history began on this shard."""
    while True:
        topic = name.format(next(_NUMBERS))
        if three.began_on(topic_channel(topic)) == shard:
            return topic


@pytest.fixture
async def store(annex: Annex, three: Three) -> AsyncIterator[RedisHistory]:
    """A running store on a cluster that is whole."""
    with trio.fail_after(_PATIENCE_S):
        while not await trio.to_thread.run_sync(three.is_whole):
            pass
    async with running(annex, three.url) as (store, _):
        yield store


async def _until_appended(store: RedisHistory, additions: list[Addition]) -> list[Cursor]:
    """Their places, by the first try that succeeds."""
    with trio.fail_after(_PATIENCE_S):
        while AWAY in (cursors := await store.append(additions)):
            pass
    return [cursor for cursor in cursors if cursor is not AWAY]


async def test_each_history_is_on_its_shard(store: RedisHistory, three: Three) -> None:
    """One batch may name topics of all; the answers come in its order."""
    topics = [topic_of(three, number % SHARDS) for number in range(6)]
    batch = [addition for word in "abc" for topic in topics for addition in said(topic, word)]
    cursors = await appended(store, batch)
    assert [cursor.position for cursor in cursors] == [n for n in (1, 2, 3) for _ in topics]
    assert await store.heads(topics) == cursors[-6:]
    for topic in topics:
        assert (await kept(store, topic, 1)).messages == [b"b", b"c"]
    for number, shard in enumerate(three.shards):
        keys = {
            key.decode()
            for key in await trio.to_thread.run_sync(shard.ask, "KEYS", "agio:history:*:head")
        }
        assert {topic for topic in topics if any(f":{topic}}}" in key for key in keys)} == set(
            topics[number::SHARDS]
        )


@pytest.mark.parametrize(
    "name", ["talk:{{one}}-{}", "talk:}}{}", "talk:{{{}", "talk:{{}}{}", "talk:%7D}}{}"]
)
async def test_braces_in_a_name_change_nothing(
    store: RedisHistory, three: Three, name: str
) -> None:
    """In braces is what decides on a slot: keys and channel are in one all the same."""
    for shard in range(SHARDS) if "one" not in name else range(1):
        topic = topic_of(three, shard, name) if "one" not in name else name.format(1)
        [cursor] = await appended(store, said(topic, "a"))
        assert (cursor.position, (await kept(store, topic)).messages) == (1, [b"a"])


async def test_what_one_node_says_another_hears_and_recovers(annex: Annex, three: Three) -> None:
    """By way of any node of the cluster, on topics of each shard."""
    topics = [topic_of(three, shard) for shard in range(SHARDS)]
    urls = [three.url_of(0), three.url_of(1)]
    async with talkers(annex, urls, History(size=50)) as nodes, trio.open_nursery() as nursery:
        for topic in topics:
            near, far = await _listen(nursery, nodes, topic)
            await nodes[0].say(topic, 1, 2)
            await nodes[1].say(topic, 3)
            await near.until_heard(3)
            await far.until_heard(3)
            assert [n for n, _ in near.heard] == [n for n, _ in far.heard] == [1, 2, 3]
            past = await nodes[1].recovery.past(topic, 1)
            assert len(past.messages) == 2
        nursery.cancel_scope.cancel()


async def _listen(nursery: trio.Nursery, nodes: list[Talker], topic: str) -> list[Listener]:
    listeners = [Listener(topic) for _ in nodes]
    for node, listener in zip(nodes, listeners, strict=True):
        await nursery.start(listener.run, node.endpoint)
    return listeners


async def test_a_slot_that_moves_takes_its_history_along(annex: Annex, three: Three) -> None:
    """To another server, so that members reload; then everything is as before, on every node."""
    topic, other = topic_of(three, 0), topic_of(three, 1)
    urls = [three.url_of(1), three.url_of(2)]
    async with talkers(annex, urls, History(size=50)) as nodes, trio.open_nursery() as nursery:
        near, far = await _listen(nursery, nodes, topic)
        await nodes[0].say(topic, 1)
        await far.until_heard(1)
        await nodes[0].say(other, 1)
        for moves, to in enumerate((2, 0), 1):
            await trio.to_thread.run_sync(three.move, topic_channel(topic), to)
            await nodes[0].say(topic, 10 + to)  # it may lie before the reload
            for listener in (near, far):
                await _until_reloaded(listener, moves)
            await nodes[1].say(topic, 20 + to)
            for listener in (near, far):
                await listener.until_heard(20 + to)
        await nodes[0].say(other, 2)
        assert [node.refused for node in nodes] == [[], []]
        assert nodes[0].said[2].position == 2
        for listener in (near, far):
            assert [n for n, _ in listener.heard if n not in {10, 12}] == [1, 22, 20]
            assert len(listener.reloads) == 2
        nursery.cancel_scope.cancel()


async def _until_reloaded(listener: Listener, times: int) -> None:
    await listener.news.until(lambda: len(listener.reloads) == times, "a reload")


async def test_a_shard_that_dies_takes_only_its_own(store: RedisHistory, three: Three) -> None:
    """In one batch with others, too. When it is back, its histories begin anew."""
    lost, well = topic_of(three, 1), topic_of(three, 2)
    [before] = await appended(store, said(lost, "a"))
    await kept(store, lost)
    await trio.to_thread.run_sync(three.shards[1].stop)
    batch = [*said(lost, "b"), *said(well, "a"), *said(lost, "c")]
    first, cursor, last = await store.append(batch)
    assert first is last is AWAY
    assert isinstance(cursor, Cursor)
    question = Question(lost, History(size=10), 0)
    assert await store.read([question]) == [AWAY]
    assert await store.heads([well, lost]) == [cursor, AWAY]
    await three.shards[1].start_again()
    again = await _until_appended(store, batch)
    assert [each.position for each in again] == [1, 1, 2]
    assert again[1] == cursor
    assert again[0].epoch == again[2].epoch != before.epoch


async def test_a_shard_that_is_stopped_holds_up_no_other(
    annex: Annex, three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members there go on; its own are refused meanwhile, and told to reload when it is back."""
    monkeypatch.setattr("channels.additions.HISTORY_APPEND_S", 0.5)
    lost, well = topic_of(three, 1), topic_of(three, 2)
    urls = [three.url_of(0), three.url_of(2)]
    async with talkers(annex, urls, History(size=50)) as nodes, trio.open_nursery() as nursery:
        mourner, _ = await _listen(nursery, nodes, lost)
        _, glad = await _listen(nursery, nodes, well)
        await nodes[0].say(lost, 1)
        await mourner.until_heard(1)
        await trio.to_thread.run_sync(three.shards[1].stop)
        async with trio.open_nursery() as speaking:
            speaking.start_soon(nodes[0].say, lost, 2)
            speaking.start_soon(nodes[0].say, well, *range(10, 20))
        assert nodes[0].refused == [2]
        await glad.until_heard(19)
        assert [n for n, _ in glad.heard] == [*range(10, 20)]
        await three.shards[1].start_again()
        await _until_reloaded(mourner, 1)
        while 3 not in nodes[0].said:
            await nodes[0].say(lost, 3)
        await mourner.until_heard(3)
        assert glad.reloads == []
        nursery.cancel_scope.cancel()


def test_keys_and_channel_have_one_slot() -> None:
    """Whatever the topic is called."""
    for topic in ("a", "a{b}c", "a}b", "a{b", "{}a", "{a}{b}", "%7D", "}%7D"):
        channel = topic_channel(topic)
        assert key_slot(f"agio:history:{{{channel}}}:head".encode()) == key_slot(channel.encode())
    assert topic_channel("}") != topic_channel("%7D")
