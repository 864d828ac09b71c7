"""Sales, listings and stock over HTTP."""

from typing import Final

import msgspec

from app.domain.errors import Code
from app.domain.page import Page
from app.http.decode import decode_body, decode_query
from app.http.message import Request, Response
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route
from app.http.schemas import (
    ListingAddedAnswer,
    ListingAnswer,
    NewListing,
    NewSale,
    NoQuery,
    PageQuery,
    Price,
    ReadQuery,
    Restock,
    SaleAnswer,
    SaleClosedAnswer,
    SalesPage,
    SaleSummary,
    StockAnswer,
)
from app.http.services import Services
from app.sales.model import (
    ListingView,
    SaleView,
    parse_new_listing,
    parse_new_sale,
    parse_restock,
)


async def list_sales(services: Services, request: Request) -> Response:
    """The sales of the caller's line, in the order of their ids."""
    query = await read_query(services, request, PageQuery)
    page = granted(await services.sales.list(request.identity, Page(query.after, query.limit)))
    items = [SaleSummary(each.id, each.title, each.open) for each in page.items]
    return reply(SalesPage(items, page.next, str(page.cursor)))


async def get_sale(services: Services, request: Request) -> Response:
    """One sale with its listings: the snapshot that a member of its topic starts from."""
    await read_query(services, request, ReadQuery)
    view = granted(await services.sales.view(request.identity, request.params["sale"]))
    return reply(_sale(view))


async def open_sale(services: Services, request: Request) -> Response:
    """Open a sale."""
    decode_query(request, NoQuery)
    new = granted(parse_new_sale(msgspec.to_builtins(decode_body(request, NewSale))))
    view = granted(await services.sales.create_sale(request.identity, new))
    return reply(_sale(view), status=201, location=f"/v1/sales/{view.id}")


async def close_sale(services: Services, request: Request) -> Response:
    """End a sale now."""
    decode_query(request, NoQuery)
    sale = request.params["sale"]
    cursor = granted(await services.sales.close_sale(request.identity, sale))
    return reply(SaleClosedAnswer(sale, str(cursor)))


async def add_listing(services: Services, request: Request) -> Response:
    """Put something up for sale."""
    decode_query(request, NoQuery)
    new = granted(parse_new_listing(msgspec.to_builtins(decode_body(request, NewListing))))
    sale = request.params["sale"]
    added = granted(await services.sales.add_listing(request.identity, sale, new))
    return reply(
        ListingAddedAnswer(_listing(added.listing), str(added.cursor)),
        status=201,
        location=f"/v1/sales/{sale}",
    )


async def restock(services: Services, request: Request) -> Response:
    """Add pieces to a listing's stock, or take some off."""
    decode_query(request, NoQuery)
    delta = granted(parse_restock(msgspec.to_builtins(decode_body(request, Restock)))).delta
    changed = granted(
        await services.sales.restock(request.identity, request.params["listing"], delta)
    )
    return reply(StockAnswer(changed.listing, changed.stock, str(changed.cursor)))


def _sale(view: SaleView) -> SaleAnswer:
    listings = [_listing(each) for each in view.listings]
    return SaleAnswer(view.id, view.title, view.open, listings, str(view.cursor))


def _listing(view: ListingView) -> ListingAnswer:
    price = Price(view.price.amount, view.price.currency)
    return ListingAnswer(view.id, view.title, price, view.stock)


ROUTES: Final = (
    Route(
        "GET",
        "/v1/sales",
        list_sales,
        Operation(
            id="listSales",
            summary="The sales of the caller's line.",
            tag="sales",
            answer=SalesPage,
            query=PageQuery,
        ),
    ),
    Route(
        "POST",
        "/v1/sales",
        open_sale,
        Operation(
            id="openSale",
            summary="Open a sale. For operators.",
            tag="sales",
            answer=SaleAnswer,
            status=201,
            body=NewSale,
            refusals=(Code.FORBIDDEN,),
        ),
    ),
    Route(
        "GET",
        "/v1/sales/{sale}",
        get_sale,
        Operation(
            id="getSale",
            summary="One sale with its listings: the snapshot that a join of its topic gives.",
            tag="sales",
            answer=SaleAnswer,
            query=ReadQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "POST",
        "/v1/sales/{sale}/close",
        close_sale,
        Operation(
            id="closeSale",
            summary="End a sale now. For operators.",
            tag="sales",
            answer=SaleClosedAnswer,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND, Code.SALE_CLOSED),
        ),
    ),
    Route(
        "POST",
        "/v1/sales/{sale}/listings",
        add_listing,
        Operation(
            id="addListing",
            summary="Put something up for sale: a seller their own, an operator anybody's.",
            tag="sales",
            answer=ListingAddedAnswer,
            status=201,
            body=NewListing,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND, Code.SALE_CLOSED),
        ),
    ),
    Route(
        "POST",
        "/v1/listings/{listing}/stock",
        restock,
        Operation(
            id="restock",
            summary="Add pieces to a listing's stock, or take some off.",
            tag="sales",
            answer=StockAnswer,
            body=Restock,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND, Code.SOLD_OUT),
        ),
    ),
)
