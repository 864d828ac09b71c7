"""Sales as the edges call them: one atomic block a call, and a value of the closed list if refused.

Everybody with a token of the line may read. Operators open and close sales; sellers add and restock
listings of their own, operators anybody's. A buyer changes stock by buying, which is not done here.
"""

from collections.abc import Iterable

from app.domain.cursor import Cursor
from app.domain.errors import Refusal
from app.domain.names import is_id
from app.domain.page import NO_SUCH_PLACE, Page, Paged
from app.identity.model import Identity
from app.sales import rules, store
from app.sales.model import (
    NO_LISTING,
    NO_SALE,
    ListingAdded,
    NewListing,
    NewSale,
    SaleJoin,
    SaleSummary,
    SaleView,
    StockChanged,
)
from app.storage import Database


class Sales:
    """Reads sales and changes them. Every method raises `StorageDown` where PostgreSQL fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, identity: Identity, page: Page) -> Paged[SaleSummary] | Refusal:
        """One page of the line's sales, in the order of their ids; `page.after` is a sale's id."""
        if page.after and not is_id(page.after):
            return NO_SUCH_PLACE
        return await self._database.read(store.page, identity.line, page)

    async def view(self, identity: Identity, sale: str) -> SaleView | Refusal:
        """One sale with its listings; what is not of the line is not found."""
        if not is_id(sale):
            return NO_SALE
        return await self._database.read(store.view, identity.line, sale)

    async def join(
        self, identity: Identity, sale: str, seen: Cursor | None = None
    ) -> SaleJoin | Refusal:
        """What a new member of the sale starts from.

        Args:
            identity: who joins.
            sale: the sale's id.
            seen: the last cursor the member has seen; None: none, or none that can be read.

        Returns:
            The events missed since `seen`, where it is of this log, not ahead of it, and they are
            at most `REPLAY_EVENTS_MAX`; a snapshot in all other cases; not_found without a sale.
        """
        if not is_id(sale):
            return NO_SALE
        return await self._database.read(store.join, identity.line, sale, seen)

    async def known(self, identity: Identity, sales: Iterable[str]) -> frozenset[str]:
        """Those of these sales that are of the caller's line."""
        ids = [sale for sale in sales if is_id(sale)]
        return await self._database.read(store.known, identity.line, ids) if ids else frozenset()

    async def create_sale(self, identity: Identity, new: NewSale) -> SaleView | Refusal:
        """Open a sale without listings. For operators."""
        refusal = rules.refuse_to_run_sales(identity)
        if refusal:
            return refusal
        return await self._database.write(store.open_sale, identity, new)

    async def close_sale(self, identity: Identity, sale: str) -> Cursor | Refusal:
        """End a sale now; the place of the event that told of it. For operators."""
        refusal = rules.refuse_to_run_sales(identity)
        if refusal:
            return refusal
        if not is_id(sale):
            return NO_SALE
        return await self._database.write(store.close_sale, identity, sale)

    async def add_listing(
        self, identity: Identity, sale: str, new: NewListing
    ) -> ListingAdded | Refusal:
        """Add a listing: a seller one of their own, an operator anyone's whom `new` names."""
        seller = rules.seller_of(identity, new)
        if isinstance(seller, Refusal):
            return seller
        if not is_id(sale):
            return NO_SALE
        return await self._database.write(store.add_listing, identity, sale, new, seller)

    async def restock(self, identity: Identity, listing: str, delta: int) -> StockChanged | Refusal:
        """Add pieces to a listing's stock, or take some off; never those held for purchases."""
        if not is_id(listing):
            return NO_LISTING
        return await self._database.write(store.restock, identity, listing, delta)
