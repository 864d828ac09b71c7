"""Presence across nodes: what one knows all know, whoever dies and whatever is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio.testing import MockClock

from channels.broker import MemoryBroker, MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.limits import (
    PRESENCE_ASK_S,
    PRESENCE_BEAT_S,
    PRESENCE_DIFF_S,
    PRESENCE_HISTORY,
    PRESENCE_LEASE_S,
    PRESENCE_PIECE,
)
from channels.presence_nodes import Ask, Beat, PresenceNodes, Word
from channels.presence_state import Delta, PresenceState, Whole
from tests.channels.attendance import TOPIC, Attended, Visitor, attended, member, pass_time, view
from tests.channels.people import meta

# Told by one node to another, and by that one to its members.
ACROSS_S = 2 * PRESENCE_DIFF_S


class Told:
    """What a node says to another, which is only made up."""

    def __init__(self) -> None:
        broker = MemoryBroker()
        self.words: list[bytes] = []
        self.state = PresenceState("this", listed_max=9)
        self.nodes = PresenceNodes(self.state, broker, "presence", lambda: None)
        broker.subscribe_raw("presence:other", self.words.append)

    async def by(self, *words: Word) -> list[bytes]:
        """What is said when these are heard."""
        self.words.clear()
        for word in words:
            self.nodes.hear(msgspec.json.encode(word))
        await self.nodes.listen()
        return [*self.words]


@asynccontextmanager
async def node(wire: MemoryWire, name: str, **options: int) -> AsyncIterator[Attended]:
    """A node among others; killed at the end."""
    async with attended(RedisBroker(MemoryBus(wire), name), **options) as here:
        yield here


def know(topic: str, *nodes: Attended) -> set[str]:
    """Who is there, as all of these nodes know."""
    first, *others = [each.presence.list(topic) for each in nodes]
    assert all(other == first for other in others)
    return set(first)


async def crowd(here: Attended, size: int) -> list[Visitor]:
    """So many come."""
    visitors = []
    for n in range(size):
        visitors.append(Visitor())
        here.presence.track(visitors[-1], f"k{n}")
        if not n % PRESENCE_PIECE:
            await trio.lowlevel.checkpoint()
    return visitors


async def test_members_see_those_on_other_nodes(autojump_clock: MockClock) -> None:
    """They come, change and go as if they were here, with the same metas."""
    wire = MemoryWire()
    async with node(wire, "a") as a, node(wire, "b") as b, member(a, "ann") as ann:
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        async with member(b, "bob", meta={"n": 1}) as bob:
            await pass_time(autojump_clock, ACROSS_S)
            assert know(TOPIC, a, b) == {"ann", "bob"}
            await bob.push(TOPIC, "update", {"n": 2})
            await pass_time(autojump_clock, ACROSS_S)
            assert know(TOPIC, a, b) == {"ann", "bob"}
            assert (await view(bob)).people == (seen := await view(ann)).people
            assert len(seen.seen) == 3
        await pass_time(autojump_clock, ACROSS_S)
        assert (await ann.assert_broadcast(TOPIC, "presence_diff"))["leaves"].keys() == {"bob"}
        assert know(TOPIC, a, b) == {"ann"}
        assert a.presence.statistics().nodes == b.presence.statistics().nodes == 1


@pytest.mark.parametrize("listed_max", [200, 0])
async def test_the_people_of_a_dead_node_leave_within_five_seconds(
    listed_max: int, autojump_clock: MockClock
) -> None:
    """Members on every other node are told so by then, and not before its lease is over."""
    wire = MemoryWire()
    async with (
        node(wire, "a", listed_max=listed_max) as a,
        node(wire, "b", listed_max=listed_max) as b,
        member(a, "ann") as ann,
    ):
        async with node(wire, "c") as c, member(c, "cid"), member(c, "dan"):
            await pass_time(autojump_clock, 2 * PRESENCE_BEAT_S)
            assert know(TOPIC, a, b, c) == {"ann", "cid", "dan"}
        died = autojump_clock.current_time()
        await pass_time(autojump_clock, PRESENCE_LEASE_S - PRESENCE_BEAT_S - 0.1)
        assert know(TOPIC, a, b) == {"ann", "cid", "dan"}
        await ann.received()
        await trio.sleep_until(died + 5)
        assert know(TOPIC, a, b) == {"ann"}
        (told,) = await ann.received()
        if listed_max:
            assert (told.payload["joins"], told.payload["leaves"].keys()) == ({}, {"cid", "dan"})
        else:
            assert told.payload == {"count": 1}
        assert a.presence.statistics().expired == b.presence.statistics().expired == 1


async def test_a_node_that_stops_says_goodbye(autojump_clock: MockClock) -> None:
    """Its people leave at once."""
    wire = MemoryWire()
    async with node(wire, "a") as a, node(wire, "b") as b, member(b, "bob"):
        await pass_time(autojump_clock, ACROSS_S)
        assert know(TOPIC, a, b) == {"bob"}
        b.life.request_stop()
        await pass_time(autojump_clock, 0)
        assert know(TOPIC, a) == set()
        assert a.presence.statistics().nodes == 0


async def test_what_was_lost_heals_with_the_next_beat(autojump_clock: MockClock) -> None:
    """The bus was away for a moment: nobody left, and what happened meanwhile is asked for."""
    wire = MemoryWire()
    async with (
        node(wire, "a") as a,
        node(wire, "b") as b,
        member(a, "ann") as ann,
        member(b, "bob"),
    ):
        await pass_time(autojump_clock, ACROSS_S)
        wire.cut = True
        async with member(b, "cid"):
            await pass_time(autojump_clock, ACROSS_S)
        async with member(b, "dan"):
            await pass_time(autojump_clock, ACROSS_S)
            assert know(TOPIC, a) == {"ann", "bob"}
            wire.cut = False
            await view(ann)
            await pass_time(autojump_clock, PRESENCE_BEAT_S + ACROSS_S)
            assert know(TOPIC, a, b) == {"ann", "bob", "dan"}
            diff = await ann.assert_broadcast(TOPIC, "presence_diff")
            assert (diff["joins"].keys(), diff["leaves"]) == ({"dan"}, {})
            assert a.presence.statistics().asked == 1


async def test_nodes_cut_off_from_each_other_merge_again(autojump_clock: MockClock) -> None:
    """Each goes on alone with its own people; then all are there again."""
    wire = MemoryWire()
    async with (
        node(wire, "a") as a,
        node(wire, "b") as b,
        member(a, "ann") as ann,
        member(b, "bob") as bob,
    ):
        await pass_time(autojump_clock, ACROSS_S)
        assert know(TOPIC, a, b) == {"ann", "bob"}
        wire.cut = True
        await pass_time(autojump_clock, 20)
        assert (know(TOPIC, a), know(TOPIC, b)) == ({"ann"}, {"bob"})
        wire.cut = False
        await pass_time(autojump_clock, PRESENCE_BEAT_S + ACROSS_S)
        assert know(TOPIC, a, b) == {"ann", "bob"}
        assert (await view(ann)).people == (await view(bob)).people


async def test_a_newcomer_gets_everybody(autojump_clock: MockClock) -> None:
    """However many there are, and however long ago they came."""
    wire = MemoryWire()
    async with node(wire, "a", listed_max=0) as a:
        visitors = await crowd(a, 4 * PRESENCE_PIECE)
        for visitor in visitors[: PRESENCE_HISTORY + 1]:
            visitor.end()
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
        a.presence.track(Visitor(), "one of whom nobody was told yet")
        async with node(wire, "b", listed_max=0) as b:
            await pass_time(autojump_clock, PRESENCE_BEAT_S)
            assert len(know(TOPIC, a, b)) == 4 * PRESENCE_PIECE - PRESENCE_HISTORY
            await pass_time(autojump_clock, 10 * PRESENCE_BEAT_S)
            assert b.presence.statistics().asked == 1


@pytest.mark.slow
async def test_a_dead_node_with_many_people_holds_nobody_up(autojump_clock: MockClock) -> None:
    """They leave a piece at a time; a step that blocked would fail this test."""
    wire = MemoryWire()
    async with node(wire, "a") as a:
        async with node(wire, "b") as b:
            await crowd(b, 10_000)
            await pass_time(autojump_clock, PRESENCE_BEAT_S)
            assert a.presence.count(TOPIC) == 10_000
        await pass_time(autojump_clock, 5)
        assert (a.presence.count(TOPIC), a.presence.statistics().topics) == (0, 0)


async def test_a_node_that_stood_still_gives_nobody_up(autojump_clock: MockClock) -> None:
    """It has heard nothing of the others, which says nothing about them."""
    wire = MemoryWire()
    async with node(wire, "a") as a, node(wire, "b") as b, member(a, "ann"), member(b, "bob"):
        await pass_time(autojump_clock, ACROSS_S)
        autojump_clock.jump(20)
        await pass_time(autojump_clock, 0)
        assert know(TOPIC, a, b) == {"ann", "bob"}
        await pass_time(autojump_clock, 2 * PRESENCE_LEASE_S)
        assert know(TOPIC, a, b) == {"ann", "bob"}
        assert a.presence.statistics().expired == 0


async def test_what_is_no_word_of_ours_is_dropped(autojump_clock: MockClock) -> None:
    """Such as that of another version, while nodes are being replaced."""
    async with attended() as here:
        for stranger in (b"", b"{}", b'["delta","x",1]', b'["news","x"]', b"\xff"):
            here.node.broker.publish_raw("presence", stranger)
        await pass_time(autojump_clock, 0)
        assert here.presence.statistics().dropped == 5
        here.presence.track(Visitor(), "ann")
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert here.presence.statistics().told == 1


async def test_nodes_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many is not heard."""
    monkeypatch.setattr("channels.presence_nodes.PRESENCE_NODES_MAX", 1)
    wire = MemoryWire()
    async with node(wire, "a") as a, node(wire, "b"), node(wire, "c"):
        await pass_time(autojump_clock, PRESENCE_BEAT_S)
        assert a.presence.statistics().nodes == 1
        assert a.presence.statistics().dropped > 0


async def test_what_waits_to_be_acted_upon_is_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What finds no room is as good as lost on the way."""
    monkeypatch.setattr("channels.presence_nodes.PRESENCE_INBOX_MAX", 3)
    async with attended() as here:
        for name in "abcde":
            here.node.broker.publish_raw("presence", b'["beat","%s",0]' % name.encode())
        await pass_time(autojump_clock, 0)
        assert here.presence.statistics().nodes == 3
        assert here.presence.statistics().dropped >= 2  # its own beat comes, too


async def test_a_node_answers_one_that_it_meets() -> None:
    """So each knows the other at once; after that only its beats say that it is there."""
    told = Told()
    assert await told.by(Beat("other", 0)) == [b'["beat","this",0]']
    assert await told.by(Beat("other", 0)) == []


async def test_what_is_missing_is_asked_for_once_at_a_time(autojump_clock: MockClock) -> None:
    """At once, and again when the answer is late; not while the whole is coming."""
    told = Told()
    ask = b'["ask","this",0]'
    assert await told.by(Delta("other", 3, [], [])) == [b'["beat","this",0]', ask]
    assert await told.by(Beat("other", 3), Delta("other", 4, [], [])) == []
    await pass_time(autojump_clock, PRESENCE_ASK_S)
    assert await told.by(Beat("other", 4)) == [ask]
    await pass_time(autojump_clock, PRESENCE_ASK_S)
    assert await told.by(Whole("other", 4, 0, last=False, metas=[]), Beat("other", 4)) == []
    await pass_time(autojump_clock, PRESENCE_ASK_S)
    assert await told.by(Beat("other", 4)) == [ask]
    assert await told.by(Whole("other", 4, 1, last=True, metas=[]), Beat("other", 4)) == []
    assert told.state.version("other") == 4
    assert told.nodes.asked == 3


async def test_who_misses_little_is_sent_that() -> None:
    """And who misses more than is kept gets the whole, with what nobody was told yet."""
    told = Told()
    people = [meta(str(n), str(n)) for n in range(PRESENCE_HISTORY + 2)]
    for each in people[:-1]:
        told.state.enter(each)
        await told.nodes.tell()
    told.state.enter(people[-1])
    answer = await told.by(Ask("other", PRESENCE_HISTORY))
    assert [word[:16] for word in answer] == [b'["beat","this",6', *[b'["delta","this",'] * 2]
    (whole,) = await told.by(Ask("other", 0))
    assert whole.startswith(b'["whole","this",66,0,true,')
    assert await told.by(Ask("other", PRESENCE_HISTORY + 2)) == []
