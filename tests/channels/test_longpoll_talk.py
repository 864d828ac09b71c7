"""Messages up and down, and that a lost response loses none."""

from base64 import b64encode
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from channels.limits import LONGPOLL_ANSWER_BYTES, Limits
from channels.longpoll import LongPoll
from channels.testing import Node, serving
from tests.channels.polling import Poller, adds_up, long_polling
from tests.channels.rooms import Hot

TOPIC = "room:1"
WINDOW_S = Limits().poll_s


async def test_messages_come_by_poll_and_are_delivered_when_acknowledged(
    poller: Poller, node: Node
) -> None:
    """In order: replies, pushes, broadcasts; the next poll says that they were received."""
    await poller.join(TOPIC)
    node.endpoint.broadcast(TOPIC, "shout", {"n": 1})
    await poller.post(["1", "2", TOPIC, "whisper", {"n": 2}], ["1", "3", TOPIC, "echo", {"n": 3}])
    await trio.testing.wait_all_tasks_blocked()
    found = node.hub.statistics()
    assert (found.queued, found.delivered) == (5, 0)  # the join's answer is not acknowledged
    events = [(event, payload.get("n")) for *_, event, payload in await poller.poll()]
    assert events == [("shout", 1), ("whisper", 2), ("phx_reply", None), ("phx_reply", None)]
    assert (node.hub.statistics().queued, node.hub.statistics().delivered) == (4, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.poll)
        await trio.testing.wait_all_tasks_blocked()
        found = node.hub.statistics()
        assert (found.queued, found.delivered, adds_up(node)) == (0, 5, True)
        node.endpoint.broadcast(TOPIC, "shout", {})


async def test_a_poll_that_waits_is_answered_at_once(poller: Poller, node: Node) -> None:
    """As soon as there is something."""
    await poller.join("hot:1")
    polled: list[Any] = []

    async def poll() -> None:
        polled.extend(await poller.poll())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        node.endpoint.broadcast("hot:1", "a", {})
        node.endpoint.broadcast("hot:1", "b", {})
    assert [event for _, _, _, event, _ in polled] == ["a", "b"]


async def test_a_poll_ends_with_the_window(
    poller: Poller, autojump_clock: trio.testing.MockClock
) -> None:
    """With nothing; the session goes on."""
    for _ in range(5):
        began = autojump_clock.current_time()
        assert await poller.poll() == []
        assert autojump_clock.current_time() - began == pytest.approx(WINDOW_S)
    await poller.join(TOPIC)


async def test_a_repeated_poll_is_given_the_same_messages(poller: Poller, node: Node) -> None:
    """In order, and what came meanwhile after them, once."""
    await poller.join("hot:1")
    for n in range(3):
        node.endpoint.broadcast("hot:1", "shout", {"n": n})
    await trio.testing.wait_all_tasks_blocked()
    first = await poller.get()
    node.endpoint.broadcast("hot:1", "shout", {"n": 3})
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(3):
        assert await poller.get() == first
    assert poller.at.statistics().repeated == 3
    seen = [payload["n"] for *_, payload in await poller.poll() + await poller.poll()]
    assert seen == [0, 1, 2, 3]
    assert adds_up(node)


async def test_a_ticket_from_before_is_of_no_use(poller: Poller, node: Node) -> None:
    """Whoever claims not to have what was acknowledged begins anew, and the other goes on."""
    await poller.join("hot:1")
    stale = Poller(poller.at, ticket=poller.ticket)
    for n in range(2):
        node.endpoint.broadcast("hot:1", "shout", {"n": n})
        await trio.testing.wait_all_tasks_blocked()
        assert len(await poller.poll()) == 1
    assert (await stale.get())["status"] == 410
    node.endpoint.broadcast("hot:1", "shout", {"n": 2})
    assert len(await poller.poll()) == 1


async def test_a_second_poll_takes_the_place_of_the_first(poller: Poller, node: Node) -> None:
    """The first is answered with nothing."""
    await poller.join("hot:1")
    bodies: list[dict[str, Any]] = []

    async def poll() -> None:
        bodies.append(await poller.get())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(poll)
            await trio.testing.wait_all_tasks_blocked()
        assert [body["status"] for body in bodies] == [204, 204]
        node.endpoint.broadcast("hot:1", "shout", {})
    assert (bodies[2]["status"], len(bodies[2]["messages"])) == (200, 1)
    assert {body["token"] for body in bodies[:2]} == {poller.ticket}
    assert poller.at.statistics().superseded == 2


async def test_a_poll_that_is_cut_off_loses_nothing(poller: Poller, node: Node) -> None:
    """Whether it waited or was just given something."""
    await poller.join("hot:1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.get)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.get)
        await trio.testing.wait_all_tasks_blocked()
        node.endpoint.broadcast("hot:1", "shout", {"n": 1})
        while not poller.at.statistics().polls or not node.hub.statistics().queued:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert [payload for *_, payload in await poller.poll()] == [{"n": 1}]


async def test_large_answers_come_in_parts() -> None:
    """Each is read in the time that a response has."""
    async with serving([("hot:*", Hot)]) as node, long_polling(node) as longpoll:
        poller = await Poller(longpoll).open()
        await poller.join("hot:1")
        size = LONGPOLL_ANSWER_BYTES // 4
        for n in range(10):
            node.endpoint.broadcast("hot:1", "shout", {"n": n, "a": "x" * size})
        await trio.testing.wait_all_tasks_blocked()
        parts = [await poller.poll() for _ in range(4)]
        assert [len(part) for part in parts] == [3, 3, 3, 1]
        assert [payload["n"] for part in parts for *_, payload in part] == list(range(10))
        assert node.hub.statistics().delivered == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.poll)
            await trio.testing.wait_all_tasks_blocked()
            assert (node.hub.statistics().delivered, node.hub.statistics().queued) == (11, 0)
            nursery.cancel_scope.cancel()


async def test_bytes_go_up_and_not_down(poller: Poller, node: Node) -> None:
    """Up as base64, or as they are in old clients; down they have no form, and count as dropped."""
    await poller.join(TOPIC)
    push = b"\0\1\1\6\5" + b"1" + b"2" + TOPIC.encode() + b"shout" + b"data"
    assert await poller.post(lines=b64encode(push)) == 200
    old = await poller.send("POST", push, {"content-type": "application/json"})
    assert old.body == b'{"status":200}'
    await poller.post(["1", "3", TOPIC, "bytes", {}])
    await trio.testing.wait_all_tasks_blocked()
    found = node.hub.statistics()
    assert (found.published, found.dropped, adds_up(node)) == (2, 4, True)


async def test_the_first_version_is_spoken_too(longpoll: LongPoll, node: Node) -> None:
    """Objects, one a request."""
    poller = await Poller(longpoll, "token=ann").open()
    join = {"topic": TOPIC, "event": "phx_join", "ref": "1", "payload": {}}
    headers = {"content-type": "application/json"}
    await poller.send("POST", msgspec.json.encode(join), headers)
    (reply,) = await poller.poll()
    assert (reply["ref"], reply["payload"]) == ("1", {"status": "ok", "response": {}})
    node.endpoint.broadcast(TOPIC, "shout", {"n": 1})
    await trio.testing.wait_all_tasks_blocked()
    shout = {"topic": TOPIC, "event": "shout", "ref": None, "payload": {"n": 1}}
    assert await poller.poll() == [shout]


async def test_posts_are_taken_in_order(poller: Poller) -> None:
    """One after another, whatever their size."""
    await poller.join("hot:1")
    pushes = [["1", str(n), "hot:1", "shout", {"n": n}] for n in range(200)]
    assert await poller.post(*pushes[:100]) == 200
    assert await poller.post(*pushes[100:]) == 200
    await trio.testing.wait_all_tasks_blocked()
    assert [payload["n"] for *_, payload in await poller.poll()] == list(range(200))


async def test_a_post_that_is_not_taken_in_the_window_is_told_so(
    poller: Poller, autojump_clock: trio.testing.MockClock
) -> None:
    """Here because the one before it never ends."""
    (session,) = poller.at._sessions.values()

    async def never_end() -> None:
        async with session._taking:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(never_end)
        nursery.start_soon(poller.get)
        await trio.testing.wait_all_tasks_blocked()
        began = autojump_clock.current_time()
        assert await poller.post(["1", "1", TOPIC, "phx_join", {}]) == 408
        nursery.cancel_scope.cancel()
    assert autojump_clock.current_time() - began == pytest.approx(WINDOW_S)


async def test_a_post_without_a_ticket_is_told_that_it_has_no_session(longpoll: LongPoll) -> None:
    """As one with a ticket that is none."""
    assert await Poller(longpoll).post(["1", "1", TOPIC, "phx_join", {}]) == 410
    assert await Poller(longpoll, ticket="agiolp1.nonsense").post([]) == 410
