"""Without the store, with a full queue, and across lives: nothing is lost, and nothing doubled."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import Lifeline
from channels.errors import HistoryDown
from channels.hub import Hub
from channels.limits import (
    HISTORY_APPEND_S,
    HISTORY_CHECK_MIN_S,
    HISTORY_SIGN_S,
)
from channels.protocol import UNAVAILABLE
from channels.recovery import Recovery
from channels.serializer_v2 import V2
from channels.testing import Client, connect
from tests.channels.attendance import pass_time
from tests.channels.histories import KEPT, TOPIC, Shared, cluster, heard, say


async def test_without_the_store_publishing_waits_and_is_refused(
    autojump_clock: MockClock,
) -> None:
    """What it can still take within the time is published, once and in order; the rest never."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        [node] = here.nodes
        await client.join(TOPIC)
        here.store.away = True
        with pytest.raises(HistoryDown):
            await say(node, 1)
        assert autojump_clock.current_time() >= HISTORY_APPEND_S
        async with trio.open_nursery() as nursery:
            node.endpoint.broadcast(TOPIC, "said", {"n": 2})
            nursery.start_soon(say, node, 3)
            await pass_time(autojump_clock, HISTORY_APPEND_S / 2)
            here.store.away = False
        await pass_time(autojump_clock, HISTORY_SIGN_S)
        assert await heard(client) == [2, 3]
        statistics = here.recoveries[0].statistics()
        assert (statistics.appended, statistics.refused, statistics.waiting) == (2, 1, 0)


async def test_a_lost_answer_appends_nothing_twice(
    autojump_clock: MockClock,
) -> None:
    """The same batch is tried again, and known again."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        [node] = here.nodes
        await client.join(TOPIC)
        here.store.mute = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, node, 1)
            await pass_time(autojump_clock, HISTORY_APPEND_S / 2)
            here.store.mute = False
        cursors = await say(node, 2)
        assert cursors[0].endswith("-2")
        assert await heard(client) == [1, 2]


async def test_without_the_store_nobody_joins_and_nobody_leaves(
    autojump_clock: MockClock,
) -> None:
    """A join is refused as unavailable; members stay, and are given what they missed later."""
    async with cluster(2) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[1], 1)
        here.store.away = True
        async with connect(here.nodes[0].endpoint) as late:
            assert await late.join(TOPIC, status="error") == UNAVAILABLE
        await pass_time(autojump_clock, 30)
        here.store.away = False
        await pass_time(autojump_clock, 2 * HISTORY_SIGN_S)
        assert await heard(client) == [1]
        assert here.recoveries[0].statistics().topics == 1


async def test_a_topic_is_followed_while_it_has_members() -> None:
    """Leaving, and a refused join, end it."""
    async with cluster(1) as here:
        [recovery] = here.recoveries
        async with connect(here.nodes[0].endpoint) as client:
            await client.join(TOPIC)
            await client.assert_reply(await client.leave(TOPIC))
            await client.assert_close(TOPIC)
            assert recovery.statistics().topics == 0
            await client.join(TOPIC)
            assert recovery.statistics().topics == 1
        await trio.testing.wait_all_tasks_blocked()
        assert recovery.statistics().topics == 0


async def test_joins_share_a_read() -> None:
    """A crowd that comes back together costs the store a few reads."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as first:
        await first.join(TOPIC)
        cursors = await say(here.nodes[0], 1, 2, 3)
        async with trio.open_nursery() as nursery:
            clients = [await nursery.start(_connected, here.nodes[0].endpoint) for _ in range(50)]
            before = here.recoveries[0].statistics().reads
            here.store.open = trio.Event()
            for client in clients:
                await client.send_join(TOPIC, {"cursor": cursors[0]})
            assert [await heard(client) for client in clients] == [[]] * 50
            here.store.open.set()
            seen = [await heard(client) for client in clients]
            assert seen == [[2, 3]] * 50
            assert here.recoveries[0].statistics().reads - before < 10
            nursery.cancel_scope.cancel()


async def _connected(endpoint: Any, task_status: trio.TaskStatus[Client]) -> None:
    async with connect(endpoint) as client:
        task_status.started(client)
        await trio.sleep_forever()


async def test_bytes_have_no_place_in_a_history() -> None:
    """No cursor fits beside them: a bug of the caller."""
    async with cluster(1) as here:
        with pytest.raises(TypeError):
            await here.nodes[0].endpoint.publish(TOPIC, "said", b"bytes")


async def test_a_push_may_publish_with_and_without_its_cursor() -> None:
    """From within a channel, too, in the order of the pushes."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        await client.assert_reply(await client.push(TOPIC, "shout", {"n": 1}))
        answer = await client.assert_reply(await client.push(TOPIC, "say", {"n": 2}))
        assert answer["cursor"].endswith("-2")
        assert await heard(client) == [1, 2]


async def test_a_topic_without_history_is_published_at_once() -> None:
    """There is no cursor to tell."""
    async with cluster(1) as here:
        assert await here.nodes[0].endpoint.publish("other", "said", {}) is None
        assert KEPT.size == 10


async def test_a_store_that_was_away_for_a_minute_is_caught_up_with(
    autojump_clock: MockClock,
) -> None:
    """Members stay and get what others published meanwhile, in order; their own was refused."""
    async with cluster(2) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[1], 1, 2)
        here.store.away = True
        for _ in range(3):
            with pytest.raises(HistoryDown):
                await say(here.nodes[0], 9)
            await client.heartbeat()
            await pass_time(autojump_clock, 20)
        here.store.away, here.lost = False, False
        await say(here.nodes[1], 3)
        await pass_time(autojump_clock, 2 * HISTORY_SIGN_S)
        assert await heard(client) == [1, 2, 3]
        assert here.recoveries[0].statistics().refused == 3


async def test_a_history_that_is_away_holds_up_no_other(autojump_clock: MockClock) -> None:
    """Others are appended to and joined meanwhile; its own messages get in later, in order."""
    other = "talk:other"
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        [node] = here.nodes
        await client.join(TOPIC)
        here.store.lost.add(TOPIC)
        async with connect(node.endpoint) as late:
            assert await late.join(TOPIC, status="error") == UNAVAILABLE
            begun = autojump_clock.current_time()
            for n in range(1, 5):
                node.endpoint.broadcast(TOPIC, "said", {"n": n})
                await node.endpoint.publish(other, "said", {"n": n})
            await late.join(other)
            assert autojump_clock.current_time() == begun
        await pass_time(autojump_clock, HISTORY_APPEND_S / 2)
        node.endpoint.broadcast(TOPIC, "said", {"n": 5})
        here.store.lost.clear()
        await pass_time(autojump_clock, HISTORY_SIGN_S)
        node.endpoint.broadcast(TOPIC, "said", {"n": 6})
        assert await heard(client) == [1, 2, 3, 4, 5, 6]
        statistics = here.recoveries[0].statistics()
        assert (statistics.appended, statistics.refused, statistics.waiting) == (10, 0, 0)


async def test_what_was_missed_while_a_history_was_away_is_given_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    """It is asked again by itself, while others are read at once."""
    other = "talk:other"
    async with cluster(2) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        await client.join(other)
        here.lost = True
        await say(here.nodes[1], 1)
        await here.nodes[1].endpoint.publish(other, "said", {"n": 2})
        here.store.lost.add(TOPIC)
        here.sign += 1
        await pass_time(autojump_clock, 2 * HISTORY_SIGN_S)
        assert await heard(client) == [2]
        here.store.lost.clear()
        await pass_time(autojump_clock, 2 * HISTORY_SIGN_S)
        assert await heard(client) == [1]


async def test_a_sign_of_loss_is_followed_at_once(autojump_clock: MockClock) -> None:
    """Not only when the time for it has come."""
    async with cluster(2) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[1], 1)
        here.sign += 1
        await pass_time(autojump_clock, 2 * HISTORY_SIGN_S)
        assert await heard(client) == [1]
        assert autojump_clock.current_time() < HISTORY_CHECK_MIN_S


@pytest.mark.parametrize("doing", ["append", "read"])
async def test_a_life_that_ends_in_the_middle_loses_nothing(doing: str) -> None:
    """The next one appends the same batch under the same ids, and reads for the same joins."""
    store, hub = Shared(lambda _topic, _data: None), Hub()
    recovery = Recovery(store, hub, "n")
    store.open = trio.Event()
    told: list[object] = []

    async def publish() -> None:
        told.append(await recovery.publish(TOPIC, KEPT, V2.encode_broadcast(TOPIC, "said", {})))

    async def read() -> None:
        recovery.follow(TOPIC, KEPT)
        told.append((await recovery.past(TOPIC, 0)).cursor)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish if doing == "append" else read)
        for last in (False, True):
            async with trio.open_nursery() as life:
                life.start_soon(recovery.run, Lifeline())
                await trio.testing.wait_all_tasks_blocked()
                if last:
                    store.open.set()
                    await trio.testing.wait_all_tasks_blocked()
                life.cancel_scope.cancel()
    assert len(told) == 1


async def test_a_full_queue_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, by the number or the bytes of what waits."""
    monkeypatch.setattr("channels.additions.HISTORY_QUEUE_MAX", 2)
    monkeypatch.setattr("channels.additions.HISTORY_QUEUE_BYTES_MAX", 100)
    recovery = Recovery(Shared(lambda _topic, _data: None), Hub(), "n")
    recovery.publish_nowait(TOPIC, KEPT, b"x" * 60)
    with pytest.raises(HistoryDown):
        await recovery.publish(TOPIC, KEPT, b"x" * 60)
    recovery.publish_nowait(TOPIC, KEPT, b"x")
    with pytest.raises(HistoryDown):
        await recovery.publish(TOPIC, KEPT, b"x")
    assert (recovery.statistics().waiting, recovery.statistics().refused) == (2, 2)


@pytest.mark.parametrize("data", [b"\x10", b"\x10no cursor", b"\x10a-1", b"\x10\xff-1 x"])
async def test_what_is_no_message_is_not_given(data: bytes) -> None:
    """A stranger on the bus can break nothing."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        here.recoveries[0].hear(TOPIC, data)
        here.recoveries[0].hear("talk:nobody", b"\x10a-1 x")
        assert await client.received() == []
