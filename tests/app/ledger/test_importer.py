"""Past postings are loaded once, whole and in order, and never beside present ones."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from app.identity.store import add_line
from app.ledger import importer
from app.ledger.codes import LedgerCode
from app.ledger.import_model import (
    NotLoadable,
    RowCode,
    RowRefused,
    Run,
    Tally,
    read_totals,
)
from app.ledger.importer import Importer, PastPostings
from app.ledger.service import Ledger
from app.storage import Database
from tests.app.ledger.lines import ask, balances, violations
from tests.app.ledger.past import ROWS, TOTALS, Past, row, totals

pytestmark = pytest.mark.servers

GUIDE: Final = Path(__file__).parents[3] / "docs/import.md"


@pytest.fixture
async def past(database: Database) -> Past:
    """The book north, which takes past postings."""
    assert await database.write(add_line, "north", "North", 0, "importing")
    return Past(database, Importer(database))


async def test_a_file_is_posted_in_its_order(past: Past) -> None:
    """Each row is a posting of its own time, and the book comes to what it was to be."""
    run = await past.load()
    assert run == Run(Tally(posted=4), ())
    assert await past.keys() == ["row-1", "row-2", "row-3", "row-4"]
    assert all(each["imported"] for each in await ask(past.database, "postings"))
    assert (await balances(past.database))["north bank:main"] == 875
    assert await violations(past.database) == set()
    assert await Ledger(past.database).check() == []


async def test_a_file_that_is_loaded_twice_is_posted_once(past: Past) -> None:
    """The second time every row is there, and nothing is changed."""
    await past.load()
    before = await ask(past.database, "everything")
    run = await past.load()
    assert run == Run(Tally(found=4), ())
    assert await ask(past.database, "everything") == before


async def test_a_load_that_was_interrupted_goes_on(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was posted before stays; the rest is posted by the next run of the same file."""
    monkeypatch.setattr(importer, "ROWS_A_BATCH_MAX", 1)
    broken = (*ROWS[:3], {"key": "row-x"})

    class Interrupted(Exception):  # noqa: N818 - what happens to it, and no fault
        """Somebody ends the run."""

    def interrupt(_: RowRefused) -> None:
        raise Interrupted

    lines = b"\n".join(json.dumps(each).encode() for each in broken)
    file = PastPostings("past.ndjson", io.BytesIO(lines))
    with pytest.raises(Interrupted):
        await past.importer.load("north", file, totals(), interrupt)
    assert len(await past.keys()) == 3
    assert await past.importer.promote("north") is NotLoadable.NEVER_LOADED
    assert await past.load() == Run(Tally(posted=1, found=3), ())
    assert await past.keys() == ["row-1", "row-2", "row-3", "row-4"]


async def test_a_row_that_was_edited_at_its_source_is_reported(past: Past) -> None:
    """The key has another body now: nothing is posted for it, and the book is not complete."""
    await past.load()
    edited = row(2, "bank:main", "commission", 301)
    run = await past.load((ROWS[0], edited, *ROWS[2:]))
    assert run.tally == Tally(found=3, refused=1)
    assert [(each.line, each.code) for each in past.refused] == [(2, LedgerCode.KEY_REUSED)]
    assert await past.importer.promote("north") is NotLoadable.ROWS_REFUSED


async def test_a_gap_shows_in_the_totals(past: Past) -> None:
    """A row that the source left out is missed; when it comes, it is posted and all is there."""
    run = await past.load((*ROWS[:1], *ROWS[2:]))
    assert run.tally == Tally(posted=3)
    assert [tuple(each) for each in run.differences] == [
        ("EUR", "asset", "postings", 4, 3),
        ("EUR", "asset", "debits", 1_325, 1_025),
        ("EUR", "asset", "balance", 875, 575),
        ("EUR", "revenue", "postings", 2, 1),
        ("EUR", "revenue", "balance", 325, 25),
    ]
    assert await past.importer.promote("north") is NotLoadable.TOTALS_DIFFER
    assert await past.load() == Run(Tally(posted=1, found=3), ())
    assert await past.keys() == ["row-1", "row-3", "row-4", "row-2"]
    assert await past.importer.promote("north") is None


@pytest.mark.parametrize("total", ["postings", "debits", "balance"])
async def test_a_total_that_is_off_by_one_is_refused(past: Past, total: str) -> None:
    """One more of anything is not what the book was to be."""
    wrong = json.loads(json.dumps(TOTALS))
    wrong["EUR"]["asset"][total] += 1
    run = await past.load(ROWS, wrong)
    [different] = run.differences
    assert (different.total, different.wanted - different.has) == (total, 1)
    assert await past.importer.promote("north") is NotLoadable.TOTALS_DIFFER


async def test_what_nobody_asked_for_differs_and_nothing_does_not(past: Past) -> None:
    """A currency without a total is one too many; a total of nothing is no total."""
    run = await past.load(ROWS, {**TOTALS, "JPY": {"asset": {}}})
    assert run.complete
    run = await past.load(ROWS, {"JPY": {"asset": {"postings": 0}}})
    assert {each.currency for each in run.differences} == {"EUR"}
    assert all(each.wanted == 0 for each in run.differences)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"{", RowCode.ROW_MALFORMED),
        (b"\xff", RowCode.ROW_MALFORMED),
        (b'"text"', RowCode.ROW_MALFORMED),
        (
            json.dumps(row(2, "bank:main", "opening", 1))
            .replace('"amount": 1', '"amount": 1, "amount": 1000')
            .encode(),
            RowCode.ROW_MALFORMED,
        ),
        pytest.param(
            b'{"key": "deep", "meta": {"a": ' + b"[" * 4_000 + b"]" * 4_000 + b"}}",
            RowCode.ROW_MALFORMED,
            id="deep",
        ),
        (row(2, "bank:main", "opening", 1, more=1), RowCode.ROW_MALFORMED),
        (row(2, "bank:\x00", "opening", 1), RowCode.ROW_MALFORMED),
        (row(2, "bank:main", "opening", 1, effective_at=None), RowCode.EFFECTIVE_MISSING),
        (
            row(2, "bank:main", "opening", 1, effective_at="2025-02-28T12:00:00Z"),
            RowCode.EFFECTIVE_OUT_OF_ORDER,
        ),
        (b'{"key": "' + b"x" * 20_000 + b'"}', RowCode.ROW_TOO_LONG),
        (
            row(2, "bank:main", "opening", 1, effective_at="2999-01-01T00:00:00Z"),
            LedgerCode.EFFECTIVE_IN_FUTURE,
        ),
        (row(2, "bank:main", "no-such", 1), LedgerCode.ACCOUNT_UNKNOWN),
        (row(2, "bank:main", "opening", 0), LedgerCode.AMOUNT_NOT_POSITIVE),
        (row(2, "bank:main", "due-to:south", 1), LedgerCode.ACCOUNT_RESERVED),
    ],
)
async def test_each_row_has_one_outcome(
    past: Past,
    monkeypatch: pytest.MonkeyPatch,
    bad: Mapping[str, Any] | bytes,
    code: RowCode | LedgerCode,
) -> None:
    """A bad row is refused with its line, and disturbs none of the others before or after it."""
    monkeypatch.setattr("app.ledger.import_model.ROW_BYTES_MAX", 9_000)
    monkeypatch.setattr(importer, "ROW_BYTES_MAX", 9_000)
    rows: list[Mapping[str, Any] | bytes] = [ROWS[0], b"", bad]
    in_future = code is LedgerCode.EFFECTIVE_IN_FUTURE
    rows = [*rows, *([] if in_future else ROWS[1:])]
    run = await past.load(rows)
    assert [(each.line, each.code) for each in past.refused] == [(3, code)]
    assert all(each.message for each in past.refused)
    assert run.tally == Tally(posted=len(rows) - 2, refused=1)
    assert await past.importer.promote("north") is NotLoadable.ROWS_REFUSED


@pytest.mark.parametrize(
    "text", [b"[]", b'{"XXX": {}}', b'{"E\\u0000": {}}', b'{"EUR": {"x": {}}}']
)
def test_what_is_no_total(text: bytes) -> None:
    """It is refused before anything is loaded."""
    with pytest.raises(ValueError, match=r"no currency|Expected|Invalid"):
        read_totals(text)


async def test_rows_refused_at_once_and_by_the_ledger_are_told_in_the_file_s_order(
    past: Past,
) -> None:
    """Whoever mends the file reads it from its beginning."""
    bad = row(2, "bank:main", "no-such", 1)
    await past.load((b"{", ROWS[0], {**bad, "key": "bad"}, b"}", *ROWS[1:]))
    assert [each.line for each in past.refused] == [1, 3, 4]


async def test_a_batch_has_few_enough_transfers(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However rows are cut into blocks, the same comes of them; one row is never cut."""
    monkeypatch.setattr(importer, "TRANSFERS_A_SHARE_MAX", 2)
    monkeypatch.setattr(importer, "ROWS_A_BATCH_MAX", 3)
    large = {**ROWS[0], "key": "large", "transfers": ROWS[0]["transfers"] * 5}
    run = await past.load((large, *ROWS))
    assert run.tally == Tally(posted=5)
    assert await past.keys() == ["large", "row-1", "row-2", "row-3", "row-4"]


@pytest.mark.parametrize("heads", [("## The file", "## The totals"), ("## Opening balances",)])
async def test_the_examples_of_the_docs_are_complete(past: Past, heads: tuple[str, ...]) -> None:
    """Their rows come to their totals."""
    text = GUIDE.read_text("utf-8")
    given = [each for head in heads for each in _examples(text.split(head)[1].split("\n## ")[0])]
    run = await past.load(given[:-1], given[-1])
    assert past.refused == []
    assert run == Run(Tally(posted=len(given) - 1), ())


def _examples(section: str) -> Iterator[Any]:
    """The JSON of a section's indented lines."""
    code = "".join(line for line in section.splitlines() if line.startswith("    "))
    while code := code.strip():
        value, end = json.JSONDecoder().raw_decode(code)
        yield value
        code = code[end:]
