"""A business line whose ledger is used over HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from actors import running
from app.domain.page import Page
from app.events.feed import Feed
from app.events.service import EventLog
from app.identity.store import add_line
from app.ledger.books import Books
from app.ledger.interline import Interline
from app.ledger.keeper import Keeper
from app.ledger.poster import Posters
from app.ledger.service import Ledger
from app.storage import Database
from channels.broker import MemoryBroker
from tests.app.http.api import Answer, Api
from tests.app.http.node import NoMembers, bare_services

POSTINGS: Final = "/v1/books/demo/postings"
TELLER: Final = "operator+post"

BANK: Final = "bank:main"
OPENING: Final = "opening"
FEES: Final = "commission"


def transfer(
    debit: str = BANK, credit: str = OPENING, amount: Any = 100, currency: str = "EUR"
) -> dict[str, Any]:
    """A transfer."""
    return {
        "type": "transfer",
        "debit": debit,
        "credit": credit,
        "amount": amount,
        "currency": currency,
    }


def posting(key: str, *transfers: dict[str, Any], **more: object) -> dict[str, Any]:
    """A posting; of one transfer, where none is named."""
    return {"key": key, "transfers": transfers or (transfer(),), **more}


@dataclass(frozen=True)
class Bank:
    """The line `demo` and another one, each with a book of its id.

    Attributes:
        api: as people use it.
        database: what is beneath.
    """

    api: Api
    database: Database

    async def post(self, *postings: dict[str, Any], who: str = TELLER) -> Answer:
        """Post one, or many at once."""
        body = postings[0] if len(postings) == 1 else postings
        return await self.api.post(who, POSTINGS, body)

    async def keys(self) -> Sequence[str]:
        """The keys of all postings to the book, in its order."""
        page = (await self.api.get("operator", POSTINGS)).body
        assert page["next"] is None
        return [each["key"] for each in page["items"]]

    async def balance(self, path: str, currency: str = "EUR") -> int:
        """Of an account that is open."""
        accounts = (await self.api.get("operator", f"/v1/accounts?limit={Page().limit}")).body
        (found,) = (
            each["balance"]
            for each in accounts["items"]
            if (each["path"], each["currency"]) == (path, currency)
        )
        assert isinstance(found, int)
        return found


@asynccontextmanager
async def open_bank(database: Database, posting_to: Database | None = None) -> AsyncIterator[Bank]:
    """One that is open for as long as the block; its posters may have another database."""
    for line in ("demo", "other"):
        await database.write(add_line, line, line, 0)
    posters = Posters(posting_to or database)
    async with running(posters.actors.as_child()):
        services = replace(
            bare_services(),
            ledger=Ledger(database),
            books=Books(database),
            posters=posters,
            interline=Interline(database),
            keeper=Keeper(database),
            log=EventLog(database, Feed(database, MemoryBroker(), NoMembers())),
        )
        yield Bank(Api(services), database)
