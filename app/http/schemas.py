"""The bodies and query parameters of REST v1, in one place.

Handlers make and take these structs, and the OpenAPI document's schemas are generated from them.
A request's struct forbids unknown names. A read's answer carries the cursor of the snapshot it was
read from; the same cursor is its `Agio-Cursor` header.
"""

from typing import Annotated, Final

import msgspec

from actors.tree import Vitals
from app.domain.errors import Code
from app.domain.money import AMOUNT_MAX, EXPONENTS
from app.domain.names import ID_PATTERN, PERSON_PATTERN
from app.http.problem import AnyCode
from app.ledger.model import Kind, Phase, Side
from app.limits import (
    CHECKOUT_TEXT_MAX,
    PAGE_ROWS_MAX,
    QUANTITY_MAX,
    TITLE_MAX,
    TREE_CHILDREN_MAX,
    TREE_CHILDREN_USUAL,
    TREE_PATH_MAX,
)
from app.transactions.model import State

# `$` alone would allow a line's end behind it.
_END: Final = r"(?!\n)$"

Id = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{ID_PATTERN}{_END}",
        description="Lower-case letters, digits, _ and -.",
        examples=["demo"],
    ),
]
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{PERSON_PATTERN}{_END}",
        description="A person's name.",
        examples=["demo-seller"],
    ),
]
WireCursor = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^[0-9a-z]{{1,16}}-[0-9]{{1,18}}{_END}",
        description="A place in the event log; opaque.",
        examples=["3f2a91c0-17"],
    ),
]
# Printable: no control characters, so that it can be stored, shown and logged.
Title = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=TITLE_MAX,
        description="Printable characters.",
        pattern=rf"^[^\x00-\x1f\x7f-\x9f]+{_END}",
        examples=["Mugs, tonight only"],
    ),
]
Currency = Annotated[
    str,
    msgspec.Meta(description="An ISO 4217 code.", extra_json_schema={"enum": sorted(EXPONENTS)}),
]
Moment = Annotated[
    str, msgspec.Meta(description="RFC 3339, in UTC.", extra_json_schema={"format": "date-time"})
]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Amount(msgspec.Struct, forbid_unknown_fields=True):
    """Money: minor units of a currency. JPY has no cents, KWD has three decimals."""

    amount: Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
    currency: Currency


class Price(msgspec.Struct, forbid_unknown_fields=True):
    """Money asked for one piece: at least one minor unit."""

    amount: Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
    currency: Currency


# Queries ------------------------------------------------------------------------------------------


class ReadQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Every read: wait, for a bounded time, until the log has reached a cursor."""

    min_cursor: (
        Annotated[
            WireCursor, msgspec.Meta(description="Read no earlier than this place in the log.")
        ]
        | None
    ) = None


class PageQuery(ReadQuery):
    """Every listing: one page."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_ROWS_MAX, description="Items wanted.")] = (
        PAGE_ROWS_MAX
    )
    after: Annotated[
        str,
        msgspec.Meta(max_length=64, description="The `next` of the page before; empty: the first."),
    ] = ""


class TreeQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of the tree, and how much of it."""

    path: Annotated[
        str,
        msgspec.Meta(
            max_length=TREE_PATH_MAX,
            description="A place: names from the root's on, joined by slashes; empty: the root.",
            examples=["agio/node/service/connections"],
        ),
    ] = ""
    children_max: Annotated[
        int,
        msgspec.Meta(ge=0, le=TREE_CHILDREN_MAX, description="Children listed of one place."),
    ] = TREE_CHILDREN_USUAL


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Takes no query parameters."""


# Sales --------------------------------------------------------------------------------------------


class ListingAnswer(msgspec.Struct):
    """Something for sale. `stock` counts the pieces not yet sold."""

    id: Id
    title: str
    price: Price
    stock: Count


class SaleSummary(msgspec.Struct):
    """A sale as a listing of sales shows it."""

    id: Id
    title: str
    open: bool


class SaleAnswer(msgspec.Struct):
    """A sale and what is for sale in it."""

    id: Id
    title: str
    open: bool
    listings: list[ListingAnswer]
    cursor: WireCursor


class SalesPage(msgspec.Struct):
    """One page of sales, in the order of their ids."""

    items: list[SaleSummary]
    next: str | None
    cursor: WireCursor


class NewSale(msgspec.Struct, forbid_unknown_fields=True):
    """A sale to open."""

    id: Id
    title: Title


class NewListing(msgspec.Struct, forbid_unknown_fields=True):
    """A listing to add to a sale. `seller` says whose it is; a seller's own where left out."""

    id: Id
    title: Title
    price: Price
    stock: Annotated[int, msgspec.Meta(ge=0, le=QUANTITY_MAX)]
    seller: Name | None = None


class Restock(msgspec.Struct, forbid_unknown_fields=True):
    """Pieces to add to a listing's stock, or to take off."""

    delta: Annotated[
        int,
        msgspec.Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX, extra_json_schema={"not": {"const": 0}}),
    ]


class ListingAddedAnswer(msgspec.Struct):
    """A new listing, and the cursor of the event that told of it."""

    listing: ListingAnswer
    cursor: WireCursor


class SaleClosedAnswer(msgspec.Struct):
    """A sale that was ended, and the cursor of the event that told of it."""

    sale: Id
    cursor: WireCursor


class StockAnswer(msgspec.Struct):
    """A listing's stock after a change, and the cursor of the event that told of it."""

    listing: Id
    stock: Count
    cursor: WireCursor


# Transactions -------------------------------------------------------------------------------------


class Purchase(msgspec.Struct, forbid_unknown_fields=True):
    """What to buy. The idempotency key is in the header."""

    sale: Id
    listing: Id
    quantity: Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]
    payment_method: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=CHECKOUT_TEXT_MAX,
            pattern=rf"^[!-~]+{_END}",
            examples=["pm_card_visa"],
        ),
    ]


class ReceiptAnswer(msgspec.Struct):
    """A purchase that went through. It is in everything read at or after the cursor."""

    transaction: str
    cursor: WireCursor


class TransactionSummary(msgspec.Struct):
    """A purchase."""

    id: str
    sale: Id
    listing: Id
    quantity: Annotated[int, msgspec.Meta(ge=1)]
    buyer: str
    seller: str
    price: Amount
    state: State
    refusal: Code | None
    captured_at: WireCursor | None
    created_at: Moment
    updated_at: Moment


class TransactionAnswer(TransactionSummary):
    """A purchase, as of a cursor."""

    cursor: WireCursor


class TransactionsPage(msgspec.Struct):
    """One page of purchases, newest first."""

    items: list[TransactionSummary]
    next: str | None
    cursor: WireCursor


# Accounts -----------------------------------------------------------------------------------------


class AccountSummary(msgspec.Struct):
    """An account of the ledger, in minor units. `balance` is on its normal side."""

    id: str
    book: Id
    path: str
    kind: Kind
    currency: Currency
    owner: str | None
    floor: int | None
    ceiling: int | None
    debits_posted: Count
    credits_posted: Count
    debits_pending: Count
    credits_pending: Count
    balance: int
    available: int
    version: Count
    closed_at: Moment | None


class AccountAnswer(AccountSummary):
    """An account, as of a cursor."""

    cursor: WireCursor


class AccountsPage(msgspec.Struct):
    """One page of accounts, in the order in which they were opened."""

    items: list[AccountSummary]
    next: str | None
    cursor: WireCursor


class EntryAnswer(msgspec.Struct):
    """What one transfer did to an account; `version` counts its entries without gaps."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    side: Side
    amount: Price
    balance_after: int
    posting: Annotated[int, msgspec.Meta(ge=1)]
    leg: Count
    type: Phase
    key: str
    recorded_at: Moment


class EntriesPage(msgspec.Struct):
    """One page of an account's entries, oldest first."""

    items: list[EntryAnswer]
    next: str | None
    cursor: WireCursor


# Operations ---------------------------------------------------------------------------------------


class IndexAnswer(msgspec.Struct):
    """Where to go from here."""

    name: str
    links: dict[str, str]


class LiveAnswer(msgspec.Struct):
    """The process answers."""

    status: str


class ReadyAnswer(msgspec.Struct):
    """Whether this node takes work, and what each check found: ok, failed or too_slow."""

    status: str
    checks: dict[str, str]


class CodeAnswer(msgspec.Struct):
    """What a problem's code means."""

    code: AnyCode
    message: str
    retryable: bool
    status: int


class TreeAnswer(msgspec.Struct):
    """What lives on this node, from the place at `path` on. `uptime_s` is the age of the root."""

    path: str
    uptime_s: float
    tree: Vitals
