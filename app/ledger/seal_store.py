"""Sealing, and verifying what was sealed. Every function runs on the annex, in its caller's block.

Both ask the same statement what a range says now (`content`): PostgreSQL reads and hashes the rows,
and one hash comes back, so neither holds more than a range, whatever the size of the ledger. Rows
that are recorded never change, so a verification needs no snapshot: it may be cut into many reads.
"""

from typing import Final, NamedTuple

from app.ledger.limits import (
    SEAL_BOOKS_A_READ,
    SEAL_POSTINGS_MAX,
    SEAL_ROWS_MAX,
    SEAL_TRANSFERS_MAX,
    SEALS_A_READ,
)
from app.ledger.model import Violation
from app.ledger.seal import Chain, Seal
from app.limits import VIOLATIONS_MAX
from app.storage import ReadConnection, WriteConnection, load_queries

_SQL: Final = load_queries(__package__, "seals.sql")


async def behind(conn: ReadConnection, after: str) -> tuple[str, ...]:
    """Some books that have postings without a seal, with an id above `after`, in order."""
    rows = await conn.fetch(_SQL.behind, after, SEAL_BOOKS_A_READ)
    return tuple(row["id"] for row in rows)


class Sealed(NamedTuple):
    """How many postings were sealed, and whether there was more than one seal may cover."""

    postings: int
    more: bool


_NOTHING: Final = Sealed(0, more=False)


async def seal_next(conn: WriteConnection, book: str) -> Sealed:
    """Seals the next range of a book, as far as it is committed.

    Nothing is locked that a posting needs: where another node is at it, or all is sealed, nothing
    is done.
    """
    if not await conn.fetchval(_SQL.take_turn, book):
        return _NOTHING
    found = await conn.fetchrow(_SQL.next_range, book, SEAL_POSTINGS_MAX, SEAL_TRANSFERS_MAX)
    if found is None:
        return _NOTHING
    first, last, sealed_at = found["first"], found["last"], found["sealed_at"]
    content = await conn.fetchval(_SQL.content, book, first, last, sealed_at, SEAL_ROWS_MAX)
    sealed = await conn.fetchval(
        _SQL.seal, book, first, last, content, found["previous"], sealed_at
    )
    return _NOTHING if sealed is None else Sealed(last - first + 1, found["more"])


async def books(
    conn: ReadConnection, after: str, only: str | None = None
) -> tuple[tuple[str, int], ...]:
    """Books, also those of which only seals are left, and the number of each one's last posting.

    They are in the order of their ids, above `after`, and at most `SEAL_BOOKS_A_READ`.
    """
    rows = await conn.fetch(_SQL.books, after, SEAL_BOOKS_A_READ, only)
    return tuple((row["id"], row["head"]) for row in rows)


async def follow(conn: ReadConnection, chain: Chain, tips: set[bytes]) -> bool:
    """Follows a book's chain for some seals, and drops from `tips` those that it leads through.

    Returns:
        Whether there may be more to follow.
    """
    rows = await conn.fetch(_SQL.seals, chain.book, chain.last, SEALS_A_READ)
    for row in rows:
        seal = Seal(**row)
        content = await conn.fetchval(
            _SQL.content, seal.book, seal.first, seal.last, seal.sealed_at, SEAL_ROWS_MAX
        )
        chain.follow(seal, content)
        if chain.broken is not None:
            return False
        tips.discard(chain.head)
    return bool(rows)


async def check(conn: ReadConnection) -> list[Violation]:
    """The first range of each book that is not what was sealed, at most `VIOLATIONS_MAX`."""
    found: list[Violation] = []
    after = ""
    while len(found) < VIOLATIONS_MAX and (some := await books(conn, after)):
        for book, _ in some:
            chain = Chain(book)
            while await follow(conn, chain, set()):
                pass
            if chain.broken is not None:
                first, last, how = chain.broken
                told = {"book": book, "first": first, "last": last, "how": how.value}
                found.append(Violation("seal_broken", told))
        after = some[-1][0]
    return found[:VIOLATIONS_MAX]
