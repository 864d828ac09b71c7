"""What callers may ask of a book: postings made up at random, sound and unsound alike.

`Choose` says which of several; Hypothesis or a seeded generator does. Names that a posting refers
to (holds, numbers, quotes) are mostly ones that are there.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.simulation.reference import Body, Book
from tests.simulation.reference_accounts import Place

Choose = Callable[[Sequence[Any]], Any]

# Later than any real clock: the book's own time is all that counts then, and a test sets it.
BEGINNING: Final = datetime(2100, 1, 1, tzinfo=UTC)

# The extra patterns of the chart, as rows: pattern, kind, floor, ceiling.
PATTERNS: Final = (
    ("wallet:{owner}", "liability", 0, None),
    ("box:*", "asset", 0, 1_000),
    ("line:*", "liability", -500, 500),
)
CHART: Final = {
    "bank:a": Place("debit"),
    "bank:b": Place("debit"),
    "commission": Place("credit"),
    "wallet:ann": Place("credit", 0),
    "wallet:bob": Place("credit", 0),
    "box:x": Place("debit", 0, 1_000),
    "line:l": Place("credit", -500, 500),
    "conversion:liquidity": Place("credit"),
    "conversion:spread": Place("credit"),
    "due-to:other": Place("credit"),
}
_CURRENCIES: Final = ("EUR", "JPY", "KWD", "XAU", "eur", "E\0R")
_PATHS: Final = (*CHART, "nowhere", "box:x:y", "Wallet:ann", "a" * 255, "\0")
_AMOUNTS: Final = (
    *(1, 7, 400, 501, 1_000, 1_001, 10**15),
    *(10**15 + 1, 0, -1, 2**63 - 1, -(2**63)),
)
_RATES: Final = ((1, 1), (3, 2), (2, 3), (1, 1_000), (10**15, 1), (1, 10**15), (0, 1), (1, 0))

# What mostly goes well.
_SOUND_CURRENCIES: Final = ("EUR", "EUR", "EUR", "JPY")
_SOUND_DEBITS: Final = ("bank:a", "bank:b", "box:x", "wallet:ann", "line:l")
_SOUND_CREDITS: Final = ("wallet:ann", "wallet:bob", "commission", "line:l", "bank:a")
_SOUND_AMOUNTS: Final = (1, 2, 3, 99, 100, 499, 10**6)


_KINDS: Final = ("transfer", "transfer", "pending", "pending", "convert")
_ENDS: Final = ("post", "post", "void")


def a_posting(choose: Choose, book: Book, key: str) -> Body:
    """A posting to `book` under this key, or now and then under one of ours."""
    body: Body = {"key": choose([key] * 38 + ["expire:1.0", "capture:x"])}
    if choose([False] * 5 + [True]):
        body["effective_at"] = _moment(choose, book)
    if choose([False] * 7 + [True]):
        body["reverses"] = choose(range(max(1, len(book.postings) - 8), len(book.postings) + 2))
        count = choose([0] * 9 + [1])
    else:
        count = choose([1] * 6 + [2] * 3 + [3, 4, 0])
    transfers = [a_transfer(choose, book) for _ in range(count)]
    return body | ({"transfers": transfers} if transfers or "reverses" not in body else {})


def a_transfer(choose: Choose, book: Book, kinds: Sequence[str] = _KINDS) -> Body:
    """One transfer, of any of these types, or one that ends a hold, where any type may be."""
    ends = _ENDS if kinds is _KINDS and book.holds else ()
    kind = choose([*kinds, *ends])
    is_sound = choose([True, True, True, False])
    if kind in {"post", "void"}:
        held = list(book.open_holds())[-6:] if is_sound else []
        body = {"type": kind, "pending": choose(held or [*book.holds, "1.0", "999.0", "1.9999"])}
        if kind == "post" and choose([True, False]):
            body["amount"] = choose(_SOUND_AMOUNTS if is_sound else _AMOUNTS)
        return body
    body = {
        "type": kind,
        "debit": choose(_SOUND_DEBITS if is_sound else _PATHS),
        "credit": choose(_SOUND_CREDITS if is_sound else _PATHS),
        "amount": choose(_SOUND_AMOUNTS if is_sound else _AMOUNTS),
        "currency": choose(_SOUND_CURRENCIES if is_sound else _CURRENCIES),
    }
    if kind == "pending" and choose([True, False]):
        body["expires_after_s"] = choose([1, 5, 60])
    return body | (_a_conversion(choose, book, is_sound=is_sound) if kind == "convert" else {})


def _a_conversion(choose: Choose, book: Book, *, is_sound: bool) -> Body:
    """What a conversion says beside what every transfer does."""
    body: Body = {
        "target_currency": choose(("USD", "KWD") if is_sound else _CURRENCIES),
        "rate": choose(_RATES[:4] if is_sound else _RATES),
    }
    if choose([True, False]):
        body["spread_bp"] = choose((1, 250, 9_999) if is_sound else (0, 9_999, 10_000, -1))
    if choose([True, False]):
        body["quote"] = choose(["q1", "q2", "q3", "q4", "q5"])
    if choose([True, False, False]):
        body["valid_until"] = _moment(choose, book)
    return body


def _moment(choose: Choose, book: Book) -> datetime:
    """A time close to one that matters."""
    step: timedelta = choose([timedelta(0), timedelta(microseconds=1), timedelta(days=1)])
    mark: datetime = choose([book.now, BEGINNING, book.locked_before or book.now])
    return mark + step if choose([True, False]) else mark - step
