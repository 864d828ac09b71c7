"""Sales inside an atomic block: reading views, and the commands with the events that tell of them.

Each command locks what it decides about, refuses or not, then writes, and appends its event last.
"""

from collections.abc import Sequence
from typing import Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.domain.page import Page, Paged
from app.events import store as events
from app.identity.model import Identity, Role
from app.identity.store import meet, meet_caller
from app.limits import LISTINGS_MAX, REPLAY_EVENTS_MAX
from app.sales import rules
from app.sales.model import (
    NO_LISTING,
    NO_SALE,
    ListingAdded,
    ListingView,
    NewListing,
    NewSale,
    SaleJoin,
    SaleSummary,
    SaleView,
    StockChanged,
    listing_added,
    sale_closed,
    stock_changed,
    topic_of,
)
from app.storage import ReadConnection, Row, WriteConnection, load_queries

_SQL: Final = load_queries(__package__)

_TAKEN: Final = Refusal(Code.INVALID_REQUEST, "This `id` is taken.")


# Reading ------------------------------------------------------------------------------------------


async def page(conn: ReadConnection, line: str, wanted: Page) -> Paged[SaleSummary]:
    """One page of a line's sales, in the order of their ids."""
    cursor = await events.head(conn)
    rows = await conn.fetch(_SQL.sales_of_line, line, wanted.after, wanted.rows)
    found = [SaleSummary(row["id"], row["title"], not row["closed"]) for row in rows]
    return wanted.cut(found, lambda each: each.id, cursor)


async def view(conn: ReadConnection, line: str, sale: str) -> SaleView | Refusal:
    """A sale as this block's snapshot shows it, with the cursor of exactly this snapshot."""
    return await _view(conn, await events.head(conn), line, sale)


async def join(
    conn: ReadConnection, line: str, sale: str, seen: Cursor | None
) -> SaleJoin | Refusal:
    """What a member who has seen everything up to `seen` needs, and the cursor to go on from."""
    head = await events.head(conn)
    if seen is not None and seen.epoch == head.epoch and seen.position <= head.position:
        if await conn.fetchrow(_SQL.sale, line, sale) is None:
            return NO_SALE
        missed = await events.read_topic(
            conn, topic_of(sale), seen.position, head.position, REPLAY_EVENTS_MAX + 1
        )
        if len(missed) <= REPLAY_EVENTS_MAX:
            return SaleJoin(None, head, missed)
    snapshot = await _view(conn, head, line, sale)
    return snapshot if isinstance(snapshot, Refusal) else SaleJoin(snapshot, head)


async def known(conn: ReadConnection, line: str, sales: Sequence[str]) -> frozenset[str]:
    """Those of these sales that are of the line."""
    return frozenset(row["id"] for row in await conn.fetch(_SQL.known_sales, line, sales))


async def _view(conn: ReadConnection, head: Cursor, line: str, sale: str) -> SaleView | Refusal:
    row = await conn.fetchrow(_SQL.sale, line, sale)
    if row is None:
        return NO_SALE
    rows = await conn.fetch(_SQL.listings_of_sale, sale, LISTINGS_MAX)
    listings = tuple(_to_listing(listing) for listing in rows)
    return SaleView(row["id"], row["title"], not row["closed"], listings, head)


# Commands -----------------------------------------------------------------------------------------


async def open_sale(conn: WriteConnection, identity: Identity, new: NewSale) -> SaleView | Refusal:
    """Opens a sale without listings. Nobody can watch it yet, so nobody is told."""
    refusal = await meet_caller(conn, identity)
    if refusal:
        return refusal
    if await conn.fetchval(_SQL.open_sale, new.id, identity.line, new.title) is None:
        return _TAKEN
    return await view(conn, identity.line, new.id)


async def close_sale(conn: WriteConnection, identity: Identity, sale: str) -> Cursor | Refusal:
    """Ends a sale now: its members are told, and nothing is bought from it any more."""
    row = await conn.fetchrow(_SQL.lock_sale, identity.line, sale)
    if row is None:
        return NO_SALE
    if row["closed"]:
        return Refusal(Code.SALE_CLOSED)
    await conn.execute(_SQL.close_sale, identity.line, sale)
    return await events.append(conn, [sale_closed(sale)])


async def add_listing(
    conn: WriteConnection, identity: Identity, sale: str, new: NewListing, seller: str
) -> ListingAdded | Refusal:
    """Adds a listing of `seller`'s, and tells the sale's members."""
    refusal = await meet_caller(conn, identity) or await meet(
        conn, identity.line, seller, Role.SELLER
    )
    if refusal:
        return refusal
    row = await conn.fetchrow(_SQL.lock_sale, identity.line, sale)
    if row is None:
        return NO_SALE
    count = await conn.fetchval(_SQL.count_listings, sale)
    refusal = rules.refuse_listing(closed=row["closed"], listings=count)
    if refusal:
        return refusal
    added = await conn.fetchval(
        _SQL.add_listing,
        new.id,
        sale,
        identity.line,
        seller,
        new.title,
        new.price.amount,
        new.price.currency,
        new.stock,
    )
    if added is None:
        return _TAKEN
    listing = ListingView(new.id, new.title, new.price, new.stock)
    return ListingAdded(listing, await events.append(conn, [listing_added(sale, listing)]))


async def restock(
    conn: WriteConnection, identity: Identity, listing: str, delta: int
) -> StockChanged | Refusal:
    """Changes a listing's stock by `delta` pieces, and tells the sale's members."""
    row = await conn.fetchrow(_SQL.lock_shelf, identity.line, listing)
    if row is None:
        return NO_LISTING
    shelf = rules.Shelf(row["sale"], row["seller"], row["stock"], row["reserved"])
    refusal = rules.refuse_restock(identity, shelf, delta)
    if refusal:
        return refusal
    stock = await conn.fetchval(_SQL.restock, listing, delta)
    cursor = await events.append(conn, [stock_changed(shelf.sale, listing, stock)])
    return StockChanged(listing, stock, cursor)


def _to_listing(row: Row) -> ListingView:
    price = Money(row["price_amount"], row["price_currency"])
    return ListingView(row["id"], row["title"], price, row["stock"])
