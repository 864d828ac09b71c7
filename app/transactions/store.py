"""The transactions' tables. Every function runs on the annex, inside its caller's atomic block.

One block accepts a purchase and one settles it. Whatever they write is guarded by the state that
stands in the database, not by what the caller believes: of two nodes that drive one transaction,
one settles it and the other reads how.
"""

from dataclasses import dataclass
from typing import Final

from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.ids import new_id
from app.domain.money import Money
from app.events import store as events
from app.identity.model import Identity
from app.identity.store import meet_caller
from app.ledger import posting as ledger
from app.ledger.capture import Capture, capture_posting
from app.ledger.model import PostingRefused
from app.ledger.plan import Terms
from app.payments.gateway import Approved
from app.sales.model import stock_changed
from app.storage import ReadConnection, Row, WriteConnection, load_queries
from app.transactions.model import CheckoutRequest, State, Transaction

_SQL: Final = load_queries(__package__)

_OUR_OWN: Final = Terms(trusted=True)


class CaptureNotPostedError(Exception):
    """The ledger refused a capture whose money has moved: it stays open, and someone must look."""


@dataclass(frozen=True, slots=True)
class Order:
    """A checkout and who makes it.

    Attributes:
        identity: the buyer.
        request: what is wanted.
        reservation_s: seconds for which stock is held, by the database's clock.
    """

    identity: Identity
    request: CheckoutRequest
    reservation_s: float


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transaction under an order's key; `fresh` where this order made it."""

    transaction: Transaction
    fresh: bool


@dataclass(frozen=True, slots=True)
class _Offer:
    """What an order comes to, and the role the line knows its buyer in, if it does."""

    seller: str
    price: Money
    commission: Money
    role: str | None


async def accept(conn: WriteConnection, order: Order) -> Accepted | Refusal:
    """Makes the transaction and holds its stock, or finds the one its key already has.

    Too little stock is an answer that is kept under the key; any other refusal keeps nothing.
    """
    known = await find(conn, order.identity, order.request)
    if known:
        return known if isinstance(known, Refusal) else Accepted(known, fresh=False)
    offer = await _offer(conn, order)
    if isinstance(offer, Refusal):
        return offer
    stranger = await meet_caller(conn, order.identity, offer.role)
    if stranger:
        return stranger
    row = await _insert(conn, order, offer)
    if row is None:
        return await accept(conn, order)  # the other's block has committed: its row is found
    if row["attempt"] is None:
        await conn.execute(_SQL.refuse_sold_out, row["id"])
        return Accepted(await load(conn, row["id"]), fresh=True)
    return Accepted(_to_transaction(row), fresh=True)


async def find(
    conn: ReadConnection, identity: Identity, request: CheckoutRequest
) -> Transaction | Refusal | None:
    """The transaction under a buyer's key, unless the key was used for something else."""
    row = await conn.fetchrow(_SQL.find, identity.line, identity.person, request.key)
    if row is None:
        return None
    if row["request_hash"] != request.hash:
        return Refusal(Code.KEY_REUSED)
    return _to_transaction(row)


async def _offer(conn: ReadConnection, order: Order) -> _Offer | Refusal:
    """The price of what is wanted, or why it is not for sale."""
    request, identity = order.request, order.identity
    row = await conn.fetchrow(
        _SQL.offer, identity.line, request.sale, request.listing, identity.person
    )
    if row is None:
        return Refusal(Code.NOT_FOUND, "There is no such listing in this sale.")
    if row["closed"]:
        return Refusal(Code.SALE_CLOSED)
    price = Money(row["price_amount"], row["price_currency"]).times(request.quantity)
    if price is None:
        return Refusal(Code.INVALID_REQUEST, "`quantity` makes the price larger than allowed.")
    return _Offer(row["seller"], price, price.share(row["commission_bp"]), row["role"])


async def _insert(conn: WriteConnection, order: Order, offer: _Offer) -> Row | None:
    """A new transaction, with its attempt where its stock is held; None where its key is taken.

    The last statement of its block on the common path: whoever wants the same listing waits for it.
    """
    request = order.request
    return await conn.fetchrow(
        _SQL.accept,
        new_id("txn"),
        order.identity.line,
        order.identity.person,
        request.key,
        request.hash,
        request.sale,
        request.listing,
        request.quantity,
        request.payment_method,
        offer.seller,
        offer.price.amount,
        offer.price.currency,
        offer.commission.amount,
        order.reservation_s,
        new_id("att"),
    )


async def settle_captured(
    conn: WriteConnection, transaction_id: str, provider: str, approved: Approved
) -> Transaction:
    """Records that the money moved: stock, ledger, event and state, all in this block.

    Raises:
        CaptureNotPostedError: the ledger refused; the block is undone.
    """
    row = await conn.fetchrow(_SQL.take, transaction_id, approved.reference)
    if row is None:
        return await load(conn, transaction_id)
    await _post(conn, provider, row)
    told = stock_changed(row["sale"], row["listing"], row["stock"])
    cursor = await events.append(conn, [told])
    captured = await conn.fetchrow(_SQL.capture, transaction_id, cursor.position, cursor.epoch)
    assert captured is not None, "its row is locked"
    return _to_transaction(captured)


async def _post(conn: WriteConnection, provider: str, row: Row) -> None:
    """Posts a capture to the ledger."""
    capture = Capture(
        transaction=row["id"],
        provider=provider,
        seller=row["seller"],
        price=Money(row["amount"], row["currency"]),
        commission=Money(row["commission_amount"], row["currency"]),
    )
    (result,) = await ledger.post(conn, row["book"], [capture_posting(capture)], _OUR_OWN)
    if isinstance(result, PostingRefused):
        raise CaptureNotPostedError(f"{row['id']}: {result.code}")
    assert result.fresh, f"{row['id']} is locked and not captured"


async def settle_refused(conn: WriteConnection, transaction_id: str, refusal: Code) -> Transaction:
    """Records that no money moved and none will, declined or expired: stock is for sale again."""
    assert refusal in {Code.DECLINED, Code.EXPIRED}, f"{refusal} is no end of a payment"
    ended = "failed" if refusal is Code.DECLINED else "cancelled"
    row = await conn.fetchrow(_SQL.refuse, transaction_id, refusal.value, ended)
    return _to_transaction(row) if row else await load(conn, transaction_id)


async def mark_unknown(conn: WriteConnection, transaction_id: str) -> Transaction:
    """Records that the provider's answer is still missing. The stock stays held."""
    await conn.execute(_SQL.mark_unknown, transaction_id)
    return await load(conn, transaction_id)


async def load(conn: ReadConnection, transaction_id: str) -> Transaction:
    """A transaction that is there."""
    found = await look(conn, transaction_id)
    assert found is not None, f"{transaction_id} was accepted"
    return found


async def look(conn: ReadConnection, transaction_id: str) -> Transaction | None:
    """A transaction, if there is one of this id."""
    row = await conn.fetchrow(_SQL.load, transaction_id)
    return _to_transaction(row) if row else None


async def open_after(
    conn: ReadConnection, after: str, idle_s: float, limit: int
) -> tuple[Transaction, ...]:
    """Open transactions that nobody has touched for `idle_s`, with ids above `after`."""
    rows = await conn.fetch(_SQL.open_after, after, idle_s, limit)
    return tuple(_to_transaction(row) for row in rows)


async def of_line(
    conn: ReadConnection, line: str, before: str, limit: int
) -> tuple[Transaction, ...]:
    """A line's transactions with ids below `before` (empty: all), newest first."""
    rows = await conn.fetch(_SQL.of_line, line, before, limit)
    return tuple(_to_transaction(row) for row in rows)


async def of_buyer(
    conn: ReadConnection, identity: Identity, before: str, limit: int
) -> tuple[Transaction, ...]:
    """What a person bought, with ids below `before` (empty: all), newest first."""
    rows = await conn.fetch(_SQL.of_buyer, identity.line, identity.person, before, limit)
    return tuple(_to_transaction(row) for row in rows)


async def of_seller(
    conn: ReadConnection, identity: Identity, before: str, limit: int
) -> tuple[Transaction, ...]:
    """What was bought of a person, with ids below `before` (empty: all), newest first."""
    rows = await conn.fetch(_SQL.of_seller, identity.line, identity.person, before, limit)
    return tuple(_to_transaction(row) for row in rows)


def _to_transaction(row: Row) -> Transaction:
    return Transaction(
        id=row["id"],
        line=row["line"],
        buyer=row["buyer"],
        key=row["key"],
        request_hash=row["request_hash"],
        sale=row["sale"],
        listing=row["listing"],
        quantity=row["quantity"],
        seller=row["seller"],
        price=Money(row["amount"], row["currency"]),
        commission=Money(row["commission_amount"], row["currency"]),
        payment_method=row["payment_method"],
        state=State(row["state"]),
        refusal=Code(row["refusal"]) if row["refusal"] else None,
        attempt=row["attempt"],
        cursor=Cursor(row["epoch"], row["position"]) if row["position"] is not None else None,
        overdue=row["overdue"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
