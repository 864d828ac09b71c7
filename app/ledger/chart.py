"""A book's chart: which accounts it may have, of which kind, and whose. Pure.

A pattern is words with colons between them. In place of a word `*` stands for any, and `{owner}`
for any, which is then the name of the person whose money it is. Of two patterns that fit, the one
that says more counts: word for word from the left, a word says more than a placeholder.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.ledger.limits import PATH_CHARACTERS_MAX
from app.ledger.model import Kind

ANY: Final = "*"
OWNER: Final = "{owner}"

_PATH: Final = re.compile(r"[a-z][a-z-]*(:[A-Za-z0-9_.@-]+)*", re.ASCII)
# The database's CHECK says the same.
_PATTERN: Final = re.compile(r"[a-z][a-z-]*(:([A-Za-z0-9_.@-]+|\*|\{owner\}))*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of place in a chart.

    Attributes:
        pattern: such as `seller:{owner}:payable`.
        kind: what its accounts stand for.
        floor: the least that may be available on an account that is opened here; None: any.
        ceiling: the most that one may hold; None: any.
    """

    pattern: str
    kind: Kind
    floor: int | None = None
    ceiling: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What the chart says of one path.

    Attributes:
        pattern: the pattern that it fits.
        owner: the person whose money it is, if it is a person's.
    """

    pattern: Pattern
    owner: str | None


class Chart:
    """The patterns of one book."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self.patterns: Final = tuple(sorted(patterns, key=_by_how_much_it_says))
        self._split = [(each, each.pattern.split(":")) for each in self.patterns]

    def find(self, path: str) -> Place | None:
        """What the chart says of `path`; None where it has no such account."""
        if not is_path(path):
            return None
        words = path.split(":")
        for pattern, wanted in self._split:
            if len(wanted) == len(words) and all(map(_fits, wanted, words)):
                owners = [word for want, word in zip(wanted, words, strict=True) if want == OWNER]
                return Place(pattern, owners[0] if owners else None)
        return None


def is_path(text: str) -> bool:
    """Whether an account may have this path, in some chart."""
    return len(text) <= PATH_CHARACTERS_MAX and _PATH.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Whether this is a pattern that a chart may have."""
    return _PATTERN.fullmatch(text) is not None


def _fits(wanted: str, word: str) -> bool:
    return wanted in {word, ANY, OWNER}


def _by_how_much_it_says(pattern: Pattern) -> tuple[list[bool], str]:
    return [word in {ANY, OWNER} for word in pattern.pattern.split(":")], pattern.pattern
