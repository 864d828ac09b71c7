"""The page about the ledger: its tables are true, and the sale that it works out comes to that."""

import re
from pathlib import Path

import msgspec
import pytest

from app.ledger import posting, store
from app.ledger.codes import LEDGER_MEANINGS, LedgerCode
from app.ledger.model import Accepted, Kind, Phase
from app.ledger.request import PostingRequest
from app.storage import Database, ReadConnection, load_queries
from tests.app.ledger.ledger_book import LINE, LedgerBook

_SQL = load_queries(__package__, "guide.sql")
PAGE = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text("utf-8")


def section(title: str) -> str:
    """What stands under a heading."""
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_codes_are_told_in_their_order() -> None:
    """Each with its meaning, and whether it may be asked again."""
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (.*) \| (yes|) ?\|$", section("What it refuses"), re.MULTILINE
    )
    assert rows == [
        (code.value, LEDGER_MEANINGS[code].message, "yes" * LEDGER_MEANINGS[code].retryable)
        for code in LedgerCode
    ]


def test_kinds_and_types_are_all_told() -> None:
    """What an account may stand for, and what a transfer may be."""
    kinds = re.findall(r"^\| ([a-z]+) \| .* \| (?:debit|credit) \|", PAGE, re.MULTILINE)
    assert sorted(kinds) == sorted(Kind)
    types = set(re.findall(r"^\| `([a-z]+)` \|", section("The model"), re.MULTILINE))
    assert types == {*Phase, "convert"} - {Phase.EXPIRE}


@pytest.mark.servers
async def test_the_views_that_stay_empty_are_all_told(database: Database) -> None:
    """Whoever is woken by one finds what its rows are."""

    async def watched(conn: ReadConnection) -> list[str]:
        return [row["viewname"] for row in await conn.fetch(_SQL.watched)]

    told = re.findall(r"^\| `(inv_[a-z_]+)` \|", section("In the database"), re.MULTILINE)
    assert sorted(told) == await database.read(watched)


@pytest.mark.servers
async def test_the_sale_comes_to_what_is_said(database: Database) -> None:
    """The page's own postings, and the balances that it tells."""
    await LedgerBook(database).open()
    sale = section("A sale across two currencies")
    blocks = re.findall(r"```json\n(.*?)```", sale, re.DOTALL)
    requests = [msgspec.json.decode(block, type=PostingRequest) for block in blocks]
    results = await database.write(posting.post, LINE, requests)
    assert all(isinstance(result, Accepted) for result in results), results
    accounts = await database.read(store.accounts_of_line, LINE, 0, 100)
    told = re.findall(r"^\| `([a-z:]+)` \| ([A-Z]{3}) \| (-?\d+) \|$", sale, re.MULTILINE)
    assert sorted(told) == sorted((a.path, a.currency, str(a.balance)) for a in accounts)
    assert await database.read(store.check) == []
