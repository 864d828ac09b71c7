"""Histories in Redis: numbered, bounded, told to all nodes, and begun anew with each server."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
import redis.asyncio
import trio

from actors import Lifeline, System
from app.storage import Annex
from app.storage.redis import RedisBus
from app.storage.redis_history import RedisHistory
from channels.broker_redis import EVERYONE, topic_channel
from channels.cursor import Cursor
from channels.history import AWAY, PLACED, Addition, History, Kept, Question

pytestmark = pytest.mark.servers

_NUMBERS = itertools.count(1)
_IDS = itertools.count(1)
TEN = History(size=10)


def topic_of_its_own() -> str:
    """A topic that no other test uses."""
    return f"test-history:{next(_NUMBERS)}"


def said(topic: str, *words: str, history: History = TEN) -> list[Addition]:
    """Messages that say these words."""
    return [Addition(topic, history, word.encode(), f"t:{next(_IDS)}") for word in words]


@asynccontextmanager
async def running(annex: Annex, url: str) -> AsyncIterator[tuple[RedisHistory, list[str]]]:
    """A store, and the names of the events that it told."""
    events: list[str] = []

    def tell(event: str, _fields: Mapping[str, object]) -> None:
        events.append(event)

    store = RedisHistory(annex, url)
    life = Lifeline(system=System(tell))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, life)
        with trio.fail_after(5):
            while await store.heads(["any"]) == [AWAY]:
                pass  # it is ready before its part on the annex is
        events.clear()
        yield store, events
        life.request_stop()


@pytest.fixture
async def store(annex: Annex, valkey_url: str) -> AsyncIterator[RedisHistory]:
    """A running store."""
    async with running(annex, valkey_url) as (store, _):
        yield store


async def kept(store: RedisHistory, topic: str, after: int = 0, history: History = TEN) -> Kept:
    """What is kept of a topic above a position."""
    [answer] = await store.read([Question(topic, history, after)])
    assert answer is not AWAY
    return answer


async def appended(store: RedisHistory, additions: Sequence[Addition]) -> list[Cursor]:
    """Their places."""
    cursors = await store.append(additions)
    assert AWAY not in cursors
    return [cursor for cursor in cursors if cursor is not AWAY]


async def test_messages_are_numbered_from_one_without_gaps(store: RedisHistory) -> None:
    """In the order in which they were given, in one epoch."""
    topic = topic_of_its_own()
    cursors = [
        *await appended(store, said(topic, "a", "b")),
        *await appended(store, said(topic, "c")),
    ]
    assert [cursor.position for cursor in cursors] == [1, 2, 3]
    assert len({cursor.epoch for cursor in cursors}) == 1
    assert await kept(store, topic) == Kept(cursors[2], [b"a", b"b", b"c"])
    assert await kept(store, topic, 2) == Kept(cursors[2], [b"c"])
    assert await kept(store, topic, 3) == Kept(cursors[2], [])
    assert await kept(store, topic, 99) == Kept(cursors[2], [])
    assert await store.read([Question(topic, TEN)]) == [Kept(cursors[2], [])]


async def test_topics_are_numbered_apart(store: RedisHistory) -> None:
    """In one batch, too; each has an epoch of its own."""
    a, b = topic_of_its_own(), topic_of_its_own()
    cursors = await appended(store, [*said(a, "1"), *said(b, "1"), *said(a, "2")])
    assert [cursor.position for cursor in cursors] == [1, 1, 2]
    assert cursors[0].epoch == cursors[2].epoch != cursors[1].epoch
    assert await store.heads([b, a]) == [cursors[1], cursors[2]]


async def test_a_history_begins_when_it_is_met(store: RedisHistory) -> None:
    """Reading one that never was gives it an epoch, which stays; a head alone does not."""
    topic = topic_of_its_own()
    assert await store.heads([topic]) == [None]
    first = await kept(store, topic)
    assert (first.head.position, first.messages) == (0, [])
    assert await store.heads([topic]) == [first.head]
    [cursor] = await appended(store, said(topic, "a"))
    assert cursor == Cursor(first.head.epoch, 1)


@pytest.mark.parametrize(
    ("history", "left"),
    [
        (History(size=3), [b"c" * 10, b"d" * 10, b"e" * 10]),
        (History(size=99, size_bytes=25), [b"d" * 10, b"e" * 10]),
        (History(size=99, size_bytes=5), []),
    ],
    ids=["messages", "bytes", "none fits"],
)
async def test_the_oldest_go(store: RedisHistory, history: History, left: list[bytes]) -> None:
    """Whichever bound is passed; the numbers go on."""
    topic = topic_of_its_own()
    words = [letter * 10 for letter in "abcde"]
    cursors = await appended(store, said(topic, *words, history=history))
    answer = await kept(store, topic, 0, history)
    assert (answer.head, answer.messages) == (cursors[-1], left)


async def test_what_is_too_old_goes(annex: Annex, valkey_url: str, store: RedisHistory) -> None:
    """It is not given any more, though it may still be there, and the next message removes it."""
    topic, short = topic_of_its_own(), History(size=99, ttl_s=0.001)
    await appended(store, said(topic, "a", "b"))
    with trio.fail_after(5):
        while (await kept(store, topic, 0, short)).messages:
            await trio.lowlevel.checkpoint()
    assert len((await kept(store, topic)).messages) == 2
    [cursor] = await appended(store, said(topic, "c", history=History(size=99, ttl_s=0.5)))
    assert cursor.position == 3

    async def ttl_ms() -> int:
        async with redis.asyncio.Redis.from_url(valkey_url) as admin:
            return int(await admin.pttl(f"agio:history:{{{topic_channel(topic)}}}:kept"))

    assert await annex.call(ttl_ms) <= 500


async def test_the_same_message_is_appended_once(store: RedisHistory) -> None:
    """However often its sender has to try, and whoever speaks in between."""
    topic = topic_of_its_own()
    batch = said(topic, "a", "b")
    first = await appended(store, batch)
    await appended(store, said(topic, "c"))
    assert await appended(store, batch) == first
    assert (await kept(store, topic)).messages == [b"a", b"b", b"c"]


async def test_every_node_hears_it_with_its_place(
    annex: Annex, valkey_url: str, store: RedisHistory
) -> None:
    """On the topic's bus channel, under nobody's name, in the order of the numbers."""
    topic, heard, woken = topic_of_its_own(), list[bytes](), trio.Event()

    def hear(_channel: str, data: bytes) -> None:
        heard.append(data)
        if len(heard) == 2:
            woken.set()

    bus = RedisBus(annex, valkey_url)
    bus.attach(hear)
    life = Lifeline()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bus.run, life)
        with trio.fail_after(5):
            while not bus.statistics().connected:
                await trio.lowlevel.checkpoint()
            await bus.subscribe([topic_channel(topic)])
            cursors = await appended(store, said(topic, "a", "b c"))
            await woken.wait()
        life.request_stop()
    assert heard == [
        EVERYONE + PLACED + f"{cursor} {word}".encode()
        for cursor, word in zip(cursors, ("a", "b c"), strict=True)
    ]


async def test_bytes_survive(store: RedisHistory) -> None:
    """Whatever they are."""
    topic, history = topic_of_its_own(), History(size=1_000)
    words = [bytes([n, 0, 13, 10, 255]) for n in range(256)]
    await appended(store, [Addition(topic, history, word, f"t:{next(_IDS)}") for word in words])
    assert (await kept(store, topic)).messages == words


async def test_a_history_ends_with_its_server(
    annex: Annex, valkey_url: str, store: RedisHistory
) -> None:
    """What a server brings along from an earlier life is not trusted: it may lack the newest."""
    topic = topic_of_its_own()
    before = (await appended(store, said(topic, "a", "b")))[1]
    head = f"agio:history:{{{topic_channel(topic)}}}:head"

    async def of_another_life() -> None:
        async with redis.asyncio.Redis.from_url(valkey_url) as admin:
            await admin.hset(head, "run", "0" * 40)

    await annex.call(of_another_life)
    assert await store.heads([topic]) == [None]
    answer = await kept(store, topic)
    assert answer.head.epoch != before.epoch
    assert (answer.head.position, answer.messages) == (0, [])
    await annex.call(of_another_life)
    [cursor] = await appended(store, said(topic, "c"))
    assert cursor.position == 1
    assert cursor.epoch not in {before.epoch, answer.head.epoch}


async def test_connections_that_are_cut_are_made_again(annex: Annex, valkey_url: str) -> None:
    """Being away, and being back, is told once each."""

    async def cut() -> None:
        async with redis.asyncio.Redis.from_url(valkey_url) as admin:
            await admin.client_kill_filter(_type="normal", skipme=True)

    async with running(annex, valkey_url) as (store, events):
        topic = topic_of_its_own()
        await appended(store, said(topic, "a"))
        await annex.call(cut)
        batch = said(topic, "b")
        assert await store.append(batch) == [AWAY]
        await appended(store, batch)
        assert (await _until_read(store, topic)).messages == [b"a", b"b"]
        assert events[:2] == ["history.lost", "history.connected"]


async def _until_read(store: RedisHistory, topic: str) -> Kept:
    """What is kept, by the first read that succeeds: the connection for reads was cut, too."""
    with trio.fail_after(5):
        while await store.heads([topic]) == [AWAY]:
            pass
    return await kept(store, topic)


async def test_without_redis_it_is_down_and_says_so(annex: Annex) -> None:
    """Each answer is at once that it is, without the password."""
    told: list[Mapping[str, object]] = []
    store = RedisHistory(annex, "redis://:hush-hush@127.0.0.1:1/0")
    life = Lifeline(system=System(lambda _, fields: told.append(fields)))
    calls: Sequence[Callable[[], Awaitable[object]]] = (
        lambda: store.append(said("t", "a")),
        lambda: store.read([Question("t", TEN)]),
        lambda: store.heads(["t"]),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, life)
        for call in calls:
            assert await call() == [AWAY]
            assert "hush" not in f"{told}{store!r}"
        life.request_stop()
    assert len(told) == 1


async def test_without_an_annex_it_is_down() -> None:
    """Like any other time."""
    assert await RedisHistory(Annex(), "redis://127.0.0.1:1/0").heads(["t"]) == [AWAY]
