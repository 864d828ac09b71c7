"""The ledger's scenarios, decided in memory and in PostgreSQL, one by one and in batches."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import msgspec
import pytest

from app.ledger import posting
from app.ledger.chart import Chart, Pattern
from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.model import Accepted, Kind, Mode, Posted, PostingRefused, Result
from app.ledger.service import Ledger
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from tests.app.ledger.memory_book import BOOK, MemoryBook
from tests.app.ledger.scenario import (
    OK,
    SAME,
    Line,
    PostingLine,
    Scenario,
    ladders,
    scenarios,
)

_SQL: Final = load_queries(__package__, "book.sql")

ALL: Final = scenarios()
NAMES: Final = [scenario.name for scenario in ALL]

# Neighbours that no posting can be refused for at once: a book has one mode, an amount is not both,
# nothing empty is a reversal, a hold has one end, and what one type of transfer says no other does.
EXCLUSIVE: Final = {
    ("book_closed", "book_importing"),
    ("book_importing", "book_not_importing"),
    ("posting_empty", "reversal_has_transfers"),
    ("reversed_unknown", "not_reversible"),
    ("not_reversible", "already_reversed"),
    ("already_reversed", "amount_not_positive"),
    ("amount_not_positive", "amount_too_large"),
    ("account_closed", "pending_unknown"),
    ("pending_unknown", "pending_already_posted"),
    ("pending_already_posted", "pending_already_voided"),
    ("pending_already_voided", "pending_expired"),
}


def expect(line: PostingLine, result: Result, answers: dict[str, Posted]) -> None:
    """What came of a posting is what its line says; the same again is byte for byte the same."""
    if line.expected not in {OK, SAME}:
        assert isinstance(result, PostingRefused), (line.number, result)
        assert result.code == line.expected, line.number
        assert result.message.startswith(LEDGER_MEANINGS[result.code].message)
        return
    assert isinstance(result, Accepted), (line.number, result)
    assert result.fresh is (line.expected == OK), line.number
    known = answers.setdefault(result.posted.key, result.posted)
    assert msgspec.json.encode(result.posted) == msgspec.json.encode(known), line.number


def batches(scenario: Scenario, most: int) -> list[Line | list[PostingLine]]:
    """The scenario with its postings in batches of at most so many."""
    grouped: list[Line | list[PostingLine]] = []
    for line in scenario.lines:
        last = grouped[-1] if grouped else None
        if isinstance(line, Line):
            grouped.append(line)
        elif isinstance(last, list) and len(last) < most and _fits(last[0], line):
            last.append(line)
        else:
            grouped.append([line])
    return grouped


def _fits(first: PostingLine, line: PostingLine) -> bool:
    return (first.terms, first.book) == (line.terms, line.book)


# In memory ---------------------------------------------------------------------------------------


def change(book: MemoryBook, line: Line) -> None:
    """Makes something so in a book in memory, or looks whether it is."""
    first, *others = line.arguments
    state = book.state
    if line.word == "given":
        account = book.open(first, others[0])
        account.floor, account.ceiling = line.limit("floor"), line.limit("ceiling")
    elif line.word == "pattern":
        new = Pattern(first, Kind(others[0]), line.limit("floor"), line.limit("ceiling"))
        state.chart = Chart([*state.chart.patterns, new])
    elif line.word == "wait":
        book.wait(int(first))
    elif line.word == "lock":
        state.locked_before = book.now + timedelta(seconds=int(first))
    elif line.word == "mode":
        state.mode = Mode(first)
    elif line.word == "close":
        book.open(first, others[0]).closed = True
    elif line.word == "then":
        account = book.open(first, others[0])
        held = account.credits_pending if account.normal_debit else account.debits_pending
        assert [account.balance, account.balance - held] == [int(each) for each in others[1:]]


@pytest.mark.parametrize("most", [1, 1_000], ids=["one-by-one", "batched"])
@pytest.mark.parametrize("scenario", ALL, ids=NAMES)
def test_in_memory(scenario: Scenario, most: int) -> None:
    """Each posting has the outcome that stands beside it, and accounts come to what is said."""
    book = MemoryBook()
    answers: dict[str, Posted] = {}
    for lines in batches(scenario, most):
        if isinstance(lines, Line):
            if lines.word != "ladder":
                change(book, lines)
        elif lines[0].book is None:
            requests = [line.request(book.now) for line in lines]
            for line, result in zip(lines, book.post(requests, lines[0].terms), strict=True):
                expect(line, result, answers)
    assert sum(each.debits_posted for each in book.accounts()) == sum(
        each.credits_posted for each in book.accounts()
    )


# In PostgreSQL -----------------------------------------------------------------------------------


class Books:
    """The book of a scenario in a database."""

    def __init__(self, database: Database, owner: Database) -> None:
        self._database = database
        self._owner = owner

    async def open(self) -> None:
        """The book, with its chart and nothing else."""
        await self._write(self._database, "open_book", BOOK)

    async def post(self, lines: Sequence[PostingLine]) -> list[Result]:
        """Posts a batch in a block of its own."""
        now = datetime.now(UTC)
        requests = [line.request(now) for line in lines]
        book = lines[0].book or BOOK

        async def run(conn: WriteConnection) -> list[Result]:
            return await posting.post(conn, book, requests, lines[0].terms)

        return await self._database.write(run)

    async def change(self, line: Line) -> None:
        """Makes something so in the book, or looks whether it is."""
        await getattr(self, f"_{line.word}")(line, *line.arguments)

    async def _given(self, line: Line, path: str, currency: str, *_: str) -> None:
        limits = (line.limit("floor"), line.limit("ceiling"))
        await self._write(self._database, "open_account", BOOK, path, currency, *limits)

    async def _pattern(self, line: Line, pattern: str, kind: str, *_: str) -> None:
        limits = (line.limit("floor"), line.limit("ceiling"))
        await self._write(self._database, "add_pattern", BOOK, pattern, kind, *limits)

    async def _wait(self, _: Line, seconds: str) -> None:
        """As nobody sets the server's clock, everything was so much earlier."""
        passed = timedelta(seconds=int(seconds))

        for table in ("posting", "transfer", "hold", "book"):
            await self._tamper(f"move_{table}_back", passed)

    async def _lock(self, _: Line, seconds: str) -> None:
        await self._write(self._database, "lock_period", BOOK, timedelta(seconds=int(seconds)))

    async def _mode(self, _: Line, mode: str) -> None:
        """Whatever it was: how a book may change is another test's."""
        await self._tamper("set_mode", BOOK, mode)

    async def _close(self, _: Line, path: str, currency: str) -> None:
        await self._write(self._database, "close_account", BOOK, path, currency)

    async def _ladder(self, _: Line) -> None:
        """Nothing changes."""

    async def _then(self, _: Line, path: str, currency: str, *expected: str) -> None:
        async def run(conn: ReadConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in await conn.fetch(_SQL.account, BOOK, path, currency)]

        (row,) = await self._database.read(run)
        account = posting.to_account(row)
        assert [account.balance, account.available] == [int(each) for each in expected]

    async def _tamper(self, query: str, *args: object) -> None:
        async def run(conn: WriteConnection) -> None:
            await conn.execute(_SQL.switch_off)
            await conn.execute(getattr(_SQL, query), *args)

        await self._owner.write(run)

    async def _write(self, database: Database, query: str, *args: object) -> None:
        async def run(conn: WriteConnection) -> None:
            await conn.execute(getattr(_SQL, query), *args)

        await database.write(run)


@pytest.mark.servers
@pytest.mark.parametrize("most", [1, 1_000], ids=["one-by-one", "batched"])
@pytest.mark.parametrize("scenario", ALL, ids=NAMES)
async def test_in_postgres(
    scenario: Scenario, most: int, database: Database, owner: Database
) -> None:
    """The same, each batch in a block of its own, and a check finds nothing."""
    books = Books(database, owner)
    await books.open()
    answers: dict[str, Posted] = {}
    for lines in batches(scenario, most):
        if isinstance(lines, Line):
            await books.change(lines)
            if lines.word == "wait":
                answers.clear()  # they tell times, which were moved
            continue
        for line, result in zip(lines, await books.post(lines), strict=True):
            expect(line, result, answers)
    assert await Ledger(database).check() == []


# What the scenarios cover ------------------------------------------------------------------------


def test_every_code_occurs() -> None:
    """There is no reason to refuse that no scenario shows."""
    assert {code for scenario in ALL for code in scenario.expected()} == set(LedgerCode)
    assert set(LEDGER_MEANINGS) == set(LedgerCode)


def test_faults_are_looked_for_in_the_order_of_the_codes() -> None:
    """Mended one by one, the faults of a posting come up in the documented order."""
    order = list(LedgerCode)
    for ladder in ladders():
        places = [order.index(code) for code in ladder]
        assert places == sorted(places), ladder


def test_neighbours_meet() -> None:
    """Two codes in a row are shown in one posting, wherever one can have both faults."""
    met = {(str(one), str(two)) for ladder in ladders() for one, two in pairwise(ladder)}
    assert set(pairwise(map(str, LedgerCode))) - met == EXCLUSIVE
