"""Postings in PostgreSQL: whole or not at all, once, in any company."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import trio

from app.domain.money import AMOUNT_MAX
from app.ledger import posting
from app.ledger.codes import LedgerCode
from app.ledger.model import Accepted, PostingRefused, Result
from app.ledger.plan import Terms
from app.ledger.poster import Posters
from app.ledger.request import Convert, Pending, Post, PostingRequest, Rate, Transfer, Void
from app.storage import Database, WriteConnection
from tests.app.ledger.posting_book import (
    BANK,
    FEES,
    SAM,
    SUE,
    Bank,
    accepted,
    ask,
    pay,
    refusal,
    running,
    wire,
)

pytestmark = pytest.mark.servers


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book without accounts."""
    bank = Bank(database)
    await bank.open()
    return bank


# Once --------------------------------------------------------------------------------------------

# One posting of each sort; those that follow stand on those before.
SORTS: list[PostingRequest] = [
    ask("sale", Transfer(BANK, SAM, 900, "EUR"), Transfer(BANK, FEES, 100, "EUR")),
    ask("hold", Pending(SAM, BANK, 300, "EUR", 600), Pending(SAM, BANK, 200, "EUR")),
    ask("post", Post("2.0", 250)),
    ask("void", Void("2.1")),
    ask("change", Convert(BANK, BANK, 100, "EUR", "JPY", Rate(3, 2), 100, "quote")),
    PostingRequest("back", reverses=1),
    PostingRequest(
        "early",
        (Transfer(BANK, SAM, 1, "EUR"),),
        datetime(2020, 1, 1, 13, tzinfo=UTC),
        meta={"order": "o-1", "lines": [1, 2.5, None, {"ä": True}]},
    ),
]


async def test_the_same_answer_forever(bank: Bank) -> None:
    """Of every sort, also after later postings to the same accounts, in one batch or many."""
    first = [(await bank.post(request))[0] for request in SORTS]
    await bank.post(*(pay(f"more {number}") for number in range(20)))
    before = await bank.dump()
    again = [(await bank.post(request))[0] for request in SORTS]
    at_once = await bank.post(*SORTS, *reversed(SORTS))
    assert [wire(each) for each in again] == [wire(each) for each in first]
    assert [wire(each) for each in at_once] == [wire(each) for each in (*first, *reversed(first))]
    assert [each.fresh for each in first if isinstance(each, Accepted)] == [True] * 7
    assert not any(each.fresh for each in (*again, *at_once) if isinstance(each, Accepted))
    assert await bank.dump() == before
    await bank.check()


async def test_the_same_in_one_batch(bank: Bank) -> None:
    """The second of two in a batch gets the first one's answer, and another body none."""
    results = await bank.post(*(each for request in SORTS for each in (request, request)))
    assert [wire(each) for each in results[::2]] == [wire(each) for each in results[1::2]]
    other = [refusal(each)[0] for each in await bank.post(*(pay(each.key, 7) for each in SORTS))]
    assert other == [LedgerCode.KEY_REUSED] * len(SORTS)
    await bank.check()


async def test_one_key_by_sixteen_at_once(bank: Bank) -> None:
    """One of them posts it; all have the one answer."""
    results: list[Result] = []

    async def post() -> None:
        results.extend(await bank.post(pay("one")))

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(post)
    assert Counter(result.fresh for result in results if isinstance(result, Accepted)) == {
        True: 1,
        False: 15,
    }
    assert len({wire(result) for result in results}) == 1
    assert await bank.balances() == {BANK: 5, SAM: 5}
    await bank.check()


async def test_one_key_by_two_posters(bank: Bank) -> None:
    """Two nodes that are asked the same at once post it once, and say the same."""
    nodes = [Posters(bank.database), Posters(bank.database)]
    said: dict[str, set[bytes]] = {}
    fresh = Counter[bool]()

    async def caller(posters: Posters, keys: Sequence[str]) -> None:
        results = await posters.post(bank.name, [pay(key) for key in keys])
        assert isinstance(results, list)
        for key, result in zip(keys, results, strict=True):
            said.setdefault(key, set()).add(wire(result))
            fresh[isinstance(result, Accepted) and result.fresh] += 1

    keys = [f"key {number}" for number in range(20)]
    async with running(*(node.actors for node in nodes)), trio.open_nursery() as nursery:
        for turn in range(8):
            nursery.start_soon(caller, nodes[turn % 2], keys[turn:] + keys[:turn])
    assert {len(each) for each in said.values()} == {1}
    assert fresh == {True: 20, False: 140}
    assert await bank.balances() == {BANK: 100, SAM: 100}
    await bank.check()


async def test_another_body_is_refused_whoever_is_first(bank: Bank) -> None:
    """Of sixteen bodies under one key at once, one is posted and fifteen are refused."""
    said = Counter[str]()

    async def post(amount: int) -> None:
        (result,) = await bank.post(pay("one", amount))
        said["posted" if isinstance(result, Accepted) else result.code] += 1

    async with trio.open_nursery() as nursery:
        for amount in range(1, 17):
            nursery.start_soon(post, amount)
    assert said == {"posted": 1, LedgerCode.KEY_REUSED: 15}
    await bank.check()


# Whole or not at all -----------------------------------------------------------------------------

# A refusal for each thing that a posting could have done by then.
REFUSED: list[tuple[PostingRequest, str, int | None]] = [
    (ask("r", Transfer(BANK, SUE, 1, "EUR"), Transfer(BANK, BANK, 1, "EUR")), "same_account", 1),
    (ask("r", Transfer("bank:new", SUE, 1, "EUR"), Post("9.9")), "pending_unknown", 1),
    (ask("r", Post("2.0"), Void("2.1"), Post("2.0")), "pending_already_posted", 2),
    (ask("r", Pending(BANK, SUE, 1, "JPY"), Transfer(SAM, SUE, 9_999, "EUR")), "below_floor", None),
    (
        ask(
            "r",
            Convert(BANK, BANK, 10, "EUR", "KWD", Rate(1, 1), quote="q"),
            Transfer(BANK, "nobody", 1, "EUR"),
        ),
        "account_unknown",
        1,
    ),
    (PostingRequest("r", (), reverses=1), "below_floor", None),
    (pay("sale", 7), "key_reused", None),
    (ask("r"), "posting_empty", None),
]


@pytest.mark.parametrize(
    ("request_", "code", "leg"),
    REFUSED,
    ids=[f"{each[1]}-{place}" for place, each in enumerate(REFUSED)],
)
async def test_a_refusal_changes_no_byte(
    bank: Bank, request_: PostingRequest, code: str, leg: int | None
) -> None:
    """Of no table and no sequence, whatever its other transfers would have done."""
    await bank.limit(SAM, 0)
    await bank.post(*SORTS[:2])
    await bank.post(pay("spent", 100, SAM, BANK))
    before = await bank.dump()
    (result,) = await bank.post(request_)
    assert refusal(result) == (code, leg)
    assert await bank.dump() == before


async def test_one_bad_posting_among_thousands(bank: Bank) -> None:
    """Of a batch of 8,000 it is refused alone, and the numbers have no gap for it."""
    requests = [
        pay(f"key {number}", number + 1, credit=(SAM, SUE)[number % 2]) for number in range(8_000)
    ]
    requests[4_321] = pay("bad", 1, BANK, BANK)
    results = await bank.post(*requests)
    assert refusal(results.pop(4_321)) == (LedgerCode.SAME_ACCOUNT, 0)
    assert [accepted(result).number for result in results] == list(range(1, 8_000))
    assert (await bank.balances())[BANK] == sum(range(1, 8_001)) - 4_322
    await bank.check()


async def test_an_error_undoes_all(bank: Bank) -> None:
    """What a caller's block raises after its postings leaves nothing of them."""
    await bank.post(*SORTS[:2])
    before = await bank.dump()

    async def run(conn: WriteConnection) -> None:
        for result in await posting.post(conn, bank.name, SORTS[2:]):
            accepted(result)
        raise KeyError("after")

    with pytest.raises(KeyError, match="after"):
        await bank.database.write(run)
    assert await bank.dump() == before


# Limits in company -------------------------------------------------------------------------------


async def test_sixteen_overdrafts(bank: Bank) -> None:
    """Of sixteen that take 100 from 1,050 at once, exactly ten do."""
    await bank.limit(SAM, 0)
    await bank.post(pay("in", 1_050))
    said = Counter[str]()

    async def take(number: int) -> None:
        (result,) = await bank.post(pay(f"out {number}", 100, SAM, BANK))
        said["taken" if isinstance(result, Accepted) else result.code] += 1

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(take, number)
    assert said == {"taken": 10, LedgerCode.BELOW_FLOOR: 6}
    assert await bank.balances() == {BANK: 50, SAM: 50}
    await bank.check()


async def test_one_end_of_a_hold_by_sixteen(bank: Bank) -> None:
    """Posted or voided, once; all others are told which."""
    await bank.post(ask("hold", Pending(BANK, SAM, 100, "EUR")))
    said = Counter[str]()

    async def end(number: int) -> None:
        how = Post("1.0", number + 1) if number % 2 else Void("1.0")
        (result,) = await bank.post(ask(f"end {number}", how))
        said["ended" if isinstance(result, Accepted) else result.code] += 1

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(end, number)
    assert said.pop("ended") == 1
    assert list(said.values()) == [15]
    assert set(said) <= {LedgerCode.PENDING_ALREADY_POSTED, LedgerCode.PENDING_ALREADY_VOIDED}
    await bank.check()


async def test_one_reversal_and_one_use_of_a_quote_by_sixteen(bank: Bank) -> None:
    """What may be done once is done once."""
    await bank.post(pay("sale"))
    said = Counter[str]()

    async def do(number: int) -> None:
        change = Convert(BANK, BANK, 100, "EUR", "JPY", Rate(1, 1), quote="q")
        for result in await bank.post(
            PostingRequest(f"back {number}", reverses=1), ask(f"change {number}", change)
        ):
            said["done" if isinstance(result, Accepted) else result.code] += 1

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(do, number)
    assert said == {"done": 2, LedgerCode.ALREADY_REVERSED: 15, LedgerCode.QUOTE_USED: 15}
    await bank.check()


@pytest.mark.slow
async def test_storms_do_not_deadlock(bank: Bank) -> None:
    """There and back over the same accounts of two books, without one retry."""
    other = Bank(bank.database, "other")
    await other.open()
    circle = [(BANK, SAM), (SAM, SUE), (SUE, FEES), (FEES, BANK)]

    async def storm(number: int) -> None:
        turned = circle[number % 4 :] + circle[: number % 4]
        legs = [Transfer(debit, credit, 1, "EUR") for debit, credit in turned]
        for book in (bank, other) if number % 2 else (other, bank):
            (result,) = await book.post(ask(f"storm {number}", *legs))
            accepted(result)

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(storm, number)
    assert set((await bank.balances()).values()) == {0}
    assert bank.database.statistics().blocks_retried == 0
    await bank.check()


# Time --------------------------------------------------------------------------------------------


async def test_a_locked_period(bank: Bank) -> None:
    """Nothing takes effect in it, at any time; at its end, and later, it does."""
    await bank.write("lock_period", bank.name, timedelta(seconds=-60))
    (row,) = await bank.rows("locked_before", bank.name)
    locked: datetime = row["locked_before"]
    just, soon = locked - timedelta(microseconds=1), locked + timedelta(microseconds=1)
    transfers = (Transfer(BANK, SAM, 5, "EUR"),)
    results = await bank.post(
        *(PostingRequest(f"at {at}", transfers, at) for at in (just, locked, soon)),
        PostingRequest("now", transfers),
    )
    assert refusal(results[0]) == (LedgerCode.PERIOD_LOCKED, None)
    effective = [accepted(each).effective_at for each in results[1:]]
    assert effective[:2] == [locked, soon]
    assert effective[2] == accepted(results[3]).recorded_at
    await bank.check()


async def test_a_moment_is_the_same_from_any_offset(bank: Bank) -> None:
    """What is answered is in UTC, at first and ever after."""
    moment = datetime.fromisoformat("2026-01-02T03:04:05.678901+05:30")
    request = PostingRequest("one", (Transfer(BANK, SAM, 5, "EUR"),), moment)
    (first,) = await bank.post(request)
    (again,) = await bank.post(request)
    assert wire(first) == wire(again)
    assert b'"effective_at":"2026-01-01T21:34:05.678901Z"' in wire(first)


async def test_time_does_not_go_back_in_a_book(bank: Bank, owner: Database) -> None:
    """The clock was an hour ahead: postings are recorded at its last time until it is over."""
    await bank.post(pay("one"))
    await Bank(owner).tamper("move_book_back", timedelta(hours=-1))
    results = [(await bank.post(pay(key)))[0] for key in ("two", "three")]
    times = {accepted(result).recorded_at for result in results}
    assert len(times) == 1
    assert min(times) > datetime.now(UTC) + timedelta(minutes=59)
    await bank.check()


# The edges of numbers and texts ------------------------------------------------------------------


async def test_an_account_to_the_brim(bank: Bank) -> None:
    """A counter stops short of 2^62 by a refusal, in one batch with others."""
    full = [Transfer(BANK, SAM, AMOUNT_MAX, "EUR")] * 1_000
    for number in range(4):
        accepted((await bank.post(ask(f"fill {number}", *full)))[0])
    results = await bank.post(
        ask("too much", *full),
        ask("most", *full[:611]),
        pay("too much more", 2**62 - 4_611 * 10**15),
        pay("rest", 2**62 - 1 - 4_611 * 10**15),
        pay("one", 1),
        pay("elsewhere", 1, "bank:other", SUE),
    )
    codes = [each.code if isinstance(each, PostingRefused) else "ok" for each in results]
    assert codes == ["overflow", "ok", "overflow", "ok", "overflow", "ok"]
    assert (await bank.balances())[BANK] == 2**62 - 1
    await bank.check()


@pytest.mark.parametrize(
    "path",
    ["", "\0", "bank:\0", "bank:" + "x" * 300, "bank:ä", "bank:\ud7ff", "BANK", "a\n", "'; --"],
)
async def test_a_path_that_no_account_has(bank: Bank, path: str) -> None:
    """It is unknown, whatever PostgreSQL would make of the text; and so is a currency."""
    results = await bank.post(
        pay("one", debit=path),
        ask("two", Transfer(BANK, SAM, 1, path)),
        ask("three", Pending(BANK, path, 1, "EUR")),
        ask("four", Convert(BANK, SAM, 1, "EUR", path, Rate(1, 1))),
        ask("five", Convert(path, SAM, 1, "EUR", "JPY", Rate(1, 1))),
    )
    assert [refusal(each)[0] for each in results] == [
        LedgerCode.ACCOUNT_UNKNOWN,
        LedgerCode.CURRENCY_UNKNOWN,
        LedgerCode.ACCOUNT_UNKNOWN,
        LedgerCode.CURRENCY_UNKNOWN,
        LedgerCode.ACCOUNT_UNKNOWN,
    ]


async def test_a_book_that_is_not_there(bank: Bank) -> None:
    """All of its postings are refused, and it is not made."""
    before = await bank.dump()
    results = await Bank(bank.database, "nowhere").post(pay("one"), pay("two"))
    assert [refusal(each)[0] for each in results] == [LedgerCode.BOOK_UNKNOWN] * 2
    assert await bank.dump() == before


async def test_our_own_keys(bank: Bank) -> None:
    """Only we post under them."""
    for key in ("expire:1.0", "capture:txn_1"):
        assert refusal((await bank.post(pay(key)))[0])[0] == LedgerCode.KEY_RESERVED
    post = partial(bank.post, terms=Terms(trusted=True))
    assert accepted((await post(pay("expire:9.9")))[0]).number == 1
    assert refusal((await bank.post(pay("expire:9.9")))[0])[0] == LedgerCode.KEY_RESERVED
