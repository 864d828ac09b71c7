"""Phoenix's state machine of one socket, over the wire, case by case."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from channels.limits import ENDING_MAX, Limits
from channels.serializer import Envelope
from channels.testing import Client, Node, connect, serving
from tests.channels.raw_frames import FINAL_TEXT, masked
from tests.channels.rooms import Hot, Script, reply

LIMITS = Limits(channels=3, held_frames=2)
UNMATCHED = {"reason": "unmatched topic"}


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture
async def node(script: Script) -> AsyncIterator[Node]:
    """A node with rooms."""
    async with serving([("room:*", script.room), ("hot:*", Hot)], limits=LIMITS) as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of the node."""
    async with connect(node.endpoint, token="ann") as client:
        yield client


async def test_a_heartbeat_is_answered(client: Client) -> None:
    """On the socket's own topic, with a null join_ref."""
    await client.send(Envelope(None, "7", "phoenix", "heartbeat", {}))
    assert await client.receive() == reply(None, "7", "phoenix", {})


async def test_a_join_is_answered_with_its_refs(client: Client) -> None:
    """Whatever they are, and whether they are equal or not."""
    await client.send(Envelope(11, 1, "room:1", "phx_join", {}))
    assert await client.receive() == reply(11, 1, "room:1", {})  # type: ignore[arg-type] # a number


async def test_a_topic_without_route_is_unmatched(client: Client) -> None:
    """The answer has a null join_ref."""
    await client.send(Envelope("1", "1", "nowhere", "phx_join", {}))
    assert await client.receive() == reply(None, "1", "nowhere", UNMATCHED, "error")


async def test_too_many_topics_are_refused(client: Client) -> None:
    """Until one of them is left."""
    for n in range(3):
        await client.join(f"room:{n}")
    refused = {"reason": "too many channels joined"}
    assert await client.join("room:3", status="error") == refused
    await client.assert_reply(await client.leave("room:0"))
    await client.assert_close("room:0")
    await client.join("room:3")


async def test_a_join_may_be_refused(client: Client) -> None:
    """The topic is then not joined, and may be asked for again."""
    response = await client.join("room:1", {"do": "refuse"}, status="error")
    assert response == {"reason": "unauthorized"}
    await client.join("room:1")


@pytest.mark.parametrize("what", ["crash", "nonsense"])
async def test_a_join_may_crash(client: Client, script: Script, what: str) -> None:
    """Nothing was joined, so nothing else is said, and no goodbye is asked for."""
    response = await client.join("room:1", {"do": what}, status="error")
    assert response == {"reason": "join crashed"}
    assert await client.received() == []
    assert script.ended == []


async def test_a_join_that_hangs_is_a_crash(
    client: Client, autojump_clock: trio.testing.MockClock
) -> None:
    """It has as long as the client would wait."""
    ref = await client.send_join("room:1", {"do": "hang"})
    crashed = {"reason": "join crashed"}
    assert await client.receive() == reply(ref, ref, "room:1", crashed, "error")
    assert autojump_clock.current_time() >= Limits().join_s


async def test_a_push_is_answered(client: Client) -> None:
    """With the status and the response that the channel gave."""
    await client.join("room:1")
    await client.assert_reply(await client.push("room:1", "echo", {"a": 1}), "ok", {"a": 1})
    await client.assert_reply(await client.push("room:1", "deny"), "error", {"code": "denied"})
    await client.assert_reply(await client.push("room:1", "other", {}), "maybe", {})


async def test_a_push_without_ref_is_not_answered(client: Client) -> None:
    """Nobody waits for it."""
    await client.join("room:1")
    await client.send(Envelope("1", None, "room:1", "echo", {}))
    assert await client.received() == []


async def test_a_push_on_a_topic_not_joined_is_unmatched(client: Client) -> None:
    """The answer has a null join_ref."""
    await client.send(Envelope("1", "2", "room:1", "echo", {}))
    assert await client.receive() == reply(None, "2", "room:1", UNMATCHED, "error")


async def test_stale_frames_are_dropped_without_a_word(client: Client) -> None:
    """They speak for a join that is over."""
    await client.join("room:1")
    await client.send(Envelope("0", "2", "room:1", "echo", {}))
    await client.send(Envelope("0", "3", "room:1", "phx_leave", {}))
    assert await client.received() == []
    await client.assert_reply(await client.push("room:1", "echo"))


async def test_a_null_join_ref_is_not_stale(client: Client) -> None:
    """Other clients than Phoenix's own send none."""
    await client.join("room:1")
    await client.send(Envelope(None, "2", "room:1", "echo", {"a": 1}))
    assert await client.receive() == reply("1", "2", "room:1", {"a": 1})


async def test_a_duplicate_join_is_answered_before_the_old_channel_closes(
    client: Client, script: Script
) -> None:
    """The close carries the old join_ref, so the client drops it as outdated."""
    await client.join("room:1")
    await client.send(Envelope("5", "5", "room:1", "phx_join", {}))
    assert await client.received() == [
        reply("5", "5", "room:1", {}),
        Envelope("1", "1", "room:1", "phx_close", {}),
    ]
    assert script.ended == [("room:1", "replaced")]


async def test_joins_that_wait_for_a_goodbye_are_bounded(
    client: Client, autojump_clock: MockClock
) -> None:
    """Each waits for the end of all before it, so a burst of them must not grow as its square."""
    await client.join("room:1")
    await client.assert_reply(await client.push("room:1", "goodbye", {"do": "hang"}))
    last = LIMITS.channels + ENDING_MAX
    for n in range(1, last + 1):
        await client.send(Envelope(f"j{n}", f"j{n}", "room:1", "phx_join", {}))
    refused = {"reason": "too many channels joined"}
    assert await client.received() == [
        reply(f"j{last}", f"j{last}", "room:1", refused, "error"),
    ]
    assert autojump_clock.current_time() == 0, "the goodbye goes on"


async def test_a_refused_duplicate_join_still_closes_the_old_channel(client: Client) -> None:
    """The old one is gone either way."""
    await client.join("room:1")
    await client.send(Envelope("5", "5", "room:1", "phx_join", {"do": "refuse"}))
    assert await client.received() == [
        reply("5", "5", "room:1", {"reason": "unauthorized"}, "error"),
        Envelope("1", "1", "room:1", "phx_close", {}),
    ]


async def test_leaving_is_answered_then_closed(client: Client, script: Script) -> None:
    """What the channel pushes at its end comes first."""
    await client.join("room:1")
    await client.assert_reply(await client.push("room:1", "goodbye", {"do": "push"}))
    ref = await client.leave("room:1")
    assert await client.received() == [
        Envelope("1", None, "room:1", "goodbye", {"reason": "left"}),
        reply("1", ref, "room:1", {}),
        Envelope("1", "1", "room:1", "phx_close", {}),
    ]
    assert script.ended == [("room:1", "left")]


async def test_leaving_what_is_not_joined_is_answered_only(client: Client) -> None:
    """There is nothing to close."""
    await client.send(Envelope("3", "4", "room:1", "phx_leave", {}))
    assert await client.received() == [reply("3", "4", "room:1", {})]


async def test_pushes_before_a_leave_are_handled_first(client: Client) -> None:
    """A topic sees its frames in order."""
    await client.join("room:1")
    push = await client.push("room:1", "echo", {"n": 1})
    leave = await client.leave("room:1")
    assert [envelope.ref for envelope in await client.received()] == [push, leave, "1"]


@pytest.mark.parametrize("event", ["crash", "nonsense", "unknown event"])
async def test_a_crash_takes_one_channel(client: Client, script: Script, event: str) -> None:
    """The client is told, and its other channels live on."""
    await client.join("room:1")
    await client.join("room:2")
    await client.push("room:1", event)
    assert await client.received() == [
        Envelope("1", "1", "room:1", "phx_error", {"reason": "channel_crash"})
    ]
    await client.assert_reply(await client.push("room:2", "echo"))
    assert script.ended == [("room:1", "crashed")]
    await client.join("room:1")


@pytest.mark.parametrize(("event", "told"), [("stop", 1), ("stop silently", 0)])
async def test_a_channel_may_stop(client: Client, script: Script, event: str, told: int) -> None:
    """The reply, if there is one, comes before the close."""
    await client.join("room:1")
    ref = await client.push("room:1", event)
    answer = [reply("1", ref, "room:1", {"so": "long"})][:told]
    closed = Envelope("1", "1", "room:1", "phx_close", {})
    assert await client.received() == [*answer, closed]
    assert script.ended == [("room:1", "stopped")]


async def test_a_crash_in_the_goodbye_does_not_stop_it(client: Client) -> None:
    """The client left, and is told so."""
    await client.join("room:1")
    await client.assert_reply(await client.push("room:1", "goodbye", {"do": "crash"}))
    await client.assert_reply(await client.leave("room:1"))
    await client.assert_close("room:1")


async def test_a_kicked_client_is_closed(node: Node, client: Client, script: Script) -> None:
    """By who it is; it does not come back by itself."""
    await client.join("room:1")
    node.endpoint.kick("room:1", "bob")
    node.endpoint.kick("room:2", "ann")
    assert await client.received() == []
    node.endpoint.kick("room:1", "ann")
    assert await client.received() == [Envelope("1", "1", "room:1", "phx_close", {})]
    assert script.ended == [("room:1", "kicked")]


async def test_frames_wait_for_a_join_under_way(client: Client, script: Script) -> None:
    """In order, and not too many; then the pushes are answered after the join."""
    script.joins["room:1"] = trio.Event()
    join = await client.send_join("room:1")
    refs = [await client.push("room:1", "echo") for _ in range(3)]
    assert [e.payload["response"].get("reason") for e in await client.received()] == ["busy"]
    script.joins["room:1"].set()
    assert [envelope.ref for envelope in await client.received()] == [join, *refs[:2]]


async def test_a_leave_waits_for_the_join_too(client: Client, script: Script) -> None:
    """As if the join had never taken time."""
    script.joins["room:1"] = trio.Event()
    join = await client.send_join("room:1")
    leave = await client.leave("room:1")
    script.joins["room:1"].set()
    assert [(e.event, e.ref) for e in await client.received()] == [
        ("phx_reply", join),
        ("phx_reply", leave),
        ("phx_close", join),
    ]


async def test_frames_that_waited_for_a_refused_join_are_unmatched(
    client: Client, script: Script
) -> None:
    """As if they had come after it."""
    script.joins["room:1"] = trio.Event()
    join = await client.send_join("room:1", {"do": "refuse"})
    push, leave = await client.push("room:1", "echo"), await client.leave("room:1")
    script.joins["room:1"].set()
    assert [(e.ref, e.payload["status"]) for e in await client.received()] == [
        (join, "error"),
        (push, "error"),
        (leave, "ok"),
    ]


async def test_a_slow_join_holds_up_nobody_else(client: Client, script: Script) -> None:
    """Neither heartbeats nor the joins and pushes of other topics."""
    script.joins["room:1"] = trio.Event()
    slow = await client.send_join("room:1")
    await client.heartbeat()
    await client.join("room:2")
    await client.assert_reply(await client.push("room:2", "echo"))
    script.joins["room:1"].set()
    await client.assert_reply(slow)


async def test_a_join_gives_way_to_the_next(client: Client, script: Script) -> None:
    """The first is given up at once, and closed when the second is answered."""
    await client.send_join("room:1", {"do": "hang"})
    await client.push("room:1", "echo")
    await client.send(Envelope("9", "9", "room:1", "phx_join", {}))
    assert await client.received() == [
        reply("9", "9", "room:1", {}),
        Envelope("1", "1", "room:1", "phx_close", {}),
    ]
    await client.send(Envelope("9", "10", "room:1", "echo", {}))
    assert await client.receive() == reply("9", "10", "room:1", {})
    assert script.made == 2


async def test_a_join_gives_way_whenever_the_next_one_comes(client: Client) -> None:
    """Also in the middle of its own start, of which trio changes the order at random."""
    for n in range(1, 60, 2):
        await client.send(Envelope(str(n), str(n), "room:1", "phx_join", {"do": "hang"}))
        for _ in range(n % 7):
            await trio.lowlevel.checkpoint()
        await client.send(Envelope(str(n + 1), str(n + 1), "room:1", "phx_join", {}))
        messages = await client.received()
        assert messages[0] == reply(str(n + 1), str(n + 1), "room:1", {})
        assert messages[-1] == Envelope(str(n), str(n), "room:1", "phx_close", {})


async def test_many_joins_of_one_topic_end_in_the_last(client: Client, script: Script) -> None:
    """However fast they follow one another."""
    joins = (b'["%d","%d","room:1","phx_join",{}]' % (n, n) for n in range(1, 6))
    await client.stream.send_all(b"".join(masked(FINAL_TEXT, join) for join in joins))
    messages = await client.received()
    assert messages[0] == reply("5", "5", "room:1", {})
    assert [e.ref for e in messages[1:]] == ["1", "2", "3", "4"]
    assert {e.event for e in messages[1:]} == {"phx_close"}
    assert script.ended == []


async def test_a_join_waits_for_the_goodbye_of_the_channel_before_it(
    client: Client, autojump_clock: trio.testing.MockClock
) -> None:
    """Which has its time, and no more."""
    await client.join("room:1")
    await client.assert_reply(await client.push("room:1", "goodbye", {"do": "hang"}))
    await client.send(Envelope("5", "5", "room:1", "phx_join", {}))
    began = autojump_clock.current_time()
    assert await client.receive() == reply("5", "5", "room:1", {})
    assert autojump_clock.current_time() - began >= Limits().terminate_s


async def test_reserved_events_are_offences(node: Node, client: Client) -> None:
    """A client cannot have others told that their channel is closed."""
    await client.join("hot:1")
    await client.push("hot:1", "phx_close")
    await client.push("hot:1", "phx_anything")
    assert await client.received() == []
    assert node.endpoint.statistics().malformed == 2


async def test_a_hot_room_follows_the_same_rules(client: Client) -> None:
    """Replies, broadcasts, ends and crashes are as in any other."""
    await client.join("hot:1")
    await client.assert_reply(await client.push("hot:1", "echo", {"a": 1}), "ok", {"a": 1})
    await client.push("hot:1", "shout", {"a": 2})
    await client.assert_broadcast("hot:1", "shout", {"a": 2})
    await client.assert_reply(await client.push("hot:1", "stop"))
    await client.assert_close("hot:1")


@pytest.mark.parametrize("event", ["crash", "nonsense"])
async def test_a_crash_in_a_hot_room_takes_it_alone(client: Client, event: str) -> None:
    """As in any other room."""
    await client.join("room:1")
    await client.join("hot:1")
    await client.push("hot:1", event)
    await client.assert_crash("hot:1")
    await client.assert_reply(await client.push("room:1", "echo"))
    assert await client.received() == []
