"""The ledger at a moment, over HTTP and a real database: as JSON and as CSV."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.errors import Code
from app.storage import Database
from tests.app.http.api import Answer
from tests.app.http.bank import BANK, FEES, OPENING, POSTINGS, Bank, open_bank, posting, transfer

pytestmark = pytest.mark.servers

PAYABLE = "seller:demo-seller:payable"
TRIAL = "/v1/books/demo/trial-balance"
STANDINGS = "/v1/books/demo/accounts"


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    """A bank in which 100 came in, 7 and 5 of which are a seller's and 3 are held."""
    async with open_bank(database) as bank:
        held = {**transfer(BANK, PAYABLE, 3), "type": "pending"}
        await bank.post(
            posting("=1+1", transfer(), effective_at="2026-01-31T12:00:00Z"),
            posting("b", transfer(OPENING, PAYABLE, 7)),
            posting("c", transfer(OPENING, PAYABLE, 5), held),
        )
        yield bank


async def account(bank: Bank, path: str) -> str:
    """Where an account is."""
    items = (await bank.api.get("operator", "/v1/accounts")).body["items"]
    (found,) = (each["id"] for each in items if each["path"] == path)
    return f"/v1/accounts/{found}"


async def recorded(bank: Bank, number: int) -> str:
    """When a posting was recorded."""
    at = (await bank.api.get("operator", f"{POSTINGS}/{number}")).body["recorded_at"]
    assert isinstance(at, str)
    return at


def rows(answer: Answer) -> list[dict[str, str]]:
    """The rows of CSV, by their names."""
    assert answer.response.header("content-type") == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(answer.body, newline="")))


async def test_a_balance_at_a_moment(bank: Bank) -> None:
    """As it was known then, or as it is known now to have been then."""
    at = await account(bank, BANK)
    now = (await bank.api.get("operator", f"{at}/balance")).body
    assert (now["balance"], now["available"], now["debits_pending"]) == (100, 100, 3)
    assert (now["posting"], now["head"], now["path"], now["currency"]) == (3, 3, BANK, "EUR")
    for by, balance in [("recorded", 0), ("effective", 100)]:
        query = f"at=2026-02-01T00:00:00%2B01:00&by={by}"
        then = (await bank.api.get("operator", f"{at}/balance?{query}")).body
        assert (then["balance"], then["posting"], then["debits_pending"]) == (balance, 0, 0)
    early = (
        await bank.api.get("operator", f"{at}/balance?at=2026-01-31T11:59:59Z&by=effective")
    ).body
    assert early["balance"] == 0


async def test_a_statement_opens_runs_and_closes(bank: Bank) -> None:
    """Page after page, each where the one before closed; the period's bounds hold."""
    at = f"{await account(bank, PAYABLE)}/statement"
    whole = (await bank.api.get("operator", at)).body
    assert (whole["opening"], whole["closing"], whole["next"]) == (0, 12, None)
    assert [each["balance_after"] for each in whole["items"]] == [7, 12, 12]
    assert [each["type"] for each in whole["items"]] == ["transfer", "transfer", "pending"]
    assert whole["account"]["path"] == PAYABLE
    first = (await bank.api.get("operator", f"{at}?limit=1")).body
    second = (await bank.api.get("operator", f"{at}?limit=2&after={first['next']}")).body
    assert (first["opening"], first["closing"], second["opening"], second["closing"]) == (
        0,
        7,
        7,
        12,
    )
    assert first["items"] + second["items"] == whole["items"]
    since = await recorded(bank, 3)
    none = (await bank.api.get("operator", f"{at}?from={since}")).body
    assert (none["opening"], none["items"], none["closing"]) == (12, [], 12)
    until = (await bank.api.get("operator", f"{at}?to=2026-01-01T00:00:00Z")).body
    assert (until["items"], until["closing"]) == ([], 0)


async def test_a_statement_as_csv(bank: Bank) -> None:
    """The same rows between opening and closing, and a link to the next page, which works."""
    at = f"{await account(bank, PAYABLE)}/statement"
    until = await recorded(bank, 3)
    first = await bank.api.get("operator", f"{at}?format=csv&limit=1&to={until}")
    told = [(each["type"], each["amount"], each["balance_after"]) for each in rows(first)]
    assert told == [("opening", "", "0"), ("transfer", "7", "7"), ("closing", "", "7")]
    link = first.response.header("link") or ""
    assert link.endswith('>; rel="next"')
    second = await bank.api.get("operator", link.removeprefix("<").partition(">")[0])
    assert [each["key"] for each in rows(second)] == ["", "c", ""]
    assert "to=" in link
    last = await bank.api.get("operator", f"{at}?format=csv")
    assert last.response.header("link") is None
    assert last.response.header("agio-cursor") is not None


async def test_no_key_is_a_formula_in_csv(bank: Bank) -> None:
    """Whoever chose it."""
    at = await account(bank, BANK)
    whole = await bank.api.get("operator", f"{at}/statement?format=csv")
    assert rows(whole)[1]["key"] == "'=1+1"


async def test_a_trial_balance(bank: Bank) -> None:
    """By currency and kind, balanced, at any moment; as CSV too."""
    now = (await bank.api.get("operator", TRIAL)).body
    told = {each["kind"]: (each["debit"], each["credit"]) for each in now["items"]}
    assert told == {"asset": (100, 0), "equity": (0, 88), "liability": (0, 12)}
    assert (now["balanced"], now["posting"], now["head"], now["book"]) == (True, 3, 3, "demo")
    then = (await bank.api.get("operator", f"{TRIAL}?at=2026-02-01T00:00:00Z&by=effective")).body
    assert {each["kind"]: each["debit"] for each in then["items"] if each["debit"]} == {
        "asset": 100
    }
    as_csv = await bank.api.get("operator", f"{TRIAL}?format=csv")
    shown = {each["kind"]: (int(each["debit"]), int(each["credit"])) for each in rows(as_csv)}
    assert shown == told


async def test_the_accounts_of_a_book_at_a_moment(bank: Bank) -> None:
    """In the order of their paths, page after page of the same moment, whatever is posted."""
    whole = (await bank.api.get("operator", STANDINGS)).body
    assert [each["path"] for each in whole["items"]] == [BANK, OPENING, PAYABLE]
    assert [(each["debit"], each["credit"]) for each in whole["items"]] == [
        (100, 0),
        (0, 88),
        (0, 12),
    ]
    first = (await bank.api.get("operator", f"{STANDINGS}?limit=2")).body
    await bank.post(posting("d", transfer(OPENING, PAYABLE, 50)))
    rest = (await bank.api.get("operator", f"{STANDINGS}?after={first['next']}")).body
    assert first["items"] + rest["items"] == whole["items"]
    page = await bank.api.get("operator", f"{STANDINGS}?format=csv&limit=1&by=effective")
    link = (page.response.header("link") or "").removeprefix("<").partition(">")[0]
    assert [each["path"] for each in rows(page)] == [BANK]
    assert [each["path"] for each in rows(await bank.api.get("operator", link))] == [OPENING]


@pytest.mark.parametrize("path", ["statement", "trial-balance", "accounts"])
async def test_csv_is_asked_for_by_either_way(bank: Bank, path: str) -> None:
    """`format` counts more than `Accept`."""
    at = await account(bank, BANK) if path == "statement" else "/v1/books/demo"
    for accept, wished, expected in [
        ("text/csv", "", True),
        ("text/csv", "?format=json", False),
        ("application/json", "?format=csv", True),
        ("*/*", "", False),
    ]:
        answer = await bank.api.get("operator", f"{at}/{path}{wished}", accept=accept)
        assert (answer.response.header("content-type") or "").startswith("text/csv") is expected


@pytest.mark.parametrize(
    "query",
    [
        "at=now",
        "at=5",
        "at=1767225600",
        "at=2026-01-01",
        "at=2026-01-01T00:00:00",
        "at=2026-01-01T00:00:00+01:00",
        "at=2026-13-01T00:00:00Z",
        "at=0001-01-01T00:00:00%2B14:00",
        "at=2026-01-01T00:00:00Z%0a",
        "by=hearsay",
        "format=pdf",
        "colour=red",
        "after=~",
        "from=never",
        "to=never",
    ],
)
async def test_what_is_no_moment_is_refused(bank: Bank, query: str) -> None:
    """By whichever read; a parameter that one of them lacks is refused, too."""
    at = await account(bank, BANK)
    for path in (f"{at}/balance", f"{at}/statement", TRIAL, STANDINGS):
        refused = await bank.api.get("operator", f"{path}?{query}")
        assert (refused.status, refused.code) == (400, Code.INVALID_REQUEST)


async def test_who_reads_what(bank: Bank) -> None:
    """A seller their own account, those who may read the ledger all; a line its own alone."""
    own, other = await account(bank, PAYABLE), await account(bank, BANK)
    cases: list[tuple[str, list[Any]]] = [
        ("operator", [200, 200, 200]),
        ("buyer+read", [200, 200, 200]),
        ("seller", [200, 404, 404]),
        ("seller:sue", [404, 404, 404]),
        ("buyer", [404, 404, 404]),
        ("buyer+post+accounts+lock+interline", [404, 404, 404]),
    ]
    for who, expected in cases:
        for last in ("balance", "statement"):
            asked = [f"{own}/{last}", f"{other}/{last}", TRIAL]
            assert [(await bank.api.get(who, path)).status for path in asked] == expected
        assert (await bank.api.get(who, STANDINGS)).status == expected[2]
    for path in (f"{own}/balance", f"{own}/statement", TRIAL, STANDINGS):
        assert (await bank.api.get("operator", path, line="other")).code == Code.NOT_FOUND
    for path in ("/v1/accounts/999/balance", "/v1/accounts/x/statement"):
        assert (await bank.api.get("operator", path)).code == Code.NOT_FOUND


async def test_fees_are_shown_where_they_are(bank: Bank) -> None:
    """An account without entries at a moment has nothing then."""
    await bank.post(posting("d", transfer(BANK, FEES, 2)))
    at = await account(bank, FEES)
    then = (await bank.api.get("operator", f"{at}/balance?at={await recorded(bank, 3)}")).body
    assert (then["balance"], then["posting"]) == (0, 3)
