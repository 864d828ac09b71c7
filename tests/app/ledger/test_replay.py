"""The replay finds each way in which a stored ledger can be wrong, and nothing in a sound one."""

from dataclasses import replace
from typing import Any

import pytest

from app.ledger.model import Account, Kind, Side
from app.ledger.replay import Replay, ReplayedEntry, ReplayedTransfer
from app.limits import VIOLATIONS_MAX

# One sale of 10.00 with a commission of 1.00: two transfers, four entries.
BANK = Account(1, "demo", "gateway:test:clearing", Kind.ASSET, "EUR", None, None, 1000, 0, 2)
SAM = Account(2, "demo", "seller:sam:payable", Kind.LIABILITY, "EUR", "sam", None, 0, 900, 1)
FEES = Account(3, "demo", "commission", Kind.REVENUE, "EUR", None, None, 0, 100, 1)
TRANSFERS = [
    ReplayedTransfer(1, "demo", "EUR", 1, 2, 900),
    ReplayedTransfer(2, "demo", "EUR", 1, 3, 100),
]
ENTRIES = [
    ReplayedEntry(1, 1, 1, Side.DEBIT, 900, 900),
    ReplayedEntry(1, 2, 2, Side.DEBIT, 100, 1000),
    ReplayedEntry(2, 1, 1, Side.CREDIT, 900, 900),
    ReplayedEntry(3, 1, 2, Side.CREDIT, 100, 100),
]


def replay(
    accounts: list[Account], transfers: list[ReplayedTransfer], entries: list[ReplayedEntry]
) -> list[str]:
    """The names of what a replay of all this finds."""
    told = Replay()
    for account in accounts:
        told.account(account)
    for transfer in transfers:
        told.transfer(transfer)
    for entry in entries:
        told.entry(entry)
    return [violation.invariant for violation in told.violations()]


def test_a_sound_ledger_is_clean() -> None:
    """Nothing is found where everything fits."""
    assert replay([BANK, SAM, FEES], TRANSFERS, ENTRIES) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"debits": 1001}, ["replay_account_differs", "replay_unbalanced"]),
        ({"version": 3}, ["replay_account_differs"]),
        ({"floor": 1001}, ["replay_below_floor"]),
        ({"book": "other"}, ["replay_transfer_crosses"] * 2 + ["replay_unbalanced"] * 2),
        ({"currency": "JPY"}, ["replay_transfer_crosses"] * 2 + ["replay_unbalanced"] * 2),
    ],
)
def test_a_wrong_account_is_found(change: dict[str, Any], found: list[str]) -> None:
    """Counters, floors, books and currencies are each held against the transfers."""
    assert replay([replace(BANK, **change), SAM, FEES], TRANSFERS, ENTRIES) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"balance_after": 899}, ["replay_entry_chain"]),
        ({"version": 2}, ["replay_entry_chain"]),
        ({"amount": 899}, ["replay_entry_chain"] * 2 + ["replay_entries_differ"]),
        ({"side": Side.CREDIT}, ["replay_entry_chain"] * 2 + ["replay_entries_differ"]),
        (
            {"account": 9},
            ["replay_entry_without_account", "replay_entry_chain", "replay_entries_differ"],
        ),
    ],
)
def test_a_wrong_entry_is_found(change: dict[str, Any], found: list[str]) -> None:
    """Each column of an entry is held against the chain and the transfers."""
    entries = [replace(ENTRIES[0], **change), *ENTRIES[1:]]
    assert replay([BANK, SAM, FEES], TRANSFERS, entries) == found


def test_a_missing_entry_is_found() -> None:
    """An entry that is gone shows in its account."""
    assert replay([BANK, SAM, FEES], TRANSFERS, ENTRIES[:-1]) == ["replay_entries_differ"]


def test_a_missing_transfer_is_found() -> None:
    """A transfer that is gone shows in both of its accounts."""
    found = replay([BANK, SAM, FEES], TRANSFERS[:1], ENTRIES)
    assert found == ["replay_account_differs", "replay_entries_differ"] * 2


def test_what_is_reported_is_bounded() -> None:
    """A ledger that is wrong everywhere does not fill the memory."""
    entries = [replace(ENTRIES[0], account=9)] * (VIOLATIONS_MAX + 5)
    assert len(replay([], [], entries)) == VIOLATIONS_MAX
