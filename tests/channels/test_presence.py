"""Presence over the wire: what members of a topic see of each other, and when."""

from contextlib import AsyncExitStack

import pytest
import trio
from trio.testing import MockClock

from channels.limits import (
    PRESENCE_BEAT_S,
    PRESENCE_COUNT_S,
    PRESENCE_COUNTS_A_SECOND,
    PRESENCE_DIFF_S,
    PRESENCE_KEYS_A_CHANNEL_MAX,
    PRESENCE_META_BYTES_MAX,
    Limits,
)
from channels.serializer import Envelope
from channels.testing import connect
from tests.channels.attendance import TOPIC, Visitor, attended, member, pass_time, view


async def test_a_newcomer_is_shown_who_is_there(autojump_clock: MockClock) -> None:
    """After the answer to its join, with itself; the diff that tells everybody follows."""
    async with attended() as here, connect(here.node.endpoint, token="ann") as ann:
        ref = await ann.send_join(TOPIC, {"meta": {"device": "phone"}})
        answer, state = await ann.received()
        assert (answer.event, answer.ref) == ("phx_reply", ref)
        (meta,) = state.payload["ann"]["metas"]
        assert meta.keys() == {"device", "phx_ref"}
        shown = {"ann": {"metas": [meta]}}
        assert state == Envelope(ref, None, TOPIC, "presence_state", shown)
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        diff = {"joins": shown, "leaves": {}}
        assert await ann.received() == [Envelope(None, None, TOPIC, "presence_diff", diff)]
        await pass_time(autojump_clock, 2 * PRESENCE_BEAT_S)
        assert await ann.received() == []
        assert here.presence.list(TOPIC) == shown


async def test_an_update_is_a_join_and_a_leave(autojump_clock: MockClock) -> None:
    """In one diff; the new meta names the old one."""
    async with attended() as here, member(here, "ann", meta={"state": "here"}) as ann:
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        old = (await view(ann)).people["ann"][0]
        await ann.push(TOPIC, "update", {"state": "away"})
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        diff = await ann.assert_broadcast(TOPIC, "presence_diff")
        (joined,), (left,) = diff["joins"]["ann"]["metas"], diff["leaves"]["ann"]["metas"]
        assert left == {"state": "here", "phx_ref": old}
        assert joined == {"state": "away", "phx_ref": joined["phx_ref"], "phx_ref_prev": old}
        assert here.presence.list(TOPIC) == {"ann": {"metas": [joined]}}


async def test_one_person_may_be_there_twice(autojump_clock: MockClock) -> None:
    """By two connections: one key, two metas; the person leaves with the last."""
    async with attended() as here, member(here, "bob") as bob:
        async with member(here, "ann") as phone, member(here, "ann"):
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            assert len((await view(phone)).people["ann"]) == 2
            assert here.presence.count(TOPIC) == 2
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert (await view(bob)).people.keys() == {"bob"}


@pytest.mark.parametrize("how", ["leave", "crash", "vanish", "kick", "rejoin", "untrack"])
async def test_a_client_is_not_there_any_more_however_it_ends(
    how: str, autojump_clock: MockClock
) -> None:
    """Its channel left, crashed, lost its connection, was kicked, or gave way to another."""
    async with attended() as here, member(here, "bob") as bob:
        async with member(here, "ann") as ann:
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            first = (await view(bob)).people["ann"]
            if how == "leave":
                await ann.leave(TOPIC)
            elif how == "kick":
                here.node.endpoint.kick(TOPIC, "ann")
            elif how == "rejoin":
                await ann.join(TOPIC, {"do": "watch"})
            elif how != "vanish":
                await ann.push(TOPIC, how)
            if how != "vanish":
                await pass_time(autojump_clock, PRESENCE_DIFF_S)
                diff = await bob.assert_broadcast(TOPIC, "presence_diff")
                assert [m["phx_ref"] for m in diff["leaves"]["ann"]["metas"]] == first
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert here.presence.list(TOPIC).keys() == {"bob"}
        assert here.presence.statistics().tracked == 1


async def test_a_channel_that_is_over_brings_nobody(autojump_clock: MockClock) -> None:
    """A task that outlived it may track, and it has ended by then."""
    async with attended() as here:
        async with member(here, "ann") as ann:
            await ann.leave(TOPIC)
            await ann.assert_close(TOPIC)
            await ann.received()
            here.presence.track(here.building.sockets[0], "ann")
            assert await ann.received() == []
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert here.presence.statistics().tracked == 0


async def test_a_refused_join_leaves_nobody_behind(autojump_clock: MockClock) -> None:
    """Those who are there see it come and go in one diff, since its client has seen itself."""
    async with attended() as here, member(here, "bob") as bob:
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        await view(bob)
        async with connect(here.node.endpoint, token="ann") as ann:
            await ann.join(TOPIC, {"do": "refuse"}, status="error")
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            diff = await bob.assert_broadcast(TOPIC, "presence_diff")
            assert diff["joins"] == diff["leaves"]
        assert here.presence.list(TOPIC).keys() == {"bob"}


async def test_no_diff_comes_before_the_state_and_none_is_lost(autojump_clock: MockClock) -> None:
    """While a join takes its time, others come and go."""
    async with (
        attended() as here,
        member(here, "bob"),
        connect(here.node.endpoint, token="ann") as ann,
    ):
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        await ann.send_join(TOPIC, {"do": "wait"})
        assert await ann.received() == []
        async with member(here, "cid"):
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
        async with member(here, "dan"):
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            assert await ann.received() == []
            here.building.gate.set()
            async with member(here, "eve"):
                await pass_time(autojump_clock, PRESENCE_DIFF_S)
                viewer = await view(ann)
        assert viewer.people.keys() == {"ann", "bob", "dan", "eve"}
        assert sorted(viewer.seen) == sorted(set(viewer.seen))


async def test_those_who_come_together_are_told_of_together(autojump_clock: MockClock) -> None:
    """One diff for all."""
    async with attended() as here, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(member(here, f"k{n}")) for n in range(10)]
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        for client in clients:
            assert len((await view(client)).people) == 10
        assert here.presence.statistics().told == 1


async def test_one_may_watch_without_being_there(autojump_clock: MockClock) -> None:
    """It is shown the list, and diffs follow."""
    async with attended() as here, member(here, "ann"), member(here, "eve", do="watch") as eve:
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert (await view(eve)).people.keys() == {"ann"}
        await eve.assert_reply(await eve.push(TOPIC, "untrack"), "ok", {"was": False})


async def test_a_channel_may_be_there_under_several_keys(autojump_clock: MockClock) -> None:
    """Up to a bound; each key once; a key that would harm old clients is none."""
    async with attended() as here, member(here, "ann") as ann:
        for n in range(1, PRESENCE_KEYS_A_CHANNEL_MAX):
            await ann.assert_reply(await ann.push(TOPIC, "track", {"key": f"k{n}"}))
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert here.presence.count(TOPIC) == PRESENCE_KEYS_A_CHANNEL_MAX
        await ann.push(TOPIC, "track", {"key": "one too many"})
        await ann.assert_crash(TOPIC)
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert here.presence.count(TOPIC) == 0
        for key in ("ann", "__proto__", "", "k" * 256):
            await ann.join(TOPIC)
            await ann.push(TOPIC, "track", {"key": key})
            await ann.assert_crash(TOPIC)


async def test_a_meta_is_small() -> None:
    """It goes to everybody."""
    async with attended() as here:
        with pytest.raises(AssertionError, match="a meta of"):
            here.presence.track(Visitor(), "ann", {"x": "x" * PRESENCE_META_BYTES_MAX})
        assert here.presence.count(TOPIC) == 0


async def test_a_large_topic_is_told_its_count(autojump_clock: MockClock) -> None:
    """Once a second at most, until it has halved; then the list is told again."""
    async with attended(listed_max=4) as here, AsyncExitStack() as stack:
        ann = await stack.enter_async_context(member(here, "ann"))
        async with AsyncExitStack() as crowd:
            for n in range(5):
                last = await crowd.enter_async_context(member(here, f"k{n}"))
            assert await last.assert_push(TOPIC, "presence_count") == {"count": 6}
            await ann.received()
            for count in (6, 5):
                await pass_time(autojump_clock, PRESENCE_DIFF_S)
                told = Envelope(None, None, TOPIC, "presence_count", {"count": count})
                assert await ann.received() == [told]
                await last.leave(TOPIC)
                await pass_time(autojump_clock, PRESENCE_DIFF_S)
                assert await ann.received() == []
                await pass_time(autojump_clock, PRESENCE_COUNT_S - 2 * PRESENCE_DIFF_S)
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        assert (await view(ann)).people.keys() == {"ann"}


@pytest.mark.slow
async def test_the_larger_the_crowd_the_rarer_the_counts(autojump_clock: MockClock) -> None:
    """What counting costs in a second does not grow."""
    async with attended(listed_max=0) as here:
        for n in range(3 * PRESENCE_COUNTS_A_SECOND):
            here.presence.track(Visitor(), str(n))
            if not n % 256:
                await trio.lowlevel.checkpoint()
        await pass_time(autojump_clock, PRESENCE_COUNT_S)
        told = here.presence.statistics().told
        for n in range(30):
            here.presence.track(Visitor(), f"another {n}")
            await pass_time(autojump_clock, PRESENCE_COUNT_S)
        told = here.presence.statistics().told - told
        assert 7 <= told <= 10


@pytest.mark.slow
async def test_ten_thousand_who_join_cost_the_same_each(autojump_clock: MockClock) -> None:
    """Metas listed and messages told do not grow with the room, nor with those who leave it."""
    async with attended() as here:
        visitors: list[Visitor] = []
        costs: list[tuple[int, int]] = []
        for _ in range(4):
            before = here.presence.statistics()
            for _ in range(2_500):
                visitors.append(Visitor())
                here.presence.track(visitors[-1], str(len(visitors)))
                await trio.sleep(0.001)
            now = here.presence.statistics()
            costs.append((now.listed - before.listed, now.told - before.told))
        assert here.presence.count(TOPIC) == 10_000
        assert visitors[-1].pushed == [("presence_count", {"count": 10_000})]
        assert costs[0][0] <= 200 * 200
        assert [listed for listed, _ in costs[1:]] == [0, 0, 0]
        assert max(told for _, told in costs) <= 5
        for visitor in visitors:
            visitor.end()
            await trio.sleep(0.0001)
        await pass_time(autojump_clock, PRESENCE_COUNT_S)
        assert here.presence.statistics().listed - now.listed <= 500
        assert (here.presence.statistics().tracked, here.presence.statistics().topics) == (0, 0)


async def test_a_reader_too_slow_for_a_diff_is_disconnected(autojump_clock: MockClock) -> None:
    """A list with a part missing would be wrong for as long as the client stays."""
    async with attended() as here, member(here, "ann"):
        await pass_time(autojump_clock, PRESENCE_DIFF_S)
        (slow,) = here.node.endpoint._connections
        slow.outbox.busy = True  # somebody writes, and the socket takes nothing
        here.node.hub.push(slow.outbox, bytes(Limits().outbox_bytes - 10))
        async with member(here, "bob"):
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            assert here.node.endpoint.statistics().closed == {"slow_reader": 1}


async def test_presence_goes_on_after_a_restart(autojump_clock: MockClock) -> None:
    """Its supervisor runs it again, with everybody who is there."""
    async with attended() as here, member(here, "ann") as ann:
        here.life.request_stop()
        await trio.testing.wait_all_tasks_blocked()
        async with member(here, "bob"), trio.open_nursery() as nursery:
            await view(ann)
            nursery.start_soon(here.presence.run, here.another_life())
            await pass_time(autojump_clock, PRESENCE_DIFF_S)
            diff = await ann.assert_broadcast(TOPIC, "presence_diff")
            assert diff["joins"].keys() == {"ann", "bob"}
            nursery.cancel_scope.cancel()
