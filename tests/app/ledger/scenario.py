"""What the scenarios of `tests/scenarios/ledger` say; their format is in the README there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.ledger.codes import LedgerCode
from app.ledger.model import Mode
from app.ledger.plan import Terms
from app.ledger.request import (
    AnyTransfer,
    Convert,
    Pending,
    Post,
    PostingRequest,
    Rate,
    Transfer,
    Void,
)

FOLDER: Final = Path(__file__).parents[2] / "scenarios" / "ledger"

# What is expected of a posting that is taken, and of one that was taken before.
OK: Final = "ok"
SAME: Final = "same"


@dataclass(frozen=True)
class Line:
    """One line that is no posting: its first word, and the others."""

    word: str
    arguments: tuple[str, ...]
    options: Mapping[str, str]

    def limit(self, name: str) -> int | None:
        """The amount of a limit that it names."""
        value = self.options.get(name)
        return None if value is None else int(value)


@dataclass(frozen=True)
class PostingLine:
    """A posting, in one or more lines, and what comes of it.

    Attributes:
        number: of its last line in the file.
        expected: `ok`, `same`, or a code.
    """

    number: int
    expected: str
    parts: tuple[tuple[str, ...], ...]

    @property
    def _marks(self) -> dict[str, str]:
        """The words that begin with `@`, which are about the whole posting."""
        words = [word[1:] for part in self.parts for word in part if word.startswith("@")]
        return {name: value for name, _, value in (word.partition("=") for word in words)}

    @property
    def book(self) -> str | None:
        """The book it is for, where that is another one."""
        return self._marks.get("book")

    @property
    def terms(self) -> Terms:
        """On what terms it is posted."""
        marks = self._marks
        mode = Mode.IMPORTING if "imported" in marks else Mode.LIVE
        return Terms(mode, trusted="ours" in marks)

    def request(self, now: datetime) -> PostingRequest:
        """What is asked at this time."""
        key = self.parts[0][0]
        reverses = None
        transfers: list[AnyTransfer] = []
        for part in self.parts:
            words = [word for word in part[1:] if not word.startswith("@")]
            if words[0] == "reverse":
                reverses = int(words[1])
            elif words[0] != "empty":
                transfers += _transfers(words, now)
        effective = self._marks.get("effective")
        effective_at = None if effective is None else now + timedelta(seconds=int(effective))
        return PostingRequest(key, tuple(transfers), effective_at, reverses)


@dataclass(frozen=True)
class Scenario:
    """One file: lines of postings, and of what is so before, between and after them."""

    name: str
    lines: tuple[Line | PostingLine, ...]

    def expected(self) -> list[LedgerCode]:
        """The codes that occur in it."""
        return [
            LedgerCode(line.expected)
            for line in self.lines
            if isinstance(line, PostingLine) and line.expected not in {OK, SAME}
        ]


def scenarios() -> list[Scenario]:
    """All of them."""
    return [_read(path) for path in sorted(FOLDER.glob("*.txt"))]


def ladders() -> Iterator[list[LedgerCode]]:
    """The codes of each posting that is mended fault by fault, in their order in the file."""
    for scenario in scenarios():
        ladder: list[LedgerCode] | None = None
        for line in scenario.lines:
            if isinstance(line, PostingLine):
                if ladder is not None:
                    ladder.append(LedgerCode(line.expected))
                continue
            if ladder:
                yield ladder
            ladder = [] if line.word == "ladder" else None
        if ladder:
            yield ladder


def _read(path: Path) -> Scenario:
    lines: list[Line | PostingLine] = []
    parts: list[tuple[str, ...]] = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        words = tuple(text.partition("#")[0].split())
        if not words:
            continue
        if words[0] in _WORDS:
            lines.append(_line(words))
            continue
        *part, expected = words
        parts.append(tuple(part))
        if expected != "&":
            lines.append(PostingLine(number, expected, tuple(parts)))
            parts = []
    assert not parts, f"{path} ends in the middle of a posting"
    return Scenario(path.stem, tuple(lines))


_WORDS: Final = {"given", "pattern", "wait", "lock", "mode", "close", "then", "ladder"}
_LIMITS: Final = ("floor", "ceiling")


def _line(words: tuple[str, ...]) -> Line:
    options = {
        word: words[place + 1] for place, word in enumerate(words) if word in _LIMITS and place > 2
    }
    return Line(words[0], words[1:], options)


def _transfers(words: list[str], now: datetime) -> list[AnyTransfer]:
    """The transfers that one line asks for: more than one where it says `times`."""
    kind, *rest = words
    if kind == "post":
        return [Post(rest[0], int(rest[1]) if len(rest) > 1 else None)]
    if kind == "void":
        return [Void(rest[0])]
    debit, credit, amount, currency, *more = rest
    named = dict(zip(more[::2], more[1::2], strict=True))
    if kind == "transfer":
        return [Transfer(debit, credit, int(amount), currency)] * int(named.get("times", 1))
    if kind == "pending":
        seconds = named.get("for")
        return [Pending(debit, credit, int(amount), currency, int(seconds) if seconds else None)]
    assert kind == "convert", f"no transfer is called {kind}"
    match = re.fullmatch(r"(?P<numerator>-?\d+)/(?P<denominator>-?\d+)", named["at"])
    assert match is not None, f"{named['at']} is no rate"
    until = named.get("until")
    return [
        Convert(
            debit,
            credit,
            int(amount),
            currency,
            named["to"],
            Rate(int(match["numerator"]), int(match["denominator"])),
            int(named.get("spread", 0)),
            named.get("quote"),
            None if until is None else now + timedelta(seconds=int(until)),
        )
    ]
