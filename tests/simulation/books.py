"""Books of the real ledger as a simulation has them: opened, posted to, changed, looked through.

It talks to PostgreSQL by a connection of its own and without a trio loop, so that Hypothesis, which
calls it, need not know of any. A `Node` is one server's way in: it remembers a book from one batch
to the next, as a poster does.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, TypeVarTuple

import asyncpg
import msgspec

from app.ledger import posting, store
from app.ledger.book import BookState
from app.ledger.model import PostingRefused, Result, Violation
from app.ledger.request import PostingRequest
from app.storage import WriteConnection, load_queries
from tests.simulation.commands import PATTERNS
from tests.simulation.reference import Answer, Body

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SQL: Final = load_queries(__package__)


class RolledBack(Exception):  # noqa: N818 - what happened
    """A block that was not committed."""


class Node:
    """A server that posts."""

    def __init__(self) -> None:
        self.remembered: BookState | None = None


class Books:
    """Books in one database.

    Attributes:
        answers_told: how many requests were answered.
    """

    def __init__(self, server_url: str, owner_url: str) -> None:
        """Connect, as the role that serves, and as the owner, who alone can set the time."""
        self._runner = asyncio.Runner()
        self._server = self._runner.run(asyncpg.connect(server_url))
        self._owner = self._runner.run(asyncpg.connect(owner_url))
        self._numbers = itertools.count(1)
        self.answers_told = 0

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._server.close())
        self._runner.run(self._owner.close())
        self._runner.close()

    def open(self, beginning: datetime) -> str:
        """A new book whose time begins then."""
        book = f"book-{next(self._numbers)}"
        self._block(self._owner, open_book, book)
        self.set_time(book, beginning)
        return book

    def post(self, node: Node, book: str, bodies: Sequence[Body]) -> list[Answer]:
        """A batch through a node."""
        results = self._post(node, book, [to_request(body) for body in bodies])
        return [to_answer(result) for result in results]

    def _post(self, node: Node, book: str, requests: Sequence[PostingRequest]) -> list[Result]:
        remembered, node.remembered = node.remembered, None
        results, node.remembered = self._block(
            self._server, posting.post_on, book, requests, remembered
        )
        self.answers_told += len(results)
        return results

    def post_json(self, node: Node, book: str, bodies: Sequence[Body]) -> list[Answer]:
        """A batch of bodies as they come over the wire, and the answers as they go over it."""
        requests = [msgspec.json.decode(json.dumps(each), type=PostingRequest) for each in bodies]
        return [
            ("refused", result.code, result.leg)
            if isinstance(result, PostingRefused)
            else ("accepted", msgspec.json.encode(result.posted))
            for result in self._post(node, book, requests)
        ]

    def post_in_vain(self, book: str, bodies: Sequence[Body]) -> None:
        """A batch whose block is not committed."""

        async def post(conn: WriteConnection) -> None:
            await posting.post(conn, book, [to_request(body) for body in bodies])
            raise RolledBack

        try:
            self._block(self._server, post)
        except RolledBack:
            return
        raise AssertionError("it was rolled back")

    def change(self, statement: str, book: str, *args: object) -> bool:
        """Changes the book other than by a posting; whether the database let it be."""

        async def change(conn: WriteConnection) -> None:
            await posting.lock(conn, (book,))
            await conn.execute(getattr(SQL, statement), book, *args)
            await conn.execute(SQL.revise, book)

        try:
            self._block(self._owner, change)
        except asyncpg.CheckViolationError:
            return False
        return True

    def set_time(self, book: str, now: datetime) -> None:
        """Nothing is recorded in the book before this time."""
        self._block(self._owner, set_time, book, now)

    def rows(self, query: str, book: str) -> list[dict[str, Any]]:
        """What a query shows of a book."""
        rows = self._runner.run(self._server.fetch(getattr(SQL, query), book))
        return [dict(row) for row in rows]

    def check(self) -> list[Violation]:
        """What must never be so, in all books."""
        return self._block(self._server, store.check)

    def _block(
        self,
        conn: Any,
        fn: Callable[[WriteConnection, *Ts], Awaitable[T]],
        *args: *Ts,
    ) -> T:
        async def run() -> T:
            async with conn.transaction():
                return await fn(conn, *args)

        return self._runner.run(run())


async def open_book(conn: WriteConnection, book: str) -> None:
    """Make a book with the simulations' chart."""
    await conn.execute(SQL.open_book, book)
    for pattern in PATTERNS:
        await conn.execute(SQL.extend_chart, book, *pattern)


async def set_time(conn: WriteConnection, book: str, now: datetime) -> None:
    """Set the time of the book's last posting."""
    await conn.execute(SQL.unguard)
    await conn.execute(SQL.set_time, book, now)


def to_request(body: Body) -> PostingRequest:
    """A body as the service reads it."""
    return msgspec.convert(body, PostingRequest)


def to_answer(result: Result) -> Answer:
    """A result in the reference's words, without who was first."""
    if isinstance(result, PostingRefused):
        return ("refused", result.code, result.leg)
    told = msgspec.to_builtins(result.posted, builtin_types=(datetime,))
    return ("accepted", {**told, "transfers": tuple(told["transfers"])})
