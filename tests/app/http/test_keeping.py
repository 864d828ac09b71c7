"""Accounts, charts, period locks and moves between books, over HTTP and a real database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.errors import Code
from app.ledger.codes import LedgerCode
from app.storage import Database
from tests.app.http.bank import BANK, FEES, OPENING, POSTINGS, Bank, open_bank, posting, transfer

pytestmark = pytest.mark.servers

BOOK = "/v1/books/demo"
KEEPER = "operator+accounts"
BETWEEN = "/v1/interline-postings"
MOVE: dict[str, Any] = {
    "key": "move-1",
    "currency": "EUR",
    "amount": 30,
    "debit": {"book": "demo", "account": BANK},
    "credit": {"book": "other", "account": BANK},
}
EVERY_SCOPE = {"read", "post", "accounts", "lock", "interline"}


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    """An open bank."""
    async with open_bank(database) as bank:
        yield bank


async def test_an_account_is_opened_limited_and_closed(bank: Bank) -> None:
    """Where the answer says; its limits hold; a closed one takes nothing."""
    asked = {"path": "bank:petty", "currency": "EUR", "floor": 0}
    opened = await bank.api.post(KEEPER, f"{BOOK}/accounts", asked)
    at = opened.response.header("location") or ""
    assert (opened.status, at) == (201, f"/v1/accounts/{opened.body['id']}")
    assert (opened.body["floor"], opened.body["book"], opened.body["closed_at"]) == (
        0,
        "demo",
        None,
    )
    assert (await bank.api.post(KEEPER, f"{BOOK}/accounts", asked)).body == opened.body
    refused = await bank.post(posting("a", transfer(FEES, "bank:petty")))
    assert (refused.status, refused.code) == (409, LedgerCode.BELOW_FLOOR)
    limited = await bank.api.send("PATCH", KEEPER, at, {"floor": None, "ceiling": 5})
    assert (limited.body["floor"], limited.body["ceiling"]) == (None, 5)
    assert (await bank.post(posting("b", transfer("bank:petty")))).code == LedgerCode.ABOVE_CEILING
    closed = (await bank.api.send("PATCH", KEEPER, at, {"closed": True})).body
    assert closed["closed_at"] is not None
    assert (await bank.api.send("PATCH", KEEPER, at, {"closed": True})).body == closed
    assert (await bank.post(posting("c", transfer("bank:petty")))).code == LedgerCode.ACCOUNT_CLOSED
    refused = await bank.api.send("PATCH", KEEPER, at, {"floor": 1})
    assert (refused.status, refused.code) == (409, Code.ACCOUNT_CLOSED)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"path": "nothing:here", "currency": "EUR"}, 422, Code.ACCOUNT_UNKNOWN),
        ({"path": BANK, "currency": "XAU"}, 422, Code.CURRENCY_UNKNOWN),
        ({"path": BANK, "currency": "EUR", "floor": 1}, 409, Code.BELOW_FLOOR),
        ({"path": BANK, "currency": "EUR", "ceiling": -1}, 409, Code.ABOVE_CEILING),
        ({"path": BANK, "currency": "EUR", "floor": 0, "ceiling": -1}, 400, Code.INVALID_REQUEST),
        ({"path": BANK, "currency": "EUR", "floor": 1.0}, 400, Code.INVALID_REQUEST),
        ({"path": BANK, "currency": "EUR", "floor": 2**63}, 400, Code.INVALID_REQUEST),
        ({"path": BANK, "currency": "EUR", "colour": 1}, 400, Code.INVALID_REQUEST),
        ({"path": BANK}, 400, Code.INVALID_REQUEST),
    ],
)
async def test_what_is_not_opened(bank: Bank, body: Any, status: int, code: Code) -> None:
    """With the reason."""
    refused = await bank.api.post(KEEPER, f"{BOOK}/accounts", body)
    assert (refused.status, refused.code) == (status, code)
    assert (await bank.api.get("operator", "/v1/accounts")).body["items"] == []


async def test_what_is_not_changed(bank: Bank) -> None:
    """An account that has something is not closed, one is not opened anew, and each is known."""
    await bank.post(posting("a"))
    account = (await bank.api.get("operator", "/v1/accounts")).body["items"][0]
    at = f"/v1/accounts/{account['id']}"
    refused = await bank.api.send("PATCH", KEEPER, at, {"closed": True})
    assert (refused.status, refused.code) == (409, Code.ACCOUNT_NOT_EMPTY)
    anew = {"path": account["path"], "currency": "EUR", "floor": 0}
    refused = await bank.api.post(KEEPER, f"{BOOK}/accounts", anew)
    assert (refused.status, refused.code) == (409, Code.ALREADY_THERE)
    wrong: list[Any] = [{"closed": True, "floor": 0}, {"closed": False}, {"floor": 1, "ceiling": 0}]
    for body in (*wrong, []):
        refused = await bank.api.send("PATCH", KEEPER, at, body)
        assert (refused.status, refused.code) == (400, Code.INVALID_REQUEST)
    for number in ("999", "x", "9" * 30):
        refused = await bank.api.send("PATCH", KEEPER, f"/v1/accounts/{number}", {"floor": 0})
        assert refused.code == Code.NOT_FOUND
    assert (await bank.api.get("operator", at)).body["floor"] is None


async def test_a_chart_grows(bank: Bank) -> None:
    """A new pattern has accounts; its limits are those of accounts that are opened later."""
    wanted = {"pattern": "vault:*", "kind": "asset", "ceiling": 100}
    added = (await bank.api.post(KEEPER, f"{BOOK}/chart", wanted)).body
    assert added == {**wanted, "floor": None}
    assert (await bank.api.post(KEEPER, f"{BOOK}/chart", wanted)).body == added
    assert added in (await bank.api.get("operator", f"{BOOK}/chart")).body["items"]
    assert (await bank.post(posting("a", transfer("vault:1")))).status == 201
    change = {"pattern": "vault:*", "ceiling": 50}
    assert (await bank.api.send("PATCH", KEEPER, f"{BOOK}/chart", change)).body["ceiling"] == 50
    assert (await bank.post(posting("b", transfer("vault:2")))).code == LedgerCode.ABOVE_CEILING


@pytest.mark.parametrize(
    ("method", "body", "status", "code"),
    [
        ("POST", {"pattern": "bank:*", "kind": "asset", "floor": 0}, 409, Code.ALREADY_THERE),
        ("POST", {"pattern": "bank:main", "kind": "liability"}, 409, Code.KIND_DIFFERS),
        ("POST", {"pattern": "Bank", "kind": "asset"}, 400, Code.INVALID_REQUEST),
        ("POST", {"pattern": "vault", "kind": "magic"}, 400, Code.INVALID_REQUEST),
        ("PATCH", {"pattern": "vault", "floor": 0}, 404, Code.NOT_FOUND),
        ("PATCH", {"pattern": "bank:*", "floor": 1, "ceiling": 0}, 400, Code.INVALID_REQUEST),
    ],
)
async def test_a_chart_is_consistent(
    bank: Bank, method: str, body: Any, status: int, code: Code
) -> None:
    """What would make it otherwise is refused."""
    before = (await bank.api.get("operator", f"{BOOK}/chart")).body["items"]
    refused = await bank.api.send(method, KEEPER, f"{BOOK}/chart", body)
    assert (refused.status, refused.code) == (status, code)
    assert (await bank.api.get("operator", f"{BOOK}/chart")).body["items"] == before


async def test_a_period_is_locked_for_good(bank: Bank) -> None:
    """By whom is kept; postings into it are refused; the lock does not move back."""
    locker = "operator:ola+lock"
    lock = await bank.api.post(locker, f"{BOOK}/lock", {"before": "2026-01-01T01:00:00+01:00"})
    assert lock.body["locked_before"] == "2026-01-01T00:00:00.000000Z"
    assert (lock.status, lock.body["locked_by"]) == (200, "demo/ola")
    book = (await bank.api.get("operator", BOOK)).body
    assert book["locked_before"] == lock.body["locked_before"]
    late = await bank.post(posting("a", effective_at="2025-12-31T23:59:59Z"))
    assert (late.status, late.code) == (409, LedgerCode.PERIOD_LOCKED)
    back = await bank.api.post(locker, f"{BOOK}/lock", {"before": "2025-06-01T00:00:00Z"})
    assert (back.status, back.code) == (409, Code.LOCK_MOVES_BACK)
    for before in ("2999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-01-01", "now", 5):
        refused = await bank.api.post(locker, f"{BOOK}/lock", {"before": before})
        assert (refused.status, refused.code) == (400, Code.INVALID_REQUEST)


async def test_money_moves_between_two_lines(bank: Bank) -> None:
    """A posting in each, 200 and the same answer again, and each shows the other half."""
    who = "operator+interline"
    first, again = await bank.api.post(who, BETWEEN, MOVE), await bank.api.post(who, BETWEEN, MOVE)
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    at = first.response.header("location") or ""
    assert at == f"{POSTINGS}/1"
    assert (await bank.api.get("operator", at)).body["pair"] == {"book": "other", "number": 1}
    assert [first.body[half]["book"] for half in ("debit", "credit")] == ["demo", "other"]
    back = {**MOVE, "key": "move-2", "debit": MOVE["credit"], "credit": MOVE["debit"]}
    returned = await bank.api.post(who, BETWEEN, back)
    assert returned.response.header("location") == f"{POSTINGS}/2"
    assert await bank.balance(BANK) == 0


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": 0}, 422, LedgerCode.AMOUNT_NOT_POSITIVE),
        ({"credit": {"book": "other", "account": "nothing"}}, 422, LedgerCode.ACCOUNT_UNKNOWN),
        ({"credit": {"book": "nothing", "account": BANK}}, 404, LedgerCode.BOOK_UNKNOWN),
        ({"debit": {"book": "nothing", "account": BANK}}, 404, Code.NOT_FOUND),
        ({"credit": {"book": "demo", "account": OPENING}}, 400, Code.INVALID_REQUEST),
        ({"amount": 1.0}, 400, Code.INVALID_REQUEST),
        ({"meta": {"x": "y" * 4096}}, 400, Code.INVALID_REQUEST),
    ],
)
async def test_what_is_not_moved(bank: Bank, change: Any, status: int, code: str) -> None:
    """Neither book has its half."""
    refused = await bank.api.post("operator+interline", BETWEEN, {**MOVE, **change})
    assert (refused.status, refused.code) == (status, code)
    assert await bank.keys() == []


async def test_a_third_line_moves_nothing(bank: Bank) -> None:
    """One of the two books is the caller's line's; of others nobody is told anything."""
    refused = await bank.api.post("operator+interline", BETWEEN, MOVE, line="third")
    assert (refused.status, refused.code) == (404, Code.NOT_FOUND)


WRITES = [
    ("POST", f"{BOOK}/accounts", {"path": BANK, "currency": "EUR"}, "accounts"),
    ("PATCH", "/v1/accounts/1", {"floor": None}, "accounts"),
    ("POST", f"{BOOK}/chart", {"pattern": "vault", "kind": "asset"}, "accounts"),
    ("PATCH", f"{BOOK}/chart", {"pattern": "bank:*", "floor": None}, "accounts"),
    ("POST", f"{BOOK}/lock", {"before": "2026-01-01T00:00:00Z"}, "lock"),
    ("POST", BETWEEN, MOVE, "interline"),
]


@pytest.mark.parametrize("role", ["buyer", "seller", "operator"])
@pytest.mark.parametrize(("method", "path", "body", "scope"), WRITES)
async def test_every_change_needs_its_scope(
    bank: Bank, role: str, method: str, path: str, body: Any, scope: str
) -> None:
    """And no role or other scope stands for it; who lacks it is told its name."""
    others = "+".join([role, *sorted(EVERY_SCOPE - {scope})])
    refused = await bank.api.send(method, others, path, body)
    assert (refused.status, refused.code) == (403, Code.FORBIDDEN)
    assert f"ledger:{scope}" in refused.body["detail"]
    allowed = await bank.api.send(method, f"{role}+{scope}", path, body)
    assert (allowed.status == 404) is (path == "/v1/accounts/1")
    assert allowed.status in {200, 201, 404}


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"), [each for each in WRITES if each[1].startswith(BOOK)]
)
async def test_another_line_s_book_is_not_changed(
    bank: Bank, method: str, path: str, body: Any, scope: str
) -> None:
    """It is not there."""
    refused = await bank.api.send(method, f"operator+{scope}", path.replace("demo", "other"), body)
    assert (refused.status, refused.code) == (404, Code.NOT_FOUND)
