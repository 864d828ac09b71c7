"""The tables refuse whatever would break the ledger, from whoever owns them, and name the rule."""

import json
from datetime import timedelta
from typing import Any, Final

import asyncpg
import pytest

from app.ledger import posting
from app.ledger.request import Pending, Transfer
from app.ledger.service import Ledger
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from tests.app.ledger.posting_book import BANK, SAM, Bank, accepted, ask, pay

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "hostile.sql")

# One transfer of 10 from the seller to the bank, all of it right; and what a hold and its end are.
MOVE: Final[dict[str, Any]] = {}
HOLD: Final = {"phase": "pending", "debit_balance": 100, "credit_balance": 100}
HOLD_RIGHT: Final = HOLD | {"debit_pending": 30, "credit_pending": 30}
END: Final = {"pending_posting": 2, "pending_leg": 0, "pending_amount": 10}
POST_RIGHT: Final = END | {"phase": "post", "debit_pending": 10, "credit_pending": 10}
VOID_RIGHT: Final = POST_RIGHT | {"phase": "void", "debit_balance": 100, "credit_balance": 100}

# What is right: accepted, so that what is refused below is so for its one fault.
RIGHT: Final[dict[str, dict[str, Any]]] = {
    "a-move": {"transfers": [MOVE]},
    "two-moves": {
        "transfers": [
            MOVE,
            {"debit_version": 4 + 1, "credit_version": 4 + 1}
            | {"debit_balance": 120, "credit_balance": 120},
        ]
    },
    "a-hold": {"transfers": [HOLD_RIGHT]},
    "a-post": {"transfers": [POST_RIGHT]},
    "a-part": {
        "transfers": [POST_RIGHT | {"amount": 4, "debit_balance": 104, "credit_balance": 104}]
    },
    "a-void": {"transfers": [VOID_RIGHT]},
    "effective-earlier": {"transfers": [MOVE], "earlier": "30 minutes"},
}

_BOOK = "posting_continues_its_book"
_ACCOUNTS = "transfer_continues_its_accounts"
_HOLDS = "transfer_ends_an_open_hold"

# What is wrong by one fault, and the rule that it breaks.
WRONG: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "number-skipped": ({"transfers": [{"posting": 4}], "number": 4}, _BOOK),
    "number-again": ({"transfers": [{"posting": 2, "leg": 7}], "number": 2}, "posting_pkey"),
    "no-transfers": ({"transfers": [], "legs": 1}, _BOOK),
    "nothing": ({"transfers": [], "legs": 0}, "posting_transfers_check"),
    "a-leg-too-few": ({"transfers": [MOVE], "legs": 2}, _BOOK),
    "a-leg-too-many": ({**RIGHT["two-moves"], "legs": 1}, "transfer_has_its_posting"),
    "a-leg-skipped": ({"transfers": [{"leg": 1}]}, "transfer_has_its_posting"),
    "no-posting": ({"transfers": [MOVE], "unwritten": True}, "transfer_has_its_posting"),
    "recorded-in-the-past": ({"transfers": [MOVE], "later": "-1 hour"}, _BOOK),
    "recorded-in-the-future": ({"transfers": [MOVE], "later": "1 hour"}, _BOOK),
    "effective-in-the-future": (
        {"transfers": [MOVE], "earlier": "-1 minute"},
        "posting_effective_when_recorded",
    ),
    "in-a-locked-period": ({"transfers": [MOVE], "earlier": "90 minutes"}, _BOOK),
    "imported-into-a-live-book": ({"transfers": [MOVE], "imported": True}, _BOOK),
    "version-again": ({"transfers": [{"debit_version": 3}]}, _ACCOUNTS),
    "version-skipped": ({"transfers": [{"credit_version": 5}]}, _ACCOUNTS),
    "debit-balance": ({"transfers": [{"debit_balance": 111}]}, _ACCOUNTS),
    "credit-balance": ({"transfers": [{"credit_balance": 109}]}, _ACCOUNTS),
    "both-balances": ({"transfers": [{"debit_balance": 1, "credit_balance": 1}]}, _ACCOUNTS),
    "debit-pending": ({"transfers": [{"debit_pending": 19}]}, _ACCOUNTS),
    "credit-pending": ({"transfers": [{"credit_pending": 21}]}, _ACCOUNTS),
    "hold-without-pending": ({"transfers": [HOLD]}, _ACCOUNTS),
    "hold-that-moves": (
        {"transfers": [{"phase": "pending", "debit_pending": 30, "credit_pending": 30}]},
        _ACCOUNTS,
    ),
    "other-currency": ({"transfers": [{"currency": "JPY"}]}, _ACCOUNTS),
    "account-of-nobody": ({"transfers": [{"debit": 999}]}, _ACCOUNTS),
    "itself": (
        {"transfers": [{"debit": "acme bank:main EUR", "credit": "acme bank:main EUR"}]},
        "transfer_moves_something",
    ),
    "account-of-other-book": (
        {
            "transfers": [
                {
                    "debit": "other bank:main EUR",
                    "debit_version": 1,
                    "debit_balance": 10,
                    "debit_pending": 0,
                }
            ]
        },
        _ACCOUNTS,
    ),
    "account-of-other-currency": (
        {
            "transfers": [
                {
                    "debit": "acme bank:main JPY",
                    "debit_version": 1,
                    "debit_balance": 10,
                    "debit_pending": 0,
                }
            ]
        },
        _ACCOUNTS,
    ),
    "closed-account": (
        {
            "transfers": [
                {
                    "debit": "acme bank:closed EUR",
                    "debit_version": 1,
                    "debit_balance": 10,
                    "debit_pending": 0,
                }
            ]
        },
        _ACCOUNTS,
    ),
    "book-of-nobody": ({"transfers": [{"book": "other"}], "legs": 1}, _ACCOUNTS),
    "nothing-moves": ({"transfers": [{"amount": 0}]}, "transfer_amount_in_range"),
    "less-moves": ({"transfers": [{"amount": -10}]}, "transfer_amount_in_range"),
    "too-much-moves": ({"transfers": [{"amount": 10**15 + 1}]}, "transfer_amount_in_range"),
    "above-a-ceiling": (
        {"transfers": [{"amount": 600, "debit_balance": 700, "credit_balance": 700}]},
        "account_not_above_ceiling",
    ),
    "end-of-no-hold": ({"transfers": [POST_RIGHT | {"pending_posting": 1}]}, _HOLDS),
    "end-of-a-later-hold": ({"transfers": [POST_RIGHT | {"pending_posting": 9}]}, _HOLDS),
    "end-of-less": (
        {
            "transfers": [
                POST_RIGHT
                | {"pending_amount": 9, "amount": 9, "debit_balance": 109, "credit_balance": 109}
                | {"debit_pending": 11, "credit_pending": 11}
            ]
        },
        _HOLDS,
    ),
    "end-of-more": (
        {"transfers": [POST_RIGHT | {"amount": 11}]},
        "transfer_posts_no_more_than_held",
    ),
    "void-in-part": ({"transfers": [VOID_RIGHT | {"amount": 4}]}, "transfer_releases_all"),
    "end-without-a-hold": ({"transfers": [{"phase": "post"}]}, "transfer_ends_a_hold"),
    "hold-of-a-move": ({"transfers": [POST_RIGHT | {"phase": "transfer"}]}, "transfer_ends_a_hold"),
    "expiry-before-its-time": (
        {"transfers": [VOID_RIGHT | {"phase": "expire", "pending_leg": 1}]},
        _HOLDS,
    ),
    "expiry-of-what-never-expires": ({"transfers": [VOID_RIGHT | {"phase": "expire"}]}, _HOLDS),
    "move-that-expires": (
        {"transfers": [{"expires_at": "2100-01-01"}]},
        "transfer_expires_if_held",
    ),
}


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book with one sale, two open holds, one locked period, and accounts of other sorts."""
    bank = Bank(database)
    await bank.open()
    await bank.limit(BANK, -500, 500)
    await bank.limit("bank:closed", None)
    await bank.write("open_account", "acme", BANK, "JPY", None, None)
    await bank.write("close_account", "acme", "bank:closed", "EUR")
    other = Bank(database, "other")
    await other.open()
    await other.limit(BANK, None)
    for request in (
        pay("sale", 100),
        ask("hold", Pending(BANK, SAM, 10, "EUR"), Pending(BANK, SAM, 10, "EUR", 600)),
    ):
        accepted((await bank.post(request))[0])
    await bank.write("lock_period", "acme", timedelta(hours=-1))
    return bank


async def insert(bank: Bank, owner: Database, asked: dict[str, Any]) -> None:
    """One statement, as the owner of the tables, accounts named by book, path and currency."""

    async def ids(conn: ReadConnection) -> dict[str, int]:
        return {row["name"]: row["id"] for row in await conn.fetch(_SQL.ids)}

    known = await bank.database.read(ids)
    transfers = [
        {
            name: known.get(value, value) if isinstance(value, str) else value
            for name, value in each.items()
        }
        for each in asked["transfers"]
    ]

    async def run(conn: WriteConnection) -> None:
        await conn.execute(_SQL.post, json.dumps({**asked, "transfers": transfers}))

    await owner.write(run)


@pytest.mark.parametrize("name", RIGHT)
async def test_what_is_right_is_taken(bank: Bank, owner: Database, name: str) -> None:
    """Whoever inserts it: accounts, book and holds move along, and a check finds nothing."""
    await insert(bank, owner, RIGHT[name])
    assert (await bank.rows("keys", "acme"))[-1]["key"] == "hostile"
    await bank.check()


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_refused(bank: Bank, owner: Database, name: str) -> None:
    """By the rule that it breaks, and nothing of it stays."""
    before = await bank.dump()
    asked, rule = WRONG[name]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await insert(bank, owner, asked)
    assert refused.value.constraint_name == rule
    assert await bank.dump() == before


async def test_a_hold_ends_once(bank: Bank, owner: Database) -> None:
    """Not twice in a row, and not twice in one posting."""
    twice = [
        POST_RIGHT,
        VOID_RIGHT
        | {"debit_version": 5, "credit_version": 5}
        | {"debit_balance": 110, "credit_balance": 110, "debit_pending": 0, "credit_pending": 0},
    ]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="transfer_ends_hold_once"):
        await insert(bank, owner, {"transfers": twice})
    await insert(bank, owner, RIGHT["a-post"])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="transfer_ends_hold_once"):
        await insert(bank, owner, {"transfers": [POST_RIGHT]})
    await bank.check()


async def test_a_hold_that_is_over_only_expires(bank: Bank, owner: Database) -> None:
    """Its time is the database's: after it nothing posts or voids it."""
    for table in ("posting", "transfer", "hold", "book"):
        await Bank(owner).tamper(f"move_{table}_back", timedelta(seconds=601))
    late = {"pending_leg": 1}
    for end in (POST_RIGHT, VOID_RIGHT):
        with pytest.raises(asyncpg.CheckViolationError, match=_HOLDS):
            await insert(bank, owner, {"transfers": [end | late]})
    await insert(bank, owner, {"transfers": [VOID_RIGHT | late | {"phase": "expire"}]})
    await bank.check()


async def test_no_leg_joins_a_posting_that_was(bank: Bank, owner: Database) -> None:
    """Though it continues its accounts."""
    before = await bank.dump()
    with pytest.raises(asyncpg.CheckViolationError, match="none of its posting"):
        await run(owner, "transfer_alone")
    assert await bank.dump() == before


CHANGES: Final = [
    name for name in dir(_SQL) if name not in {"post", "ids", "transfer_alone", "rows_touched"}
]


async def run(owner: Database, name: str) -> None:
    """One statement of `hostile.sql`, as the owner."""

    async def block(conn: WriteConnection) -> None:
        await conn.execute(getattr(_SQL, name))

    await owner.write(block)


@pytest.mark.parametrize("name", CHANGES)
async def test_what_stands_stays(bank: Bank, owner: Database, name: str) -> None:
    """Counters, heads, paths, holds and all that is recorded: nobody changes them by hand."""
    before = await bank.dump()
    with pytest.raises(
        (asyncpg.IntegrityConstraintViolationError, asyncpg.FeatureNotSupportedError)
    ):
        await run(owner, name)
    assert await bank.dump() == before
    assert await Ledger(bank.database).check() == []


# How much work it is -----------------------------------------------------------------------------


async def test_the_work_grows_with_the_rows_alone(bank: Bank) -> None:
    """Ten times the transfers touch some ten times the rows, whatever was planned for fewer."""
    legs = [
        Transfer(f"bank:{leg % 97}", f"seller:s{leg % 89}:payable", 1, "EUR")
        for leg in range(4_000)
    ]
    await rows_touched(bank, "open", legs[:100])
    few, many = await rows_touched(bank, "few", legs[:400]), await rows_touched(bank, "many", legs)
    assert 0 < few < many < 15 * few


async def rows_touched(bank: Bank, key: str, legs: list[Transfer]) -> int:
    """How many rows of tables a batch of such postings looked at, triggers included."""

    async def block(conn: WriteConnection) -> int:
        results = await posting.post(
            conn, "acme", [ask(f"{key} {n}", leg) for n, leg in enumerate(legs)]
        )
        assert len(results) == len(legs)
        row = await conn.fetchrow(_SQL.rows_touched)
        assert row is not None
        return int(row["touched"])

    return await bank.database.write(block)
