"""What `agio ledger` prints, and when it fails."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import pytest
import trio

from app import cli, config
from app.ledger import posting
from app.ledger.request import PostingRequest, Transfer
from app.ledger.sealer import Sealer
from app.once import with_database
from app.storage import Database
from tests.app.ledger.lines import add_books, do

pytestmark = pytest.mark.servers

T = TypeVar("T")

GIFT: Final = Transfer("bank:main", "opening", 500, "EUR")


@pytest.fixture(autouse=True)
def own_settings(state_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's database, and none of the caller's settings."""
    for name in list(config.BY_NAME):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("AGIO_STATE_DIR", str(state_path))
    monkeypatch.setenv("AGIO_DATABASE_URL", database_url)


def at(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` returns, given the database."""
    return trio.run(with_database, url, work)


async def _seal_two(database: Database) -> None:
    """A book with two postings, one of them sealed, and one that is empty."""
    await add_books(database, "north", "south")
    await database.write(posting.post, "north", (PostingRequest("gift-1", (GIFT,)),))
    await Sealer(database).sweep()
    await database.write(posting.post, "north", (PostingRequest("gift-2", (GIFT,)),))


async def _tamper(owner: Database) -> None:
    await do(owner, "rewrite_first")


def test_verify_prints_each_book_s_tip(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is to be kept elsewhere stands at the line's end; given back, it is met."""
    at(database_url, _seal_two)
    assert cli.main(["ledger", "verify"]) == 0
    north, south = capsys.readouterr().out.splitlines()
    line, tip = north.rsplit(" ", 1)
    assert line == "north: 1 postings in 1 seals hold, 1 are not sealed; tip"
    assert south == "south: nothing is sealed, 0 postings are not"
    assert cli.main(["ledger", "verify", "--book", "north", "--tip", tip.upper()]) == 0
    assert capsys.readouterr().out.splitlines() == [north]


def test_verify_fails_where_a_tip_is_not_met(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though every seal holds, it is not the chain that somebody saw."""
    at(database_url, _seal_two)
    assert cli.main(["ledger", "verify", "--tip", "ab" * 32]) == 1
    assert f"tip {'ab' * 32}: no chain leads through it" in capsys.readouterr().out


def test_verify_names_the_first_range_that_was_changed(
    database_url: str, owner_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails, and so does a check."""
    at(database_url, _seal_two)
    at(owner_url, _tamper)
    assert cli.main(["ledger", "verify"]) == 1
    out = capsys.readouterr().out
    assert "north: postings 1 to 1: its postings are not what was sealed\n" in out
    assert cli.main(["ledger", "check"]) == 1
    assert "seal_broken" in capsys.readouterr().out


def test_verify_knows_the_books(capsys: pytest.CaptureFixture[str]) -> None:
    """One that is not there is no book without fault."""
    assert cli.main(["ledger", "verify", "--book", "nowhere"]) == 1
    assert capsys.readouterr().err == "agio: there is no book nowhere\n"


def test_a_tip_has_64_digits(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be one is refused before anything is read."""
    with pytest.raises(SystemExit):
        cli.main(["ledger", "verify", "--tip", "abc"])
    assert "is not a tip" in capsys.readouterr().err


# Loads of past postings ---------------------------------------------------------------------------

OPENING: Final = (
    '{"key": "opening", "effective_at": "2025-12-31T23:59:59Z", "transfers": [{"type": "transfer",'
    ' "debit": "bank:main", "credit": "opening", "amount": 125000, "currency": "EUR"}]}\n'
)
TOTALS: Final = """{"EUR": {
    "asset": {"postings": 1, "debits": 125000, "balance": 125000},
    "equity": {"postings": 1, "debits": 0, "balance": 125000}
}}"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A file of past postings and what the book is to come to, as arguments."""
    past, totals = tmp_path / "past.ndjson", tmp_path / "totals.json"
    past.write_text(OPENING, "utf-8")
    totals.write_text(TOTALS, "utf-8")
    return [str(past), "--totals", str(totals)]


def test_a_book_is_loaded_and_promoted(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made to take past postings, takes them once, and is live when they are all there."""
    assert cli.main(["line", "add", "acme", "--importing"]) == 0
    assert cli.main(["ledger", "promote", "acme"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("added acme\n", "agio: acme: no file was loaded to its end\n")
    for first in ("1 posted, 0 were there", "0 posted, 1 were there"):
        assert cli.main(["ledger", "import", "acme", *files]) == 0
        assert capsys.readouterr().out == (
            f"acme: {first}, 0 refused\nacme: the totals are as wanted\n"
        )
    assert cli.main(["ledger", "promote", "acme"]) == 0
    assert capsys.readouterr().out == "acme is live\n"
    assert cli.main(["ledger", "import", "acme", *files]) == 1
    assert "takes no past postings" in capsys.readouterr().err
    assert cli.main(["ledger", "check"]) == 0


def test_what_is_wrong_with_a_file_is_told_line_by_line(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each refused row with its line and code, and each total that is not as wanted."""
    Path(files[0]).write_text(OPENING.replace("bank:main", "bunk"), "utf-8")
    assert cli.main(["line", "add", "acme", "--importing"]) == 0
    assert cli.main(["ledger", "import", "acme", *files]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("line 1: account_unknown: ")
    assert lines[2] == "acme: 0 posted, 0 were there, 1 refused"
    assert "acme: EUR equity: balance is 0, not 125000" in lines


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("past.ndjson", None, "No such file"),
        ("totals.json", None, "No such file"),
        ("totals.json", "[]", "Expected `object`"),
        ("totals.json", '{"EUR": {"money": {}}}', "money"),
        ("totals.json", '{"EUR": {"asset": {"debits": -1}}}', ">= 0"),
    ],
)
def test_files_that_cannot_be_are_one_line(
    files: list[str],
    capsys: pytest.CaptureFixture[str],
    file: str,
    text: str | None,
    said: str,
) -> None:
    """Nothing is posted before both files can be read."""
    path = Path(files[0]).parent / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text, "utf-8")
    assert cli.main(["line", "add", "acme", "--importing"]) == 0
    capsys.readouterr()
    assert cli.main(["ledger", "import", "acme", *files]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("agio: ")
    assert file in err
    assert said in err
