"""Posting over HTTP, over a real database: one, many, and everything that is refused."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from app.domain.errors import Code
from app.http import postings
from app.http.message import JSON, NDJSON
from app.ledger.codes import LedgerCode
from app.ledger.limits import TRANSFERS_A_SHARE_MAX
from app.storage import Annex, Database
from tests.app.http.bank import (
    BANK,
    FEES,
    OPENING,
    POSTINGS,
    TELLER,
    Bank,
    open_bank,
    posting,
    transfer,
)

pytestmark = pytest.mark.servers

CONVERT: Final = {
    **transfer(),
    "type": "convert",
    "target_currency": "USD",
    "rate": [11, 10],
}
WRITING: Final = ["post", "accounts", "lock", "interline"]


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    """An open bank."""
    async with open_bank(database) as bank:
        yield bank


async def test_a_posting_is_recorded_once_and_answered_forever(bank: Bank) -> None:
    """201 and where it is; the same again is 200 with the same answer; it reads back."""
    asked = posting("order-1", transfer(), transfer(FEES, BANK, 3), meta={"order": 7})
    first = await bank.post(asked)
    again = await bank.post(asked)
    assert (first.status, again.status, again.body) == (201, 200, first.body)
    assert first.response.header("location") == again.response.header("location") == f"{POSTINGS}/1"
    assert [each["debit_balance_after"] for each in first.body["transfers"]] == [100, -3]
    assert [each["credit_balance_after"] for each in first.body["transfers"]] == [100, 97]
    read = (await bank.api.get("operator", f"{POSTINGS}/1")).body
    assert {**read, **first.body} == {**read, "reverses": None}
    assert read["meta"] == {"order": 7}
    assert await bank.balance(BANK) == 97


async def test_the_answer_of_a_dated_posting_is_the_same_again(bank: Bank) -> None:
    """A moment is told in UTC, from whatever offset it was given."""
    asked = posting("a", effective_at="2026-01-31T23:30:00.25+02:00")
    first, again = await bank.post(asked), await bank.post(asked)
    assert first.body["effective_at"] == "2026-01-31T21:30:00.250000Z"
    assert again.body == first.body


async def test_the_same_key_with_another_body_is_refused(bank: Bank) -> None:
    """And nothing is posted."""
    await bank.post(posting("a"))
    refused = await bank.post(posting("a", transfer(amount=5)))
    assert (refused.status, refused.code) == (422, Code.KEY_REUSED)
    assert await bank.keys() == ["a"]


@pytest.mark.parametrize(
    ("asked", "status", "code", "leg"),
    [
        (posting("expire:1.0"), 422, LedgerCode.KEY_RESERVED, None),
        ({"key": "k"}, 422, LedgerCode.POSTING_EMPTY, None),
        (
            posting("k", effective_at="2999-01-01T00:00:00Z"),
            422,
            LedgerCode.EFFECTIVE_IN_FUTURE,
            None,
        ),
        ({"key": "k", "reverses": 9}, 422, LedgerCode.REVERSED_UNKNOWN, None),
        (posting("k", transfer(), transfer(amount=0)), 422, LedgerCode.AMOUNT_NOT_POSITIVE, 1),
        (posting("k", transfer(amount=-1)), 422, LedgerCode.AMOUNT_NOT_POSITIVE, 0),
        (posting("k", transfer(amount=10**15 + 1)), 422, LedgerCode.AMOUNT_TOO_LARGE, 0),
        (posting("k", transfer(currency="XAU")), 422, LedgerCode.CURRENCY_UNKNOWN, 0),
        (posting("k", transfer(BANK, BANK)), 422, LedgerCode.SAME_ACCOUNT, 0),
        (posting("k", transfer("nothing:here")), 422, LedgerCode.ACCOUNT_UNKNOWN, 0),
        (posting("k", {"type": "void", "pending": "9.0"}), 422, LedgerCode.PENDING_UNKNOWN, 0),
    ],
)
async def test_a_refusal_of_the_ledger_is_a_problem(
    bank: Bank, asked: dict[str, Any], status: int, code: LedgerCode, leg: int | None
) -> None:
    """With the ledger's own code, the transfer that is at fault, and nothing posted."""
    refused = await bank.post(asked)
    assert (refused.status, refused.code, refused.body.get("leg")) == (status, code, leg)
    assert await bank.keys() == []


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        (posting("k", transfer(amount=1.5)), "Expected `int`, got `float`"),
        (posting("k", transfer(amount="5")), "Expected `int`, got `str`"),
        (posting("k", transfer(amount=True)), "Expected `int`, got `bool`"),
        (posting("k", transfer(amount=None)), "Expected `int`, got `null`"),
        (posting("k", transfer(amount=2**63)), "at `$.transfers[0].amount`"),
        (posting("k", {**transfer(), "type": "gift"}), "Invalid value 'gift'"),
        (posting("k", {"type": "void", "pending": "1"}), "at `$.transfers[0].pending`"),
        (posting("k", {**transfer(), "colour": "red"}), "unknown field `colour`"),
        (posting("k\n"), "at `$.key`"),
        (posting(""), "at `$.key`"),
        (posting("k" * 256), "at `$.key`"),
        (posting("k", {**CONVERT, "valid_until": "2026-01-01T00:00:00"}), "at `$.transfers[0].val"),
        (posting("k", {**CONVERT, "rate": [1]}), "at `$.transfers[0].rate`"),
        (posting("k", effective_at="yesterday"), "at `$.effective_at`"),
        (posting("k", effective_at="2026-01-01T00:00:00"), "at `$.effective_at`"),
        (posting("k", effective_at="0001-01-01T00:00:00+14:00"), "beyond all moments"),
        (posting("k", meta={"x": "y" * 4096}), "`meta` is too large"),
        (posting("k", meta={"x": 2**64 - 1}) | {"reverses": -1}, "at `$.reverses`"),
        (posting("k", meta={"x": [1e300] * 500}), "`meta` is too large"),
        (posting("k", meta={"x": [1] * 1000}), "`meta` is too large"),
        ({"transfers": []}, "missing required field `key`"),
        ("posting", "Expected `object`, got `str`"),
    ],
)
async def test_what_is_no_posting_is_told_precisely(bank: Bank, asked: Any, detail: str) -> None:
    """As one, as one of many, and as a line; the others of many are posted."""
    alone = await bank.api.post(TELLER, POSTINGS, asked)
    assert (alone.status, alone.code) == (400, Code.INVALID_REQUEST)
    assert detail in alone.body["detail"]
    for number, media in enumerate([JSON, NDJSON]):
        texts = [
            msgspec.json.encode(each)
            for each in (posting(f"a{number}"), asked, posting(f"b{number}"))
        ]
        body = b"[" + b",".join(texts) + b"]" if media == JSON else b"\n".join(texts)
        answer = await bank.api.post_bytes(TELLER, POSTINGS, body, media=media)
        items = answer.body["items"] if media == JSON else answer.body
        assert [each["status"] for each in items] == [201, 400, 201]
        assert items[1]["code"] == Code.INVALID_REQUEST
        assert detail in items[1]["message"]
    assert await bank.keys() == ["a0", "b0", "a1", "b1"]


@pytest.mark.parametrize(
    ("meta", "detail"),
    [
        (b'{"x":"\\n","y":1' + b"0" * 4300 + b"}", "a number that is too long"),
        (b'{"x":1e999}', "beyond all numbers"),
        (b'{"x":1,"x":2}', "`x` is given twice"),
        (b'{"x":"\\u0000"}', "a character that is not text"),
        (b'{"x":"\\ud800"}', "a character that is not text"),
        (b'{"x":[[[[[[1.5]]]]]],"x":1}', "`x` is given twice"),
        (b"[]", "Expected `object | null`, got `array`"),
    ],
)
async def test_what_cannot_be_kept_is_no_meta(bank: Bank, meta: bytes, detail: str) -> None:
    """And disturbs no other posting."""
    body = (
        b'[{"key":"k","transfers":[],"meta":'
        + meta
        + b"},"
        + msgspec.json.encode(posting("a"))
        + b"]"
    )
    refused, posted = (await bank.api.post_bytes(TELLER, POSTINGS, body)).body["items"]
    assert (refused["code"], posted["status"]) == (Code.INVALID_REQUEST, 201)
    assert detail in refused["message"]


async def test_any_other_meta_is_kept(bank: Bank) -> None:
    """Whatever JSON it is."""
    meta = {"": [None, True, 1.5, -(2**63), 2**64 - 1, {"a": ["ä", {}]}], "x" * 3000: "🙂"}
    await bank.post(posting("a", meta=meta))
    assert (await bank.api.get("operator", f"{POSTINGS}/1")).body["meta"] == meta


@pytest.mark.parametrize("amount", ["1e3", "1.0", "1e0", "-0.0", "1E2", "9223372036854775808"])
async def test_a_number_that_is_no_integer_is_no_amount(bank: Bank, amount: str) -> None:
    """Whatever it is worth."""
    body = msgspec.json.encode(posting("k")).replace(b":100,", f":{amount},".encode())
    assert (await bank.api.post_bytes(TELLER, POSTINGS, body)).code == Code.INVALID_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"[nonsense",
        b'[{"key": "a"}',
        b"",
        b'{"key": "a", "key": "b", "transfers": []}',
        b'{"key":"a","transfers":[{"type":"transfer","type":"void","pending":"1.0"}]}',
    ],
)
async def test_what_is_no_json_is_refused_whole(bank: Bank, body: bytes) -> None:
    """400, and nothing is posted."""
    refused = await bank.api.post_bytes(TELLER, POSTINGS, body)
    assert (refused.status, refused.code) == (400, Code.INVALID_REQUEST)


async def test_many_have_an_outcome_each_in_their_order(bank: Bank) -> None:
    """Later ones see what earlier ones did; a refused one changes nothing; all may come again."""
    many = [
        posting("a"),
        posting("b", transfer(amount=0)),
        posting("a"),
        posting("a", transfer(amount=5)),
        {"key": "c", "reverses": 1},
        {"key": "d", "reverses": 1},
    ]
    answer = await bank.post(*many)
    assert answer.status == 200
    outcomes = answer.body["items"]
    assert [each["status"] for each in outcomes] == [201, 422, 200, 422, 201, 409]
    assert [each.get("code") for each in outcomes] == [
        None,
        LedgerCode.AMOUNT_NOT_POSITIVE,
        None,
        LedgerCode.KEY_REUSED,
        None,
        LedgerCode.ALREADY_REVERSED,
    ]
    assert (outcomes[1]["leg"], outcomes[1]["retryable"]) == (0, False)
    assert outcomes[2]["posting"] == outcomes[0]["posting"]
    assert outcomes[4]["posting"]["reverses"] == 1
    again = (await bank.post(*many)).body["items"]
    assert [each["status"] for each in again] == [200, 422, 200, 422, 200, 409]
    assert await bank.keys() == ["a", "c"]
    assert await bank.balance(BANK) == 0


async def test_more_than_one_batch_takes_is_posted_in_order(bank: Bank) -> None:
    """Shares of it, one after the other, each as soon as the one before is known."""
    wide = [transfer() for _ in range(TRANSFERS_A_SHARE_MAX // 2)]
    many = [posting("a"), posting("b", *wide), posting("c"), posting("d", *wide), posting("e")]
    lines = b"\n".join(map(msgspec.json.encode, many))
    answer = await bank.api.post_bytes(TELLER, POSTINGS, lines, media=NDJSON)
    assert [each["posting"]["number"] for each in answer.body] == [1, 2, 3, 4, 5]
    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        page = (await bank.api.get("operator", f"{POSTINGS}?after={after}")).body
        pages.append([each["key"] for each in page["items"]])
        after = page["next"]
    assert pages == [["a", "b", "c"], ["d", "e"]]


async def test_nothing_overtakes_what_is_left_open(annex: Annex, database: Database) -> None:
    """Where it is not known what came of a posting, it may be sent again; the rest is not tried."""
    wide = [transfer()] * (TRANSFERS_A_SHARE_MAX // 2)
    nowhere = Database(annex, "postgresql://nobody@127.0.0.1:1/none")
    async with open_bank(database, nowhere) as bank:
        alone = await bank.post(posting("a"))
        assert (alone.status, alone.code) == (504, Code.OUTCOME_UNKNOWN)
        many = [posting("a", *wide), posting("b", *wide), posting(""), posting("c"), posting("d")]
        items = (await bank.post(*many)).body["items"]
        assert [each["status"] for each in items] == [504, 504, 400, 503, 503]
        assert [each["retryable"] for each in items] == [True, True, False, True, True]
        assert items[3]["code"] == Code.BUSY


@pytest.mark.parametrize(
    ("media", "accept", "lines"),
    [
        (JSON, "", False),
        (JSON, NDJSON, True),
        (NDJSON, "", True),
        (NDJSON, "*/*", True),
        (NDJSON, JSON, False),
        (NDJSON, f"{JSON};q=0.5, {NDJSON};q=0.4", False),
    ],
)
async def test_many_are_answered_as_they_came_or_as_is_wished(
    bank: Bank,
    media: str,
    accept: str,
    lines: bool,  # noqa: FBT001 - what is expected
) -> None:
    """Lines for lines, unless the caller accepts something else more."""
    one = msgspec.json.encode(posting("a"))
    body = one if media == NDJSON else b"[" + one + b"]"
    answer = await bank.api.post_bytes(TELLER, POSTINGS, body, media=media, accept=accept)
    assert answer.response.header("content-type") == (NDJSON if lines else JSON)
    (outcome,) = answer.body if lines else answer.body["items"]
    assert outcome["status"] == 201


async def test_an_answer_has_an_end(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for much with little is not tried beyond it, and can be asked for again."""
    monkeypatch.setattr(postings, "ANSWER_TRANSFERS_MAX", 4)
    monkeypatch.setattr(postings, "TRANSFERS_A_SHARE_MAX", 3)
    asked = [posting(str(number), *[transfer()] * 2) for number in range(4)]
    body = msgspec.json.encode([*asked, {}])
    answer = await bank.api.post_bytes(TELLER, POSTINGS, body)
    assert [each["status"] for each in answer.body["items"]] == [201, 201, 503, 503, 400]
    assert [each["retryable"] for each in answer.body["items"][2:4]] == [True, True]
    assert await bank.balance(BANK) == 400


@pytest.mark.parametrize(("body", "media"), [(b"[]", JSON), (b"", NDJSON)])
async def test_none_is_many_too(bank: Bank, body: bytes, media: str) -> None:
    """Nothing is posted and nothing is wrong."""
    answer = await bank.api.post_bytes(TELLER, POSTINGS, body, media=media)
    assert (answer.status, answer.body) == (200, [] if media == NDJSON else {"items": []})


async def test_another_content_type_is_refused(bank: Bank) -> None:
    """And told which there are."""
    refused = await bank.api.post_bytes(TELLER, POSTINGS, b"key=a", media="text/plain")
    assert (refused.status, refused.code) == (415, Code.UNSUPPORTED_MEDIA_TYPE)


@pytest.mark.parametrize("role", ["buyer", "seller", "operator"])
async def test_who_may_post_is_the_token_s_to_say(bank: Bank, role: str) -> None:
    """The scope and nothing else, whatever the role; who lacks it is told its name."""
    others = "+".join(scope for scope in ["read", *WRITING] if scope != "post")
    refused = await bank.post(posting("a"), who=f"{role}+{others}")
    assert (refused.status, refused.code) == (403, Code.FORBIDDEN)
    assert "ledger:post" in refused.body["detail"]
    assert (await bank.post(posting("a"), who=f"{role}+post")).status == 201


@pytest.mark.parametrize("book", ["other", "nothing", "d"])
async def test_another_line_s_book_is_not_there(bank: Bank, book: str) -> None:
    """Neither to post to nor to read, and no different from one that is not there at all."""
    path = f"/v1/books/{book}"
    for many in (posting("a"), [posting("a")]):
        refused = await bank.api.post(TELLER, f"{path}/postings", many)
        assert (refused.status, refused.code) == (404, Code.NOT_FOUND)
    for read in (path, f"{path}/postings", f"{path}/postings/1", f"{path}/postings?key=a"):
        assert (await bank.api.get("operator", read)).code == Code.NOT_FOUND


async def test_a_book_tells_what_it_takes(bank: Bank) -> None:
    """Its mode, the number of its last posting, and its chart."""
    await bank.post(posting("a"), posting("b"))
    (summary,) = (await bank.api.get("operator", "/v1/books")).body["items"]
    assert summary == {"id": "demo", "mode": "live", "head": 2, "locked_before": None}
    book = (await bank.api.get("operator", "/v1/books/demo")).body
    assert {name: book[name] for name in summary} == summary
    kinds = {each["pattern"]: each["kind"] for each in book["chart"]}
    assert (kinds["seller:{owner}:payable"], kinds[OPENING]) == ("liability", "equity")


async def test_postings_are_found_by_number_and_by_key(bank: Bank) -> None:
    """And by neither, where there is none such."""
    await bank.post(*(posting(f"key-{number}") for number in range(1, 6)))
    first = (await bank.api.get("operator", f"{POSTINGS}?limit=2")).body
    assert ([each["number"] for each in first["items"]], first["next"]) == ([1, 2], "2")
    rest = (await bank.api.get("operator", f"{POSTINGS}?limit=3&after=2")).body
    assert ([each["number"] for each in rest["items"]], rest["next"]) == ([3, 4, 5], None)
    (found,) = (await bank.api.get("operator", f"{POSTINGS}?key=key-4")).body["items"]
    alone = (await bank.api.get("operator", f"{POSTINGS}/4")).body
    assert found == {name: value for name, value in alone.items() if name != "cursor"}
    assert (await bank.api.get("operator", f"{POSTINGS}?key=key-9")).body["items"] == []
    for number in ("0", "6", "x", "9" * 18, "9" * 40):
        assert (await bank.api.get("operator", f"{POSTINGS}/{number}")).code == Code.NOT_FOUND
    for query in ("after=x", "key=", "key=%0a", "limit=0"):
        refused = await bank.api.get("operator", f"{POSTINGS}?{query}")
        assert refused.code == Code.INVALID_REQUEST


async def test_a_reversal_is_seen_from_both_sides(bank: Bank) -> None:
    """What reverses, and what is reversed."""
    await bank.post(posting("a"), {"key": "b", "reverses": 1})
    first, second = (await bank.api.get("operator", POSTINGS)).body["items"]
    assert (first["reversed_by"], second["reverses"]) == (2, 1)
    assert not {"reverses", "pair", "meta", "imported"} & first.keys()


@pytest.mark.parametrize("path", ["/v1/books", "/v1/books/demo", POSTINGS, f"{POSTINGS}/1"])
async def test_who_reads_a_book(bank: Bank, path: str) -> None:
    """Operators, and whoever has the scope; the scopes to write are none to read."""
    await bank.post(posting("a"))
    for who, status in [("operator", 200), ("buyer+read", 200), ("seller+read", 200)]:
        assert (await bank.api.get(who, path)).status == status
    for role in ("buyer", "seller"):
        refused = await bank.api.get("+".join([role, *WRITING]), path)
        assert (refused.status, refused.code) == (403, Code.FORBIDDEN)
        assert "ledger:read" in refused.body["detail"]
