"""Balances, statements and trial balances of any moment, by either time; and who may see them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.domain.errors import Code
from app.domain.page import Page
from app.identity.model import Identity, Scope
from app.ledger.model import Account, Kind, Phase, Posted, Side
from app.ledger.request import Pending, Post, Transfer
from app.ledger.seen import AsOf, Clock, Period, Standings, StandingSeen, Statement, TrialBalance
from app.ledger.service import Ledger
from app.storage import Database
from tests.app.ledger.ledger_book import BUYER, LINE, OPERATOR, SELLER, STRANGER, LedgerBook
from tests.app.transactions.shop import refused

pytestmark = pytest.mark.servers

DAY = timedelta(days=1)
READER = replace(BUYER, scopes=frozenset({Scope.LEDGER_READ}))
PAYABLE = "seller:sam:payable"


class Past:
    """What was posted to a book, and how it is read."""

    def __init__(self, book: LedgerBook) -> None:
        self.book = book
        self.ledger = Ledger(book.database)
        self.postings: list[Posted] = []

    async def post(self) -> None:
        """Sales of 100 and 50, a hold of 40 for a payout, its end with 30, and a late sale of 7."""
        post = self.book.post
        self.postings.append(await post(Transfer("bank:main", PAYABLE, 100, "EUR")))
        self.postings.append(await post(Transfer("bank:main", PAYABLE, 50, "EUR")))
        self.postings.append(await post(Pending(PAYABLE, "bank:main", 40, "EUR")))
        self.postings.append(await post(Post("3.0", 30)))
        late = self.postings[1].recorded_at
        self.postings.append(await post(Transfer("bank:main", PAYABLE, 7, "EUR"), at=late))

    def moment(self, number: int) -> datetime:
        """When a posting was recorded; 0: before all of them."""
        if number:
            return self.postings[number - 1].recorded_at
        return self.postings[0].recorded_at - timedelta(microseconds=1)

    async def account(self, path: str) -> Account:
        """The account at a path, in EUR."""
        page = await self.standings(AsOf())
        return next(each.account for each in page.items if each.account.path == path)

    async def standing(self, path: str, as_of: AsOf) -> tuple[int, int, int]:
        """An account's balance and what was pending on either side."""
        account = await self.account(path)
        seen = await self.ledger.standing(OPERATOR, account.id, as_of)
        assert isinstance(seen, StandingSeen)
        assert seen.standing.account == account
        one = seen.standing
        return one.balance, one.debits_pending, one.credits_pending

    async def standings(self, as_of: AsOf, page: Page | None = None) -> Standings:
        """A page of all accounts."""
        found = await self.ledger.standings(OPERATOR, LINE, as_of, page or Page())
        assert isinstance(found, Standings)
        return found

    async def trial(self, as_of: AsOf) -> TrialBalance:
        """A trial balance."""
        found = await self.ledger.trial_balance(OPERATOR, LINE, as_of)
        assert isinstance(found, TrialBalance)
        return found

    async def statement(
        self, path: str, period: Period | None = None, page: Page | None = None
    ) -> Statement:
        """A page of an account's statement."""
        account = await self.account(path)
        found = await self.ledger.statement(
            OPERATOR, account.id, period or Period(), page or Page()
        )
        assert isinstance(found, Statement)
        assert found.account == account
        return found


@pytest.fixture
async def past(database: Database) -> Past:
    """A book in which something happened."""
    book = LedgerBook(database)
    await book.open()
    past = Past(book)
    await past.post()
    return past


def columns(trial: TrialBalance) -> list[tuple[str, Kind, int, int, int, int]]:
    """A trial balance's rows."""
    return [
        (
            each.currency,
            each.kind,
            each.debit,
            each.credit,
            each.debits_pending,
            each.credits_pending,
        )
        for each in trial.totals
    ]


def balances(page: Standings) -> Sequence[tuple[str, int]]:
    """The paths and balances of a page."""
    return [(each.account.path, each.balance) for each in page.items]


@pytest.mark.parametrize(
    ("number", "recorded", "effective"),
    [
        (0, (0, 0, 0), (0, 0, 0)),
        (1, (100, 0, 0), (100, 0, 0)),
        (2, (150, 0, 0), (157, 0, 0)),
        (3, (150, 40, 0), (157, 40, 0)),
        (4, (120, 0, 0), (127, 0, 0)),
        (5, (127, 0, 0), (127, 0, 0)),
    ],
)
async def test_a_balance_at_a_moment(
    past: Past, number: int, recorded: tuple[int, int, int], effective: tuple[int, int, int]
) -> None:
    """By recorded time as it was known, by effective time as it is known now."""
    at = past.moment(number)
    assert await past.standing(PAYABLE, AsOf(at)) == recorded
    assert await past.standing(PAYABLE, AsOf(at, Clock.EFFECTIVE)) == effective
    assert await past.standing(PAYABLE, AsOf(head=number)) == recorded
    balance, debited, credited = recorded
    assert await past.standing("bank:main", AsOf(at)) == (balance, credited, debited)


@pytest.mark.parametrize("by", Clock)
async def test_a_balance_now(past: Past, by: Clock) -> None:
    """It is the account's, and so it is at any moment to come."""
    for at in (None, past.moment(5), past.moment(5) + DAY):
        assert await past.standing(PAYABLE, AsOf(at, by)) == (127, 0, 0)
    account = await past.account(PAYABLE)
    seen = await past.ledger.standing(OPERATOR, account.id, AsOf(past.moment(3), by))
    assert isinstance(seen, StandingSeen)
    assert seen.standing.available == seen.standing.balance - 40
    assert (seen.posting, seen.head, seen.cursor.position) == (3, 5, 0)


async def test_what_is_late_and_left_out(past: Past) -> None:
    """By effective time, too, nothing counts that was posted after the head that is named."""
    as_of = AsOf(past.moment(2), Clock.EFFECTIVE, head=4)
    assert await past.standing(PAYABLE, as_of) == (150, 0, 0)


async def test_a_late_hold(past: Past) -> None:
    """What is pending takes effect as its posting does."""
    at = past.moment(1)
    await past.book.post(Pending("bank:main", "commission", 9, "EUR"), at=at)
    assert await past.standing("bank:main", AsOf(at, Clock.EFFECTIVE)) == (100, 9, 0)
    assert await past.standing("commission", AsOf(at, Clock.EFFECTIVE)) == (0, 0, 9)
    assert await past.standing("commission", AsOf(at)) == (0, 0, 0)
    trial = await past.trial(AsOf(at, Clock.EFFECTIVE))
    assert columns(trial) == [
        ("EUR", Kind.ASSET, 100, 0, 9, 0),
        ("EUR", Kind.LIABILITY, 0, 100, 0, 0),
        ("EUR", Kind.REVENUE, 0, 0, 0, 9),
    ]
    assert trial.balanced


async def test_a_statement(past: Past) -> None:
    """Where it began, each entry with what it came to, and where it ended."""
    statement = await past.statement(PAYABLE)
    assert (statement.opening, statement.closing, statement.next) == (0, 127, None)
    assert [
        (str(line.name), line.side, line.phase, line.amount, line.balance_after, line.pending_after)
        for line in statement.lines
    ] == [
        ("1.0", Side.CREDIT, Phase.TRANSFER, 100, 100, 0),
        ("2.0", Side.CREDIT, Phase.TRANSFER, 50, 150, 0),
        ("3.0", Side.DEBIT, Phase.PENDING, 40, 150, 40),
        ("4.0", Side.DEBIT, Phase.POST, 30, 120, 0),
        ("5.0", Side.CREDIT, Phase.TRANSFER, 7, 127, 0),
    ]
    late = statement.lines[-1]
    assert (late.key, late.recorded_at, late.effective_at) == (
        past.postings[4].key,
        past.moment(5),
        past.moment(2),
    )
    assert (statement.head, statement.cursor.position) == (5, 0)


@pytest.mark.parametrize(
    ("since", "until", "opening", "names", "closing"),
    [
        (0, 5, 0, "1.0 2.0 3.0 4.0 5.0", 127),
        (1, 3, 100, "2.0 3.0", 150),
        (3, 4, 150, "4.0", 120),
        (2, 2, 150, "", 150),
        (4, 1, 120, "", 120),
    ],
)
async def test_a_period(
    past: Past, since: int, until: int, opening: int, names: str, closing: int
) -> None:
    """What comes after one moment up to another: where it closes the next one opens."""
    period = Period(past.moment(since), past.moment(until))
    statement = await past.statement(PAYABLE, period)
    assert (statement.opening, statement.closing) == (opening, closing)
    assert [str(line.name) for line in statement.lines] == names.split()


async def test_pages_of_a_statement(past: Past) -> None:
    """A page opens where the one before closed; any place will do to begin after."""
    pages = [await past.statement(PAYABLE, page=Page(limit=2))]
    while pages[-1].next is not None:
        pages.append(await past.statement(PAYABLE, page=Page(pages[-1].next, 2)))
    assert [(page.opening, page.closing, page.next) for page in pages] == [
        (0, 150, "2.0"),
        (150, 120, "4.0"),
        (120, 127, None),
    ]
    assert [line.posting for page in pages for line in page.lines] == [1, 2, 3, 4, 5]
    period = Period(past.moment(2), past.moment(4))
    after = await past.statement(PAYABLE, period, Page("1.0"))
    assert [line.posting for line in after.lines] == [3, 4]
    after = await past.statement(PAYABLE, period, Page("3.99"))
    assert (after.opening, [line.posting for line in after.lines]) == (150, [4])
    after = await past.statement(PAYABLE, page=Page("999.0"))
    assert (after.opening, after.lines, after.closing, after.next) == (127, (), 127, None)


async def test_legs_of_one_posting(past: Past) -> None:
    """A page may end between two of them."""
    legs = (Transfer("bank:main", PAYABLE, 1, "EUR"), Transfer(PAYABLE, "commission", 1, "EUR"))
    await past.book.post(*legs)
    first = await past.statement(PAYABLE, page=Page("5.0", 1))
    second = await past.statement(PAYABLE, page=Page(first.next or "", 1))
    assert (first.next, first.closing) == ("6.0", 128)
    assert (second.opening, second.closing, second.next) == (128, 127, None)


async def test_a_trial_balance(past: Past) -> None:
    """By currency and kind, with equal columns, at any moment."""
    legs = (
        Transfer("expense:rent", "bank:main", 200, "EUR"),
        Transfer("bank:main", "opening", 9_000, "JPY"),
    )
    await past.book.post(*legs)
    trial = await past.trial(AsOf())
    assert columns(trial) == [
        ("EUR", Kind.ASSET, 0, 73, 0, 0),
        ("EUR", Kind.EXPENSE, 200, 0, 0, 0),
        ("EUR", Kind.LIABILITY, 0, 127, 0, 0),
        ("JPY", Kind.ASSET, 9_000, 0, 0, 0),
        ("JPY", Kind.EQUITY, 0, 9_000, 0, 0),
    ]
    assert (trial.balanced, trial.book, trial.posting, trial.head) == (True, LINE, 6, 6)
    before = await past.trial(AsOf(past.moment(3)))
    assert columns(before)[0] == ("EUR", Kind.ASSET, 150, 0, 0, 40)
    assert (before.balanced, before.posting, before.head) == (True, 3, 6)
    total = replace(trial.totals[-1], credit=8_999)
    assert not replace(trial, totals=(*trial.totals[:-1], total)).balanced


async def test_pages_of_standings(past: Past) -> None:
    """Page after page shows one moment, whatever is posted in between."""
    first = await past.standings(AsOf(), Page(limit=1))
    await past.book.post(Transfer("bank:main", PAYABLE, 1, "EUR"))
    second = await past.standings(AsOf(), Page(first.next or "", 1))
    assert balances(first) == [("bank:main", 127)]
    assert balances(second) == [(PAYABLE, 127)]
    assert (second.posting, second.head, second.next) == (5, 6, None)
    assert [(each.debit, each.credit) for each in (*first.items, *second.items)] == [
        (127, 0),
        (0, 127),
    ]
    assert balances(await past.standings(AsOf(past.moment(1), Clock.EFFECTIVE))) == [
        ("bank:main", 100),
        (PAYABLE, 100),
    ]


@pytest.mark.parametrize("after", ["x", "1/a", "-1/bank:main/EUR", "1/bank:main/EUR/2"])
async def test_no_place_is_refused(past: Past, after: str) -> None:
    """A page is asked for by what the page before said."""
    page = await past.ledger.standings(OPERATOR, LINE, AsOf(), Page(after))
    statement = await past.ledger.statement(OPERATOR, 1, Period(), Page(after))
    assert [refused(each).code for each in (page, statement)] == [Code.INVALID_REQUEST] * 2


@pytest.mark.parametrize(
    ("identity", "accounts", "book"),
    [
        (OPERATOR, {"bank:main", PAYABLE}, True),
        (READER, {"bank:main", PAYABLE}, True),
        (SELLER, {PAYABLE}, False),
        (replace(SELLER, person="sue"), set(), False),
        (replace(BUYER, person="sam"), set(), False),
        (STRANGER, set(), False),
    ],
    ids=["operator", "reader", "seller", "other-seller", "buyer", "stranger"],
)
async def test_who_sees_what(
    past: Past, identity: Identity, accounts: set[str], *, book: bool
) -> None:
    """What one may not see is not found."""
    ledger = past.ledger
    for path in ("bank:main", PAYABLE):
        account = (await past.account(path)).id
        standing = await ledger.standing(identity, account, AsOf())
        statement = await ledger.statement(identity, account, Period(), Page())
        if path in accounts:
            assert isinstance(standing, StandingSeen)
            assert isinstance(statement, Statement)
        else:
            assert refused(standing).code is refused(statement).code is Code.NOT_FOUND
    trial = await ledger.trial_balance(identity, LINE, AsOf())
    page = await ledger.standings(identity, LINE, AsOf(), Page())
    if book:
        assert isinstance(trial, TrialBalance)
        assert isinstance(page, Standings)
    else:
        assert refused(trial).code is refused(page).code is Code.NOT_FOUND


async def test_no_such_thing(past: Past) -> None:
    """Numbers and ids of nothing are not found, however large."""
    ledger = past.ledger
    answers = [
        await ledger.standing(OPERATOR, 2**64, AsOf()),
        await ledger.statement(OPERATOR, 0, Period(), Page()),
        await ledger.trial_balance(OPERATOR, "nowhere", AsOf()),
        await ledger.standings(OPERATOR, "nowhere", AsOf(), Page()),
    ]
    assert {refused(each).code for each in answers} == {Code.NOT_FOUND}
