"""Sales against the real database: what is read, what is changed, what is refused."""

from dataclasses import replace

import pytest

from app.domain.cursor import Cursor
from app.domain.errors import Code
from app.domain.page import Page, Paged
from app.events import store as events
from app.events.model import StoredEvent
from app.limits import REPLAY_EVENTS_MAX
from app.sales.model import (
    ListingAdded,
    NewSale,
    SaleJoin,
    SaleSummary,
    StockChanged,
    stock_changed,
)
from tests.app.sales.market import (
    BUYER,
    LINE,
    OPERATOR,
    OTHER_SELLER,
    SELLER,
    Market,
    code,
    lamp,
    view_of,
)

pytestmark = pytest.mark.servers

STRANGER = replace(BUYER, line="other")


async def log_of(market: Market) -> list[tuple[str, tuple[str, ...]]]:
    """Every event so far: type and topics."""
    told = await market.database.read(events.read_after, 0, 1_000)
    return [(each.type, each.topics) for each in told]


async def join(market: Market, sale: str, seen: Cursor | None = None) -> SaleJoin:
    """A join that must be granted."""
    start = await market.sales.join(BUYER, sale, seen)
    assert isinstance(start, SaleJoin), start
    return start


async def test_a_sale_is_opened_filled_and_seen(market: Market) -> None:
    """A view shows the sale with its listings in the order of their ids, and the log's head."""
    opened = view_of(await market.sales.create_sale(OPERATOR, NewSale("friday", "Friday")))
    assert (True, ()) == (opened.open, opened.listings)
    assert code(await market.sales.add_listing(SELLER, "friday", lamp("mug"))) is None
    added = await market.sales.add_listing(SELLER, "friday", lamp("lamp"))
    assert isinstance(added, ListingAdded)
    view = view_of(await market.sales.view(BUYER, "friday"))
    assert ["lamp", "mug"] == [listing.id for listing in view.listings]
    assert added.cursor == view.cursor
    assert [("listing_added", ("sale:friday",))] * 2 == await log_of(market)


async def test_stock_goes_up_and_down(market: Market) -> None:
    """Each change is one event, and its answer has the new stock and the event's place."""
    await market.open("friday", lamp(stock=10))
    up = await market.sales.restock(SELLER, "lamp", 5)
    down = await market.sales.restock(OPERATOR, "lamp", -15)
    assert isinstance(up, StockChanged)
    assert isinstance(down, StockChanged)
    assert (15, 0) == (up.stock, down.stock)
    assert up.cursor.position + 1 == down.cursor.position
    assert [("stock_changed", ("sale:friday",))] * 2 == (await log_of(market))[1:]


async def test_what_purchases_hold_is_not_taken_off(market: Market) -> None:
    """Stock cannot be taken below what is reserved; nothing is told then."""
    await market.open("friday", lamp(stock=10))
    await market.write("hold", "lamp", 4)
    assert code(await market.sales.restock(SELLER, "lamp", -7)) is Code.SOLD_OUT
    assert code(await market.sales.restock(SELLER, "lamp", -6)) is None
    assert len(await log_of(market)) == 2


async def test_a_sale_ends_once(market: Market) -> None:
    """A closed sale is seen closed, takes no listing, and cannot be closed again."""
    await market.open("friday")
    assert code(await market.sales.close_sale(OPERATOR, "friday")) is None
    assert not view_of(await market.sales.view(BUYER, "friday")).open
    assert code(await market.sales.close_sale(OPERATOR, "friday")) is Code.SALE_CLOSED
    assert code(await market.sales.add_listing(SELLER, "friday", lamp())) is Code.SALE_CLOSED
    assert [("sale_closed", ("sale:friday",))] == await log_of(market)


async def test_what_is_not_there_is_not_found(market: Market) -> None:
    """Unknown names, names that cannot be, and those of other lines are all not found."""
    await market.open("friday", lamp())
    sales = market.sales
    for name in ("nowhere", "NO", "a\x00b", ""):
        assert code(await sales.view(BUYER, name)) is Code.NOT_FOUND
        assert code(await sales.join(BUYER, name)) is Code.NOT_FOUND
        assert code(await sales.close_sale(OPERATOR, name)) is Code.NOT_FOUND
        assert code(await sales.add_listing(SELLER, name, lamp("mug"))) is Code.NOT_FOUND
        assert code(await sales.restock(OPERATOR, name, 1)) is Code.NOT_FOUND
    head = view_of(await sales.view(BUYER, "friday")).cursor
    assert code(await sales.view(STRANGER, "friday")) is Code.NOT_FOUND
    assert code(await sales.join(STRANGER, "friday")) is Code.NOT_FOUND
    assert code(await sales.join(STRANGER, "friday", head)) is Code.NOT_FOUND
    assert code(await sales.join(BUYER, "nowhere", head)) is Code.NOT_FOUND


async def test_who_may_not_is_refused(market: Market) -> None:
    """Roles are checked before anything is written."""
    await market.open("friday", lamp())
    sales = market.sales
    assert code(await sales.create_sale(SELLER, NewSale("a", "A"))) is Code.FORBIDDEN
    assert code(await sales.close_sale(BUYER, "friday")) is Code.FORBIDDEN
    assert code(await sales.add_listing(BUYER, "friday", lamp("mug"))) is Code.FORBIDDEN
    assert code(await sales.restock(OTHER_SELLER, "lamp", 1)) is Code.FORBIDDEN


async def test_an_id_is_taken_once(market: Market) -> None:
    """A second sale or listing of an id is refused, and the first stays as it is."""
    await market.open("friday", lamp())
    again = await market.sales.create_sale(OPERATOR, NewSale("friday", "Another"))
    assert code(again) is Code.INVALID_REQUEST
    twice = await market.sales.add_listing(SELLER, "friday", lamp(stock=1))
    assert code(twice) is Code.INVALID_REQUEST
    view = view_of(await market.sales.view(BUYER, "friday"))
    assert ("A sale", [50]) == (view.title, [each.stock for each in view.listings])


async def test_people_become_known_by_what_they_do(market: Market) -> None:
    """Adding a listing makes its seller known; a name keeps its first role."""
    await market.open("friday")
    assert code(await market.sales.add_listing(OPERATOR, "friday", lamp(seller="new"))) is None
    assert await market.ask("person", LINE, "new") == "seller"
    impostor = replace(SELLER, person=OPERATOR.person)
    refused = await market.sales.add_listing(impostor, "friday", lamp("mug"))
    assert code(refused) is Code.FORBIDDEN
    named = await market.sales.add_listing(OPERATOR, "friday", lamp("mug", seller="ola"))
    assert code(named) is Code.FORBIDDEN
    homeless = replace(OPERATOR, line="nowhere")
    opened = await market.sales.create_sale(homeless, NewSale("a", "A"))
    assert code(opened) is Code.FORBIDDEN


async def test_sales_are_listed_in_pages(market: Market) -> None:
    """Pages follow each other by the last id seen, and say where the log stood."""
    for sale in ("c", "a", "b"):
        await market.open(sale)
    await market.sales.close_sale(OPERATOR, "b")
    first = await market.sales.list(BUYER, Page(limit=2))
    assert isinstance(first, Paged)
    assert first.items == (
        SaleSummary("a", "A sale", open=True),
        SaleSummary("b", "A sale", open=False),
    )
    assert (first.next, first.cursor.position) == ("b", 1)
    second = await market.sales.list(BUYER, Page("b", limit=2))
    assert isinstance(second, Paged)
    assert (["c"], None) == ([each.id for each in second.items], second.next)
    assert code(await market.sales.list(BUYER, Page("B!"))) is Code.INVALID_REQUEST


async def test_a_first_join_gets_a_snapshot(market: Market) -> None:
    """Without a cursor a member starts from what the sale is now."""
    await market.open("friday", lamp())
    start = await join(market, "friday")
    assert view_of(await market.sales.view(BUYER, "friday")) == start.snapshot
    assert (1, ()) == (start.cursor.position, start.missed)


async def test_a_rejoin_gets_what_it_missed_on_its_topic(market: Market) -> None:
    """With its cursor a member gets the events after it, of this sale only, in order, once."""
    await market.open("friday", lamp())
    await market.open("monday", lamp("mug"))
    seen = (await join(market, "friday")).cursor
    assert await join(market, "friday", seen) == SaleJoin(None, seen, ())
    for listing in ("lamp", "mug", "lamp"):
        await market.sales.restock(OPERATOR, listing, 1)
    start = await join(market, "friday", seen)
    topics = ("sale:friday",)
    assert start.snapshot is None
    assert start.cursor == replace(seen, position=seen.position + 3)
    assert start.missed == (
        StoredEvent(seen.position + 1, "stock_changed", topics, {"listing": "lamp", "stock": 51}),
        StoredEvent(seen.position + 3, "stock_changed", topics, {"listing": "lamp", "stock": 52}),
    )


async def test_a_cursor_that_cannot_be_gone_on_from_gets_a_snapshot(market: Market) -> None:
    """A cursor of another log, and one ahead of this log, are answered with a snapshot."""
    await market.open("friday", lamp())
    head = (await join(market, "friday")).cursor
    for seen in (Cursor("another", head.position), replace(head, position=head.position + 1)):
        start = await join(market, "friday", seen)
        assert start.snapshot is not None
        assert head == start.cursor


async def test_a_member_that_missed_too_much_gets_a_snapshot(market: Market) -> None:
    """Exactly as many missed events as are replayed at most are replayed; one more are not."""
    await market.open("friday", lamp())
    seen = (await join(market, "friday")).cursor
    many = [stock_changed("friday", "lamp", 50)] * REPLAY_EVENTS_MAX
    await market.database.write(events.append, many)
    assert len((await join(market, "friday", seen)).missed) == REPLAY_EVENTS_MAX
    await market.database.write(events.append, many[:1])
    start = await join(market, "friday", seen)
    assert start.snapshot is not None
    assert start.missed == ()
