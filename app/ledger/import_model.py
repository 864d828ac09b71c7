"""A load of past postings: its rows, what comes of each, and the totals it has to come to. Pure.

A row is a line of JSON, a posting as anybody asks for one, with the time at which it took effect,
which is no earlier than the row's before. Each row of a file has one outcome: it was posted now, it
was there under its key with the same body, or it was refused, and why.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec

from app.domain.money import EXPONENTS
from app.ledger.limits import ROW_BYTES_MAX
from app.ledger.model import Kind
from app.ledger.request import PostingRequest


class RowCode(StrEnum):
    """Why a row is refused before the ledger is asked; else the ledger's own code says it."""

    ROW_TOO_LONG = "row_too_long"
    ROW_MALFORMED = "row_malformed"
    EFFECTIVE_MISSING = "effective_missing"
    EFFECTIVE_OUT_OF_ORDER = "effective_out_of_order"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be posted."""

    line: int
    request: PostingRequest


@dataclass(frozen=True, slots=True)
class RowRefused:
    """A row that was not posted.

    Attributes:
        line: its place in the file, from 1.
        code: a `RowCode`, or the ledger's.
        message: what that means.
    """

    line: int
    code: str
    message: str


_POSTING: Final = msgspec.json.Decoder(PostingRequest)
# What a text of the database cannot hold.
_NUL: Final = b"\\u0000"


def _refuse_twice(pairs: list[tuple[str, object]]) -> None:
    """See to it that an object says each thing once: which of two amounts is meant is not known.

    Raises:
        ValueError: it does not.
    """
    names = [name for name, _ in pairs]
    if len({*names}) < len(names):
        raise ValueError("A name is given twice.")


class Rows:
    """Reads the lines of one file, in their order."""

    def __init__(self) -> None:
        self._lines = 0
        self._latest: datetime | None = None

    def read(self, text: bytes) -> Row | RowRefused | None:
        """The next line's row, or why it is none; None where the line is blank."""
        self._lines += 1
        if len(text) > ROW_BYTES_MAX:
            return self._refuse(RowCode.ROW_TOO_LONG, f"A row has {ROW_BYTES_MAX:,} bytes at most.")
        if not text.strip():
            return None
        try:
            request = _POSTING.decode(text)
            json.loads(text, object_pairs_hook=_refuse_twice)
        except (msgspec.MsgspecError, ValueError) as error:
            return self._refuse(RowCode.ROW_MALFORMED, str(error))
        except RecursionError:
            return self._refuse(RowCode.ROW_MALFORMED, "It nests too deep.")
        if _NUL in text:
            return self._refuse(RowCode.ROW_MALFORMED, "No text has a NUL in it.")
        return self._in_order(request)

    def _in_order(self, request: PostingRequest) -> Row | RowRefused:
        at = request.effective_at
        if at is None:
            return self._refuse(RowCode.EFFECTIVE_MISSING, "A past posting has an `effective_at`.")
        if self._latest is not None and at < self._latest:
            return self._refuse(
                RowCode.EFFECTIVE_OUT_OF_ORDER, "Rows are in the order of their `effective_at`."
            )
        self._latest = at
        return Row(self._lines, request)

    def _refuse(self, code: RowCode, message: str) -> RowRefused:
        return RowRefused(self._lines, code.value, message)


# Control totals -----------------------------------------------------------------------------------

Count = Annotated[int, msgspec.Meta(ge=0)]


class KindTotals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the accounts of one kind and currency come to, in minor units.

    Attributes:
        postings: how many postings touched one of them.
        debits: all that was debited, posted.
        balance: the sum of their balances, each on its normal side.
    """

    postings: Count = 0
    debits: Count = 0
    balance: int = 0


# By currency, then by kind of account. What comes to nothing is left out.
Totals = Mapping[str, Mapping[Kind, KindTotals]]


class Difference(NamedTuple):
    """A total that is not what it was to be."""

    currency: str
    kind: Kind
    total: str
    wanted: int
    has: int


def read_totals(text: bytes) -> Totals:
    """The control totals that a file of JSON gives.

    Raises:
        ValueError: they are not of that shape, or of something that is no currency.
    """
    totals = msgspec.json.decode(text, type=dict[str, dict[Kind, KindTotals]])
    for currency in totals:
        if currency not in EXPONENTS:
            raise ValueError(f"{currency!r} is no currency")
    return totals


def significant(totals: Totals) -> dict[str, dict[Kind, KindTotals]]:
    """The same, in one order and without what comes to nothing: equal where they say the same."""
    kept = {
        currency: {kind: totals[currency][kind] for kind in Kind if _says(totals[currency], kind)}
        for currency in sorted(totals)
    }
    return {currency: kinds for currency, kinds in kept.items() if kinds}


def _says(kinds: Mapping[Kind, KindTotals], kind: Kind) -> bool:
    return kinds.get(kind, KindTotals()) != KindTotals()


def differences(wanted: Totals, has: Totals) -> Iterator[Difference]:
    """Every total that is not what was wanted."""
    for currency in sorted({*wanted, *has}):
        for kind in Kind:
            want = wanted.get(currency, {}).get(kind, KindTotals())
            have = has.get(currency, {}).get(kind, KindTotals())
            for total in KindTotals.__struct_fields__:
                pair = getattr(want, total), getattr(have, total)
                if pair[0] != pair[1]:
                    yield Difference(currency, kind, total, *pair)


# What comes of a load -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows of a file were posted now, were there before, and were refused."""

    posted: int = 0
    found: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A load that came to the end of its file.

    Attributes:
        tally: what came of the rows.
        differences: between the totals that were wanted and those of the book.
    """

    tally: Tally
    differences: tuple[Difference, ...]

    @property
    def complete(self) -> bool:
        """Whether no row was refused, and the book is what it was to be."""
        return not self.tally.refused and not self.differences


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is known of a book's last load that came to an end."""

    refused: int
    matched: bool
    head: int


class NotLoadable(StrEnum):
    """Why nothing is loaded into a book, or why it does not take present postings yet."""

    BOOK_UNKNOWN = "there is no such book"
    NOT_IMPORTING = "the book takes no past postings: it is live, or closed"
    NEVER_LOADED = "no file was loaded to its end"
    ROWS_REFUSED = "rows of the last file were refused"
    TOTALS_DIFFER = "after the last file the totals were not what they were to be"
    POSTED_SINCE = "something was posted after the last file"


def refuse_promotion(last: LastRun | None, head: int) -> NotLoadable | None:
    """Why a book of past postings, with this head, does not take present ones yet."""
    if last is None:
        return NotLoadable.NEVER_LOADED
    if last.refused:
        return NotLoadable.ROWS_REFUSED
    if not last.matched:
        return NotLoadable.TOTALS_DIFFER
    return NotLoadable.POSTED_SINCE if last.head != head else None
