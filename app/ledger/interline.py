"""Moves between the books of two lines: a posting in each, in one atomic block.

Theory of operation. The block locks both books first, in the order of their ids, as every block
does that locks several, so two moves in opposite directions cannot wait for each other. Then each
book's due holds are ended, as before any posting, which leaves the next number of each book to its
half: so each half can name the other before either is written. Both are decided before either is
written, and where one is refused neither is.

A move does not pass through the books' posters: these find, when they lock their book next, that it
moved, and read it anew. How many moves are under way at once is bounded, because each holds a
connection while it waits for its books.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import trio

from app.domain.errors import Code, Refusal
from app.ledger import posting, recording
from app.ledger.book import BookState, Facts
from app.ledger.codes import LedgerCode
from app.ledger.interline_request import (
    Half,
    InterlinePosted,
    InterlineRefused,
    InterlineRequest,
    halves,
)
from app.ledger.limits import INTERLINE_AT_ONCE_MAX, INTERLINE_WAITING_MAX, POST_S
from app.ledger.model import Accepted, PostingRefused
from app.ledger.plan import Terms
from app.ledger.poster import OnPosted
from app.ledger.rules import Batch, Decision
from app.storage import Database, StorageDown, WriteConnection

_UNKNOWN: Final = Refusal(
    Code.OUTCOME_UNKNOWN, "Whether it was posted is not known; ask again with the same key."
)

_ORDER: Final = list(LedgerCode)


class Interline:
    """Posts between books, for whoever may post to both."""

    def __init__(self, database: Database, posted: OnPosted = lambda _: None) -> None:
        """Nothing is under way.

        Args:
            database: where the books are.
            posted: called with the id of each book that was posted to.
        """
        self._database = database
        self._posted = posted
        self._turns = trio.CapacityLimiter(INTERLINE_AT_ONCE_MAX)

    async def post(self, asked: InterlineRequest) -> InterlinePosted | InterlineRefused | Refusal:
        """Posts to both books, or to neither.

        The same key and body get the same answer, whoever asks and when. A move is undone by
        another one the other way round, under a key of its own.

        Returns:
            What was recorded; or why it was not; or a refusal, busy or outcome_unknown, after
            which the same may be asked for again and is posted once.
        """
        if self._turns.statistics().tasks_waiting >= INTERLINE_WAITING_MAX:
            return Refusal(Code.BUSY)
        with trio.move_on_after(POST_S):
            async with self._turns:
                try:
                    result = await self._database.write(post_between, asked)
                except StorageDown:
                    return _UNKNOWN
            if isinstance(result, InterlinePosted):
                self._posted(result.debit.book)
                self._posted(result.credit.book)
            return result
        return _UNKNOWN


async def post_between(
    conn: WriteConnection, asked: InterlineRequest
) -> InterlinePosted | InterlineRefused:
    """Posts both halves, or neither; on the annex, in a block that has locked nothing yet."""
    both = halves(asked)
    books = await posting.lock(conn, [half.book for half in both])
    for half in both:
        if half.book not in books:
            return InterlineRefused(LedgerCode.BOOK_UNKNOWN, half.book)
    facts = [await _expire(conn, books[half.book], half) for half in both]
    terms = [Terms(pair=(half.other, books[half.other].head + 1)) for half in both]
    batches = [
        Batch(books[half.book], known, on)
        for half, known, on in zip(both, facts, terms, strict=True)
    ]
    decisions = [batch.decide(half.request) for half, batch in zip(both, batches, strict=True)]
    refused = _first_refused(both, decisions)
    if refused is not None:
        return refused
    for half, batch, on in zip(both, batches, terms, strict=True):
        await recording.write(conn, books[half.book], batch, on)
    debit, credit = (
        batch.answers([decision], batch.now)[0]
        for batch, decision in zip(batches, decisions, strict=True)
    )
    assert isinstance(debit, Accepted), "neither is refused"
    assert isinstance(credit, Accepted), "neither is refused"
    assert debit.fresh is credit.fresh, "both are recorded together"
    return InterlinePosted(debit.posted, credit.posted, debit.fresh)


async def _expire(conn: WriteConnection, book: BookState, half: Half) -> Facts:
    """End the holds that are due, by postings of their own; what is known for the half, after."""
    facts = await posting.read_facts(conn, book, (half.request,))
    live = Terms()
    await recording.write(conn, book, Batch(book, facts, live), live)
    return replace(facts, due=())


def _first_refused(both: Sequence[Half], decisions: Sequence[Decision]) -> InterlineRefused | None:
    """Of what the books refuse, what is looked for first."""
    refused = [
        InterlineRefused(decision.code, half.book)
        for half, decision in zip(both, decisions, strict=True)
        if isinstance(decision, PostingRefused)
    ]
    return min(refused, key=lambda each: _ORDER.index(each.code), default=None)
