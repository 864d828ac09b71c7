"""`agio ledger trial-balance` and `statement`: what they print, and what they refuse."""

import asyncio
import csv
import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Final

import asyncpg
import pytest

from app import cli, config
from app.identity.store import add_line
from app.ledger import posting, reports
from app.ledger.model import Accepted, Posted
from app.ledger.request import Pending, PostingRequest, Transfer
from app.storage import load_queries

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.ledger", "past.sql")

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
SALE: Final = Transfer("bank:main", "seller:sam:payable", 100, "EUR")


@pytest.fixture
def posted(database_url: str, monkeypatch: pytest.MonkeyPatch) -> list[Posted]:
    """Three postings to the book of the line `acme`, which the commands are set to read."""
    for name in list(config.BY_NAME):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("AGIO_DATABASE_URL", database_url)
    monkeypatch.setattr(reports, "REPORT_ROWS_A_READ", 2)

    async def post() -> list[Posted]:
        connection = await asyncpg.connect(database_url)
        await add_line(connection, "acme", "A line", 0)
        results = []
        for request in (
            PostingRequest("=sale", (SALE,)),
            PostingRequest("hold", (Pending("expense:rent", "bank:main", 30, "EUR"),)),
            PostingRequest("late", (SALE,), LONG_AGO),
        ):
            results += await posting.post(connection, "acme", [request])
        await connection.close()
        return [result.posted for result in results if isinstance(result, Accepted)]

    return asyncio.run(post())


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, str]]:
    """The rows that a command prints."""
    assert cli.main(["ledger", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return list(csv.DictReader(io.StringIO(out, newline="")))


def test_a_trial_balance(posted: list[Posted], capsys: pytest.CaptureFixture[str]) -> None:
    """A row an account, however many a read takes; now, and at a moment by either time."""
    assert len(posted) == 3
    rows = printed(capsys, "trial-balance", "acme")
    assert [(row["path"], row["debit"], row["credit"]) for row in rows] == [
        ("bank:main", "200", "0"),
        ("expense:rent", "0", "0"),
        ("seller:sam:payable", "0", "200"),
    ]
    assert [(row["debits_pending"], row["credits_pending"]) for row in rows] == [
        ("0", "30"),
        ("30", "0"),
        ("0", "0"),
    ]
    assert {(row["currency"], row["kind"]) for row in rows} == {
        ("EUR", "asset"),
        ("EUR", "expense"),
        ("EUR", "liability"),
    }
    at = ("trial-balance", "acme", "--at", "2020-01-01T01:00:00+01:00")
    assert {row["debit"] for row in printed(capsys, *at)} == {"0"}
    effective = printed(capsys, *at, "--by", "effective")
    assert [row["debit"] for row in effective] == ["100", "0", "0"]


def test_a_statement(posted: list[Posted], capsys: pytest.CaptureFixture[str]) -> None:
    """From where it opens to where it closes; no key is a formula to a spreadsheet."""
    (account, *_) = printed(capsys, "trial-balance", "acme")
    rows = printed(capsys, "statement", account["account"])
    assert [(row["type"], row["amount"], row["balance"], row["pending"]) for row in rows] == [
        ("opening", "", "0", ""),
        ("transfer", "100", "100", "0"),
        ("pending", "30", "100", "30"),
        ("transfer", "100", "200", "0"),
        ("closing", "", "200", ""),
    ]
    assert [row["transfer"] for row in rows] == ["", "1.0", "2.0", "3.0", ""]
    assert [row["key"] for row in rows[1:-1]] == ["'=sale", "hold", "late"]
    assert datetime.fromisoformat(rows[3]["effective_at"]) == LONG_AGO
    moments = [each.recorded_at.isoformat() for each in posted]
    period = ("--since", moments[0], "--until", moments[1])
    rows = printed(capsys, "statement", account["account"], *period)
    assert [(row["type"], row["balance"]) for row in rows] == [
        ("opening", "100"),
        ("pending", "100"),
        ("closing", "100"),
    ]


@pytest.mark.usefixtures("posted")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trial-balance", "nowhere"], "agio: there is no book nowhere\n"),
        (["statement", "0"], "agio: there is no account 0\n"),
        (["statement", "999"], "agio: there is no account 999\n"),
        (["statement", str(2**64)], f"agio: there is no account {2**64}\n"),
    ],
)
def test_what_is_not_there(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so, and nothing is printed."""
    assert cli.main(["ledger", *arguments]) == 1
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("moment", ["yesterday", "2026-01-31T00:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment(moment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A time without its offset is nowhere."""
    with pytest.raises(SystemExit):
        cli.main(["ledger", "trial-balance", "acme", "--at", moment])
    assert "is no moment with an offset" in capsys.readouterr().err


@pytest.mark.usefixtures("posted")
def test_columns_that_differ(owner_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a transfer was tampered with, it says so, and fails."""

    async def tamper() -> None:
        connection = await asyncpg.connect(owner_url)
        async with connection.transaction():
            await connection.execute(_SQL.switch_off)
            await connection.execute(_SQL.debit_more)
        await connection.close()

    asyncio.run(tamper())
    assert cli.main(["ledger", "trial-balance", "acme"]) == 1
    out, err = capsys.readouterr()
    assert err == "agio: debits and credits differ: EUR by 7\n"
    assert len(out.splitlines()) == 4


@pytest.mark.usefixtures("posted")
@pytest.mark.parametrize("command", [["trial-balance", "acme"], ["statement", "1"]])
def test_a_reader_that_has_seen_enough(command: list[str]) -> None:
    """Ends the command in peace, as `head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "app.cli", "ledger", *command],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
