"""A check finds each kind of damage, and nothing where there is none."""

from dataclasses import replace
from typing import Final

import pytest

from app.ledger import posting, store
from app.ledger.capture import clearing, payable
from app.ledger.model import Accepted
from app.ledger.request import Pending, Post, PostingRequest
from app.ledger.service import Ledger
from app.payments import cards
from app.payments.memory_gateway import MemoryGateway
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from tests.app.transactions.shop import BUYER, LINE, REQUEST, Shop, open_node

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "tamper.sql")

BANK, SAM = clearing("test"), payable("sam")
HOLDS = (
    PostingRequest("hold", (Pending(SAM, BANK, 500, "EUR", 3600), Pending(SAM, BANK, 70, "EUR"))),
    PostingRequest("settle", (Post("3.0", 400),)),
    PostingRequest("hold-again", (Pending(SAM, BANK, 30, "EUR", 3600),)),
)

# Each way to spoil a ledger, and all that a check finds then.
DAMAGE = [
    (
        ["account_counts_more"],
        (
            "inv_account_not_its_entries inv_book_unbalanced replay_account_differs "
            "replay_unbalanced"
        ),
    ),
    (["account_counts_both"], "inv_account_not_its_entries replay_account_differs"),
    (
        ["account_holds_more"],
        (
            "inv_account_not_its_entries inv_book_unbalanced replay_account_differs "
            "replay_unbalanced"
        ),
    ),
    (["account_version_jumps"], "inv_account_not_its_entries replay_account_differs"),
    (["account_below_floor", "raise_floor"], "replay_below_floor"),
    (["account_above_ceiling", "lower_ceiling"], "replay_above_ceiling"),
    (
        ["account_of_other_currency"],
        (
            "inv_book_unbalanced inv_transfer_crosses replay_transfer_crosses "
            "replay_account_differs replay_unbalanced"
        ),
    ),
    (["transfer_balance"], "inv_entry_chain_broken replay_entry_chain"),
    (["transfer_pending"], "inv_entry_chain_broken replay_entry_chain"),
    (["transfer_version"], "inv_entry_chain_broken replay_entry_chain"),
    (
        ["transfer_amount"],
        (
            "inv_account_not_its_entries inv_capture_not_posted_once inv_entry_chain_broken "
            "replay_entry_chain replay_account_differs"
        ),
    ),
    (
        ["transfer_turned"],
        (
            "inv_account_not_its_entries inv_entry_chain_broken replay_entry_chain "
            "replay_account_differs"
        ),
    ),
    (
        ["transfer_of_nobody"],
        (
            "inv_account_not_its_entries inv_entry_chain_broken inv_transfer_crosses "
            "replay_transfer_crosses replay_entry_chain replay_account_differs"
        ),
    ),
    (
        ["transfer_gone"],
        (
            "inv_account_not_its_entries inv_capture_not_posted_once inv_entry_chain_broken "
            "inv_posting_not_its_transfers replay_entry_chain replay_account_differs"
        ),
    ),
    (
        ["posting_gone"],
        "inv_book_with_gaps inv_capture_not_posted_once inv_posting_not_its_transfers",
    ),
    (
        ["last_posting_gone"],
        (
            "inv_account_not_its_entries inv_capture_not_posted_once inv_entry_chain_broken "
            "inv_posting_not_its_transfers replay_entry_chain replay_account_differs"
        ),
    ),
    (["posting_of_nothing"], "inv_capture_not_posted_once inv_posting_without_transaction"),
    (["posting_of_other_size"], "inv_posting_not_its_transfers"),
    (["book_ahead"], "inv_book_with_gaps"),
    (["period_locked"], "inv_posting_in_locked_period"),
    (["hold_gone"], "inv_hold_not_open"),
    (["hold_of_nothing"], "inv_hold_not_open"),
    (["hold_expires_later"], "inv_hold_not_open"),
    (
        ["hold_ended_in_part"],
        (
            "inv_account_not_its_entries inv_entry_chain_broken inv_hold_ended_wrongly "
            "replay_hold_ended_wrongly"
        ),
    ),
    (
        ["hold_ended_elsewhere"],
        (
            "inv_hold_ended_wrongly inv_hold_not_open replay_hold_not_open replay_entry_chain "
            "replay_account_differs"
        ),
    ),
    (["conversion_of_nothing"], "inv_conversion_not_its_transfers"),
    (["half_of_nothing"], "inv_interline_not_paired"),
    (["owes_a_book"], "inv_interline_not_zero"),
    (["capture_undone"], "inv_capture_not_posted_once inv_captured_without_payment"),
    (["capture_of_other_amount"], "inv_capture_not_posted_once"),
    (["attempt_failed"], "inv_captured_without_payment"),
    (["stock_held_by_nobody"], "inv_reserved_not_held"),
    (["event_gone"], "inv_log_with_gaps"),
    (["head_ahead"], "inv_log_with_gaps"),
]


@pytest.fixture
async def sold(database: Database, owner: Database) -> Shop:
    """A shop that has sold twice, refused once, and holds money: for good, and posted in part."""
    shop = Shop(database, owner)
    await shop.open()
    async with open_node(database, MemoryGateway()) as node:
        for number, card in enumerate((cards.APPROVES, cards.DECLINES, cards.LOST_AFTER)):
            request = replace(REQUEST, key=f"key-{number}", payment_method=card)
            await node.service.checkout(BUYER, request)
    assert await shop.tally() == {"captured": 2, "declined": 1}
    for held in HOLDS:
        (result,) = await database.write(posting.post, LINE, [held])
        assert isinstance(result, Accepted)
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
    await spoil(sold, ["transfer_balance"])
    violations = await Ledger(sold.database).check()
    assert len({str(v.broken) for v in violations if v.invariant == "replay_entry_chain"}) == 8
