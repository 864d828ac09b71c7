"""Two batches of a book under way at once, on real PostgreSQL, and all that can come between."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import trio

from app.ledger import desk
from app.ledger.codes import LedgerCode
from app.ledger.keeper import Keeper
from app.ledger.keeping import PatternWanted
from app.ledger.model import Accepted, Kind, Result
from app.ledger.request import PostingRequest, Transfer
from app.storage import Database
from tests.app.ledger.ledger_book import OPERATOR
from tests.app.ledger.posting_book import (
    BANK,
    SAM,
    SUE,
    Bank,
    accepted,
    ask,
    pay,
    refusal,
)
from tests.app.ledger.two_nodes import Pair, three_accounts, two_nodes
from tests.app.ledger.watched_node import settle, told

pytestmark = pytest.mark.servers

# Not plain, so that its batch locks the book first.
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def bank(database: Database, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A book in which Sam, Sue and the bank have an account, Sam one without debts."""
    monkeypatch.setattr(desk, "POSTINGS_AHEAD_MIN", 1)
    bank = Bank(database)
    await three_accounts(bank)
    return bank


# On what the one before leaves -------------------------------------------------------------------


async def test_the_next_batch_is_decided_on_what_this_one_leaves(bank: Bank) -> None:
    """It spends what came in, and no more; neither has been recorded when it is decided."""
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("in", 50))
        await pair.ask(pay("out", 150, SAM, BANK), pay("too much", 1, SAM, BANK))
        await pair.ask(pay("in again", 1), pay("out again", 1, SAM, BANK))
        assert pair.node.batches == [["in"]]
        pair.release()
    assert pair.node.ways == ["assumed"] * 3
    assert pair.node.batches == [["in"], ["out", "too much"], ["in again", "out again"]]
    assert (pair.numbers("in"), pair.numbers("in again")) == ([3], [5, 6])
    out, too_much = pair.of("out")
    (transfer,) = accepted(out).transfers
    assert (accepted(out).number, transfer.debit_balance_after) == (4, 0)
    assert transfer.credit_balance_after == 101 + 50 - 150
    assert refusal(too_much) == (LedgerCode.BELOW_FLOOR, None)
    times = [accepted(pair.of(key)[0]).recorded_at for key in ("in", "out", "in again")]
    assert times == sorted(times)


async def test_batches_keep_the_order_in_which_they_came(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where several may begin at one time, which trio wakes in any order."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 2)
    async with two_nodes(bank) as pair:
        for number in range(10):
            # Each share needs what the one before brings in.
            amount = 1_000
            long = [
                *(pay(f"{number} in", amount), pay(f"{number} in too", amount)),
                *(pay(f"{number} out", 2 * amount, SAM, SUE), pay(f"{number} free", 1)),
                *(pay(f"{number} back", 2 * amount, SUE, SAM), pay(f"{number} last", 1)),
                pay(f"{number} gone", 2 * amount, SAM, BANK),
            ]
            results = told(await pair.here.post("acme", long))
            first = 3 + 7 * number
            assert [accepted(each).number for each in results] == [*range(first, first + 7)]


async def test_who_looks_at_accounts_is_not_overtaken(bank: Bank) -> None:
    """The node does not know the account yet; who came later waits."""
    await bank.limit("seller:new:payable", None)
    async with two_nodes(bank) as pair:
        pair.node.look = trio.Event()
        await pair.ask(pay("new", 5, credit="seller:new:payable"))
        await pair.node.looking.wait()
        await pair.ask(pay("known"))
        pair.node.look.set()
    assert pair.node.ways == ["assumed", "assumed"]
    assert (pair.numbers("new"), pair.numbers("known")) == ([3], [4])


async def test_who_opens_an_account_is_not_overtaken(bank: Bank) -> None:
    """It is not there: the book is locked to open it, and who came later waits."""
    async with two_nodes(bank) as pair:
        pair.node.look = trio.Event()
        await pair.ask(pay("new", 5, credit="seller:new:payable"))
        await pair.node.looking.wait()
        await pair.ask(pay("known"))
        pair.node.look.set()
    assert pair.node.ways == ["locked", "assumed"]
    assert (pair.numbers("new"), pair.numbers("known")) == ([3], [4])


async def test_an_account_that_was_looked_at_twice(bank: Bank) -> None:
    """The second batch does not put back what the first has made of it."""
    await bank.limit("seller:new:payable", 0)
    async with two_nodes(bank) as pair:
        pair.hold()
        for key in ("one", "two", "three"):
            await pair.ask(
                pay(key, 5, credit="seller:new:payable"),
                pay(f"{key} out", 4, "seller:new:payable", SAM),
            )
            await pair.node.looking.wait()
            await settle()
        pair.release()
    assert pair.node.ways == ["assumed"] * 3
    last = accepted(pair.of("three")[1]).transfers[0]
    assert last.debit_balance_after == 3


async def test_an_account_that_moved_before_it_was_looked_at(bank: Bank) -> None:
    """It is later than the book that is remembered, so nothing that was decided on both holds."""
    await bank.limit("seller:new:payable", 0)
    async with two_nodes(bank) as pair:
        await pair.elsewhere(pay("theirs", 7, credit="seller:new:payable"))
        (result,) = told(await pair.here.post("acme", [pay("spent", 7, "seller:new:payable", SAM)]))
    assert pair.node.ways == ["assumed", "locked"]
    assert accepted(result).transfers[0].debit_balance_after == 0


async def test_paths_that_are_no_accounts(bank: Bank) -> None:
    """Neither in the chart, nor a path, nor a text that PostgreSQL holds: refused in their turn."""
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("in", 5))
        await pair.ask(
            pay("nowhere", 5, credit="nowhere"),
            pay("no path", 5, credit="\0"),
            ask("no currency", Transfer(BANK, SAM, 5, "E\0R")),
            pay("fine", 5),
        )
        pair.release()
    codes = [refusal(each)[0] for each in pair.of("nowhere")[:3]]
    assert codes == ["account_unknown", "account_unknown", "currency_unknown"]
    assert accepted(pair.of("nowhere")[3]).number == 4


async def test_a_posting_larger_than_a_batch(bank: Bank) -> None:
    """It is locked for, since to decide it would hold up all others; it stays in its place."""
    large = ask("large", *[Transfer(BANK, SAM, 1, "EUR")] * 129)
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("before"))
        await pair.ask(large)
        await pair.ask(pay("after"))
        pair.release()
    assert pair.node.ways == ["assumed", "locked", "assumed"]
    assert [pair.numbers(key) for key in ("before", "large", "after")] == [[3], [4], [5]]


# What comes between -------------------------------------------------------------------------------


async def _another_posts(pair: Pair) -> None:
    await pair.elsewhere(pay("theirs", 100, SAM, BANK))


async def _as_many_are_posted(pair: Pair) -> None:
    """Two, as the two batches here: the head alone would be where they think it is."""
    await pair.elsewhere(pay("theirs", 60, SAM, BANK), pay("theirs too", 40, SAM, BANK))


async def _a_limit_moves(pair: Pair) -> None:
    await pair.bank.write("set_floor", "acme", SAM, 100)


async def _a_period_is_locked(pair: Pair) -> None:
    await pair.bank.write("lock_period", "acme", timedelta(hours=1))


async def _the_book_is_closed(pair: Pair) -> None:
    await pair.bank.write("set_mode", "acme", "closed")


async def _an_account_is_closed(pair: Pair) -> None:
    await pair.elsewhere(pay("theirs", 100, SAM, BANK))
    await pair.bank.write("close_account", "acme", SAM, "EUR")


async def _the_chart_grows(pair: Pair) -> None:
    wanted = PatternWanted(pattern="till:*", kind=Kind.ASSET)
    await Keeper(pair.bank.database).add_pattern(OPERATOR, "acme", wanted)


Between = Callable[[Pair], Awaitable[None]]

# What happens, how many were posted by it, and what then comes of paying Sam 1, and of his 101.
CHANGES: Final[dict[str, tuple[Between, int, str | None, str | None]]] = {
    "posted": (_another_posts, 1, None, "below_floor"),
    "posted-as-many": (_as_many_are_posted, 2, None, "below_floor"),
    "limited": (_a_limit_moves, 0, None, "below_floor"),
    "locked": (_a_period_is_locked, 0, "period_locked", "period_locked"),
    "book-closed": (_the_book_is_closed, 0, "book_closed", "book_closed"),
    "account-closed": (_an_account_is_closed, 1, "account_closed", "account_closed"),
    "chart": (_the_chart_grows, 0, None, None),
}


def _told_as(result: Result) -> str | None:
    return None if isinstance(result, Accepted) else refusal(result)[0]


@pytest.mark.parametrize("name", CHANGES)
async def test_what_was_taken_to_be_so_is_not(bank: Bank, name: str) -> None:
    """Both batches are decided anew, in their order, and told what is right now."""
    change, posted, of_in, of_out = CHANGES[name]
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("in", 1))
        await pair.ask(pay("out", 101, SAM, BANK))
        await change(pair)
        pair.release()
    assert pair.node.batches == [["in"], ["in"], ["out"]]
    assert pair.node.ways == ["assumed", "locked", "locked"]
    ((first,), (second,)) = (pair.of("in"), pair.of("out"))
    assert (_told_as(first), _told_as(second)) == (of_in, of_out)
    if of_in is None:
        assert accepted(first).number == 3 + posted
    if of_out is None:
        assert accepted(second).number == 4 + posted


async def test_a_refusal_that_is_not_right_any_more_is_told_to_nobody(bank: Bank) -> None:
    """Sam has not enough, so far as this node knows; he has got it elsewhere meanwhile."""
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("first", 150, SAM, BANK))
        await pair.ask(pay("second", 150, SAM, BANK))
        await pair.elsewhere(pay("more", 100))
        pair.release()
    assert pair.numbers("first") == [4]
    assert refusal(pair.of("second")[0]) == (LedgerCode.BELOW_FLOOR, None)


@pytest.mark.parametrize("way", ["assumed", "locked"])
async def test_what_failed_is_posted_before_what_waits_behind_it(bank: Bank, way: str) -> None:
    """Whether that had been decided, too, or is to lock the book."""
    effective_at = None if way == "assumed" else LONG_AGO
    out = PostingRequest("out", pay("", 101, SAM, BANK).transfers, effective_at=effective_at)
    async with two_nodes(bank) as pair:
        pair.hold()
        await pair.ask(pay("in", 1))
        await pair.ask(out)
        await pair.elsewhere(pay("theirs", 1, credit=SUE))
        pair.release()
    assert pair.node.batches == [["in"], ["in"], ["out"]]
    assert (pair.numbers("in"), pair.numbers("out")) == ([4], [5])


async def test_who_locks_the_book_knows_nothing_of_what_comes_later(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many are posted elsewhere as would be here, behind it: it sees that the book has moved."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 2)
    async with two_nodes(bank) as pair:
        for number in range(10):
            pair.hold()
            transfers = pay("", 200, SAM, BANK).transfers
            await pair.ask(
                PostingRequest(f"{number}", transfers, effective_at=LONG_AGO),
                pay(f"{number} refused", 0),
                pay(f"{number} next", 1, credit=SUE),
                pay(f"{number} last", 1, credit=SUE),
            )
            await pair.elsewhere(pay(f"{number} a", 100), pay(f"{number} b", 100))
            pair.release()
            while f"{number}" not in pair.answers:
                await trio.lowlevel.checkpoint()
            assert _told_as(pair.of(f"{number}")[0]) is None


async def test_after_a_doubt_two_batches_lock_the_book(bank: Bank) -> None:
    """Until one has found it as it was left; then batches are decided at once again."""
    async with two_nodes(bank) as pair:
        await pair.elsewhere(pay("theirs"))
        for key in "abcd":
            told(await pair.here.post("acme", [pay(key)]))
    assert pair.node.batches == [["a"], ["a"], ["b"], ["c"], ["d"]]
    assert pair.node.ways == ["assumed", "locked", "locked", "assumed", "assumed"]
