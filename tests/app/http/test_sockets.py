"""Those who are connected, from HTTP: told something, kicked, and sent away; on every node."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio

from app.domain.errors import Code
from app.limits import MESSAGE_BYTES_MAX, MESSAGES_A_REQUEST_MAX
from channels.broker import MemoryWire
from channels.testing import connect
from tests.app.http.house import House, house
from tests.app.sales.conftest import market as market  # noqa: PLC0414 - a fixture
from tests.app.sales.market import LINE, Market

pytestmark = pytest.mark.servers

SENT = {"event": "announcement", "payload": {"text": "Ten minutes left", "of": [1, 2.5, None]}}


# What only somebody who said it may be told to have said.
FORGED = {"event": "message", "payload": {"id": "msg_1", "from": "ann", "text": "Sold!"}}


@pytest.fixture
async def here(market: Market) -> AsyncIterator[House]:
    """A node with an open sale."""
    await market.open("friday")
    async with house(market.database, MemoryWire()) as running:
        yield running


# Messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["operator", "seller"])
@pytest.mark.parametrize("topic", ["sale:friday", "bench:7"])
async def test_a_message_reaches_every_member(here: House, who: str, topic: str) -> None:
    """As it was sent; the colon of a topic may be escaped or not."""
    async with here.member("bea", topic) as bea, here.member("ann", topic) as ann:
        for path in (topic, topic.replace(":", "%3A")):
            sent = await here.api.post(who, f"/v1/topics/{path}/messages", SENT, line=LINE)
            assert (sent.status, sent.body) == (202, {"everywhere": True, "cursor": None})
            for client in (bea, ann):
                await client.assert_broadcast(topic, "announcement", SENT["payload"])


async def test_a_message_in_a_chat_has_a_place(here: House) -> None:
    """Which the answer tells, and by which a client finds what was sent while it was away."""
    topic = "chat:friday"
    first, second = [
        await here.post("seller", f"/v1/topics/{topic}/messages", {**SENT, "event": event})
        for event in ("first", "second")
    ]
    assert (first.status, first.body["everywhere"]) == (202, True)
    async with connect(here.node.endpoint, token=here.token("buyer")) as client:
        joined = await client.join(topic, {"cursor": first.body["cursor"]})
        assert (joined["recovered"], joined["cursor"]) == (True, second.body["cursor"])
        assert [e.event for e in await client.received()] == ["second"]
        many = [{"topic": topic, "event": "third", "payload": {}}, {"topic": topic, **FORGED}]
        answer = await here.post("seller", "/v1/messages", {"messages": many})
        third, forged = answer.body["items"]
        assert (third["status"], forged["code"]) == (202, "invalid_request")
        assert third["cursor"].partition("-")[0] == first.body["cursor"].partition("-")[0]
        assert [e.event for e in await client.received()] == ["third"]


async def test_a_message_reaches_the_members_on_other_nodes(here: House, market: Market) -> None:
    """Once, and where these cannot be reached the answer says so."""
    async with (
        house(market.database, here.wire, "b") as there,
        there.member() as far,
        here.member() as near,
    ):
        await trio.testing.wait_all_tasks_blocked()
        await here.post("operator", "/v1/topics/sale:friday/messages", SENT)
        await far.assert_broadcast("sale:friday", "announcement", SENT["payload"])
        here.wire.cut = True
        await here.post("operator", "/v1/topics/sale:friday/messages", SENT)
        await trio.testing.wait_all_tasks_blocked()
        again = await here.post("operator", "/v1/topics/sale:friday/messages", SENT)
        assert (again.status, again.body["everywhere"]) == (202, False)
        for _ in range(3):
            await near.assert_broadcast("sale:friday", "announcement", SENT["payload"])
        assert await far.received() == []


@pytest.mark.parametrize(
    ("who", "topic", "change", "code"),
    [
        ("buyer", "sale:friday", {}, Code.FORBIDDEN),
        ("operator", "sale:nothing", {}, Code.NOT_FOUND),
        ("operator", "account:1", {}, Code.NOT_FOUND),
        ("operator", "bench:x", {}, Code.NOT_FOUND),
        ("operator", "sale:friday", {"event": "phx_close"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "phx_reply"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "chan_reply_5"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "presence_diff"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "presence_count"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "stock_changed"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "sale_closed"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "token_expiring"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": "reload"}, Code.INVALID_REQUEST),
        ("operator", "chat:friday", {"event": "message"}, Code.INVALID_REQUEST),
        ("operator", "chat:friday", {"event": "removed"}, Code.INVALID_REQUEST),
        ("operator", "chat:nothing", {}, Code.NOT_FOUND),
        ("operator", "sale:friday", {"event": "Shout"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"event": ""}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"payload": "text"}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"payload": None}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"extra": 1}, Code.INVALID_REQUEST),
        ("operator", "sale:friday", {"payload": {"a": "x" * MESSAGE_BYTES_MAX}}, Code.TOO_LARGE),
    ],
)
async def test_what_may_not_be_sent_is_refused(
    here: House, who: str, topic: str, change: dict[str, Any], code: Code
) -> None:
    """And nobody is told anything."""
    async with here.member() as member:
        answer = await here.post(who, f"/v1/topics/{topic}/messages", {**SENT, **change})
        assert answer.code == code
        assert await member.received() == []


async def test_a_sale_of_another_line_is_out_of_reach(here: House) -> None:
    """As if it were not there."""
    for path, body in [
        ("/v1/topics/sale:friday/messages", SENT),
        ("/v1/topics/chat:friday/messages", SENT),
        ("/v1/operations/kick", {"topic": "sale:friday", "person": "bea"}),
    ]:
        answer = await here.post("operator", path, body, line="other")
        assert (answer.status, answer.code) == (404, Code.NOT_FOUND)


async def test_rooms_that_are_not_open_are_not_there(market: Market) -> None:
    """They are only where the settings say so."""
    async with house(market.database, MemoryWire(), rooms_open=False) as closed:
        answer = await closed.post("operator", "/v1/topics/bench:1/messages", SENT)
        assert answer.code == Code.NOT_FOUND


async def test_several_messages_are_answered_one_by_one(here: House) -> None:
    """What is refused holds up nobody; what is sent comes in order."""
    messages = [
        {"topic": "sale:friday", "event": "first", "payload": {"n": 1}},
        {"topic": "sale:nothing", "event": "lost", "payload": {}},
        {"topic": "bench:1", "event": "second", "payload": {"n": 2}},
        {"topic": "sale:friday", "event": "phx_close", "payload": {}},
        {"topic": "sale:friday", "event": "third", "payload": {"n": 3}},
    ]
    async with here.member() as member, here.member("ann", "bench:1") as other:
        answer = await here.post("seller", "/v1/messages", {"messages": messages})
        assert (answer.status, answer.body["everywhere"]) == (200, True)
        items = answer.body["items"]
        assert [item["status"] for item in items] == [202, 404, 202, 400, 202]
        assert [item.get("code") for item in items[1::2]] == ["not_found", "invalid_request"]
        assert items[0] == {"status": 202}
        assert (items[1]["retryable"], items[1]["message"]) == (False, "There is no such topic.")
        assert [e.event for e in await member.received()] == ["first", "third"]
        assert [e.event for e in await other.received()] == ["second"]


@pytest.mark.parametrize(
    ("who", "count", "code"),
    [
        ("operator", 0, Code.INVALID_REQUEST),
        ("operator", MESSAGES_A_REQUEST_MAX + 1, Code.INVALID_REQUEST),
        ("buyer", 1, Code.FORBIDDEN),
    ],
)
async def test_a_request_holds_so_many_messages(
    here: House, who: str, count: int, code: Code
) -> None:
    """And a buyer may send none."""
    messages = [{"topic": "sale:friday", **SENT}] * count
    assert (await here.post(who, "/v1/messages", {"messages": messages})).code == code


# Sent away ----------------------------------------------------------------------------------------


async def test_an_operator_kicks_a_person_from_a_topic(here: House) -> None:
    """That person of the operator's own line, in that topic, and nobody else."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        bea = await enter(here.member("bea", "bench:1"))
        ann = await enter(here.member("ann", "bench:1"))
        namesake = await enter(here.member("bea", "bench:1", "other"))
        await bea.join("bench:2")
        kicked = await here.post(
            "operator", "/v1/operations/kick", {"topic": "bench:1", "person": "bea"}
        )
        assert (kicked.status, kicked.body) == (202, {"everywhere": True})
        await bea.assert_close("bench:1")
        await bea.push("bench:2", "still", {})
        await bea.assert_broadcast("bench:2", "still")
        for client in (ann, namesake):
            await client.heartbeat()
            assert await client.received() == []


async def test_an_operator_sends_a_person_away(here: House) -> None:
    """That person of the operator's own line; they come back if they like."""
    async with (
        here.member("bea") as bea,
        here.member("ann") as ann,
        here.member("bea", "bench:1", "other") as namesake,
    ):
        sent = await here.post("operator", "/v1/operations/disconnect", {"person": "bea"})
        assert (sent.status, sent.body) == (202, {"everywhere": True})
        assert await bea.assert_ended() == 1001
        for client in (ann, namesake):
            await client.heartbeat()
    async with here.member("bea") as bea:
        await bea.heartbeat()


@pytest.mark.parametrize("who", ["buyer", "seller"])
async def test_nobody_else_sends_anybody_away(here: House, who: str) -> None:
    """Nor do they learn who is there."""
    for path, body in [
        ("kick", {"topic": "sale:friday", "person": "bea"}),
        ("kick", {"topic": "sale:nothing", "person": "bea"}),
        ("disconnect", {"person": "bea"}),
    ]:
        assert (await here.post(who, f"/v1/operations/{path}", body)).code == Code.FORBIDDEN
