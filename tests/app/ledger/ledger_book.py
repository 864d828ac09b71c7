"""A book to post in, whose entries tests read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.identity.model import Identity, Role
from app.identity.store import add_line
from app.ledger import posting
from app.ledger.model import Accepted, Posted
from app.ledger.request import AnyTransfer, PostingRequest
from app.storage import Database

LINE: Final = "acme"
OPERATOR: Final = Identity("ola", Role.OPERATOR, LINE, 2**40, "session")
SELLER: Final = replace(OPERATOR, person="sam", role=Role.SELLER)
BUYER: Final = replace(OPERATOR, person="bea", role=Role.BUYER)
STRANGER: Final = replace(OPERATOR, line="other")


class LedgerBook:
    """The book of a line of its own; what is posted to it is numbered from 1."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._keys = 0

    async def open(self) -> None:
        """Adds the line."""
        assert await self.database.write(add_line, LINE, "A line", 0)

    async def post(self, *transfers: AnyTransfer, at: datetime | None = None) -> Posted:
        """Posts what must be accepted."""
        (posted,) = await self.post_all([self.request(*transfers, at=at)])
        return posted

    def request(self, *transfers: AnyTransfer, at: datetime | None = None) -> PostingRequest:
        """A posting under a key of its own, effective at a moment."""
        self._keys += 1
        return PostingRequest(f"key-{self._keys}", transfers, at)

    async def post_all(self, requests: Sequence[PostingRequest]) -> list[Posted]:
        """Posts a batch of what must be accepted."""
        results = await self.database.write(posting.post, LINE, requests)
        accepted = [result.posted for result in results if isinstance(result, Accepted)]
        assert len(accepted) == len(requests), results
        return accepted
