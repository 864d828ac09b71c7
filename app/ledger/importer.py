"""Loads past postings into a book that takes no present ones yet, and lets it take those at last.

Theory of operation. A file is read in parts, by a thread, and each part is posted in batches by the
same engine as every posting, on the terms of past ones: an atomic block a batch, in the order of
the file. What a batch posted stays, whatever comes after it, so a load that was interrupted is
simply run again: rows that are there are found under their keys and are not posted twice. At the
file's end the book's totals are held against those that were wanted, under the book's lock, and
both are noted. A book is promoted on what was noted of its last load.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

import trio

from app.ledger import import_store
from app.ledger.import_model import NotLoadable, Row, RowRefused, Rows, Run, Tally, Totals
from app.ledger.limits import ROW_BYTES_MAX, ROWS_A_BATCH_MAX, TRANSFERS_A_SHARE_MAX
from app.ledger.model import Accepted
from app.storage import Database


class PastPostings:
    """A file of past postings, a line each.

    Args:
        name: the file's, for those who look at the loads later.
        file: open for reading; not closed here.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name: Final = name
        self._file = file
        self._rows = Rows()

    def next(self) -> list[Row | RowRefused]:
        """Some of the next rows; none at the end. It waits for the file."""
        taken: list[Row | RowRefused] = []
        while len(taken) < ROWS_A_BATCH_MAX:
            line = self._file.readline(ROW_BYTES_MAX + 1)
            if not line:
                break
            row = self._rows.read(line)
            while len(line) > ROW_BYTES_MAX and not line.endswith(b"\n"):
                line = self._file.readline(ROW_BYTES_MAX + 1)
            if row is not None:
                taken.append(row)
        return taken


class Importer:
    """Loads past postings, and promotes books. Every method raises `StorageDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(
        self,
        book: str,
        postings: PastPostings,
        wanted: Totals,
        tell: Callable[[RowRefused], None],
    ) -> Run | NotLoadable:
        """Posts what a file has and the book has not.

        Args:
            book: the book's id; it takes past postings.
            postings: the file.
            wanted: what the book is to come to.
            tell: is told of each row that is refused, in the order of the file.
        """
        refused = await self._database.read(import_store.refuse_book, book)
        if refused is not None:
            return refused
        counts = [0, 0, 0]
        while rows := await trio.to_thread.run_sync(postings.next):
            for place, count in enumerate(await self._post(book, rows, tell)):
                counts[place] += count
        return await self._database.write(
            import_store.finish, book, postings.name, Tally(*counts), wanted
        )

    async def promote(self, book: str) -> NotLoadable | None:
        """Lets a book take present postings, for good; or says why it does not yet.

        That is once its last load came to its end with no row refused and the totals as wanted, and
        nothing was posted since.
        """
        return await self._database.write(import_store.promote, book)

    async def _post(
        self, book: str, rows: Sequence[Row | RowRefused], tell: Callable[[RowRefused], None]
    ) -> tuple[int, int, int]:
        """How many of these rows were posted, were there before, and were refused."""
        outcomes: dict[int, RowRefused | bool] = {
            row.line: row for row in rows if isinstance(row, RowRefused)
        }
        for batch in _batches([row for row in rows if isinstance(row, Row)]):
            requests = [row.request for row in batch]
            results = await self._database.write(import_store.post_past, book, requests)
            for row, result in zip(batch, results, strict=True):
                if isinstance(result, Accepted):
                    outcomes[row.line] = result.fresh
                else:
                    outcomes[row.line] = RowRefused(row.line, result.code.value, result.message)
        refused = [each for _, each in sorted(outcomes.items()) if isinstance(each, RowRefused)]
        for each in refused:
            tell(each)
        fresh = sum(each is True for each in outcomes.values())
        return fresh, len(outcomes) - fresh - len(refused), len(refused)


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in their order, cut so that each batch has few enough transfers, or is one row."""
    batch: list[Row] = []
    transfers = 0
    for row in rows:
        count = len(row.request.transfers) or 1
        if batch and transfers + count > TRANSFERS_A_SHARE_MAX:
            yield batch
            batch, transfers = [], 0
        batch.append(row)
        transfers += count
    if batch:
        yield batch
