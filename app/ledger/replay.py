"""The ledger worked out a second time, from its transfers alone, to be held against what is stored.

This is independent of `app.ledger.rules` and of the inv_* views on purpose: it shares no line with
what it checks. It is fed every account, then every transfer by book, posting and leg, and keeps a
few numbers an account and one line a hold that is open. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from app.ledger.model import Account, Phase, Violation
from app.limits import VIOLATIONS_MAX


@dataclass(frozen=True, slots=True)
class ReplayedTransfer:
    """A transfer as it is stored; amounts in minor units."""

    book: str
    posting: int
    leg: int
    phase: Phase
    currency: str
    debit_account: int
    credit_account: int
    amount: int
    pending_posting: int | None
    pending_leg: int | None
    pending_amount: int | None
    debit_version: int
    debit_balance_after: int
    debit_pending_after: int
    credit_version: int
    credit_balance_after: int
    credit_pending_after: int


@dataclass(slots=True)
class _Sums:
    """What one account should show."""

    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    version: int = 0


class Replay:
    """Takes the stored ledger piece by piece; `violations` says what does not fit."""

    def __init__(self) -> None:
        self._accounts: dict[int, Account] = {}
        self._sums: dict[int, _Sums] = {}
        self._holds: dict[tuple[str, int, int], ReplayedTransfer] = {}
        self._found: list[Violation] = []

    def account(self, account: Account) -> None:
        """An account as it is stored. All of them come first."""
        self._accounts[account.id] = account
        self._sums[account.id] = _Sums()

    def transfer(self, transfer: ReplayedTransfer) -> None:
        """A transfer; those of one book come in the order of their postings and legs."""
        for number in (transfer.debit_account, transfer.credit_account):
            account = self._accounts.get(number)
            home = (transfer.book, transfer.currency)
            if account is None or (account.book, account.currency) != home:
                self._find("replay_transfer_crosses", transfer, account=number)
                return
        posted, pending = self._amounts(transfer)
        debit = self._sums[transfer.debit_account]
        debit.debits_posted += posted
        debit.debits_pending += pending
        debit.version += 1
        credit = self._sums[transfer.credit_account]
        credit.credits_posted += posted
        credit.credits_pending += pending
        credit.version += 1
        expected = (
            *(debit.version, self._balance(transfer.debit_account), debit.debits_pending),
            *(credit.version, self._balance(transfer.credit_account), credit.credits_pending),
        )
        stored = (
            *(transfer.debit_version, transfer.debit_balance_after, transfer.debit_pending_after),
            *(transfer.credit_version, transfer.credit_balance_after),
            transfer.credit_pending_after,
        )
        if stored != expected:
            self._find("replay_entry_chain", transfer, stored=stored, expected=expected)

    def _amounts(self, transfer: ReplayedTransfer) -> tuple[int, int]:
        """What a transfer adds to what is posted and to what is pending."""
        here = (transfer.book, transfer.posting, transfer.leg)
        if transfer.phase == "transfer":
            return transfer.amount, 0
        if transfer.phase == "pending":
            self._holds[here] = transfer
            return 0, transfer.amount
        assert transfer.pending_posting is not None, "the table's constraint says so"
        assert transfer.pending_leg is not None, "the table's constraint says so"
        named = (transfer.book, transfer.pending_posting, transfer.pending_leg)
        hold = self._holds.pop(named, None)
        if hold is None:
            self._find("replay_hold_not_open", transfer, hold=named[1:])
            return 0, 0
        held = (hold.debit_account, hold.credit_account, hold.amount)
        ended = (transfer.debit_account, transfer.credit_account, transfer.pending_amount)
        if ended != held or transfer.amount > hold.amount:
            self._find("replay_hold_ended_wrongly", transfer, hold=named[1:])
        return (transfer.amount if transfer.phase == "post" else 0), -hold.amount

    def _balance(self, number: int) -> int:
        sums = self._sums[number]
        difference = sums.debits_posted - sums.credits_posted
        return difference if self._accounts[number].kind in {"asset", "expense"} else -difference

    def violations(self) -> list[Violation]:
        """All that did not fit, at most about `VIOLATIONS_MAX`; empty where the ledger is clean."""
        return [*self._found, *self._unlike_their_transfers(), *self._unbalanced()]

    def _unlike_their_transfers(self) -> Iterator[Violation]:
        """Accounts whose counters differ from their transfers, or that break a limit."""
        for number, account in self._accounts.items():
            expected = self._sums[number]
            stored = _Sums(
                account.debits_posted,
                account.credits_posted,
                account.debits_pending,
                account.credits_pending,
                account.version,
            )
            if stored != expected:
                told = {"account": number, "stored": str(stored), "expected": str(expected)}
                yield Violation("replay_account_differs", told)
            if account.floor is not None and account.available < account.floor:
                yield Violation("replay_below_floor", {"account": number})
            if account.ceiling is not None and _held(account) > account.ceiling:
                yield Violation("replay_above_ceiling", {"account": number})

    def _unbalanced(self) -> Iterator[Violation]:
        """Books whose stored debits and credits differ in a currency."""
        posted: Counter[tuple[str, str]] = Counter()
        pending: Counter[tuple[str, str]] = Counter()
        for account in self._accounts.values():
            place = (account.book, account.currency)
            posted[place] += account.debits_posted - account.credits_posted
            pending[place] += account.debits_pending - account.credits_pending
        for (book, currency), amount in posted.items():
            if amount or pending[book, currency]:
                yield Violation(
                    "replay_unbalanced",
                    {
                        "book": book,
                        "currency": currency,
                        "posted": amount,
                        "pending": pending[book, currency],
                    },
                )

    def _find(self, invariant: str, transfer: ReplayedTransfer, **broken: object) -> None:
        if len(self._found) < VIOLATIONS_MAX:
            place = {"book": transfer.book, "posting": transfer.posting, "leg": transfer.leg}
            self._found.append(Violation(invariant, {**place, **broken}))


def _held(account: Account) -> int:
    """The balance, and what is pending to come on top."""
    grows_by_debits = account.kind in {"asset", "expense"}
    return account.balance + (
        account.debits_pending if grows_by_debits else account.credits_pending
    )
