"""What a posting would do to a book, or why it may not: the first half of a decision. Pure.

A plan changes nothing. It is made on a book as the postings before it left it, refuses in the order
of `LedgerCode`, and says what `rules` then has to do, which must succeed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.money import AMOUNT_MAX, EXPONENTS
from app.ledger import conversion
from app.ledger.book import AccountState, BookState, Facts, StoredTransfer
from app.ledger.codes import LedgerCode
from app.ledger.limits import COUNTER_MAX
from app.ledger.model import Mode, Phase, PostingRefused, TransferName
from app.ledger.move import Hold, Move, Plan, Reversible
from app.ledger.request import (
    Convert,
    Pending,
    Post,
    PostingRequest,
    Transfer,
    Void,
    read_pending_name,
)

# Accounts between books begin so: only a posting to both books moves them.
DUE_TO: Final = "due-to:"
DUE_FROM: Final = "due-from:"


_MOVING: Final = frozenset({Phase.TRANSFER, Phase.POST})


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a batch is posted.

    Attributes:
        mode: what the book must take: live postings or imported ones.
        trusted: whether the postings are our own, so that reserved keys are theirs.
        pair: the other book and the number there, where this is half of a posting to two books.
    """

    mode: Mode = Mode.LIVE
    trusted: bool = False
    pair: tuple[str, int] | None = None


class Planner:
    """Plans postings to one book; it remembers what was recorded since the facts were read."""

    def __init__(self, book: BookState, facts: Facts, terms: Terms) -> None:
        self._book = book
        self._facts = facts
        self._terms = terms
        self._holds: dict[TransferName, Hold] = {}
        self._recorded: dict[int, Plan] = {}
        self._reversibles: dict[int, Reversible] = {}

    def learn(self, number: int, plan: Plan) -> None:
        """A plan was carried out under this number."""
        for move in plan.moves:
            if move.hold is not None:
                move.hold.ended = move.phase
            elif move.phase is Phase.PENDING:
                self._holds[move.name] = Hold(
                    move.name,
                    move.debit,
                    move.credit,
                    move.currency,
                    move.amount,
                    move.expires_at,
                    None,
                )
        for _, asked, _ in plan.conversions:
            if asked.quote is not None:
                self._facts.quotes.add(asked.quote)
        if plan.reverses is not None:
            plan.reverses.reversed = True
        self._recorded[number] = plan

    def expiry(self, name: TransferName) -> Plan:
        """The end of a hold whose time is over."""
        hold = self._hold_of(name)
        assert hold is not None, "what is due was read"
        return Plan([Move.end_of(hold, Phase.EXPIRE, hold.amount)])

    def plan(self, request: PostingRequest) -> Plan | PostingRefused:
        """What the posting would do, or why it may not."""
        plan = Plan()
        if request.reverses is not None:
            code = self._plan_reversal(plan, request)
            if code:
                return PostingRefused(code)
        for place, asked in enumerate(request.transfers):
            code = self._plan_transfer(plan, asked)
            if code:
                return PostingRefused(code, place)
        return _refuse_sums(plan.moves) or plan

    def _plan_reversal(self, plan: Plan, request: PostingRequest) -> LedgerCode | None:
        assert request.reverses is not None, "it reverses something"
        if request.transfers:
            return LedgerCode.REVERSAL_HAS_TRANSFERS
        found = self._reversible(request.reverses)
        if found is None:
            return LedgerCode.REVERSED_UNKNOWN
        if not found.is_plain or any(phase not in _MOVING for phase, *_ in found.moves):
            return LedgerCode.NOT_REVERSIBLE
        if found.reversed:
            return LedgerCode.ALREADY_REVERSED
        if any(debit.closed or credit.closed for _, debit, credit, _, _ in found.moves):
            return LedgerCode.ACCOUNT_CLOSED
        plan.reverses = found
        plan.moves += [
            Move(Phase.TRANSFER, credit, debit, currency, amount)
            for _, debit, credit, currency, amount in found.moves
        ]
        return None

    def _plan_transfer(
        self, plan: Plan, asked: Transfer | Pending | Post | Void | Convert
    ) -> LedgerCode | None:
        """Add what one transfer would do to the plan, or say why it may not."""
        if type(asked) is Transfer:
            return self._plan_move(plan, asked, Phase.TRANSFER, None)
        if isinstance(asked, Pending):
            wait = asked.expires_after_s
            expires_at = None if wait is None else self._facts.now + timedelta(seconds=wait)
            return self._plan_move(plan, asked, Phase.PENDING, expires_at)
        if isinstance(asked, Convert):
            return self._plan_conversion(plan, asked)
        assert isinstance(asked, Post | Void), "there are five types"
        return self._plan_end(plan, asked)

    def _plan_move(
        self, plan: Plan, asked: Transfer | Pending, phase: Phase, expires_at: datetime | None
    ) -> LedgerCode | None:
        amount, currency = asked.amount, asked.currency
        if amount <= 0:
            return LedgerCode.AMOUNT_NOT_POSITIVE
        if amount > AMOUNT_MAX:
            return LedgerCode.AMOUNT_TOO_LARGE
        if currency not in EXPONENTS:
            return LedgerCode.CURRENCY_UNKNOWN
        if asked.debit == asked.credit:
            return LedgerCode.SAME_ACCOUNT
        if _is_reserved(asked, self._terms.pair):
            return LedgerCode.ACCOUNT_RESERVED
        debit = self._book.find(asked.debit, currency)
        credit = self._book.find(asked.credit, currency)
        if debit is None or credit is None:
            return LedgerCode.ACCOUNT_UNKNOWN
        if debit.closed or credit.closed:
            return LedgerCode.ACCOUNT_CLOSED
        move = Move(phase, debit, credit, currency, amount)
        move.expires_at = expires_at
        plan.moves.append(move)
        return None

    def _plan_conversion(self, plan: Plan, asked: Convert) -> LedgerCode | None:
        refused = conversion.refuse(asked)
        if refused:
            return refused
        transfers = conversion.convert(asked)
        if transfers is LedgerCode.AMOUNT_TOO_LARGE:
            return transfers
        if asked.valid_until is not None and asked.valid_until <= self._facts.now:
            return LedgerCode.QUOTE_EXPIRED
        taken = [known.quote for _, known, _ in plan.conversions]
        if asked.quote is not None and (asked.quote in self._facts.quotes or asked.quote in taken):
            return LedgerCode.QUOTE_USED
        if isinstance(transfers, LedgerCode):
            return transfers
        plan.conversions.append((len(plan.moves), asked, transfers[1].amount))
        for transfer in transfers:
            code = self._plan_move(plan, transfer, Phase.TRANSFER, None)
            if code:
                return code
        return None

    def _plan_end(self, plan: Plan, asked: Post | Void) -> LedgerCode | None:
        """The end of a hold, by whoever made it."""
        wanted = asked.amount if isinstance(asked, Post) else None
        if wanted is not None and wanted <= 0:
            return LedgerCode.AMOUNT_NOT_POSITIVE
        if wanted is not None and wanted > AMOUNT_MAX:
            return LedgerCode.AMOUNT_TOO_LARGE
        hold = self._hold(asked.pending)
        if hold is None:
            return LedgerCode.PENDING_UNKNOWN
        ended = hold.ended
        if ended is None:
            here = (move.phase for move in plan.moves if move.hold is hold)
            ended = next(here, None)
        if ended is not None:
            return _ENDED[ended]
        if hold.expires_at is not None and hold.expires_at <= self._facts.now:
            return LedgerCode.PENDING_EXPIRED
        if isinstance(asked, Void):
            plan.moves.append(Move.end_of(hold, Phase.VOID, hold.amount))
            return None
        amount = hold.amount if wanted is None else wanted
        if amount > hold.amount:
            return LedgerCode.EXCEEDS_PENDING
        plan.moves.append(Move.end_of(hold, Phase.POST, amount))
        return None

    def _hold(self, spelled: str) -> Hold | None:
        """The hold of this name, if there is one."""
        read = read_pending_name(spelled)
        return None if read is None else self._hold_of(TransferName(*read))

    def _hold_of(self, name: TransferName) -> Hold | None:
        known = self._holds.get(name)
        stored = self._facts.holds.get(name)
        if known is None and stored is not None:
            known = self._holds[name] = Hold(
                name,
                self._book.by_id(stored.debit),
                self._book.by_id(stored.credit),
                stored.currency,
                stored.amount,
                stored.expires_at,
                stored.ended,
            )
        return known

    def _reversible(self, number: int) -> Reversible | None:
        known = self._reversibles.get(number) or self._read_reversible(number)
        if known is not None:
            self._reversibles[number] = known
        return known

    def _read_reversible(self, number: int) -> Reversible | None:
        """What of a posting its reversal has to know: of one of this batch, or a stored one."""
        plan, stored = self._recorded.get(number), self._facts.reversed.get(number)
        if plan is not None:
            return Reversible(
                tuple((m.phase, m.debit, m.credit, m.currency, m.amount) for m in plan.moves),
                is_plain=plan.reverses is None and self._terms.pair is None,
                reversed=False,
            )
        if stored is not None:
            return Reversible(
                tuple(self._moved(each) for each in stored.transfers),
                is_plain=stored.reverses is None and not stored.paired,
                reversed=stored.reversed_by is not None,
            )
        return None

    def _moved(self, stored: StoredTransfer) -> tuple[Phase, AccountState, AccountState, str, int]:
        debit, credit = self._book.by_id(stored.debit), self._book.by_id(stored.credit)
        return stored.phase, debit, credit, stored.currency, stored.amount


_ENDED: Final = {
    Phase.POST: LedgerCode.PENDING_ALREADY_POSTED,
    Phase.VOID: LedgerCode.PENDING_ALREADY_VOIDED,
    Phase.EXPIRE: LedgerCode.PENDING_EXPIRED,
}


_BETWEEN_BOOKS: Final = (DUE_TO, DUE_FROM)


def _is_reserved(asked: Transfer | Pending, pair: tuple[str, int] | None) -> bool:
    """Whether it moves an account between books otherwise than a half of a posting to two does."""
    debit = asked.debit.startswith(_BETWEEN_BOOKS)
    credit = asked.credit.startswith(_BETWEEN_BOOKS)
    if pair is None:
        return debit or credit
    other, _ = pair
    owed = asked.debit == f"{DUE_FROM}{other}" and not credit
    owes = asked.credit == f"{DUE_TO}{other}" and not debit
    return not (owed or owes)


# What accounts are refused for, the first that is looked for first.
_LIMITS: Final = (LedgerCode.OVERFLOW, LedgerCode.BELOW_FLOOR, LedgerCode.ABOVE_CEILING)


def _refuse_sums(moves: Sequence[Move]) -> PostingRefused | None:
    """Why an account may not come to what these moves make of it, and which."""
    refused = [
        PostingRefused(code, account=f"{account.path} in {account.currency}")
        for account, added in _sums(moves)
        if (code := _refuse_account(account, added)) is not None
    ]
    return min(refused, key=lambda each: _LIMITS.index(each.code)) if refused else None


def _sums(moves: Sequence[Move]) -> Iterable[tuple[AccountState, Sequence[int]]]:
    """What these moves add to each account."""
    if len(moves) == 1:  # as most have
        (move,) = moves
        posted, pending = move.posted, move.pending
        return (move.debit, (posted, 0, pending, 0)), (move.credit, (0, posted, 0, pending))
    sums: dict[AccountState, list[int]] = {}
    for move in moves:
        posted, pending = move.posted, move.pending
        debited = sums.setdefault(move.debit, [0, 0, 0, 0])
        debited[0] += posted
        debited[2] += pending
        credited = sums.setdefault(move.credit, [0, 0, 0, 0])
        credited[1] += posted
        credited[3] += pending
    return sums.items()


def _refuse_account(account: AccountState, added: Sequence[int]) -> LedgerCode | None:
    """Why an account may not come to this, if it may not.

    What is `added` is to debits posted, credits posted, debits pending and credits pending.
    """
    debited = account.debits_posted + added[0]
    credited = account.credits_posted + added[1]
    debits_pending = account.debits_pending + added[2]
    credits_pending = account.credits_pending + added[3]
    if debited + debits_pending > COUNTER_MAX or credited + credits_pending > COUNTER_MAX:
        return LedgerCode.OVERFLOW
    if account.normal_debit:
        balance, out, into = debited - credited, credits_pending, debits_pending
    else:
        balance, out, into = credited - debited, debits_pending, credits_pending
    if account.floor is not None and balance - out < account.floor:
        return LedgerCode.BELOW_FLOOR
    if account.ceiling is not None and balance + into > account.ceiling:
        return LedgerCode.ABOVE_CEILING
    return None
