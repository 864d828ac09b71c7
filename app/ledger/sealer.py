"""The sealer: puts seals on what was posted, so that a change of it is found.

Theory of operation. Every `SEAL_SWEEP_S` it asks which books have postings without a seal and gives
each its next seals, a block a seal. It trails behind the postings and is never in their way: it
reads rows that do not change any more and locks nothing that a posting needs. Every node of a
cluster has a sealer; one that is at a book makes the others pass it by (an advisory lock until its
block ends), and were two at it nevertheless, the table's key takes one seal and not the other.

`Seals` verifies: it follows each book's chain from its beginning and hashes every posting again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from actors import Lifeline
from app.ledger import seal_store
from app.ledger.limits import (
    SEAL_SWEEP_S,
    SEALS_A_TURN,
)
from app.ledger.seal import Broken, Chain
from app.storage import Database


@dataclass(frozen=True, slots=True)
class SealerStatistics:
    """What this node's sealer did.

    Attributes:
        seals: ranges sealed, since the start.
        postings: in these.
    """

    seals: int
    postings: int


class Sealer:
    """Seals what is posted, book by book."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seals = 0
        self._postings = 0

    def statistics(self) -> SealerStatistics:
        """What it did so far."""
        return SealerStatistics(self._seals, self._postings)

    async def run(self, life: Lifeline) -> None:
        """Sweep every `SEAL_SWEEP_S`, until asked to stop.

        Raises:
            StorageDown: PostgreSQL failed.
        """
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            life.ready()
            while True:
                if not await self.sweep():
                    await trio.sleep(SEAL_SWEEP_S)

    async def sweep(self) -> bool:
        """Gives each book its next seals; whether one had its turn and has more to seal."""
        more = False
        after = ""
        while found := await self._database.read(seal_store.behind, after):
            for book in found:
                more = await self._seal(book) or more
            after = found[-1]
        return more

    async def _seal(self, book: str) -> bool:
        """A book's turn; whether it ended before all was sealed."""
        for _ in range(SEALS_A_TURN):
            postings, more = await self._database.write(seal_store.seal_next, book)
            self._seals += bool(postings)
            self._postings += postings
            if not more:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found of one book.

    Attributes:
        book: the book's id.
        seals: how many seals hold.
        last: the number of the last posting that they cover.
        unsealed: how many postings came after it.
        tip: the head of the last seal that holds.
        broken: the first range that is not what was sealed, if any.
    """

    book: str
    seals: int
    last: int
    unsealed: int
    tip: bytes
    broken: Broken | None


class Seals:
    """Verifies what was sealed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(
        self, tips: set[bytes], tell: Callable[[Verified], None], *, only: str | None = None
    ) -> None:
        """Verifies each book, in the order of their ids, a few seals a read.

        Args:
            tips: heads that somebody kept; those that a chain leads through are dropped.
            tell: is told of each book when it is done.
            only: the one book to verify; None: all.
        """
        after = ""
        while found := await self._database.read(seal_store.books, after, only):
            for book, head in found:
                chain = Chain(book)
                while await self._database.read(seal_store.follow, chain, tips):
                    pass
                unsealed = max(0, head - chain.last)
                tell(Verified(book, chain.seals, chain.last, unsealed, chain.head, chain.broken))
            after = found[-1][0]
