"""Any past, read through indexes, is what every entry by itself adds up to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.identity.store import add_line
from app.ledger import posting, reads
from app.ledger.model import NORMAL, Accepted, Account, Side
from app.ledger.request import AnyTransfer, Pending, Post, PostingRequest, Transfer, Void
from app.ledger.seen import AsOf, Clock, Period, Standing
from app.storage import Row, WriteConnection, load_queries
from tests.app.ledger.ledger_book import LINE

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "past.sql")

PATHS: Final = ("bank:main", "expense:rent", "seller:sam:payable", "commission")
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """A posting of one or two transfers: between which accounts, and when it took effect.

    `back` is None for now, a number of days after `LONG_AGO`, or how many postings ago.
    """

    kind: Literal["transfer", "pending", "post", "void"]
    debit: int
    credit: int
    amount: int
    twice: bool
    back: tuple[Literal["days", "postings"], int] | None


STEPS: Final = st.builds(
    Step,
    kind=st.sampled_from(["transfer", "transfer", "pending", "pending", "post", "void"]),
    debit=st.integers(0, 3),
    credit=st.integers(1, 3),
    amount=st.integers(1, 1_000),
    twice=st.booleans(),
    back=st.none() | st.tuples(st.sampled_from(["days", "postings"]), st.integers(0, 9)),
)


class Journey:
    """Posts steps, one block each, and remembers which holds are open."""

    def __init__(self, conn: WriteConnection) -> None:
        self._conn = conn
        self._holds: list[str] = []
        self._recorded: list[datetime] = []

    async def take(self, step: Step) -> None:
        """Posts one step; it must be accepted."""
        moved = self._transfers(step)
        request = PostingRequest(f"key-{len(self._recorded)}", moved, self._effective(step))
        (result,) = await posting.post(self._conn, LINE, [request])
        assert isinstance(result, Accepted), result
        posted = result.posted
        self._recorded.append(posted.recorded_at)
        self._holds += [f"{posted.number}.{m.leg}" for m in posted.transfers if m.type == "pending"]

    def _transfers(self, step: Step) -> tuple[AnyTransfer, ...]:
        if step.kind in {"post", "void"} and self._holds:
            hold = self._holds.pop(step.amount % len(self._holds))
            return (Post(hold) if step.kind == "post" else Void(hold),)
        shape = Pending if step.kind == "pending" else Transfer
        debit, credit = PATHS[step.debit], PATHS[(step.debit + step.credit) % 4]
        one = shape(debit, credit, step.amount, "EUR")
        return (one, shape(credit, debit, 1, "EUR")) if step.twice else (one,)

    def _effective(self, step: Step) -> datetime | None:
        match step.back:
            case ("days", days):
                return LONG_AGO + timedelta(days=days)
            case ("postings", count) if count < len(self._recorded):
                return self._recorded[-1 - count]
        return None


def naive(entries: Sequence[Row], account: Account, as_of: AsOf) -> Standing:
    """How an account stood, by adding up all of its entries that count."""
    time = "recorded_at" if as_of.by is Clock.RECORDED else "effective_at"
    counted = [
        entry
        for entry in entries
        if entry["account"] == account.id
        and (as_of.at is None or entry[time] <= as_of.at)
        and (as_of.head is None or entry["posting"] <= as_of.head)
    ]
    normal = NORMAL[account.kind].value
    return Standing(
        account,
        sum(entry["posted"] * (1 if entry["side"] == normal else -1) for entry in counted),
        sum(entry["pending"] for entry in counted if entry["side"] == Side.DEBIT),
        sum(entry["pending"] for entry in counted if entry["side"] == Side.CREDIT),
    )


async def adds_up(conn: WriteConnection, steps: Sequence[Step], asked: Sequence[int]) -> None:
    """At each moment that is asked for, by either time and whatever the head."""
    await add_line(conn, LINE, "A line", 0)
    journey = Journey(conn)
    for step in steps:
        await journey.take(step)
    entries = await conn.fetch(_SQL.entries)
    accounts = await reads.accounts_of_book(conn, LINE, ("", ""), 10)
    moments = sorted({each[time] for each in entries for time in ("recorded_at", "effective_at")})
    for number in asked:
        at = moments[number % len(moments)] + INSTANT * (number % 3 - 1)
        head = number % (len(steps) + 2)
        for as_of in (*(AsOf(at, by) for by in Clock), AsOf(at, Clock.EFFECTIVE, head)):
            await stands(conn, entries, accounts, as_of)
        await states(conn, entries, accounts[number % len(accounts)], at)


async def stands(
    conn: WriteConnection, entries: Sequence[Row], accounts: Sequence[Account], as_of: AsOf
) -> None:
    """Each account is what its entries add up to, and so are all of a kind."""
    expected = [naive(entries, account, as_of) for account in accounts]
    point = await reads.find_point(conn, LINE, as_of)
    assert point is not None
    assert list(await reads.standings(conn, point, accounts)) == expected
    for total in await reads.totals(conn, point):
        of_kind = [each for each in expected if each.account.kind is total.kind]
        assert (total.accounts, total.debit, total.credit) == (
            len(of_kind),
            sum(each.debit for each in of_kind),
            sum(each.credit for each in of_kind),
        )
        assert (total.debits_pending, total.credits_pending) == (
            sum(each.debits_pending for each in of_kind),
            sum(each.credits_pending for each in of_kind),
        )


async def states(
    conn: WriteConnection, entries: Sequence[Row], account: Account, at: datetime
) -> None:
    """A statement from the moment on opens with what was before, and has all entries after."""
    after, point = await reads.bounds(conn, LINE, Period(since=at))
    lines = await reads.statement_lines(conn, account, after, point.number, len(entries))
    opening = await reads.balance_at(conn, account.id, after)
    assert opening == naive(entries, account, AsOf(at)).balance
    assert [(line.posting, line.leg, line.side) for line in lines] == [
        (entry["posting"], entry["leg"], entry["side"])
        for entry in entries
        if entry["account"] == account.id and entry["recorded_at"] > at
    ]
    closing = lines[-1].balance_after if lines else opening
    assert closing == naive(entries, account, AsOf()).balance


def test_the_past_adds_up(database_url: str) -> None:
    """Random postings, back-dated and held: at random moments all reads agree with a plain sum."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database_url))

        async def rolled_back(steps: Sequence[Step], asked: Sequence[int]) -> None:
            block = connection.transaction()
            await block.start()
            try:
                await adds_up(connection, steps, asked)
            finally:
                await block.rollback()

        @settings(max_examples=60)
        @given(st.lists(STEPS, min_size=1, max_size=12), st.lists(st.integers(0, 99), max_size=4))
        def adds_up_whatever_is_posted(steps: list[Step], asked: list[int]) -> None:
            runner.run(rolled_back(steps, asked))

        adds_up_whatever_is_posted()
        runner.run(connection.close())
