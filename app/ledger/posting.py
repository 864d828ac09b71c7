"""Posting: the one way into the ledger. Every function runs on the annex, in its caller's block.

Theory of operation. A block locks its book's row before it reads anything of the book, and holds it
until it ends: postings to one book are made one batch after the other, on whichever node, and what
is read in between cannot change. So nothing else of the ledger is ever locked by hand, two blocks
cannot wait for each other in a circle (books are locked in the order of their ids, the event log's
head after them), and the numbers given out become visible in their own order.

What a batch names is read by a few statements, decided in memory (`app.ledger.rules`), and written
by one (`app.ledger.recording`), whatever the size of the batch.

A `BookState` may be kept from one batch for the next: the row that is locked says whether anything
moved in between, by anybody. It is only true once the block was committed, which the caller sees.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from app.domain.money import EXPONENTS
from app.ledger import recording
from app.ledger.book import (
    AccountKey,
    AccountState,
    BookState,
    Facts,
    StoredHold,
    StoredPosting,
    StoredTransfer,
)
from app.ledger.chart import Chart, Pattern, is_path
from app.ledger.codes import LedgerCode
from app.ledger.conversion import LIQUIDITY, SPREAD
from app.ledger.limits import (
    ACCOUNTS_REMEMBERED_MAX,
    BOOKS_A_SWEEP_MAX,
    EXPIRIES_A_BATCH_MAX,
)
from app.ledger.model import (
    Account,
    Kind,
    Mode,
    Phase,
    PostingRefused,
    Result,
    TransferName,
)
from app.ledger.plan import Terms
from app.ledger.request import (
    Convert,
    Pending,
    Post,
    PostingRequest,
    Transfer,
    Void,
    read_pending_name,
    request_hash,
)
from app.ledger.rules import Batch
from app.storage import ReadConnection, Row, WriteConnection, load_queries

_SQL: Final = load_queries(__package__, "posting.sql")

ACCOUNTS: Final = _SQL.accounts_by_key
"""One statement: how accounts stand, those that are open."""

_LIVE: Final = Terms()


async def post(
    conn: WriteConnection, book: str, requests: Sequence[PostingRequest], terms: Terms = _LIVE
) -> list[Result]:
    """Posts a batch: what came of each request, in their order.

    Refused postings change nothing; they do not disturb the others. The caller's block holds the
    book's row until it ends.
    """
    results, _ = await post_on(conn, book, requests, None, terms)
    return results


async def post_on(
    conn: WriteConnection,
    book: str,
    requests: Sequence[PostingRequest],
    remembered: BookState | None,
    terms: Terms = _LIVE,
) -> tuple[list[Result], BookState | None]:
    """As `post`, on what is `remembered` of the book, where that is still so.

    Returns:
        The results, and the book as it is if the block commits; None where there is no such book.
    """
    found = await lock(conn, (book,), remembered)
    if book not in found:
        return [PostingRefused(LedgerCode.BOOK_UNKNOWN) for _ in requests], None
    state = found[book]
    batch = Batch(state, await read_facts(conn, state, requests), terms)
    decisions = [batch.decide(request) for request in requests]
    await recording.write(conn, state, batch, terms)
    return batch.answers(decisions, batch.now), state


async def lock(
    conn: WriteConnection, books: Sequence[str], remembered: BookState | None = None
) -> dict[str, BookState]:
    """These books, locked until the block ends, by id; without those that are not there."""
    found = {}
    for row in await conn.fetch(_SQL.lock_books, list(books)):
        if remembered is not None and _is_unmoved(remembered, row):
            found[remembered.id] = remembered
            continue
        chart = await conn.fetch(_SQL.chart, row["id"])
        found[row["id"]] = BookState(
            row["id"],
            Mode(row["mode"]),
            row["head"],
            row["revision"],
            row["locked_before"],
            row["recorded_at"],
            Chart(Pattern(**{**each, "kind": Kind(each["kind"])}) for each in chart),
        )
    return found


def _is_unmoved(state: BookState, row: Row) -> bool:
    """Whether nobody has changed the book since, and not too much is remembered of it."""
    return (state.id, state.head, state.revision) == (
        row["id"],
        row["head"],
        row["revision"],
    ) and len(state) <= ACCOUNTS_REMEMBERED_MAX


async def books_due(conn: ReadConnection) -> tuple[str, ...]:
    """Books with holds whose time is over, some of them."""
    rows = await conn.fetch(_SQL.books_due, BOOKS_A_SWEEP_MAX)
    return tuple(row["book"] for row in rows)


# Reading -----------------------------------------------------------------------------------------


async def read_facts(
    conn: WriteConnection, state: BookState, requests: Sequence[PostingRequest]
) -> Facts:
    """What the database says of all that these requests name; the accounts come into `state`."""
    row = await conn.fetchrow(
        _SQL.facts, state.id, [request.key for request in requests], EXPIRIES_A_BATCH_MAX
    )
    assert row is not None, "the book is locked"
    facts = Facts(row["now"])
    facts.due = tuple(name for name in map(_name, row["due"]) if name is not None)
    named = _Named(requests)
    numbers = {*row["numbers"], *named.reversed}
    if numbers:
        stored = await _read_postings(conn, state.id, numbers, named.reversed, requests)
        facts.postings = {posting.key: posting for posting in stored}
        facts.reversed = {
            posting.number: posting for posting in stored if posting.number in named.reversed
        }
    holds = {*facts.due, *named.holds}
    if holds:
        facts.holds = await _read_holds(conn, state.id, holds)
    if named.quotes:
        rows = await conn.fetch(_SQL.quotes_used, state.id, list(named.quotes))
        facts.quotes = {each["quote"] for each in rows}
    await _read_accounts(conn, state, named.accounts, _touched(facts))
    return facts


class _Named:
    """What a batch names."""

    def __init__(self, requests: Iterable[PostingRequest]) -> None:
        self.accounts: set[AccountKey] = set()
        self.holds: set[TransferName] = set()
        self.reversed: set[int] = set()
        self.quotes: set[str] = set()
        for request in requests:
            if request.reverses is not None and not request.transfers:
                self.reversed.add(request.reverses)
            for asked in request.transfers:
                self._add(asked)

    def _add(self, asked: Transfer | Pending | Post | Void | Convert) -> None:
        # The common type first, and not by isinstance, which costs ten times as much here.
        if type(asked) is Transfer or isinstance(asked, Pending):
            self.accounts.add((asked.debit, asked.currency))
            self.accounts.add((asked.credit, asked.currency))
        elif isinstance(asked, Convert):
            source = (asked.debit, LIQUIDITY, SPREAD)
            self.accounts |= {(path, asked.currency) for path in source}
            self.accounts |= {(path, asked.target_currency) for path in (asked.credit, LIQUIDITY)}
            if asked.quote is not None:
                self.quotes.add(asked.quote)
        elif isinstance(asked, Post | Void):
            name = _name(asked.pending)
            if name is not None:
                self.holds.add(name)


def _name(spelled: str) -> TransferName | None:
    read = read_pending_name(spelled)
    return None if read is None or read[1] > _LEG_MAX else TransferName(*read)


# What the database's smallint holds: no leg is beyond.
_LEG_MAX: Final = 2**15 - 1


def _touched(facts: Facts) -> set[int]:
    """The ids of the accounts that what was read moved."""
    stored = (*facts.postings.values(), *facts.reversed.values())
    transfers = (transfer for posting in stored for transfer in posting.transfers)
    both: tuple[StoredTransfer | StoredHold, ...] = (*transfers, *facts.holds.values())
    return {account for each in both for account in (each.debit, each.credit)}


async def _read_postings(
    conn: WriteConnection,
    book: str,
    numbers: set[int],
    reversed_: set[int],
    requests: Sequence[PostingRequest],
) -> list[StoredPosting]:
    """Postings by their numbers, those whose transfers nobody needs without them.

    Needed are those of postings to be `reversed_`, and of those that the requests ask for again. A
    key that was used for something else is refused, however much that was.
    """
    rows = await conn.fetch(_SQL.postings, book, sorted(numbers))
    keys = {row["key"] for row in rows}
    again = {(each.key, request_hash(each)) for each in requests if each.key in keys}
    wanted = [
        row["number"]
        for row in rows
        if row["number"] in reversed_ or (row["key"], row["request_hash"]) in again
    ]
    transfers: dict[int, list[StoredTransfer]] = {}
    for row in await conn.fetch(_SQL.transfers, book, wanted):
        transfers.setdefault(row["posting"], []).append(_to_transfer(row))
    return [StoredPosting(**row, transfers=tuple(transfers.get(row["number"], ()))) for row in rows]


def _to_transfer(row: Row) -> StoredTransfer:
    ended = row["pending_posting"]
    return StoredTransfer(
        row["leg"],
        Phase(row["phase"]),
        row["debit_account"],
        row["credit_account"],
        row["amount"],
        row["currency"],
        row["debit_balance_after"],
        row["credit_balance_after"],
        None if ended is None else TransferName(ended, row["pending_leg"]),
        row["expires_at"],
    )


async def _read_holds(
    conn: WriteConnection, book: str, names: set[TransferName]
) -> dict[TransferName, StoredHold]:
    postings, legs = zip(*sorted(names), strict=True)
    rows = await conn.fetch(_SQL.holds, book, postings, legs)
    holds = (
        StoredHold(
            TransferName(row["posting"], row["leg"]),
            row["debit_account"],
            row["credit_account"],
            row["amount"],
            row["currency"],
            row["expires_at"],
            None if row["ended"] is None else Phase(row["ended"]),
        )
        for row in rows
    )
    return {hold.name: hold for hold in holds}


async def _read_accounts(
    conn: WriteConnection, state: BookState, keys: set[AccountKey], ids: set[int]
) -> None:
    """Learn how those of these accounts stand that nothing is known of."""
    asked = accounts_asked(state.id, [key for key in keys if not state.knows(key)])
    if asked is not None:
        for row in await conn.fetch(ACCOUNTS, *asked):
            state.add(AccountState.of(to_account(row)))
    missing = [account for account in ids if not state.knows_id(account)]
    if missing:
        for row in await conn.fetch(_SQL.accounts_by_id, state.id, missing):
            state.add(AccountState.of(to_account(row)))


def accounts_asked(book: str, keys: Iterable[AccountKey]) -> tuple[Any, ...] | None:
    """The arguments of `ACCOUNTS` for these; None where none of them can be any account's."""
    # What is no path, or no currency, is no account's; not every text can be asked for.
    wanted = [key for key in keys if is_path(key[0]) and key[1] in EXPONENTS]
    return (book, *zip(*wanted, strict=True)) if wanted else None


def to_account(row: Row) -> Account:
    """The account that a row holds."""
    return Account(**{**row, "kind": Kind(row["kind"])})
