"""The chain of a book's seals, and whether it holds. Pure.

A seal's head is SHA-256 of the head before it and of its content, which is itself SHA-256 of all
that its postings say. So each head stands for everything up to it: whoever keeps one elsewhere, a
*tip*, can tell later whether the chain still leads through it.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

# The head before the first seal of a book.
NOTHING: Final = bytes(32)


class Break(StrEnum):
    """What is wrong with a range."""

    GAP = "its seal does not follow the one before"
    PREVIOUS = "its seal names another head before it than there is"
    CONTENT = "its postings are not what was sealed"
    HEAD = "its seal's head is not the hash of what it stands for"


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it is stored.

    Attributes:
        book: the book's id.
        first: the number of the first posting that it covers.
        last: the number of the last one.
        content: SHA-256 of what these say.
        previous: the head of the seal before.
        head: its own.
        sealed_at: when, by the database's clock.
    """

    book: str
    first: int
    last: int
    content: bytes
    previous: bytes
    head: bytes
    sealed_at: datetime


class Broken(NamedTuple):
    """The first range of a book that is not what was sealed."""

    first: int
    last: int
    how: Break


class Chain:
    """A book's chain, followed seal by seal.

    Attributes:
        book: the book's id.
        last: the number of the last posting that it was followed to.
        head: the head there: the tip, once all was followed.
        seals: how many seals were followed.
        broken: where it does not hold; nothing after that says anything.
    """

    def __init__(self, book: str) -> None:
        self.book: Final = book
        self.last = 0
        self.head = NOTHING
        self.seals = 0
        self.broken: Broken | None = None

    def follow(self, seal: Seal, content: bytes) -> None:
        """Take the next seal, and what the content of its range is now."""
        assert self.broken is None, "nothing after a break says anything"
        how = self._judge(seal, content)
        if how is Break.GAP and seal.first > self.last + 1:
            self.broken = Broken(self.last + 1, seal.first - 1, how)
        elif how is not None:
            self.broken = Broken(seal.first, seal.last, how)
        else:
            self.last, self.head = seal.last, seal.head
            self.seals += 1

    def _judge(self, seal: Seal, content: bytes) -> Break | None:
        if seal.first != self.last + 1 or seal.last < seal.first:
            return Break.GAP
        if seal.previous != self.head:
            return Break.PREVIOUS
        if seal.content != content:
            return Break.CONTENT
        if seal.head != hashlib.sha256(seal.previous + seal.content).digest():
            return Break.HEAD
        return None
