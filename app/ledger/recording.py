"""Writing what was decided: postings with their transfers, and the accounts these open.

Every coroutine runs on the annex, in its caller's block. Triggers move the accounts along, and
refuse what does not continue them: a mistake made here is an exception, and no wrong balance.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from app.ledger.book import AccountState, BookState
from app.ledger.model import Mode, Phase
from app.ledger.move import Move
from app.ledger.plan import Terms
from app.ledger.request import PostingRequest
from app.ledger.rules import Batch
from app.storage import WriteConnection, load_queries

T = TypeVar("T")

_SQL: Final = load_queries(__package__, "posting.sql")

RECORD: Final = _SQL.record
"""One statement: it says when a batch was recorded; null, where nothing was."""


async def write(conn: WriteConnection, state: BookState, batch: Batch, terms: Terms) -> None:
    """Writes what a batch decided, if anything; its block has locked the book."""
    if not batch.recorded:
        return
    opened = batch.opened()
    if opened:
        await _open(conn, state, opened)
    recorded_at = await conn.fetchval(RECORD, *_arguments(state, batch, terms, batch.now))
    assert recorded_at == batch.now, "the book is locked"
    state.recorded_at = batch.now
    if batch.converted:
        await _record_conversions(conn, state.id, batch)


def arguments_if_so(
    state: BookState, batch: Batch, requests: Sequence[PostingRequest]
) -> Sequence[Any]:
    """The arguments of `RECORD` for a batch decided on what is remembered, which opens nothing."""
    keys = {posting.request.key for posting in batch.recorded}
    others = [request.key for request in requests if request.key not in keys]
    return _arguments(state, batch, Terms(), None, others)


async def _open(conn: WriteConnection, state: BookState, accounts: list[AccountState]) -> None:
    rows = await conn.fetch(
        _SQL.open_accounts,
        state.id,
        [account.path for account in accounts],
        [account.kind.value for account in accounts],
        [account.currency for account in accounts],
        [account.owner for account in accounts],
        [account.floor for account in accounts],
        [account.ceiling for account in accounts],
    )
    for account, row in zip(accounts, rows, strict=True):
        account.id = row["id"]
    state.opened(accounts)


def _arguments(
    state: BookState,
    batch: Batch,
    terms: Terms,
    recorded_at: datetime | None,
    others: Sequence[str] = (),
) -> Sequence[Any]:
    """The arguments of `RECORD`, in its order."""
    recorded = batch.recorded
    moves = [move for posting in recorded for move in posting.moves]
    return (
        state.id,
        state.head - len(recorded),
        state.revision,
        recorded_at,
        others,
        terms.mode is Mode.IMPORTING,
        *(terms.pair or (None, None)),
        [posting.request.key for posting in recorded],
        [posting.hash for posting in recorded],
        _unless_all(1, [len(posting.moves) for posting in recorded]),
        _unless_all(None, [posting.effective_at for posting in recorded]),
        _unless_all(None, [posting.request.reverses for posting in recorded]),
        _unless_all(None, [_meta(posting.request) for posting in recorded]),
        [move.name.posting for move in moves],
        _unless_all(0, [move.name.leg for move in moves]),
        _unless_all(Phase.TRANSFER, [move.phase for move in moves]),
        [move.currency for move in moves],
        [move.debit.id for move in moves],
        [move.credit.id for move in moves],
        [move.amount for move in moves],
        [move.debit_version for move in moves],
        [move.debit_balance_after for move in moves],
        _unless_all(0, [move.debit_pending_after for move in moves]),
        [move.credit_version for move in moves],
        [move.credit_balance_after for move in moves],
        _unless_all(0, [move.credit_pending_after for move in moves]),
        *_endings(moves),
        _unless_all(None, [move.expires_at for move in moves]),
    )


def _endings(moves: Sequence[Move]) -> Sequence[Sequence[int | None]]:
    """Of each move the hold that it ends: its posting, its leg, all that was held."""
    ended = [move.hold for move in moves]
    if not any(ended):
        return (), (), ()
    return (
        [None if hold is None else hold.name.posting for hold in ended],
        [None if hold is None else hold.name.leg for hold in ended],
        [None if hold is None else hold.amount for hold in ended],
    )


def _unless_all(usual: T, values: list[T]) -> Sequence[T]:
    """Nothing, where all that is said is what goes without saying: the statement takes it so."""
    return values if values.count(usual) < len(values) else ()


def _meta(request: PostingRequest) -> str | None:
    return None if request.meta is None else msgspec.json.encode(request.meta).decode()


async def _record_conversions(conn: WriteConnection, book: str, batch: Batch) -> None:
    converted = [
        (
            each.name.posting,
            each.name.leg,
            each.asked.quote,
            each.asked.currency,
            each.source_amount,
            each.asked.target_currency,
            each.target_amount,
            each.asked.rate.numerator,
            each.asked.rate.denominator,
            each.asked.spread_bp,
        )
        for each in batch.converted
    ]
    await conn.execute(_SQL.record_conversions, book, *zip(*converted, strict=True))
