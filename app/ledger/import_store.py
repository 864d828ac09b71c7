"""Loads of past postings, on the annex. Every function runs in its caller's block."""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.ledger import posting
from app.ledger.import_model import (
    KindTotals,
    LastRun,
    NotLoadable,
    Run,
    Tally,
    Totals,
    differences,
    refuse_promotion,
    significant,
)
from app.ledger.model import Kind, Mode, Result
from app.ledger.plan import Terms
from app.ledger.request import PostingRequest
from app.storage import ReadConnection, WriteConnection, load_queries

_SQL: Final = load_queries(__package__, "imports.sql")
_PAST: Final = Terms(mode=Mode.IMPORTING)


async def refuse_book(conn: ReadConnection, book: str) -> NotLoadable | None:
    """Why nothing is loaded into a book, if nothing is."""
    mode = await conn.fetchval(_SQL.mode, book)
    if mode is None:
        return NotLoadable.BOOK_UNKNOWN
    return None if mode == Mode.IMPORTING else NotLoadable.NOT_IMPORTING


async def post_past(
    conn: WriteConnection, book: str, requests: Sequence[PostingRequest]
) -> list[Result]:
    """What comes of some rows, in their order."""
    return await posting.post(conn, book, requests, _PAST)


async def finish(
    conn: WriteConnection, book: str, source: str, tally: Tally, wanted: Totals
) -> Run:
    """Notes that a load came to its end, and whether the book is what it was to be."""
    state = (await posting.lock(conn, (book,)))[book]
    has = significant(await _totals(conn, book))
    wants = significant(wanted)
    counts = (tally.posted, tally.found, tally.refused)
    await conn.execute(_SQL.note_run, book, source, *counts, state.head, _json(wants), _json(has))
    return Run(tally, tuple(differences(wants, has)))


async def promote(conn: WriteConnection, book: str) -> NotLoadable | None:
    """Lets a book take present postings from now on, for good; or says why it does not yet.

    The book's row is locked until the block ends: a posting is before it and refused, or after it
    and taken.
    """
    state = (await posting.lock(conn, (book,))).get(book)
    if state is None:
        return NotLoadable.BOOK_UNKNOWN
    if state.mode is not Mode.IMPORTING:
        return NotLoadable.NOT_IMPORTING
    row = await conn.fetchrow(_SQL.last_run, book)
    refused = refuse_promotion(None if row is None else LastRun(**row), state.head)
    if refused is None:
        await conn.execute(_SQL.promote, book)
    return refused


async def _totals(conn: ReadConnection, book: str) -> Totals:
    totals: dict[str, dict[Kind, KindTotals]] = {}
    for row in await conn.fetch(_SQL.totals, book):
        sums = KindTotals(row["postings"], int(row["debits"]), int(row["balance"]))
        totals.setdefault(row["currency"], {})[Kind(row["kind"])] = sums
    return totals


def _json(totals: Totals) -> str:
    return msgspec.json.encode(totals).decode()
