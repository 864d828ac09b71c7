"""Snapshot + events = fresh snapshot: whatever happens to a sale, and whenever a member joins."""

import random
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.cursor import Cursor
from app.domain.ids import new_id
from app.events import store as events
from app.events.feed import Feed
from app.events.relay import Relay
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway
from app.sales.model import SaleJoin
from app.sales.service import Sales
from app.storage import Annex, Database
from app.transactions.model import CheckoutRequest
from app.transactions.service import Transactions
from channels.broker import MemoryBroker
from tests.app.events.log import PATIENCE_S, Remembering, running
from tests.app.sales.market import BUYER, LINE, OPERATOR, SELLER, Market, apply, code, lamp, view_of
from tests.app.transactions.shop import open_node

pytestmark = [pytest.mark.servers, pytest.mark.slow]

LISTINGS = ("lamp", "mug", "owl")


@dataclass(frozen=True)
class Seller:
    """Everything that can be done to one sale. Listings are told apart by the sale's own id."""

    market: Market
    purchases: Transactions
    sale: str = field(default_factory=lambda: new_id("sal"))

    def listing(self, name: str) -> str:
        """The id of one of this sale's listings."""
        return f"{name}-{self.sale}"

    async def add(self, name: str, stock: int) -> None:
        """One listing more, or a refusal."""
        new = lamp(self.listing(name), stock=stock)
        await self.market.sales.add_listing(SELLER, self.sale, new)

    async def restock(self, name: str, delta: int) -> None:
        """More or less of a listing, or a refusal."""
        await self.market.sales.restock(OPERATOR, self.listing(name), delta)

    async def buy(self, name: str, quantity: int, card: str = cards.APPROVES) -> None:
        """A purchase, or a refusal."""
        request = CheckoutRequest(self.sale, self.listing(name), quantity, card, new_id("key"))
        await self.purchases.checkout(BUYER, request)

    async def close(self) -> None:
        """The end of the sale, or a refusal."""
        await self.market.sales.close_sale(OPERATOR, self.sale)

    async def join(self, seen: Cursor | None = None) -> SaleJoin:
        """What a member starts from."""
        start = await self.market.sales.join(BUYER, self.sale, seen)
        assert isinstance(start, SaleJoin), start
        return start

    async def fresh(self) -> dict[str, Any]:
        """What a newcomer sees."""
        return view_of(await self.market.sales.view(BUYER, self.sale)).to_wire()


names = st.sampled_from(LISTINGS)
commands = st.one_of(
    st.tuples(st.just("add"), names, st.integers(0, 5)),
    st.tuples(st.just("restock"), names, st.integers(-4, 4).filter(bool)),
    st.tuples(st.just("buy"), names, st.integers(1, 3)),
    st.tuples(st.just("buy"), names, st.integers(1, 3), st.just(cards.DECLINES)),
    st.tuples(st.just("close")),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(commands, max_size=12))
def test_each_command_tells_what_it_changed(database_url: str, done: list[tuple[Any, ...]]) -> None:
    """After every command, the view before it and the events since equal a fresh snapshot."""
    trio.run(_check_commands, database_url, done)


async def _check_commands(database_url: str, done: list[tuple[Any, ...]]) -> None:
    """Do it all to a new sale, with a client that follows."""
    annex = Annex()
    database = Database(annex, database_url, pool_size=4)
    market = Market(database, Sales(database))
    async with (
        running(annex),
        running(database),
        open_node(database, MemoryGateway()) as node,
    ):
        await market.write("open_line", LINE)
        seller = Seller(market, node.service)
        await market.open(seller.sale)
        await seller.add("lamp", 3)
        start = await seller.join()
        assert start.snapshot is not None
        view, seen = start.snapshot.to_wire(), start.cursor
        for command, *args in done:
            await getattr(seller, command)(*args)
            since = await seller.join(seen)
            assert since.snapshot is None, "nothing was lost, so nothing is reloaded"
            for event in since.missed:
                view = apply(view, event.type, event.payload(seen.epoch))
            assert await seller.fresh() == view
            seen = since.cursor


@dataclass
class Member:
    """A client that joined at some moment: its view so far, and the place it stands at."""

    view: dict[str, Any]
    cursor: Cursor

    def follow(self, hub: Remembering, sale: str) -> dict[str, Any]:
        """The view after all live events beyond the cursor, as the host delivers them."""
        view = self.view
        for topic, event, payload, position in hub.published:
            assert position is not None
            if topic == f"sale:{sale}" and position > self.cursor.position:
                view = apply(view, event, payload)
        return view


async def _come_and_go(seller: Seller, members: list[Member], chance: random.Random) -> None:
    """Join, and then rejoin with the cursor a few times."""
    start = await seller.join()
    assert start.snapshot is not None
    member = Member(start.snapshot.to_wire(), start.cursor)
    members.append(member)
    for _ in range(chance.randint(0, 5)):
        members.append(replace(member))
        start = await seller.join(member.cursor)
        assert start.snapshot is None
        for event in start.missed:
            member.view = apply(member.view, event.type, event.payload(start.cursor.epoch))
        member.cursor = start.cursor


@pytest.mark.parametrize("seed", range(3))
async def test_joins_race_with_commits(annex: Annex, market: Market, seed: int) -> None:
    """Whenever members join amid purchases and restocks, snapshot and live tail fit exactly."""
    chance = random.Random(seed)
    hub, broker = Remembering(), MemoryBroker()
    feed = Feed(market.database, broker, hub)
    members: list[Member] = []
    async with (
        open_node(market.database, MemoryGateway()) as node,
        running(feed),
        running(Relay(annex, market.database, broker)),
    ):
        seller = Seller(market, node.service)
        await market.open(seller.sale)
        await seller.add("lamp", 30)
        await seller.add("mug", 30)
        work = [
            *[
                partial(seller.buy, chance.choice(LISTINGS), chance.randint(1, 2))
                for _ in range(30)
            ],
            *[
                partial(seller.restock, chance.choice(LISTINGS), chance.choice([-2, 3]))
                for _ in range(20)
            ],
            *[partial(_come_and_go, seller, members, chance) for _ in range(20)],
            partial(seller.add, "owl", 10),
        ]
        chance.shuffle(work)
        async with trio.open_nursery() as nursery:
            for each in work:
                nursery.start_soon(each)
        await seller.close()
        head = await market.database.read(events.head)
        assert await feed.wait_for(head.position, PATIENCE_S)
        fresh = await seller.fresh()
    assert list(range(1, head.position + 1)) == [position for _, _, _, position in hub.published]
    assert [fresh] * len(members) == [member.follow(hub, seller.sale) for member in members]
    assert not fresh["open"]


async def test_a_closed_sale_sells_nothing(market: Market) -> None:
    """After the event that ends a sale no purchase of it is told."""
    async with open_node(market.database, MemoryGateway()) as node:
        seller = Seller(market, node.service)
        await market.open(seller.sale)
        await seller.add("lamp", 5)
        await seller.close()
        request = CheckoutRequest(seller.sale, seller.listing("lamp"), 1, cards.APPROVES, "k")
        answer = await node.service.checkout(BUYER, request)
    assert str(code(answer)) == "sale_closed"
    assert (await seller.fresh())["listings"][0]["stock"] == 5
