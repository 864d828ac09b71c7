"""What records a batch, called by hand as a server can: the tables refuse what is not so."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest

from app.ledger import posting
from app.ledger.assuming import decide
from app.ledger.book import BookState
from app.ledger.plan import Terms
from app.ledger.recording import RECORD, arguments_if_so
from app.ledger.request import Pending
from app.storage import Database, WriteConnection
from tests.app.ledger.posting_book import BANK, SAM, SUE, Bank, accepted, ask, pay

pytestmark = pytest.mark.servers

# The arguments, by their places.
NAMES: Final = (
    *("book", "head", "revision", "recorded_at", "others", "imported", "pair_book"),
    *("pair_number", "keys", "hashes", "counts", "effective_times", "reversals", "metas"),
    *("postings", "legs", "phases", "currencies", "debits", "credits", "amounts"),
    *("debit_versions", "debit_balances", "debit_pendings"),
    *("credit_versions", "credit_balances", "credit_pendings"),
    *("pending_postings", "pending_legs", "pending_amounts", "expiries"),
)

# Of an argument no more than this.
FIRST: Final = slice(1)

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)

_BOOK: Final = "posting_continues_its_book"
_ACCOUNTS: Final = "transfer_continues_its_accounts"

# The batch is two postings of 5 from the bank to Sam, after one of 100 and one of 1 to Sue.
WRONG: Final[dict[str, tuple[dict[str, Any], str | None]]] = {
    "no-keys-for-transfers": ({"keys": ["a"], "hashes": [b""]}, "transfer_has_its_posting"),
    "no-hashes": ({"hashes": []}, None),
    "a-hash-too-few": ({"hashes": [bytes(32)]}, None),
    "a-key-twice": ({"keys": ["a", "a"]}, "posting_book_key_key1"),
    "no-transfers": ({name: [] for name in NAMES[14:]}, _BOOK),
    "a-transfer-too-few": (dict.fromkeys(NAMES[14:], FIRST), _BOOK),
    "more-legs-than-counted": ({"postings": [3, 3], "legs": [0, 1]}, "transfer_has_its_posting"),
    "fewer-legs-than-counted": ({"counts": [1, 2]}, _BOOK),
    "a-leg-twice": ({"postings": [3, 3]}, "transfer_pkey"),
    "no-amounts": ({"amounts": []}, None),
    "an-amount-too-few": ({"amounts": [5]}, None),
    "an-amount-too-many": ({"amounts": [5, 5, 5]}, None),
    "no-accounts": ({"debits": [], "credits": []}, None),
    "no-currency": ({"currencies": ["EUR"]}, None),
    "other-amounts": ({"amounts": [5, 6]}, _ACCOUNTS),
    "nothing-moves": ({"amounts": [0, 0]}, "transfer_amount_in_range"),
    "no-versions": ({"debit_versions": []}, None),
    "versions-again": ({"debit_versions": [2, 3]}, _ACCOUNTS),
    "versions-skipped": ({"credit_versions": [2, 4]}, _ACCOUNTS),
    "no-balances": ({"credit_balances": []}, None),
    "other-balances": ({"debit_balances": [106, 112]}, _ACCOUNTS),
    "something-pending": ({"debit_pendings": [5, 5]}, _ACCOUNTS),
    "holds-that-move": ({"phases": ["pending", "pending"]}, _ACCOUNTS),
    "ends-of-no-holds": ({"phases": ["void", "void"]}, "transfer_ends_a_hold"),
    "expiring-moves": ({"expiries": [LONG_AGO, LONG_AGO]}, "transfer_expires_if_held"),
    "imported": ({"imported": True}, _BOOK),
    "half-a-pair": ({"pair_book": "acme"}, None),
    "long-ago": ({"recorded_at": LONG_AGO}, _BOOK),
    "in-the-future": ({"recorded_at": datetime(2100, 1, 1, tzinfo=UTC)}, _BOOK),
    "effective-later": (
        {"effective_times": [datetime(2100, 1, 1, tzinfo=UTC)] * 2},
        "posting_effective_when_recorded",
    ),
}


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book in which two sales were posted."""
    bank = Bank(database)
    await bank.open()
    for request in (pay("sale", 100), pay("sue's", 1, credit=SUE)):
        accepted((await bank.post(request))[0])
    return bank


async def arguments(bank: Bank) -> dict[str, Any]:
    """Those that are right, by their names: of two postings."""

    async def remember(conn: WriteConnection) -> BookState | None:
        known = [pay("sale", 100), pay("sue's", 1, credit=SUE)]
        return (await posting.post_on(conn, bank.name, known, None, Terms()))[1]

    state = await bank.database.write(remember)
    assert state is not None
    requests = [pay("a"), pay("b"), pay("c", 0)]
    batch, _ = decide(state, requests)
    return dict(zip(NAMES, arguments_if_so(state, batch, requests), strict=True))


async def record(bank: Bank, asked: dict[str, Any]) -> datetime | None:
    """When it was recorded, if it was."""
    (row,) = await bank.database.statement(RECORD, *asked.values())
    recorded_at: datetime | None = row["recorded_at"]
    return recorded_at


async def test_what_is_right_is_recorded(bank: Bank) -> None:
    """At the database's time, or at the one that was read when the book was locked."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    asked = await arguments(bank)
    assert (asked["keys"], asked["others"]) == (["a", "b"], ["c"])
    recorded_at = await record(bank, asked)
    assert recorded_at is not None
    assert recorded_at > before
    assert [row["key"] for row in await bank.rows("keys", "acme")] == ["sale", "sue's", "a", "b"]
    assert await bank.balances() == {BANK: 111, SAM: 110, SUE: 1}
    await bank.check()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"head": 1}, {"head": 3}, {"revision": 99}, {"book": "other"}),
        *({"keys": ["a", "sale"]}, {"others": ["c", "sue's"]}),
    ],
    ids=["behind", "ahead", "revision", "book", "key", "key-of-a-refusal"],
)
async def test_nothing_is_recorded_where_it_is_not_so(bank: Bank, wrong: dict[str, Any]) -> None:
    """Neither a posting nor a refusal is right then; no row is touched."""
    asked = await arguments(bank) | wrong
    nothing: dict[str, Any] = {name: [] for name in NAMES[8:]}
    before = await bank.dump()
    assert await record(bank, asked) is None
    if "keys" not in wrong:
        assert await record(bank, asked | nothing) is None
    assert await bank.dump() == before


async def test_nothing_is_recorded_where_a_hold_is_over(bank: Bank, owner: Database) -> None:
    """It ends before anything else; one that still has time, or no end, is in nobody's way."""
    held = ask("hold", Pending(BANK, SUE, 1, "EUR", 60), Pending(BANK, SUE, 1, "EUR"))
    accepted((await bank.post(held))[0])
    asked = await arguments(bank)
    nothing = asked | {name: [] for name in NAMES[8:]}
    assert await record(bank, nothing) is not None
    for table in ("posting", "transfer", "hold", "book"):
        await Bank(owner).tamper(f"move_{table}_back", timedelta(seconds=61))
    before = await bank.dump()
    assert await record(bank, nothing) is None
    assert await record(bank, asked) is None
    assert await bank.dump() == before


async def test_to_record_nothing_changes_nothing(bank: Bank) -> None:
    """It says that all is so, and when."""
    asked = await arguments(bank) | {name: [] for name in NAMES[8:]}
    before = await bank.dump()
    assert await record(bank, asked) is not None
    assert await bank.dump() == before


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_refused(bank: Bank, name: str) -> None:
    """By the rule that it breaks, or as something that is missing; and nothing of it stays."""
    wrong, rule = WRONG[name]
    right = await arguments(bank)
    asked = right | {
        each: list(right[each])[value] if isinstance(value, slice) else value
        for each, value in wrong.items()
    }
    before = await bank.dump()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await record(bank, asked)
    if rule is None:
        assert isinstance(
            refused.value, asyncpg.NotNullViolationError | asyncpg.CheckViolationError
        )
    else:
        assert refused.value.constraint_name == rule
    assert await bank.dump() == before
