"""The channel of a sale: joins of every kind, and checkouts that hold nobody up."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio

from actors import DynamicSupervisor
from app.events import store as events
from app.identity.model import Identity
from app.limits import REPLAY_EVENTS_MAX
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway, Point
from app.sales.model import stock_changed
from app.socket import sale_channel
from app.socket.sale_channel import SaleChannel
from app.storage import Annex, Database
from app.transactions.service import Transactions
from channels.broker import MemoryBroker
from channels.channel import Joined, JoinRefused, Message, NoReply, Reply
from channels.hub import Hub
from channels.presence import Presence
from tests.app.events.log import head, running, wait_until
from tests.app.sales.market import BUYER, OPERATOR, SELLER, Market, lamp
from tests.app.socket.client import Client
from tests.app.transactions.shop import open_node

pytestmark = pytest.mark.servers

PURCHASE = {
    "listing": "lamp",
    "quantity": 1,
    "payment_method": cards.APPROVES,
    "idempotency_key": "key-1",
}
SNAPSHOT = {
    "id": "friday",
    "title": "A sale",
    "open": True,
    "listings": [
        {
            "id": "lamp",
            "title": "A lamp",
            "price": {"amount": 1_250, "currency": "EUR"},
            "stock": 50,
        }
    ],
}


@dataclass
class Floor:
    """An open sale of fifty lamps, and what its channels stand on."""

    market: Market
    purchases: Transactions
    gateway: MemoryGateway
    checkouts: DynamicSupervisor

    def channel(self) -> SaleChannel:
        """A channel not joined yet."""
        return SaleChannel(self.market.sales, self.purchases, self.checkouts)

    async def member(self, client: Client) -> SaleChannel:
        """A channel that this client has joined."""
        channel = self.channel()
        assert isinstance(await channel.join(client.topic, {}, client), Joined)
        return channel

    async def cursor(self, ahead: int = 0) -> str:
        """The log's head on the wire, or a place ahead of it."""
        cursor = await head(self.market.database)
        return str(replace(cursor, position=cursor.position + ahead))


# Checkouts that one channel of these tests takes at once.
A_CHANNEL = 16


@pytest.fixture
async def floor(market: Market, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Floor]:
    """The sale, with a node that sells."""
    # The bound itself is greater than the stock of the sale.
    monkeypatch.setattr(sale_channel, "CHECKOUTS_A_CHANNEL_MAX", A_CHANNEL)
    await market.open("friday", lamp())
    gateway = MemoryGateway()
    checkouts = DynamicSupervisor("checkouts", max_children=A_CHANNEL + 1)
    async with open_node(market.database, gateway) as node, running(checkouts):
        yield Floor(market, node.service, gateway, checkouts)


async def join(floor: Floor, params: object, topic: str = "sale:friday") -> Joined:
    """A join that must be granted."""
    joined = await floor.channel().join(topic, params, Client(BUYER, topic))
    assert isinstance(joined, Joined), joined
    return joined


def refused(answer: object) -> str:
    """The code of a refusal, whose shape is right."""
    assert isinstance(answer, JoinRefused | Reply), answer
    if isinstance(answer, Reply):
        assert answer.status == "error"
    assert isinstance(answer.response, Mapping)
    assert answer.response.keys() == {"code", "message", "retryable", "reason"}
    assert answer.response["code"] == answer.response["reason"]
    return str(answer.response["code"])


# Joins --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"cursor": None}, {"other": 1}])
async def test_a_first_join(floor: Floor, params: object) -> None:
    """Without a cursor the answer is the snapshot and the cursor it stands at."""
    joined = await join(floor, params)
    assert joined == Joined({"snapshot": SNAPSHOT, "cursor": await floor.cursor()}, 1)


async def test_a_rejoin_with_a_cursor(floor: Floor) -> None:
    """With a cursor the answer counts what was missed, and those events follow with theirs."""
    seen = await floor.cursor()
    epoch = seen.partition("-")[0]
    for _ in range(2):
        await floor.market.sales.restock(OPERATOR, "lamp", 1)
    joined = await join(floor, {"cursor": seen})
    cursors = {2: f"{epoch}-2", 3: f"{epoch}-3"}
    missed = tuple(
        Message("stock_changed", {"listing": "lamp", "stock": 49 + n, "cursor": c}, n, c)
        for n, c in cursors.items()
    )
    response = {"cursor": f"{epoch}-3", "recovered": True, "missed": 2}
    assert joined == Joined(response, 3, missed)


async def test_a_rejoin_that_missed_nothing(floor: Floor) -> None:
    """A cursor at the head leaves the view as it is."""
    seen = await floor.cursor()
    response = {"cursor": seen, "recovered": True, "missed": 0}
    assert await join(floor, {"cursor": seen}) == Joined(response, 1)


async def test_a_rejoin_with_a_cursor_ahead(floor: Floor) -> None:
    """A cursor that this log has not reached gets a snapshot, and is told so."""
    joined = await join(floor, {"cursor": await floor.cursor(ahead=1)})
    assert (SNAPSHOT, False) == (joined.response["snapshot"], joined.response["recovered"])


@pytest.mark.parametrize(
    "cursor", ["another-1", "", "rubbish", "x-1-2", "-1", "abc-", 7, {"a": 1}, [], True, "é-1"]
)
async def test_a_rejoin_with_a_cursor_that_says_nothing(floor: Floor, cursor: object) -> None:
    """A cursor of another log, and what is no cursor, get a snapshot, and are told so."""
    joined = await join(floor, {"cursor": cursor})
    response = {
        "snapshot": SNAPSHOT,
        "cursor": await floor.cursor(),
        "recovered": False,
        "reload": True,
    }
    assert joined == Joined(response, 1)


async def test_a_rejoin_after_too_long(floor: Floor) -> None:
    """A member that missed more than is replayed gets a snapshot."""
    seen = await floor.cursor()
    many = [stock_changed("friday", "lamp", 50)] * (REPLAY_EVENTS_MAX + 1)
    await floor.market.database.write(events.append, many)
    joined = await join(floor, {"cursor": seen})
    assert (SNAPSHOT, False) == (joined.response["snapshot"], joined.response["recovered"])
    assert joined.replay == ()


@pytest.mark.parametrize(
    ("topic", "params", "code"),
    [
        ("sale:nowhere", {}, "not_found"),
        ("sale:", {}, "not_found"),
        ("sale:A\x00", {}, "not_found"),
        ("sale:friday:x", {}, "not_found"),
        ("sale:friday", [], "invalid_request"),
        ("sale:friday", "cursor", "invalid_request"),
        ("sale:friday", None, "invalid_request"),
    ],
)
async def test_joins_that_are_refused(floor: Floor, topic: str, params: object, code: str) -> None:
    """Unknown sales, and params that are no object, are refused with their code."""
    assert code == refused(await floor.channel().join(topic, params, Client(BUYER, topic)))


async def test_a_sale_of_another_line_is_not_found(floor: Floor) -> None:
    """What is not of the token's line is not there."""
    stranger = Client(replace(BUYER, line="other"))
    assert refused(await floor.channel().join(stranger.topic, {}, stranger)) == "not_found"


async def test_a_join_without_a_database(annex: Annex, database_url: str, floor: Floor) -> None:
    """While PostgreSQL is away a join is refused as unavailable, to be tried again."""
    closed = Floor(
        Market(floor.market.database, type(floor.market.sales)(Database(annex, database_url))),
        floor.purchases,
        floor.gateway,
        floor.checkouts,
    )
    answer = await closed.channel().join("sale:friday", {}, Client(BUYER))
    assert refused(answer) == "unavailable"


async def test_a_join_that_the_database_holds_up(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join that PostgreSQL does not answer in time is refused as unavailable."""
    monkeypatch.setattr(sale_channel, "JOIN_S", 0.0)
    answer = await floor.channel().join("sale:friday", {}, Client(BUYER))
    assert refused(answer) == "unavailable"


# Checkouts ----------------------------------------------------------------------------------------


async def buy(
    floor: Floor, payload: object, identity: Identity = BUYER, event: str = "checkout"
) -> Reply:
    """The answer to one push, now or later."""
    client = Client(identity)
    channel = await floor.member(client)
    result = await channel.handle_in(event, payload, client)
    if isinstance(result, NoReply):
        return await client.later[0].wait()
    assert isinstance(result, Reply)
    return result


async def test_a_checkout(floor: Floor) -> None:
    """A purchase is answered with its id and the cursor of its event; again, with the same."""
    reply = await buy(floor, PURCHASE)
    assert reply.status == "ok"
    assert isinstance(reply.response, Mapping)
    assert reply.response["transaction"].startswith("txn_")
    assert await floor.cursor() == reply.response["cursor"]
    assert reply == await buy(floor, PURCHASE)
    assert reply == await buy(floor, {**PURCHASE, "sale": "another"})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"payment_method": cards.DECLINES}, "declined"),
        ({"payment_method": cards.LOST_BEFORE}, "outcome_unknown"),
        ({"quantity": 51}, "sold_out"),
        ({"listing": "mug"}, "not_found"),
        ({"listing": "NO"}, "invalid_request"),
        ({"quantity": 0}, "invalid_request"),
        ({"quantity": "1"}, "invalid_request"),
        ({"quantity": True}, "invalid_request"),
        ({"payment_method": None}, "invalid_request"),
        ({"idempotency_key": ""}, "invalid_request"),
        ({"idempotency_key": "a\x00"}, "invalid_request"),
    ],
)
async def test_checkouts_that_are_refused(floor: Floor, change: dict[str, Any], code: str) -> None:
    """Each refusal is answered with its code."""
    assert code == refused(await buy(floor, {**PURCHASE, **change}))


@pytest.mark.parametrize("payload", [None, [], "checkout", 7])
async def test_a_checkout_of_no_object(floor: Floor, payload: object) -> None:
    """A payload that is no object is refused."""
    assert refused(await buy(floor, payload)) == "invalid_request"


@pytest.mark.parametrize("identity", [SELLER, OPERATOR])
async def test_only_buyers_buy(floor: Floor, identity: Identity) -> None:
    """Others may watch."""
    assert refused(await buy(floor, PURCHASE, identity)) == "forbidden"


@pytest.mark.parametrize("event", ["check_out", "stock_changed", ""])
async def test_an_unknown_event_is_refused(floor: Floor, event: str) -> None:
    """The channel answers, and does not crash."""
    assert refused(await buy(floor, PURCHASE, event=event)) == "invalid_request"


@dataclass
class Held:
    """A gateway's calls that wait to be let go."""

    go: trio.Event = field(default_factory=trio.Event)
    waiting: int = 0

    async def at(self, point: Point, _attempt: str) -> None:
        """Hold every charge before its effect."""
        if point is Point.CHARGE_BEFORE:
            self.waiting += 1
            await self.go.wait()


async def test_a_slow_payment_holds_nobody_up(floor: Floor) -> None:
    """A channel takes so many checkouts at once, refuses more as busy, and answers all in time."""
    held = Held()
    floor.gateway.at = held.at
    client = Client(BUYER)
    channel = await floor.member(client)

    async def checkout(key: int) -> Reply | NoReply:
        payload = {**PURCHASE, "idempotency_key": f"key-{key}"}
        result = await channel.handle_in("checkout", payload, client)
        assert isinstance(result, Reply | NoReply)
        return result

    for key in range(A_CHANNEL):
        assert await checkout(key) == NoReply()
    assert refused(await checkout(99)) == "busy"
    other = Client(BUYER)
    result = await (await floor.member(other)).handle_in("checkout", PURCHASE, other)
    assert result == NoReply()
    assert [None] * A_CHANNEL == [each.reply for each in client.later]
    third = Client(BUYER)
    full = await (await floor.member(third)).handle_in("checkout", PURCHASE, third)
    assert refused(full) == "busy"
    held.go.set()
    answers = [await each.wait() for each in [*client.later, *other.later]]
    assert {"ok"} == {each.status for each in answers}
    assert await checkout(100) == NoReply()
    assert (await client.later[-1].wait()).status == "ok"


async def test_those_who_watch_are_counted(floor: Floor) -> None:
    """By person, once the join is granted and until the channel is over; nobody is named."""
    viewers = Presence(Hub(), MemoryBroker(), name="viewers", listed_max=0)

    def channel() -> SaleChannel:
        return SaleChannel(floor.market.sales, floor.purchases, floor.checkouts, viewers=viewers)

    phone, laptop, stranger = Client(BUYER), Client(BUYER), Client(BUYER, "sale:nowhere")
    for client in (phone, laptop):
        assert isinstance(await channel().join(client.topic, {}, client), Joined)
        assert client.pushes == [("presence_count", {"count": 1})]
    assert isinstance(await channel().join(stranger.topic, {}, stranger), JoinRefused)
    assert (viewers.statistics().tracked, viewers.count("sale:nowhere")) == (2, 0)
    for client in (phone, laptop):
        assert viewers.count(client.topic) == 1
        client.endings[0]()
    assert viewers.count(phone.topic) == 0


async def test_a_checkout_that_is_cut_off_is_unknown(market: Market) -> None:
    """A node that stops answers what is under way as unknown; the purchase itself goes on."""
    await market.open("friday", lamp())
    held = Held()
    checkouts = DynamicSupervisor("checkouts", max_children=5)
    client = Client(BUYER)
    async with open_node(market.database, MemoryGateway(held.at)) as node:
        async with running(checkouts):
            floor = Floor(market, node.service, MemoryGateway(), checkouts)
            channel = await floor.member(client)
            assert await channel.handle_in("checkout", PURCHASE, client) == NoReply()
            await wait_until(market.database, lambda: held.waiting > 0)
        assert refused(await client.later[0].wait()) == "outcome_unknown"
        assert refused(await channel.handle_in("checkout", PURCHASE, client)) == "unavailable"
        held.go.set()
        await node.wait_idle()
    assert (await head(market.database)).position == 2
