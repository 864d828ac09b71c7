"""A book that takes past postings, and files of them."""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.ledger import posting
from app.ledger.import_model import NotLoadable, RowRefused, Run, Totals, read_totals
from app.ledger.importer import Importer, PastPostings
from app.ledger.model import Accepted, PostingRefused
from app.ledger.request import PostingRequest
from app.storage import Database
from tests.app.ledger.lines import ask


def row(number: int, debit: str, credit: str, amount: int, **more: Any) -> dict[str, Any]:
    """A past posting of one transfer, of the day `number`."""
    move = {"type": "transfer", "debit": debit, "credit": credit, "amount": amount}
    return {
        "key": f"row-{number}",
        "effective_at": f"2025-03-{number:02}T12:00:00Z",
        "transfers": [{**move, "currency": "EUR"}],
        **more,
    }


# An opening balance, then what happened.
ROWS: Final = (
    row(1, "bank:main", "opening", 1_000),
    row(2, "bank:main", "commission", 300),
    row(3, "expense:rent", "bank:main", 450),
    row(4, "bank:main", "commission", 25),
)
TOTALS: Final = {
    "EUR": {
        "asset": {"postings": 4, "debits": 1_325, "balance": 875},
        "equity": {"postings": 1, "debits": 0, "balance": 1_000},
        "revenue": {"postings": 2, "debits": 0, "balance": 325},
        "expense": {"postings": 1, "debits": 450, "balance": 450},
    }
}


def totals(given: object = TOTALS) -> Totals:
    """Control totals, as a file gives them."""
    return read_totals(json.dumps(given).encode())


@dataclass
class Past:
    """A book that takes past postings."""

    database: Database
    importer: Importer
    refused: list[RowRefused] = field(default_factory=list)

    async def load(
        self, rows: Iterable[Mapping[str, Any] | bytes] = ROWS, given: object = TOTALS
    ) -> Run:
        """What comes of a file of these rows."""
        run = await self.try_to_load(rows, given)
        assert isinstance(run, Run), run
        return run

    async def try_to_load(
        self, rows: Iterable[Mapping[str, Any] | bytes] = ROWS, given: object = TOTALS
    ) -> Run | NotLoadable:
        """The same, where it may be that nothing is loaded."""
        self.refused.clear()
        lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows]
        file = PastPostings("past.ndjson", io.BytesIO(b"\n".join(lines)))
        return await self.importer.load("north", file, totals(given), self.refused.append)

    async def keys(self) -> list[object]:
        """What is posted, in the book's order."""
        return [each["key"] for each in await ask(self.database, "postings")]

    async def post(self, request: PostingRequest) -> Accepted | PostingRefused:
        """What comes of a present posting."""
        [result] = await self.database.write(posting.post, "north", (request,))
        return result
