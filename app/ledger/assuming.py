"""Batches that are decided on what is remembered of a book, before the book is locked. Pure.

Most batches need nothing but how their accounts stand. What is remembered of that is true as long
as nobody else moved the book, which the one statement that records such a batch sees for itself; so
the book needs neither be locked nor read first. That no key was used, and that no hold is over, is
taken for granted likewise.
"""

from collections.abc import Sequence

from app.ledger.book import AccountKey, BookState, Facts
from app.ledger.limits import ACCOUNTS_REMEMBERED_MAX, TRANSFERS_A_BATCH_MAX
from app.ledger.model import Mode
from app.ledger.plan import Terms
from app.ledger.request import PostingRequest, Transfer
from app.ledger.rules import Batch, Decision


def may_assume(state: BookState, requests: Sequence[PostingRequest]) -> bool:
    """Whether these ask for nothing that has to be read, or that depends on the time.

    That no period is locked follows: times of recording never go back.
    """
    if state.recorded_at is None or state.mode is not Mode.LIVE:
        return False
    if state.locked_before is not None and state.locked_before > state.recorded_at:
        return False
    if len(state) > ACCOUNTS_REMEMBERED_MAX or not all(map(_is_plain, requests)):
        return False
    return 0 < sum(len(request.transfers) for request in requests) <= TRANSFERS_A_BATCH_MAX


def _is_plain(request: PostingRequest) -> bool:
    return (
        request.reverses is None
        and request.effective_at is None
        and all(type(asked) is Transfer for asked in request.transfers)
    )


def unknown(state: BookState, requests: Sequence[PostingRequest]) -> set[AccountKey]:
    """The accounts of these that are not known to be open; of requests that are plain."""
    return {
        key
        for request in requests
        for asked in request.transfers
        if isinstance(asked, Transfer)  # as all are
        for key in ((asked.debit, asked.currency), (asked.credit, asked.currency))
        if not state.is_open(key)
    }


def decide(
    state: BookState, requests: Sequence[PostingRequest]
) -> tuple[Batch, Sequence[Decision]]:
    """What comes of these if all is as it is remembered; `state` is moved along."""
    assert state.recorded_at is not None, "they may be decided so"
    batch = Batch(state, Facts(state.recorded_at), Terms())
    return batch, [batch.decide(request) for request in requests]
