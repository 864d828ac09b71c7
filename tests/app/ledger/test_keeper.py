"""Accounts are opened, limited and closed, charts grow, periods are locked; or it says why not."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.errors import Code, Refusal
from app.ledger import posting
from app.ledger.accounts import PeriodLock
from app.ledger.chart import Pattern
from app.ledger.codes import LedgerCode
from app.ledger.keeper import Keeper
from app.ledger.keeping import AccountWanted, Limits, PatternWanted
from app.ledger.limits import PATTERNS_MAX
from app.ledger.model import Accepted, Account, Kind, PostingRefused
from app.ledger.request import Pending, Transfer, Void
from app.storage import Database
from tests.app.ledger.ledger_book import LINE, OPERATOR, STRANGER, LedgerBook
from tests.app.transactions.shop import refused

pytestmark = pytest.mark.servers

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def book(database: Database) -> LedgerBook:
    """An open book."""
    book = LedgerBook(database)
    await book.open()
    return book


@pytest.fixture
def keeper(book: LedgerBook) -> Keeper:
    """Who looks after it."""
    return Keeper(book.database)


def sale(amount: int, account: str = "bank:main") -> Transfer:
    """Money that comes in for a seller."""
    return Transfer(account, "seller:sam:payable", amount, "EUR")


async def opened(keeper: Keeper, path: str, **limits: int | None) -> Account:
    """An account that was opened in EUR."""
    wanted = AccountWanted(path=path, currency="EUR", **limits)
    account = await keeper.open_account(OPERATOR, LINE, wanted)
    assert isinstance(account, Account), account
    return account


async def test_an_account_is_opened(keeper: Keeper, book: LedgerBook) -> None:
    """With the kind and the owner that the chart says, and limits of its own."""
    account = await opened(keeper, "seller:sam:payable", ceiling=100)
    assert (account.kind, account.owner) == (Kind.LIABILITY, "sam")
    assert (account.floor, account.ceiling, account.version) == (None, 100, 0)
    await book.post(sale(100))
    result = await book.database.write(posting.post, LINE, [book.request(sale(1))])
    assert result == [PostingRefused(LedgerCode.ABOVE_CEILING)]


async def test_it_takes_the_limits_of_the_chart(keeper: Keeper) -> None:
    """Where it names none; null is none."""
    wanted = PatternWanted(pattern="bank:petty", kind=Kind.ASSET, floor=0, ceiling=500)
    assert await keeper.add_pattern(OPERATOR, LINE, wanted) == Pattern(
        "bank:petty", Kind.ASSET, 0, 500
    )
    assert (await opened(keeper, "bank:petty")).floor == 0
    wanted_yen = AccountWanted(path="bank:petty", currency="JPY", floor=None, ceiling=9)
    account = await keeper.open_account(OPERATOR, LINE, wanted_yen)
    assert isinstance(account, Account)
    assert (account.floor, account.ceiling) == (None, 9)


async def test_opening_again(keeper: Keeper) -> None:
    """The same is the same account; another is a refusal."""
    account = await opened(keeper, "bank:main", floor=0)
    assert await opened(keeper, "bank:main") == account
    assert await opened(keeper, "bank:main", floor=0) == account
    other = AccountWanted(path="bank:main", currency="EUR", floor=-1)
    assert refused(await keeper.open_account(OPERATOR, LINE, other)).code is Code.ALREADY_THERE


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (AccountWanted(path="bank:main", currency="XXX"), Code.CURRENCY_UNKNOWN),
        (AccountWanted(path="vault", currency="EUR"), Code.ACCOUNT_UNKNOWN),
        (AccountWanted(path="Bank:main", currency="EUR"), Code.ACCOUNT_UNKNOWN),
        (AccountWanted(path="bank:main", currency="EUR", floor=1), Code.BELOW_FLOOR),
        (AccountWanted(path="bank:main", currency="EUR", ceiling=-1), Code.ABOVE_CEILING),
        (
            AccountWanted(path="bank:main", currency="EUR", floor=0, ceiling=-1),
            Code.INVALID_REQUEST,
        ),
    ],
    ids=["currency", "path", "spelling", "floor", "ceiling", "limits"],
)
async def test_what_is_not_opened(keeper: Keeper, wanted: AccountWanted, code: Code) -> None:
    """A refusal says why, and nothing is there."""
    assert refused(await keeper.open_account(OPERATOR, LINE, wanted)).code is code
    assert (await opened(keeper, "bank:first")).id > 0


async def test_limits_are_changed(keeper: Keeper, book: LedgerBook) -> None:
    """Each by itself, and not where the account is beyond them now, holds included."""
    account = await opened(keeper, "bank:main")
    await book.post(sale(100))
    await book.post(Pending("expense:rent", "bank:main", 30, "EUR"))
    await book.post(Pending("bank:main", "commission", 7, "EUR"))
    limited = await keeper.limit_account(OPERATOR, account.id, Limits(floor=70))
    assert isinstance(limited, Account)
    assert (limited.floor, limited.ceiling, limited.available) == (70, None, 70)
    limited = await keeper.limit_account(OPERATOR, account.id, Limits(ceiling=107))
    assert isinstance(limited, Account)
    assert (limited.floor, limited.ceiling) == (70, 107)
    for limits, code in (
        (Limits(floor=71), Code.BELOW_FLOOR),
        (Limits(ceiling=106), Code.ABOVE_CEILING),
        (Limits(floor=108), Code.INVALID_REQUEST),
    ):
        assert refused(await keeper.limit_account(OPERATOR, account.id, limits)).code is code
    limited = await keeper.limit_account(OPERATOR, account.id, Limits(floor=None, ceiling=None))
    assert isinstance(limited, Account)
    assert (limited.floor, limited.ceiling) == (None, None)


async def test_posters_hear_of_it(keeper: Keeper, book: LedgerBook) -> None:
    """What a poster remembers of accounts does not outlive a change of one."""
    requests = [book.request(sale(5))]
    _, state = await book.database.write(posting.post_on, LINE, requests, None)
    accounts = [await opened(keeper, "bank:main")]
    assert not isinstance(
        await keeper.limit_account(OPERATOR, accounts[0].id, Limits(ceiling=9)), Refusal
    )
    again = [book.request(sale(5))]
    results, _ = await book.database.write(posting.post_on, LINE, again, state)
    assert results == [PostingRefused(LedgerCode.ABOVE_CEILING)]


async def test_an_account_is_closed(keeper: Keeper, book: LedgerBook) -> None:
    """Once it has nothing and expects nothing; then nothing is posted to it any more."""
    account = await opened(keeper, "bank:main")
    await book.post(sale(100))
    full = await keeper.close_account(OPERATOR, account.id)
    await book.post(Transfer("bank:other", "bank:main", 100, "EUR"))
    hold = await book.post(Pending("bank:main", "commission", 1, "EUR"))
    expecting = await keeper.close_account(OPERATOR, account.id)
    await book.post(Void(f"{hold.number}.0"))
    assert [refused(each).code for each in (full, expecting)] == [Code.ACCOUNT_NOT_EMPTY] * 2
    closed = await keeper.close_account(OPERATOR, account.id)
    assert isinstance(closed, Account)
    assert closed.closed_at is not None
    assert await keeper.close_account(OPERATOR, account.id) == closed
    limits = await keeper.limit_account(OPERATOR, account.id, Limits(floor=0))
    assert refused(limits).code is Code.ACCOUNT_CLOSED
    (result,) = await book.database.write(posting.post, LINE, [book.request(sale(1))])
    assert result == PostingRefused(LedgerCode.ACCOUNT_CLOSED, 0)


async def test_a_chart_grows(keeper: Keeper, book: LedgerBook) -> None:
    """Accounts of a new pattern are opened by the next posting."""
    wanted = PatternWanted(pattern="voucher:{owner}", kind=Kind.LIABILITY, ceiling=50)
    added = await keeper.add_pattern(OPERATOR, LINE, wanted)
    assert added == await keeper.add_pattern(OPERATOR, LINE, wanted)
    assert added == Pattern("voucher:{owner}", Kind.LIABILITY, None, 50)
    await book.post(Transfer("bank:main", "voucher:bea", 50, "EUR"))
    result = await book.database.write(
        posting.post, LINE, [book.request(Transfer("bank:main", "voucher:bea", 1, "EUR"))]
    )
    assert result == [PostingRefused(LedgerCode.ABOVE_CEILING)]


@pytest.mark.parametrize(
    ("pattern", "kind", "code"),
    [
        ("Vault", Kind.ASSET, Code.INVALID_REQUEST),
        ("vault:{person}", Kind.ASSET, Code.INVALID_REQUEST),
        ("vault:{owner}:{owner}", Kind.ASSET, Code.INVALID_REQUEST),
        ("bank:*", Kind.LIABILITY, Code.ALREADY_THERE),
        ("bank:{owner}", Kind.ASSET, Code.ALREADY_THERE),
        ("bank:main", Kind.LIABILITY, Code.KIND_DIFFERS),
        ("seller:*:*", Kind.ASSET, Code.KIND_DIFFERS),
    ],
)
async def test_what_no_chart_has(keeper: Keeper, pattern: str, kind: Kind, code: Code) -> None:
    """No path is ever of two kinds, nor is a pattern there twice."""
    wanted = PatternWanted(pattern=pattern, kind=kind)
    assert refused(await keeper.add_pattern(OPERATOR, LINE, wanted)).code is code


async def test_limits_of_a_pattern(keeper: Keeper) -> None:
    """They are those of accounts opened from then on."""
    before = await opened(keeper, "bank:main")
    changed = await keeper.limit_pattern(OPERATOR, LINE, "bank:*", Limits(floor=0))
    assert changed == Pattern("bank:*", Kind.ASSET, 0, None)
    after = await opened(keeper, "bank:other")
    assert (before.floor, after.floor) == (None, 0)
    assert await opened(keeper, "bank:main") == before
    wrong = await keeper.limit_pattern(OPERATOR, LINE, "bank:*", Limits(ceiling=-1))
    missing = await keeper.limit_pattern(OPERATOR, LINE, "bank", Limits())
    assert [refused(each).code for each in (wrong, missing)] == [
        Code.INVALID_REQUEST,
        Code.NOT_FOUND,
    ]


@pytest.mark.parametrize(("floor", "ceiling"), [(1, None), (None, -1), (1, 0), (1, 2), (-2, -1)])
async def test_a_pattern_has_room_for_nothing(
    keeper: Keeper, floor: int | None, ceiling: int | None
) -> None:
    """An account begins at 0: it could not be opened with such limits, nor a batch be posted."""
    wanted = PatternWanted(pattern="vault", kind=Kind.ASSET, floor=floor, ceiling=ceiling)
    assert refused(await keeper.add_pattern(OPERATOR, LINE, wanted)).code is Code.INVALID_REQUEST
    limits = Limits(floor=floor, ceiling=ceiling)
    changed = await keeper.limit_pattern(OPERATOR, LINE, "bank:*", limits)
    assert refused(changed).code is Code.INVALID_REQUEST


async def test_a_chart_has_an_end(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is held against each pattern, so there are not too many."""
    assert PATTERNS_MAX > 14
    monkeypatch.setattr("app.ledger.keeping.PATTERNS_MAX", 15)
    one = await keeper.add_pattern(OPERATOR, LINE, PatternWanted(pattern="vault", kind=Kind.ASSET))
    two = await keeper.add_pattern(OPERATOR, LINE, PatternWanted(pattern="safe", kind=Kind.ASSET))
    assert isinstance(one, Pattern)
    assert refused(two).code is Code.INVALID_REQUEST


async def test_a_period_is_locked(keeper: Keeper, book: LedgerBook) -> None:
    """Nothing takes effect before it any more; a lock moves forward, and never beyond now."""
    await book.post(sale(1), at=LONG_AGO)
    lock = await keeper.lock_period(OPERATOR, LINE, LONG_AGO)
    assert isinstance(lock, PeriodLock)
    assert (lock.locked_before, lock.locked_by) == (LONG_AGO, OPERATOR.name)
    assert await keeper.lock_period(OPERATOR, LINE, LONG_AGO) == lock
    back = await keeper.lock_period(OPERATOR, LINE, LONG_AGO - timedelta(seconds=1))
    assert refused(back).code is Code.LOCK_MOVES_BACK
    future = await keeper.lock_period(OPERATOR, LINE, lock.locked_at + timedelta(days=1))
    assert refused(future).code is Code.INVALID_REQUEST
    requests = [
        book.request(sale(1), at=LONG_AGO - timedelta(microseconds=1)),
        book.request(sale(1), at=LONG_AGO),
    ]
    early, late = await book.database.write(posting.post, LINE, requests)
    assert early == PostingRefused(LedgerCode.PERIOD_LOCKED)
    assert isinstance(late, Accepted)
    later = await keeper.lock_period(OPERATOR, LINE, lock.locked_at)
    assert isinstance(later, PeriodLock)
    assert later.locked_at >= later.locked_before == lock.locked_at


async def test_another_line_s_book_is_not_there(keeper: Keeper) -> None:
    """Nor its accounts, whatever is asked of them."""
    account = (await opened(keeper, "bank:main")).id
    wanted = AccountWanted(path="bank:other", currency="EUR")
    pattern = PatternWanted(pattern="vault", kind=Kind.ASSET)
    answers = [
        await keeper.open_account(STRANGER, LINE, wanted),
        await keeper.open_account(OPERATOR, "nowhere", wanted),
        await keeper.limit_account(STRANGER, account, Limits(floor=0)),
        await keeper.close_account(STRANGER, account),
        await keeper.close_account(OPERATOR, 2**64),
        await keeper.add_pattern(STRANGER, LINE, pattern),
        await keeper.limit_pattern(STRANGER, LINE, "bank:*", Limits(floor=0)),
        await keeper.lock_period(STRANGER, LINE, LONG_AGO),
    ]
    assert {refused(each).code for each in answers} == {Code.NOT_FOUND}
    assert (await opened(keeper, "bank:main")).closed_at is None
