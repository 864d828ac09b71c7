"""A book in memory that postings are decided on, as the database would keep it between batches."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.ledger.book import (
    AccountState,
    BookState,
    Facts,
    StoredHold,
    StoredPosting,
    StoredTransfer,
)
from app.ledger.chart import Chart, Pattern
from app.ledger.model import Kind, Mode, Phase, Result, TransferName
from app.ledger.plan import Terms
from app.ledger.request import PostingRequest
from app.ledger.rules import Batch, Recorded

BOOK = "shop"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)

PATTERNS = (
    Pattern("gateway:*:clearing", Kind.ASSET),
    Pattern("bank:*", Kind.ASSET),
    Pattern("due-from:*", Kind.ASSET),
    Pattern("due-to:*", Kind.LIABILITY),
    Pattern("seller:{owner}:payable", Kind.LIABILITY),
    Pattern("customer:{owner}:credit", Kind.LIABILITY),
    Pattern("tax:*:payable", Kind.LIABILITY),
    Pattern("shipping:payable", Kind.LIABILITY),
    Pattern("refund:clearing", Kind.LIABILITY),
    Pattern("opening", Kind.EQUITY),
    Pattern("conversion:liquidity", Kind.EQUITY),
    Pattern("conversion:spread", Kind.REVENUE),
    Pattern("commission", Kind.REVENUE),
    Pattern("expense:*", Kind.EXPENSE),
)


class MemoryBook:
    """Takes batches as `app.ledger.posting` does, without a database.

    Attributes:
        now: the time.
        state: the book as it stands.
        stored: what was recorded, by number.
    """

    def __init__(self, patterns: Sequence[Pattern] = PATTERNS) -> None:
        self.now = START
        self.state = BookState(BOOK, Mode.LIVE, 0, 0, None, START, Chart(patterns))
        self.stored: dict[int, StoredPosting] = {}
        self._accounts = 0
        self._quotes: set[str] = set()

    def open(self, path: str, currency: str = "EUR") -> AccountState:
        """Opens an account, for a test to set its limits."""
        account = self.state.find(path, currency)
        assert account is not None, f"the chart has no {path}"
        if not account.id:
            self._name([account])
        return account

    def post(self, requests: Sequence[PostingRequest], terms: Terms | None = None) -> list[Result]:
        """What came of each of a batch; what was accepted is recorded."""
        terms = terms or Terms()
        batch = Batch(self.state, self._facts(), terms)
        decisions = [batch.decide(request) for request in requests]
        self._name(batch.opened())
        for recorded in batch.recorded:
            self._record(recorded, batch.now)
        self._quotes |= {
            each.asked.quote for each in batch.converted if each.asked.quote is not None
        }
        return batch.answers(decisions, batch.now)

    def accounts(self) -> list[AccountState]:
        """All that are open."""
        return [self.state.by_id(number) for number in range(1, self._accounts + 1)]

    def _name(self, accounts: Sequence[AccountState]) -> None:
        for account in accounts:
            self._accounts += 1
            account.id = self._accounts
        self.state.opened(accounts)

    def _facts(self) -> Facts:
        """All that is recorded: more than a batch names does no harm."""
        facts = Facts(self.now)
        facts.postings = {posting.key: posting for posting in self.stored.values()}
        facts.reversed = dict(self.stored)
        facts.holds = self._holds()
        due = [
            (hold.expires_at, name)
            for name, hold in facts.holds.items()
            if hold.ended is None and hold.expires_at is not None and hold.expires_at <= self.now
        ]
        facts.due = tuple(name for _, name in sorted(due))
        facts.quotes = set(self._quotes)
        return facts

    def _holds(self) -> dict[TransferName, StoredHold]:
        transfers = [
            (TransferName(posting.number, each.leg), each)
            for posting in self.stored.values()
            for each in posting.transfers
        ]
        ended = {each.pending: each.phase for _, each in transfers if each.pending is not None}
        return {
            name: StoredHold(
                name,
                each.debit,
                each.credit,
                each.amount,
                each.currency,
                each.expires_at,
                ended.get(name),
            )
            for name, each in transfers
            if each.phase is Phase.PENDING
        }

    def _record(self, recorded: Recorded, now: datetime) -> None:
        reverses = recorded.request.reverses
        if reverses is not None:
            self.stored[reverses] = replace(self.stored[reverses], reversed_by=recorded.number)
        self.stored[recorded.number] = StoredPosting(
            number=recorded.number,
            key=recorded.request.key,
            request_hash=recorded.hash,
            recorded_at=now,
            effective_at=recorded.effective_at or now,
            reverses=reverses,
            reversed_by=None,
            paired=False,
            transfers=tuple(
                StoredTransfer(
                    move.name.leg,
                    move.phase,
                    move.debit.id,
                    move.credit.id,
                    move.amount,
                    move.currency,
                    move.debit_balance_after,
                    move.credit_balance_after,
                    None if move.hold is None else move.hold.name,
                    move.expires_at,
                )
                for move in recorded.moves
            ),
        )

    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
