"""A business line to hold sales in, and a client that keeps a view of one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from app.domain.errors import Code, Refusal
from app.domain.money import Money
from app.identity.model import Identity, Role
from app.sales.model import NewListing, NewSale, SaleView
from app.sales.service import Sales
from app.storage import Database, ReadConnection, WriteConnection, load_queries

SQL: Final = load_queries(__package__)

LINE: Final = "acme"
OPERATOR: Final = Identity("ola", Role.OPERATOR, LINE, 2**40, "session")
SELLER: Final = replace(OPERATOR, person="sam", role=Role.SELLER)
OTHER_SELLER: Final = replace(SELLER, person="sue")
BUYER: Final = replace(OPERATOR, person="bea", role=Role.BUYER)


def lamp(listing: str = "lamp", *, stock: int = 50, seller: str | None = None) -> NewListing:
    """A listing to add."""
    return NewListing(listing, "A lamp", Money(1_250, "EUR"), stock, seller)


def code(answer: object) -> Code | None:
    """Why something was refused; None where it was not."""
    return answer.code if isinstance(answer, Refusal) else None


def view_of(answer: object) -> SaleView:
    """An answer that must be a view."""
    assert isinstance(answer, SaleView), answer
    return answer


@dataclass(frozen=True)
class Market:
    """A line's sales."""

    database: Database
    sales: Sales

    async def open(self, sale: str, *listings: NewListing) -> None:
        """A sale with these listings of the seller's."""
        view_of(await self.sales.create_sale(OPERATOR, NewSale(sale, "A sale")))
        for listing in listings:
            assert code(await self.sales.add_listing(SELLER, sale, listing)) is None

    async def write(self, query: str, *args: object) -> None:
        """Commit one of this folder's statements."""

        async def run(conn: WriteConnection) -> None:
            await conn.execute(getattr(SQL, query), *args)

        await self.database.write(run)

    async def ask(self, query: str, *args: object) -> Any:
        """The value of one of this folder's queries."""

        async def run(conn: ReadConnection) -> Any:
            return await conn.fetchval(getattr(SQL, query), *args)

        return await self.database.read(run)


def apply(view: dict[str, Any], event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A client's view after an event, made as `app.sales.model` says."""
    listings = {listing["id"]: listing for listing in view["listings"]}
    match event:
        case "stock_changed":
            listing = listings[payload["listing"]]
            listings[listing["id"]] = {**listing, "stock": payload["stock"]}
        case "listing_added":
            listings[payload["listing"]["id"]] = payload["listing"]
        case "sale_closed":
            view = {**view, "open": False}
        case _:
            raise AssertionError(f"no client knows {event}")
    return {**view, "listings": [listings[each] for each in sorted(listings)]}
