"""A check finds each kind of damage, and nothing where there is none."""

from dataclasses import replace
from typing import Final

import pytest

from app.ledger import store
from app.ledger.service import Ledger
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from tests.app.transactions.shop import BUYER, REQUEST, Shop, open_node

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "tamper.sql")

# Each way to spoil a ledger, and all that a check finds then.
DAMAGE = [
    (
        ["account_counts_more"],
        "inv_book_unbalanced inv_account_not_its_entries replay_account_differs replay_unbalanced",
    ),
    (["account_counts_both"], "inv_account_not_its_entries replay_account_differs"),
    (["account_version_jumps"], "inv_account_not_its_entries replay_account_differs"),
    (["account_below_floor", "raise_floor"], "replay_below_floor"),
    (
        ["account_of_other_currency"],
        "inv_book_unbalanced replay_transfer_crosses replay_unbalanced",
    ),
    (
        ["entry_amount"],
        (
            "inv_transfer_without_its_entries inv_account_not_its_entries inv_entry_chain_broken "
            "replay_entry_chain replay_entries_differ"
        ),
    ),
    (["entry_balance"], "inv_entry_chain_broken replay_entry_chain"),
    (
        ["entry_gone"],
        "inv_transfer_without_its_entries inv_account_not_its_entries replay_entries_differ",
    ),
    (
        ["entry_of_nobody"],
        (
            "inv_transfer_without_its_entries inv_account_not_its_entries "
            "replay_entry_without_account replay_entries_differ"
        ),
    ),
    (
        ["transfer_amount"],
        (
            "inv_transfer_without_its_entries inv_capture_not_posted_once "
            "replay_account_differs replay_entries_differ"
        ),
    ),
    (
        ["transfer_gone"],
        "inv_capture_not_posted_once replay_account_differs replay_entries_differ",
    ),
    (["posting_gone"], "inv_capture_not_posted_once"),
    (["posting_of_nothing"], "inv_posting_without_transaction"),
    (["capture_undone"], "inv_capture_not_posted_once inv_captured_without_payment"),
    (["capture_of_other_amount"], "inv_capture_not_posted_once"),
    (["attempt_failed"], "inv_captured_without_payment"),
    (["stock_held_by_nobody"], "inv_reserved_not_held"),
    (["event_gone"], "inv_log_with_gaps"),
    (["head_ahead"], "inv_log_with_gaps"),
]


@pytest.fixture
async def sold(database: Database, owner: Database) -> Shop:
    """A shop that has sold twice, and refused once."""
    shop = Shop(database, owner)
    await shop.open()
    async with open_node(database, MemoryGateway()) as node:
        for number, card in enumerate((cards.APPROVES, cards.DECLINES, cards.LOST_AFTER)):
            request = replace(REQUEST, key=f"key-{number}", payment_method=card)
            await node.service.checkout(BUYER, request)
    assert await shop.tally() == {"captured": 2, "declined": 1}
    return shop


async def spoil(shop: Shop, statements: list[str]) -> None:
    """Runs statements of `tamper.sql` as a superuser, unseen by triggers and foreign keys."""
    assert shop.owner is not None
    await shop.owner.write(_spoil, statements)


async def _spoil(conn: WriteConnection, statements: list[str]) -> None:
    for statement in ("switch_off", *statements):
        await conn.execute(getattr(_SQL, statement))


@pytest.mark.parametrize(("statements", "found"), DAMAGE, ids=[names[-1] for names, _ in DAMAGE])
async def test_damage_is_found(sold: Shop, statements: list[str], found: str) -> None:
    """Each kind of damage shows under the names beside it, and under no other."""
    await spoil(sold, statements)
    violations = await Ledger(sold.database).check()
    assert {violation.invariant for violation in violations} == set(found.split())
    assert all(violation.broken for violation in violations)


async def test_every_invariant_can_be_seen_broken(database: Database) -> None:
    """No view is there that some damage of the table does not show."""

    async def views(conn: ReadConnection) -> set[str]:
        return {row["name"] for row in await conn.fetch(_SQL.views)}

    shown = {name for _, found in DAMAGE for name in found.split() if name.startswith("inv_")}
    assert shown == await database.read(views)


async def test_an_empty_database_is_clean(database: Database) -> None:
    """Nothing is wrong where nothing is."""
    assert await Ledger(database).check() == []


async def test_a_check_reads_in_parts(sold: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a read, all is seen: a sound ledger is clean, and damage is found."""
    monkeypatch.setattr(store, "CHECK_ROWS_A_READ", 1)
    assert await Ledger(sold.database).check() == []
    await spoil(sold, ["entry_balance"])
    violations = await Ledger(sold.database).check()
    assert len({str(v.broken) for v in violations if v.invariant == "replay_entry_chain"}) == 3
