"""Purchases over HTTP: buy, look at one, list them."""

from typing import Final

import msgspec

from app.domain.errors import Code, Refusal
from app.domain.moments import moment
from app.domain.page import Page
from app.http.decode import decode_body, decode_query
from app.http.message import RefusedError, Request, Response
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route
from app.http.schemas import (
    Amount,
    NoQuery,
    PageQuery,
    Purchase,
    ReadQuery,
    ReceiptAnswer,
    TransactionAnswer,
    TransactionsPage,
    TransactionSummary,
)
from app.http.services import Services
from app.transactions.model import Transaction, parse_checkout


async def buy(services: Services, request: Request) -> Response:
    """One transaction and one answer for each key of a buyer, however often it is asked."""
    decode_query(request, NoQuery)
    key = request.headers.get("idempotency-key")
    if key is None:
        raise RefusedError(Refusal(Code.INVALID_REQUEST, "The Idempotency-Key header is missing."))
    body = decode_body(request, Purchase)
    asked = granted(parse_checkout({**msgspec.structs.asdict(body), "idempotency_key": key}))
    receipt = granted(await services.transactions.checkout(request.identity, asked))
    return reply(
        ReceiptAnswer(receipt.transaction, str(receipt.cursor)),
        status=201,
        location=f"/v1/transactions/{receipt.transaction}",
    )


async def list_transactions(services: Services, request: Request) -> Response:
    """Those the caller may see, newest first."""
    query = await read_query(services, request, PageQuery)
    page = granted(
        await services.transactions.list(request.identity, Page(query.after, query.limit))
    )
    items = [_summary(each) for each in page.items]
    return reply(TransactionsPage(items, page.next, str(page.cursor)))


async def get_transaction(services: Services, request: Request) -> Response:
    """One purchase."""
    await read_query(services, request, ReadQuery)
    seen = granted(await services.transactions.get(request.identity, request.params["transaction"]))
    summary = msgspec.structs.asdict(_summary(seen.transaction))
    return reply(TransactionAnswer(**summary, cursor=str(seen.cursor)))


def _summary(transaction: Transaction) -> TransactionSummary:
    return TransactionSummary(
        id=transaction.id,
        sale=transaction.sale,
        listing=transaction.listing,
        quantity=transaction.quantity,
        buyer=transaction.buyer,
        seller=transaction.seller,
        price=Amount(transaction.price.amount, transaction.price.currency),
        state=transaction.state,
        refusal=transaction.refusal,
        captured_at=str(transaction.cursor) if transaction.cursor else None,
        created_at=moment(transaction.created_at),
        updated_at=moment(transaction.updated_at),
    )


ROUTES: Final = (
    Route(
        "POST",
        "/v1/transactions",
        buy,
        Operation(
            id="buy",
            summary="Buy something. The same key and body get the same answer, forever.",
            tag="transactions",
            answer=ReceiptAnswer,
            status=201,
            body=Purchase,
            idempotency_key=True,
            refusals=(
                Code.FORBIDDEN,
                Code.NOT_FOUND,
                Code.KEY_REUSED,
                Code.SALE_CLOSED,
                Code.SOLD_OUT,
                Code.DECLINED,
                Code.EXPIRED,
                Code.OUTCOME_UNKNOWN,
                Code.BUSY,
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/transactions",
        list_transactions,
        Operation(
            id="listTransactions",
            summary="A buyer's own purchases, a seller's sales, all of the line for an operator.",
            tag="transactions",
            answer=TransactionsPage,
            query=PageQuery,
        ),
    ),
    Route(
        "GET",
        "/v1/transactions/{transaction}",
        get_transaction,
        Operation(
            id="getTransaction",
            summary="One purchase.",
            tag="transactions",
            answer=TransactionAnswer,
            query=ReadQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
)
