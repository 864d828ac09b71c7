"""A client while it is here: until when, and as whom."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from channels.limits import MAILBOX_CAPACITY
from channels.protocol import BUSY
from channels.serializer import Envelope
from channels.testing import ANYTHING, Node, connect, serving
from tests.channels.guards import LIMITS, WARNING_S, Guards, place, renew, renewed
from tests.channels.raw_frames import FINAL_TEXT, masked
from tests.channels.tickets import Ticket, Tickets

MISSING = {"reason": "access_token is missing"}
NOT_YOURS = {"reason": "no ticket of yours"}


@pytest.fixture
def guards() -> Guards:
    """What the rooms do."""
    return Guards()


@pytest.fixture
async def node(guards: Guards) -> AsyncIterator[Node]:
    """A node with guarded rooms."""
    async with place(guards) as node:
        yield node


# The end of a client's time -----------------------------------------------------------------------


async def test_a_client_is_warned_and_then_closed(node: Node, autojump_clock: MockClock) -> None:
    """Once each, at its own moment; others go on."""
    async with (
        connect(node.endpoint, token="bob") as other,
        connect(node.endpoint, token="ann 90") as client,
    ):
        await client.join("room:1")
        warning = {"expires_in": int(WARNING_S)}
        assert await client.receive() == Envelope(None, None, "phoenix", "token_expiring", warning)
        assert autojump_clock.current_time() == pytest.approx(90 - WARNING_S, abs=0.1)
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(90, abs=0.1)
        assert await client.received() == []
        await other.heartbeat()
        assert node.endpoint.access.statistics().warned == 1


async def test_who_comes_late_is_warned_at_once(node: Node, autojump_clock: MockClock) -> None:
    """As soon as it can be told anything."""
    async with connect(node.endpoint, token="ann 5") as client:
        await client.assert_broadcast("phoenix", "token_expiring", {"expires_in": 5})
        assert autojump_clock.current_time() == 0
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(5, abs=0.1)


async def test_whose_time_ended_on_the_way_in_is_closed(node: Node) -> None:
    """The handler may have let it in a moment too early."""
    async with connect(node.endpoint, token="ann 0") as client:
        assert await client.assert_ended() == 4401


async def test_a_clock_that_was_put_back_is_believed(autojump_clock: MockClock) -> None:
    """The handler is asked again when the moment has come."""

    class Adjusted(Tickets):
        def valid_s(self, assigns: Ticket) -> float:
            return super().valid_s(assigns) + (40 if trio.current_time() > 20 else 0)

    async with (
        serving([], handler=Adjusted(), limits=LIMITS) as node,
        connect(node.endpoint, token="ann 50") as client,
    ):
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(90, abs=0.1)


async def test_nothing_is_left_of_a_client_that_leaves(node: Node) -> None:
    """No timer, and nobody to be found."""
    async with connect(node.endpoint, token="ann 600") as client:
        await client.join("room:1")
        assert node.endpoint.access.timers.statistics().waiting == 2  # of its token, and idle
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.access.timers.statistics().waiting == 0
    node.endpoint.disconnect("ann")
    assert node.endpoint.statistics().closed == {"lost": 1}


# Another token ------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["phoenix", "room:1"])
async def test_a_new_token_is_taken_in_place(
    topic: str, node: Node, guards: Guards, autojump_clock: MockClock
) -> None:
    """The client stays as long as it says, and every channel sees who it is now."""
    async with connect(node.endpoint, token="ann 20") as client:
        assert await client.join("room:1") == {"until": 20}
        assert await renewed(client, "ann 90", topic) == 90
        assert await client.assert_reply(await client.push("room:1", "who")) == {"until": 90}
        assert guards.looks == [("room:1", 90)]
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(90, abs=0.1)
        assert node.endpoint.access.statistics().renewed == 1


async def test_a_client_of_v1_is_warned_and_renewed(node: Node, autojump_clock: MockClock) -> None:
    """It says no join_ref, and is understood all the same."""
    async with connect(node.endpoint, token="ann 5", params={"vsn": "1.0.0"}) as client:
        await client.assert_broadcast("phoenix", "token_expiring", {"expires_in": 5})
        await client.join("room:1")
        assert await renewed(client, "ann 90", "room:1") == 90
        assert await renewed(client, "ann 90") == 90
        assert await client.assert_reply(await client.push("room:1", "who")) == {"until": 90}
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(90, abs=0.1)


async def test_a_client_is_warned_again_of_another_end(
    node: Node, autojump_clock: MockClock
) -> None:
    """Each token has an end of its own; one without has none."""
    async with connect(node.endpoint, token="ann 5") as client:
        for seconds in (50, 60):
            await client.assert_broadcast("phoenix", "token_expiring", ANYTHING)
            assert await renewed(client, f"ann {seconds}") == seconds
        await client.assert_broadcast("phoenix", "token_expiring", {"expires_in": 10})
        assert autojump_clock.current_time() == pytest.approx(40 + 50, abs=0.1)
        assert await renewed(client, "ann") is None
        with pytest.raises(trio.TooSlowError):
            await client.receive()


async def test_who_renews_with_short_tokens_has_a_rest_between(
    node: Node, autojump_clock: MockClock
) -> None:
    """It is warned when half of the time is over, not at once."""
    async with connect(node.endpoint, token="ann 600") as client:
        assert await renewed(client, "ann 8") == 8
        await client.assert_broadcast("phoenix", "token_expiring", {"expires_in": 4})
        assert autojump_clock.current_time() == pytest.approx(4, abs=0.1)
        assert await renewed(client, "ann 10") == 10
        await client.assert_broadcast("phoenix", "token_expiring", {"expires_in": 5})
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(4 + 10, abs=0.1)


@pytest.mark.parametrize(
    ("payload", "response"),
    [
        ({"access_token": "bob 100"}, NOT_YOURS),
        ({"access_token": "void"}, NOT_YOURS),
        ({"access_token": ""}, MISSING),
        ({"access_token": 7}, MISSING),
        ({"access_token": None}, MISSING),
        ({}, MISSING),
        ([], MISSING),
        ("ann", MISSING),
        (b"ann", MISSING),
    ],
)
async def test_a_token_that_is_not_taken_changes_nothing(
    payload: object, response: object, node: Node, guards: Guards, autojump_clock: MockClock
) -> None:
    """The client is told why, and goes on as who it was, until then."""
    async with connect(node.endpoint, token="ann 90") as client:
        await client.join("room:1")
        ref = await client.push("room:1", "access_token", payload)
        await client.assert_reply(ref, "error", response)
        assert await client.assert_reply(await client.push("room:1", "who")) == {"until": 90}
        assert guards.looks == []
        assert await client.assert_ended() == 4401
        assert autojump_clock.current_time() == pytest.approx(90, abs=0.1)


async def test_a_topic_that_is_not_joined_takes_no_token(node: Node) -> None:
    """As it takes nothing else."""
    async with connect(node.endpoint, token="ann") as client:
        ref = await renew(client, "ann 5", "room:1")
        await client.assert_reply(ref, "error", {"reason": "unmatched topic"})


async def test_a_token_may_be_said_once_for_each_topic(node: Node, guards: Guards) -> None:
    """As Supabase's clients do: it is looked at once, and answered each time."""
    async with connect(node.endpoint, token="ann 100") as client:
        topics = [f"room:{n}" for n in range(5)]
        for topic in topics:
            await client.join(topic)
        refs = [await renew(client, "ann 900", topic) for topic in topics]
        for ref in refs:
            assert 0 < (await client.assert_reply(ref, "ok"))["expires_in"] <= 900
        assert sorted(topic for topic, _ in guards.looks) == topics


async def test_new_tokens_are_looked_at_so_often(node: Node, autojump_clock: MockClock) -> None:
    """A client that sends one after the other is told to wait, whether they are good or not."""
    async with connect(node.endpoint, token="ann") as client:
        for good, bad in (("ann 100", "void"), ("ann 200", "void")):
            assert await renewed(client, good) == int(good.split()[1])
            for token in (bad, "ann 300"):
                await client.assert_reply(await renew(client, token), "error", dict(BUSY))
            await trio.sleep(LIMITS.renewal_s)
            await client.assert_reply(await renew(client, bad), "error", NOT_YOURS)
            await client.assert_reply(await renew(client, "ann 300"), "error", dict(BUSY))
            await trio.sleep(LIMITS.renewal_s)
        statistics = node.endpoint.access.statistics()
        assert (statistics.renewed, statistics.refused) == (2, 2)
        assert autojump_clock.current_time() == pytest.approx(4 * LIMITS.renewal_s)


async def test_pushes_that_come_with_a_new_token_wait_for_what_the_channel_says(
    node: Node,
) -> None:
    """Also those that are handled where they are read; and they keep their order."""
    async with connect(node.endpoint, token="ann") as client:
        await client.join("quick:1")
        await client.join("quick:2")
        token = b'[null,"3","phoenix","access_token",{"access_token":"ann 900 quick:2"}]'
        pushes = [
            b'["1","4","quick:1","who",{}]',
            b'["2","5","quick:2","who",{}]',
            b'["2","6","quick:2","who",{}]',
        ]
        packet = b"".join(masked(FINAL_TEXT, message) for message in (token, *pushes))
        await client.stream.send_all(packet)
        told = [(each.topic, each.event, each.ref) for each in await client.received()]
        assert told[0] == ("phoenix", "phx_reply", "3")
        assert sorted(told[1:]) == [
            ("quick:1", "phx_close", "1"),
            ("quick:2", "phx_reply", "5"),
            ("quick:2", "phx_reply", "6"),
        ]
        assert told.index(("quick:2", "phx_reply", "5")) < told.index(("quick:2", "phx_reply", "6"))


@pytest.mark.parametrize("kind", ["room", "quick"])
async def test_who_is_not_entitled_any_more_is_closed(
    kind: str, node: Node, guards: Guards
) -> None:
    """In those topics alone, for good, and without an answer to what it pushed since."""
    async with connect(node.endpoint, token="ann") as client:
        await client.join(f"{kind}:1")
        await client.join(f"{kind}:2")
        await renewed(client, f"ann 900 {kind}:2")
        await client.assert_close(f"{kind}:1")
        await client.assert_reply(await client.push(f"{kind}:2", "who"))
        ref = await client.push(f"{kind}:1", "who")
        await client.assert_reply(ref, "error", {"reason": "unmatched topic"})
        assert guards.ended == ([("room:1", "denied")] if kind == "room" else [])


async def test_nothing_is_handled_before_the_second_look(node: Node, guards: Guards) -> None:
    """What was pushed before the new token, and waits, waits for it too."""
    async with connect(node.endpoint, token="ann 1000") as client:
        await client.join("room:1")
        guards.gate = trio.Event()
        hanging = await client.push("room:1", "hang")
        waiting = [await client.push("room:1", "who") for _ in range(2)]
        await renewed(client, "ann 900 room:9")
        guards.gate.set()
        await client.assert_reply(hanging)
        await client.assert_close("room:1")
        assert {e.ref for e in await client.received()} & set(waiting) == set()


async def test_a_full_mailbox_does_not_put_off_the_second_look(node: Node, guards: Guards) -> None:
    """There is always something there that it comes before."""
    async with connect(node.endpoint, token="ann 1000") as client:
        await client.join("room:1")
        guards.gate = trio.Event()
        await client.push("room:1", "hang")
        for _ in range(MAILBOX_CAPACITY + 5):
            await client.push("room:1", "who")
        await renewed(client, "ann 900 room:9")
        guards.gate.set()
        await client.assert_close("room:1")


@pytest.mark.parametrize("entitled", [True, False])
async def test_a_join_under_way_is_looked_at_when_it_is_granted(
    *, entitled: bool, node: Node, guards: Guards
) -> None:
    """It was asked about somebody else."""
    guards.gate = trio.Event()
    async with connect(node.endpoint, token="ann 1000") as client:
        join = await client.send_join("room:1")
        await trio.testing.wait_all_tasks_blocked()
        await renewed(client, "ann 900" if entitled else "ann 900 room:9")
        assert guards.looks == []
        guards.gate.set()
        await client.assert_reply(join)
        if entitled:
            await client.assert_reply(await client.push("room:1", "who"))
        else:
            await client.assert_close("room:1")
        assert [topic for topic, _ in guards.looks] == ["room:1"]


async def test_a_leave_does_not_wait_for_a_second_look(node: Node, guards: Guards) -> None:
    """Whoever goes needs no leave to stay."""
    async with connect(node.endpoint, token="ann 1000") as client:
        await client.join("room:1")
        guards.gate = trio.Event()
        await client.push("room:1", "hang")
        leaving = await client.leave("room:1")
        await renewed(client, "ann 900 room:9")
        guards.gate.set()
        await client.assert_reply(leaving)
        await client.assert_close("room:1")
        assert (guards.looks, guards.ended) == ([], [("room:1", "left")])


@pytest.mark.parametrize("answer", [ValueError("a crash on purpose"), "yes", "late"])
async def test_a_second_look_that_fails_is_a_crash(
    answer: object, node: Node, guards: Guards, autojump_clock: MockClock
) -> None:
    """The client is told so, and its next join decides; one that takes too long is one, too."""
    async with connect(node.endpoint, token="ann") as client:
        await client.join("room:1")
        guards.answer = answer
        if answer == "late":
            guards.gate = trio.Event()
        await renewed(client, "ann 900")
        await client.assert_crash("room:1")
        took = autojump_clock.current_time()
        assert took == pytest.approx(LIMITS.join_s if answer == "late" else 0)
        guards.gate.set()
        await client.join("room:1")
