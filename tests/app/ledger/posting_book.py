"""A book in PostgreSQL to post to, and all that can be seen of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import trio

from actors import Supervised, run_root
from app.ledger import posting
from app.ledger.model import Accepted, Posted, PostingRefused, Result
from app.ledger.plan import Terms
from app.ledger.request import AnyTransfer, PostingRequest, Transfer
from app.ledger.service import Ledger
from app.storage import Database, ReadConnection, WriteConnection, load_queries

_SQL: Final = load_queries(__package__, "book.sql")

BOOK: Final = "acme"
BANK: Final = "bank:main"
SAM: Final = "seller:sam:payable"
SUE: Final = "seller:sue:payable"
FEES: Final = "commission"

# Every table that a posting could leave something in.
TABLES: Final = ("book", "chart", "account", "posting", "transfer", "hold", "conversion")


def ask(key: str, *transfers: AnyTransfer) -> PostingRequest:
    """A posting of these transfers."""
    return PostingRequest(key, transfers)


def pay(key: str, amount: int = 5, debit: str = BANK, credit: str = SAM) -> PostingRequest:
    """A posting of one transfer in euro."""
    return ask(key, Transfer(debit, credit, amount, "EUR"))


def accepted(result: Result) -> Posted:
    """What was posted, now or before."""
    assert isinstance(result, Accepted), result
    return result.posted


def refusal(result: Result) -> tuple[str, int | None]:
    """Why it was not, and whose fault it is."""
    assert isinstance(result, PostingRefused), result
    return str(result.code), result.leg


def wire(result: Result) -> bytes:
    """The answer as a client reads it."""
    return msgspec.json.encode(accepted(result))


@dataclass(frozen=True)
class Bank:
    """A book of the same name as its line."""

    database: Database
    name: str = BOOK

    async def open(self) -> None:
        """The book, with its chart and nothing else."""
        await self.write("open_book", self.name)

    async def post(self, *requests: PostingRequest, terms: Terms | None = None) -> list[Result]:
        """Posts a batch in a block of its own."""

        async def run(conn: WriteConnection) -> list[Result]:
            return await posting.post(conn, self.name, requests, terms or Terms())

        return await self.database.write(run)

    async def write(self, query: str, *args: object) -> None:
        """Runs one of the statements of `book.sql`."""

        async def run(conn: WriteConnection) -> None:
            await conn.execute(getattr(_SQL, query), *args)

        await self.database.write(run)

    async def tamper(self, query: str, *args: object) -> None:
        """The same, unseen by triggers, as a superuser can."""

        async def run(conn: WriteConnection) -> None:
            await conn.execute(_SQL.switch_off)
            await conn.execute(getattr(_SQL, query), *args)

        await self.database.write(run)

    async def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """The rows of one of the queries of `book.sql`."""

        async def run(conn: ReadConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in await conn.fetch(getattr(_SQL, query), *args)]

        return await self.database.read(run)

    async def limit(self, path: str, floor: int | None, ceiling: int | None = None) -> None:
        """Opens an account in euro with these limits."""
        await self.write("open_account", self.name, path, "EUR", floor, ceiling)

    async def balances(self) -> dict[str, int]:
        """Every account's balance, by its path; those in euro."""
        found = await self.rows("accounts", self.name)
        return {row["path"]: row["balance"] for row in found if row["currency"] == "EUR"}

    async def dump(self) -> dict[str, Sequence[str]]:
        """Every row of every table of the ledger, as text."""
        return {
            table: [row["line"] for row in await self.rows(f"dump_{table}")] for table in TABLES
        }

    async def check(self) -> None:
        """Nothing is found that must never be so."""
        assert await Ledger(self.database).check() == []


@asynccontextmanager
async def running(*parts: Supervised) -> AsyncIterator[None]:
    """These parts of nodes run for as long as the block."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        for part in parts:
            await nursery.start(partial(run_root, part, stop=stop))
        yield
        stop.set()
