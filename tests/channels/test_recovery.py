"""Members of a topic with history see everything once, in order, or are told to reload."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from channels.history import History
from channels.limits import (
    HISTORY_CHECK_MAX_S,
    HISTORY_SIGN_S,
)
from channels.testing import Client, connect
from tests.channels.attendance import pass_time
from tests.channels.histories import TOPIC, cluster, heard, say


async def test_a_join_tells_the_cursor() -> None:
    """Also where nothing was ever said; what is said then follows."""
    async with cluster(1) as here, connect(here.nodes[0].endpoint) as client:
        answer = await client.join(TOPIC)
        assert answer == {"welcome": True, "cursor": answer["cursor"]}
        assert answer["cursor"].endswith("-0")
        cursors = await say(here.nodes[0], 1, 2)
        assert await heard(client) == [1, 2]
        assert [cursor.partition("-")[2] for cursor in cursors] == ["1", "2"]


async def test_who_comes_back_with_a_cursor_gets_what_was_missed() -> None:
    """All of it, in order, before what is live; with nothing missed there is nothing."""
    async with cluster(1) as here:
        [node] = here.nodes
        async with connect(node.endpoint) as client:
            await client.join(TOPIC)
        cursors = await say(node, 1, 2, 3)
        async with connect(node.endpoint) as client:
            answer = await client.join(TOPIC, {"cursor": cursors[0]})
            assert answer == {
                "welcome": True,
                "cursor": cursors[2],
                "recovered": True,
                "missed": 2,
            }
            await say(node, 4)
            assert await heard(client) == [2, 3, 4]
        async with connect(node.endpoint) as client:
            answer = await client.join(TOPIC, {"cursor": (await say(node, 5))[0]})
            assert (answer["recovered"], answer["missed"]) == (True, 0)
            assert await heard(client) == []


@pytest.mark.parametrize("cursor", ["other-1", "{epoch}-9", "nonsense", 7, "{epoch}-0"])
async def test_a_cursor_that_is_no_good_is_a_reload(cursor: Any) -> None:
    """Of another history, ahead of it, no cursor at all, or older than what is kept."""
    async with cluster(1, History(size=2)) as here:
        [node] = here.nodes
        newest = (await say(node, 1, 2, 3))[2]
        epoch = newest.partition("-")[0]
        wire = cursor.format(epoch=epoch) if isinstance(cursor, str) else cursor
        async with connect(node.endpoint) as client:
            answer = await client.join(TOPIC, {"cursor": wire})
            assert answer == {
                "welcome": True,
                "cursor": newest,
                "recovered": False,
                "reload": True,
            }
            await say(node, 4)
            assert await heard(client) == [4]


async def test_a_channel_may_make_a_snapshot_of_the_past() -> None:
    """Of the same moment as the cursor; who recovers needs none."""
    async with cluster(1) as here:
        [node] = here.nodes
        cursors = await say(node, 1, 2)
        async with connect(node.endpoint) as client:
            answer = await client.join(TOPIC, {"snapshot": True})
            assert answer == {"snapshot": [1, 2], "cursor": cursors[1]}
            await say(node, 3)
            assert await heard(client) == [3]
        async with connect(node.endpoint) as client:
            answer = await client.join(TOPIC, {"snapshot": True, "cursor": cursors[0]})
            assert (answer.get("snapshot"), answer["missed"]) == (None, 2)
            assert await heard(client) == [2, 3]


async def test_cursors_stand_in_the_ref_slot_for_those_who_ask() -> None:
    """Of live messages, of replayed ones, and of a reload; others find the slot empty."""
    async with cluster(1) as here:
        [node] = here.nodes
        cursors = await say(node, 1, 2)
        async with connect(node.endpoint) as asks, connect(node.endpoint) as other:
            await asks.join(TOPIC, {"cursor": cursors[0], "cursors": True})
            await other.join(TOPIC, {"cursor": cursors[0]})
            cursors += await say(node, 3)
            here.store.lose_all()
            with trio.fail_after(5):
                cursors += await say(node, 4)
                told = await asks.assert_broadcast(TOPIC, "reload")
            got = {e.payload["n"]: e.ref for e in await asks.received() if e.event == "said"}
            assert got == {2: cursors[1], 3: cursors[2]}
            assert told == {"cursor": cursors[3]}
            assert {e.ref for e in await other.received() if e.event != "phx_reply"} == {None}


async def test_cursors_stand_in_the_ref_slot_of_v1() -> None:
    """As the member `ref`."""
    async with cluster(1) as here:
        [node] = here.nodes
        async with connect(node.endpoint, params={"vsn": "1.0.0"}) as client:
            await client.join(TOPIC, {"cursors": True})
            cursors = await say(node, 1)
            got = [(e.payload["n"], e.ref) for e in await client.received() if e.event == "said"]
            assert got == [(1, cursors[0])]


async def test_every_node_delivers_in_the_order_of_the_history() -> None:
    """Its own messages too, and none twice, though both the answer and the bus bring them."""
    async with cluster(3) as here, trio.open_nursery() as nursery:
        clients: list[Client] = []
        for node in here.nodes:
            client = await nursery.start(_member, node.endpoint)
            clients.append(client)
        async with trio.open_nursery() as publishers:
            for number, node in enumerate(here.nodes):
                publishers.start_soon(say, node, *range(100 * number, 100 * number + 30))
        seen = [await heard(client) for client in clients]
        assert sorted(seen[0]) == sorted(n for k in range(3) for n in range(100 * k, 100 * k + 30))
        assert seen[0] == seen[1] == seen[2]
        nursery.cancel_scope.cancel()


async def _member(endpoint: Any, task_status: trio.TaskStatus[Client]) -> None:
    async with connect(endpoint) as client:
        await client.join(TOPIC)
        task_status.started(client)
        await trio.sleep_forever()


async def test_a_gap_is_healed_before_what_follows(autojump_clock: MockClock) -> None:
    """What the bus lost is read from the history, and nobody sees the difference."""
    async with cluster(2) as here, connect(here.nodes[1].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[0], 1, 2)
        here.lost = False
        await say(here.nodes[0], 3)
        assert await heard(client) == []
        await pass_time(autojump_clock, HISTORY_SIGN_S)
        assert await heard(client) == [1, 2, 3]
        statistics = here.recoveries[1].statistics()
        assert (statistics.gaps, statistics.healed, statistics.given) == (1, 2, 3)


async def test_what_was_lost_without_a_trace_is_found(
    autojump_clock: MockClock,
) -> None:
    """The last message was lost, and none comes that would show it: the heads are compared."""
    async with cluster(2) as here, connect(here.nodes[1].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[0], 1, 2)
        await pass_time(autojump_clock, HISTORY_CHECK_MAX_S + 2 * HISTORY_SIGN_S)
        assert await heard(client) == [1, 2]
        assert here.recoveries[1].statistics().checked >= 1


async def test_a_gap_beyond_the_history_is_a_reload(
    autojump_clock: MockClock,
) -> None:
    """Members are told the cursor from which they go on."""
    async with cluster(2, History(size=2)) as here, connect(here.nodes[1].endpoint) as client:
        await client.join(TOPIC)
        here.lost = True
        await say(here.nodes[0], 1, 2, 3)
        here.lost = False
        cursors = await say(here.nodes[0], 4)
        await pass_time(autojump_clock, HISTORY_SIGN_S)
        await say(here.nodes[0], 5)
        assert await client.assert_broadcast(TOPIC, "reload") == {"cursor": cursors[0]}
        assert await heard(client) == [5]
        assert here.recoveries[1].statistics().reloads == 1


async def test_a_store_that_lost_everything_is_a_reload(
    autojump_clock: MockClock,
) -> None:
    """On every node, at the latest when heads are compared; what follows comes after it."""
    async with cluster(2) as here, connect(here.nodes[0].endpoint) as client:
        await client.join(TOPIC)
        await say(here.nodes[1], 1, 2)
        here.store.lose_all()
        await pass_time(autojump_clock, HISTORY_CHECK_MAX_S + 2 * HISTORY_SIGN_S)
        await say(here.nodes[1], 3, 4)
        assert await heard(client) == [1, 2, "reload", 3, 4]
        old = here.recoveries[0].statistics().reloads
        await pass_time(autojump_clock, HISTORY_CHECK_MAX_S + 2 * HISTORY_SIGN_S)
        assert here.recoveries[0].statistics().reloads == old == 1
