"""What callers can say at all never fails a batch: it is refused, and the others are not disturbed.

A posting whose values PostgreSQL or the driver cannot take would fail its whole batch, and again
each time that it is asked for.
"""

import json
from typing import Any, Final

import msgspec
import pytest

from app.ledger.codes import LedgerCode
from app.ledger.request import PostingRequest
from tests.simulation.books import Books, Node
from tests.simulation.commands import BEGINNING
from tests.simulation.reference import Body

pytestmark = pytest.mark.servers

_TRANSFER: Final[Body] = {
    "type": "transfer",
    "debit": "bank:a",
    "credit": "wallet:ann",
    "amount": 1,
    "currency": "EUR",
}
_CONVERT: Final = {**_TRANSFER, "type": "convert", "target_currency": "USD", "rate": [1, 1]}
_FIRST: Final = "0001-01-01T00:00:00"
_LAST: Final = "9999-12-31T23:59:59"


def of(transfer: Body, **changes: Any) -> Body:
    """A posting of one transfer."""
    return {"key": "k", "transfers": [{**transfer, **changes}]}


STRANGE: Final[dict[str, Body]] = {
    "nul in a path": of(_TRANSFER, debit="\0"),
    "other letters in a path": of(_TRANSFER, debit="bank:ä\u2028"),
    "nul in a currency": of(_TRANSFER, currency="\0"),
    "a long currency": of(_TRANSFER, currency="E" * 100_000),
    "nul in a target currency": of(_CONVERT, target_currency="\0"),
    "an end of line after a key": {**of(_TRANSFER), "key": "k\n"},
    "an end of line after a quote": of(_CONVERT, quote="q\n"),
    "an end of line after a hold": {
        "key": "k",
        "transfers": [{"type": "void", "pending": "1.0\n"}],
    },
    "a hold beyond numbers": {
        "key": "k",
        "transfers": [{"type": "void", "pending": f"{10**18 - 1}.9999"}],
    },
    "a hold far beyond numbers": {
        "key": "k",
        "transfers": [{"type": "void", "pending": "9" * 20 + ".0"}],
    },
    "digits of others in a hold": {
        "key": "k",
        "transfers": [{"type": "void", "pending": "\u0661.\u0660"}],
    },
    "a leg beyond numbers": {"key": "k", "transfers": [{"type": "void", "pending": "1.99999"}]},
    "a number to reverse beyond all": {"key": "k", "reverses": 2**62},
    "the first moment": {**of(_TRANSFER), "effective_at": f"{_FIRST}Z"},
    "before the first moment": {**of(_TRANSFER), "effective_at": f"{_FIRST}+14:00"},
    "after the last moment": {**of(_TRANSFER), "effective_at": f"{_LAST}-12:00"},
    "another time zone": {**of(_TRANSFER), "effective_at": "2000-01-01T00:00:00+02:00"},
    "no time zone": {**of(_TRANSFER), "effective_at": _FIRST},
    "a quote before the first moment": of(_CONVERT, valid_until=f"{_FIRST}+14:00"),
    "a quote after the last moment": of(_CONVERT, valid_until=f"{_LAST}-12:00"),
    "a quote without time zone": of(_CONVERT, valid_until=_LAST),
    "a large rate": of(_CONVERT, amount=2**63 - 1, rate=[2**63 - 1, 1]),
    "a negative rate": of(_CONVERT, rate=[-1, -1]),
    "nul in meta": {**of(_TRANSFER), "meta": {"a": "\0"}},
    "nul in a name in meta": {**of(_TRANSFER), "meta": {"\0": 1}},
    "what spells nul in meta": {**of(_TRANSFER), "meta": {"a": "\\u0000", "\\\\u0000": 1}},
    "nul behind a backslash in meta": {**of(_TRANSFER), "meta": {"a": "\\\0"}},
    "large numbers in meta": {**of(_TRANSFER), "meta": {"a": 10**4000}},
    "a large meta": {**of(_TRANSFER), "meta": {"a": "x" * 100_000}},
    "deep meta": {**of(_TRANSFER), "meta": {"a": json.loads("[" * 500 + "]" * 500)}},
    "an amount of everything": of(_TRANSFER, amount=2**63 - 1),
}


def test_a_strange_posting_disturbs_no_other(books: Books) -> None:
    """Either it has no shape that is read, or it is answered, and its neighbours are taken."""
    read = 0
    for name, strange in STRANGE.items():
        text = json.dumps(strange)
        try:
            msgspec.json.decode(text, type=PostingRequest)
        except msgspec.DecodeError:
            continue
        read += 1
        book, node = books.open(BEGINNING), Node()
        good = [{"key": f"good-{number}", "transfers": [_TRANSFER]} for number in range(2)]
        batch = [good[0], json.loads(text), good[1]]
        answers = books.post_json(node, book, batch)
        assert [answers[0][0], answers[2][0]] == ["accepted", "accepted"], name
        assert answers[1][0] == "accepted" or answers[1][1] in LedgerCode, name
        # What was taken is answered the same, once it is read back, to the letter.
        assert books.post_json(node, book, batch) == answers, name
    assert 0 < read < len(STRANGE)
    assert books.check() == []
