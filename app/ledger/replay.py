"""The ledger worked out a second time, from its transfers alone, to be held against what is stored.

This is independent of `app.ledger.rules` and of the inv_* views on purpose: it shares no line with
what it checks. It is fed every account, then every transfer, then every entry by account and
version, and keeps a few numbers an account. Pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from app.ledger.model import Account, Side, Violation
from app.limits import VIOLATIONS_MAX


@dataclass(frozen=True, slots=True)
class ReplayedTransfer:
    """A transfer as it is stored; `amount` in minor units."""

    id: int
    book: str
    currency: str
    debit_account: int
    credit_account: int
    amount: int


@dataclass(frozen=True, slots=True)
class ReplayedEntry:
    """An entry as it is stored; `amount` and `balance_after` in minor units."""

    account: int
    version: int
    transfer: int
    side: Side
    amount: int
    balance_after: int


@dataclass(slots=True)
class _Sums:
    """What one account should show."""

    debits: int = 0
    credits: int = 0
    count: int = 0

    def add(self, side: Side, amount: int) -> None:
        if side is Side.DEBIT:
            self.debits += amount
        else:
            self.credits += amount
        self.count += 1


class Replay:
    """Takes the stored ledger piece by piece; `violations` says what does not fit."""

    def __init__(self) -> None:
        self._accounts: dict[int, Account] = {}
        self._by_transfers: dict[int, _Sums] = {}
        self._by_entries: dict[int, _Sums] = {}
        self._found: list[Violation] = []

    def account(self, account: Account) -> None:
        """An account as it is stored. All of them come first."""
        self._accounts[account.id] = account
        self._by_transfers[account.id] = _Sums()
        self._by_entries[account.id] = _Sums()

    def transfer(self, transfer: ReplayedTransfer) -> None:
        """A transfer. All of them come before the entries."""
        sides = ((Side.DEBIT, transfer.debit_account), (Side.CREDIT, transfer.credit_account))
        for side, number in sides:
            account = self._accounts.get(number)
            at_home = account and (account.book, account.currency) == (
                transfer.book,
                transfer.currency,
            )
            if not at_home:
                self._find("replay_transfer_crosses", transfer=transfer.id, account=number)
            if account:
                self._by_transfers[number].add(side, transfer.amount)

    def entry(self, entry: ReplayedEntry) -> None:
        """An entry; those of one account come in the order of their versions."""
        account = self._accounts.get(entry.account)
        if account is None:
            self._find("replay_entry_without_account", account=entry.account)
            return
        sums = self._by_entries[entry.account]
        sums.add(entry.side, entry.amount)
        balance = sums.debits - sums.credits
        if account.kind in {"liability", "revenue"}:
            balance = -balance
        if (entry.version, entry.balance_after) != (sums.count, balance):
            self._find(
                "replay_entry_chain",
                account=entry.account,
                version=entry.version,
                balance_after=entry.balance_after,
                expected_version=sums.count,
                expected_balance=balance,
            )

    def violations(self) -> list[Violation]:
        """All that did not fit, at most about `VIOLATIONS_MAX`; empty where the ledger is clean."""
        return [*self._found, *self._unlike_their_transfers(), *self._unbalanced()]

    def _unlike_their_transfers(self) -> Iterator[Violation]:
        """Accounts whose counters or entries say something else than their transfers."""
        for number, account in self._accounts.items():
            expected = self._by_transfers[number]
            stored = _Sums(account.debits, account.credits, account.version)
            if stored != expected:
                yield _violation("replay_account_differs", number, stored, expected)
            if self._by_entries[number] != expected:
                yield _violation(
                    "replay_entries_differ", number, self._by_entries[number], expected
                )
            if account.floor is not None and account.balance < account.floor:
                yield Violation("replay_below_floor", {"account": number})

    def _unbalanced(self) -> Iterator[Violation]:
        """Books whose stored debits and credits differ in a currency."""
        difference: Counter[tuple[str, str]] = Counter()
        for account in self._accounts.values():
            difference[account.book, account.currency] += account.debits - account.credits
        for (book, currency), amount in difference.items():
            if amount:
                yield Violation(
                    "replay_unbalanced",
                    {"book": book, "currency": currency, "debits_less_credits": amount},
                )

    def _find(self, invariant: str, **broken: object) -> None:
        if len(self._found) < VIOLATIONS_MAX:
            self._found.append(Violation(invariant, broken))


def _violation(invariant: str, account: int, stored: _Sums, expected: _Sums) -> Violation:
    return Violation(
        invariant, {"account": account, "stored": str(stored), "expected": str(expected)}
    )
