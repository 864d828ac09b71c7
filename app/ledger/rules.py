"""The ledger's decisions: what postings do to a book and its accounts, or why they may not. Pure.

Postings of a batch are decided in the order in which they came, each on what those before it left.
Each is decided in two halves. The first plans: it refuses, in the order of `LedgerCode`, and has
changed nothing when it does. The second applies the plan and must succeed. Limits of accounts are
held at a posting's end, not between its transfers: a posting is one step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.ledger.book import AccountState, BookState, Facts, StoredPosting
from app.ledger.codes import LedgerCode
from app.ledger.model import (
    Accepted,
    Mode,
    Moved,
    Posted,
    PostingRefused,
    Result,
    TransferName,
)
from app.ledger.move import Move, Plan
from app.ledger.plan import Planner, Terms
from app.ledger.request import Convert, PostingRequest, request_hash

# Keys that begin so are given by us: to the end of a hold that expired, and to a sale's capture.
RESERVED_KEYS: Final = ("expire:", "capture:")

# What was asked as the end of a hold that expired: nothing, by nobody.
_EXPIRY_HASH: Final = bytes(32)


class Recorded:
    """A posting that is to be written."""

    __slots__ = ("effective_at", "hash", "moves", "number", "request")

    def __init__(
        self,
        number: int,
        request: PostingRequest,
        asked: bytes,
        effective_at: datetime | None,
        moves: Sequence[Move],
    ) -> None:
        self.number = number
        self.request = request
        self.hash = asked
        self.effective_at = effective_at
        self.moves = moves


Decision = Recorded | Accepted | PostingRefused


@dataclass(frozen=True, slots=True)
class Converted:
    """What is written of a conversion beside its transfers; `target_amount` in minor units."""

    name: TransferName
    asked: Convert
    source_amount: int
    target_amount: int


class Batch:
    """Decides postings to one book, one after the other.

    Attributes:
        recorded: the postings to be written, in the order of their numbers.
        converted: the conversions among them.
        now: when they are recorded.
    """

    def __init__(self, book: BookState, facts: Facts, terms: Terms) -> None:
        self.recorded: list[Recorded] = []
        self.converted: list[Converted] = []
        self.now = facts.now
        self._book = book
        self._facts = facts
        self._terms = terms
        self._accepted: dict[str, Recorded] = {}
        self._planner = Planner(book, facts, terms)
        if terms.mode is book.mode is Mode.LIVE and not self._is_locked(facts.now):
            self._expire()

    def decide(self, request: PostingRequest) -> Decision:
        """What comes of a posting, after those decided before it.

        One that is asked for again, in the batch, is the same `Recorded`.
        """
        if not self._terms.trusted and request.key.startswith(RESERVED_KEYS):
            return PostingRefused(LedgerCode.KEY_RESERVED)
        asked = request_hash(request)
        known = self._recognise(request, asked) or self._refuse_whole(request)
        if known is not None:
            return known
        plan = self._planner.plan(request)
        if isinstance(plan, PostingRefused):
            return plan
        # After this point, the posting must succeed.
        recorded = self._accepted[request.key] = self._apply(request, asked, plan)
        return recorded

    def answers(self, decisions: Iterable[Decision], recorded_at: datetime) -> list[Result]:
        """What callers are told of decisions, once it is known when their batch was recorded."""
        shown: dict[int, Posted] = {}
        answers: list[Result] = []
        for decision in decisions:
            if not isinstance(decision, Recorded):
                answers.append(decision)
                continue
            posted = shown.get(decision.number)
            fresh = posted is None
            if posted is None:
                posted = shown[decision.number] = self._show(decision, recorded_at)
            answers.append(Accepted(posted, fresh))
        return answers

    def opened(self) -> list[AccountState]:
        """The accounts that these postings open, in the order of their first transfers."""
        touched = {
            account: None
            for posting in self.recorded
            for move in posting.moves
            for account in (move.debit, move.credit)
            if not account.id
        }
        return list(touched)

    # Refusing ------------------------------------------------------------------------------------

    def _recognise(self, request: PostingRequest, asked: bytes) -> Decision | None:
        """What comes of a key that was used before."""
        stored = self._facts.postings.get(request.key)
        if stored is not None:
            same = stored.request_hash == asked
            return Accepted(self._seen(stored), fresh=False) if same else _KEY_REUSED
        known = self._accepted.get(request.key)
        return known if known is None or known.hash == asked else _KEY_REUSED

    def _refuse_whole(self, request: PostingRequest) -> PostingRefused | None:
        """Why nothing that this posting says could be taken."""
        book, terms, effective_at = self._book, self._terms, request.effective_at
        if book.mode is not terms.mode:
            return PostingRefused(_OTHER_MODE[book.mode])
        if effective_at is not None and effective_at > self._facts.now:
            return PostingRefused(LedgerCode.EFFECTIVE_IN_FUTURE)
        if self._is_locked(effective_at if effective_at is not None else self._facts.now):
            return PostingRefused(LedgerCode.PERIOD_LOCKED)
        if request.reverses is None and not request.transfers:
            return PostingRefused(LedgerCode.POSTING_EMPTY)
        return None

    def _is_locked(self, takes_effect: datetime) -> bool:
        """Whether that moment lies in a locked period; now does where the clock was set back."""
        locked_before = self._book.locked_before
        return locked_before is not None and takes_effect < locked_before

    # Applying ------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """End the holds whose time is over, each by a posting of its own."""
        for name in self._facts.due:
            request = PostingRequest(f"expire:{name}")
            self._apply(request, _EXPIRY_HASH, self._planner.expiry(name))

    def _apply(self, request: PostingRequest, asked: bytes, plan: Plan) -> Recorded:
        """Do what was planned."""
        number = self._book.head = self._book.head + 1
        for leg, move in enumerate(plan.moves):
            _apply(move, TransferName(number, leg))
        early = request.effective_at is not None and request.effective_at < self._facts.now
        effective_at = request.effective_at if early else None
        recorded = Recorded(number, request, asked, effective_at, plan.moves)
        self.recorded.append(recorded)
        for leg, converted, worth in plan.conversions:
            name = TransferName(number, leg)
            self.converted.append(Converted(name, converted, converted.amount, worth))
        self._planner.learn(number, plan)
        return recorded

    def _show(self, recorded: Recorded, recorded_at: datetime) -> Posted:
        """What is told of a posting of this batch."""
        request = recorded.request
        return Posted(
            self._book.id,
            recorded.number,
            request.key,
            recorded_at,
            recorded.effective_at or recorded_at,
            tuple(map(_shown, recorded.moves)),
            request.reverses,
        )

    def _seen(self, stored: StoredPosting) -> Posted:
        """The answer that was given when this posting was recorded."""
        transfers = tuple(
            Moved(
                leg=each.leg,
                type=each.phase,
                debit=self._book.by_id(each.debit).path,
                credit=self._book.by_id(each.credit).path,
                amount=each.amount,
                currency=each.currency,
                debit_balance_after=each.debit_balance_after,
                credit_balance_after=each.credit_balance_after,
                pending=None if each.pending is None else str(each.pending),
                expires_at=each.expires_at,
            )
            for each in stored.transfers
        )
        return Posted(
            self._book.id,
            stored.number,
            stored.key,
            stored.recorded_at,
            stored.effective_at,
            transfers,
            stored.reverses,
        )


_KEY_REUSED: Final = PostingRefused(LedgerCode.KEY_REUSED)
_OTHER_MODE: Final = {
    Mode.CLOSED: LedgerCode.BOOK_CLOSED,
    Mode.IMPORTING: LedgerCode.BOOK_IMPORTING,
    Mode.LIVE: LedgerCode.BOOK_NOT_IMPORTING,
}


def _apply(move: Move, name: TransferName) -> None:
    """Move the two accounts along, and note what they came to."""
    move.name = name
    debit, credit, posted, pending = move.debit, move.credit, move.posted, move.pending
    debit.version += 1
    debit.debits_posted += posted
    debit.debits_pending += pending
    credit.version += 1
    credit.credits_posted += posted
    credit.credits_pending += pending
    move.debit_version = debit.version
    move.debit_balance_after = debit.balance
    move.debit_pending_after = debit.debits_pending
    move.credit_version = credit.version
    move.credit_balance_after = credit.balance
    move.credit_pending_after = credit.credits_pending


def _shown(move: Move) -> Moved:
    return Moved(
        leg=move.name.leg,
        type=move.phase,
        debit=move.debit.path,
        credit=move.credit.path,
        amount=move.amount,
        currency=move.currency,
        debit_balance_after=move.debit_balance_after,
        credit_balance_after=move.credit_balance_after,
        pending=None if move.hold is None else str(move.hold.name),
        expires_at=move.expires_at,
    )
