"""What HTTP callers do to those who are connected: told of, sent away, and never out of reach."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import trio

from actors import run_root
from app.domain.errors import Code
from app.identity.callers import Callers
from app.identity.model import Identity
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens
from app.limits import MESSAGE_BYTES_MAX, MESSAGES_A_REQUEST_MAX
from app.sales.service import Sales
from app.socket.audience import Audience
from app.socket.bench_channel import BenchChannel
from app.socket.connect import TokenHandler
from app.storage import Database
from channels.broker import MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Channel
from channels.router import RouteLike
from channels.testing import Client, HandshakeRefused, Node, connect, serving
from tests.app.http.api import Api
from tests.app.http.node import SECRET, bare_services
from tests.app.sales.conftest import market as market  # noqa: PLC0414 - a fixture
from tests.app.sales.market import LINE, Market

pytestmark = pytest.mark.servers

ROUTES: list[RouteLike] = [("sale:*", Channel), ("bench:*", BenchChannel)]
SENT = {"event": "announcement", "payload": {"text": "Ten minutes left", "of": [1, 2.5, None]}}


@dataclass
class House:
    """A node with sockets and HTTP.

    Attributes:
        api: its HTTP side.
        node: its sockets.
        wire: between it and others.
    """

    api: Api
    node: Node
    wire: MemoryWire
    tokens: Tokens

    @asynccontextmanager
    async def member(
        self, person: str = "bea", topic: str = "sale:friday", line: str = LINE
    ) -> AsyncIterator[Client]:
        """A client who has joined."""
        async with connect(self.node.endpoint, token=self.token(f"buyer:{person}", line)) as client:
            await client.join(topic)
            yield client

    def token(self, who: str, line: str = LINE) -> str:
        """A token of somebody."""
        return self.api.token(who, line)

    def session(self, token: str) -> str:
        """The token's own id."""
        identity = self.tokens.verify(token)
        assert isinstance(identity, Identity)
        return identity.session

    async def post(self, who: str, path: str, body: object, *, line: str = LINE) -> Any:
        """The answer to somebody."""
        return await self.api.post(who, path, body, line=line)


@asynccontextmanager
async def house(
    database: Database, wire: MemoryWire, name: str = "a", *, rooms_open: bool = True
) -> AsyncIterator[House]:
    """A running one."""
    broker = RedisBroker(MemoryBus(wire), name)
    tokens = Tokens(SECRET)
    revocations = Revocations(database, broker)
    callers = Callers(tokens, revocations)
    stop = trio.Event()
    async with (
        serving(ROUTES, handler=TokenHandler(callers), broker=broker) as node,
        trio.open_nursery() as nursery,
    ):
        revocations.attach(node.endpoint.access.cut)
        await nursery.start(partial(run_root, revocations, stop=stop))
        sales = Sales(database)
        services = replace(
            bare_services(),
            callers=callers,
            revocations=revocations,
            sales=sales,
            audience=Audience(node.endpoint, broker, sales, rooms_open=rooms_open),
        )
        yield House(Api(services), node, wire, tokens)
        stop.set()


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
            assert (sent.status, sent.body) == (202, {"everywhere": True})
            for client in (bea, ann):
                await client.assert_broadcast(topic, "announcement", SENT["payload"])


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
        assert (again.status, again.body) == (202, {"everywhere": False})
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


# Revoked ------------------------------------------------------------------------------------------


async def test_who_signs_out_is_out_everywhere(here: House, market: Market) -> None:
    """The token opens nothing on any node, and its sockets are closed; the others' go on."""
    token = here.token("buyer:bea")
    async with (
        house(market.database, here.wire, "b") as there,
        connect(here.node.endpoint, token=token) as near,
        connect(there.node.endpoint, token=token) as far,
        here.member("bea") as other,
    ):
        answer = await here.api.post_with(token, "/v1/revocations", {})
        assert (answer.status, answer.body["session"]) == (200, here.session(token))
        assert (answer.body["person"], answer.body["issued_until"]) == (None, None)
        assert [await near.assert_ended(), await far.assert_ended()] == [4403, 4403]
        await other.heartbeat()
        for place in (here, there):
            refused = await place.api.post_with(token, "/v1/revocations", {})
            assert (refused.status, refused.code) == (401, Code.UNAUTHORIZED)
            assert refused.body["detail"] == "The token was revoked."
            with pytest.raises(HandshakeRefused, match="403"):
                async with connect(place.node.endpoint, token=token):
                    pass


async def test_an_operator_revokes_a_session(here: House) -> None:
    """By its id; doing it again is the same."""
    token = here.token("seller:sam")
    body = {"session": here.session(token)}
    async with connect(here.node.endpoint, token=token) as client:
        first = await here.post("operator", "/v1/revocations", body)
        assert first.status == 200
        assert first.body == (await here.post("operator", "/v1/revocations", body)).body
        assert await client.assert_ended() == 4403


async def test_an_operator_revokes_a_person(here: House) -> None:
    """All their sessions on the line; a person of that name on another line goes on."""
    async with (
        here.member("bea") as first,
        here.member("bea") as second,
        here.member("ann") as ann,
        here.member("bea", "bench:1", "other") as namesake,
    ):
        answer = await here.post("operator", "/v1/revocations", {"person": "bea"})
        assert (answer.body["person"], answer.body["session"]) == ("bea", None)
        assert answer.body["issued_until"] < answer.body["expires_at"]
        assert [await first.assert_ended(), await second.assert_ended()] == [4403, 4403]
        for client in (ann, namesake):
            await client.heartbeat()


@pytest.mark.parametrize(
    ("who", "body", "code"),
    [
        ("buyer:bea", {"person": "ann"}, Code.FORBIDDEN),
        ("seller", {"session": "x" * 16}, Code.FORBIDDEN),
        ("operator", {"session": "x" * 15}, Code.INVALID_REQUEST),
        ("operator", {"session": "x" * 16, "person": "ann"}, Code.INVALID_REQUEST),
        ("operator", {"person": "no name"}, Code.INVALID_REQUEST),
        ("operator", {"everybody": True}, Code.INVALID_REQUEST),
    ],
)
async def test_what_may_not_be_revoked_is_refused(
    here: House, who: str, body: dict[str, Any], code: Code
) -> None:
    """With its code, and nothing is."""
    assert (await here.post(who, "/v1/revocations", body)).code == code


async def test_who_is_revoked_is_not_renewed(here: House) -> None:
    """Neither by the token that was revoked, nor onto it."""
    token = here.token("buyer:bea")
    async with here.member("bea") as client:
        await here.api.post_with(token, "/v1/revocations", {})
        ref = await client.push("phoenix", "access_token", {"access_token": token})
        answer = await client.assert_reply(ref, "error")
        assert (answer["code"], answer["message"]) == ("unauthorized", "The token was revoked.")
        await client.heartbeat()


async def test_an_unknown_line_revokes_nothing(here: House) -> None:
    """There is no place to keep it."""
    answer = await here.post("operator", "/v1/revocations", {"person": "bea"}, line="nowhere")
    assert answer.code == Code.FORBIDDEN
