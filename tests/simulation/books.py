"""Books of the real ledger as a simulation has them: opened, posted to, changed, looked through.

It talks to PostgreSQL by a connection of its own and without a trio loop, so that Hypothesis, which
calls it, need not know of any. A `Node` is one server's way in: it remembers a book from one batch
to the next and decides on that, as a poster does.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple

import asyncpg
import msgspec

from app.ledger import posting, store
from app.ledger.assuming import decide, may_assume, unknown
from app.ledger.book import AccountState, BookState
from app.ledger.model import PostingRefused, Result, Violation
from app.ledger.recording import RECORD, arguments_if_so
from app.ledger.request import PostingRequest
from app.ledger.rules import Batch, Decision
from app.storage import WriteConnection, load_queries
from tests.simulation.commands import PATTERNS
from tests.simulation.reference import Answer, Body

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SQL: Final = load_queries(__package__)


class RolledBack(Exception):  # noqa: N818 - what happened
    """A block that was not committed."""


class Decided(NamedTuple):
    """What a node takes to come of a batch, if a book is as it remembers it."""

    state: BookState
    batch: Batch
    decisions: Sequence[Decision]
    arguments: Sequence[Any]


class Node:
    """A server that posts."""

    def __init__(self) -> None:
        self.remembered: BookState | None = None


class Books:
    """Books in one database.

    Attributes:
        answers_told: how many requests were answered.
        batches: how many were posted, by how it went: `assumed`, `given up` or `locked`.
    """

    def __init__(self, server_url: str, owner_url: str) -> None:
        """Connect, as the role that serves, and as the owner, who alone can set the time."""
        self._runner = asyncio.Runner()
        self._server = self._runner.run(asyncpg.connect(server_url))
        self._owner = self._runner.run(asyncpg.connect(owner_url))
        self._numbers = itertools.count(1)
        self.answers_told = 0
        self.batches: Counter[str] = Counter()

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

    def post_ahead(
        self,
        node: Node,
        book: str,
        batches: Sequence[Sequence[Body]],
        between: Callable[[], object],
    ) -> list[list[Answer]]:
        """Batches through a node, decided before the first is recorded, as far as they can be."""
        asked = [[to_request(body) for body in bodies] for bodies in batches]
        decided = []
        for requests in asked:
            decided.append(self._decide(node, book, requests))
            if decided[-1] is None:
                break
        between()
        return [
            [to_answer(result) for result in self._post_decided(node, book, requests, each)]
            for requests, each in zip_longest(asked, decided)
        ]

    def _post(self, node: Node, book: str, requests: Sequence[PostingRequest]) -> list[Result]:
        return self._post_decided(node, book, requests, self._decide(node, book, requests))

    def _decide(self, node: Node, book: str, requests: Sequence[PostingRequest]) -> Decided | None:
        """As a poster does: on what it remembers, if that will do."""
        state = node.remembered
        if state is None or not may_assume(state, requests):
            return None
        wanted = unknown(state, requests)
        asked = posting.accounts_asked(book, wanted)
        if asked is not None:
            rows = self._runner.run(self._server.fetch(posting.ACCOUNTS, *asked))
            for row in rows:
                state.add(AccountState.of(posting.to_account(row)))
        if unknown(state, requests):
            return None
        batch, decisions = decide(state, requests)
        return Decided(state, batch, decisions, arguments_if_so(state, batch, requests))

    def _post_decided(
        self, node: Node, book: str, requests: Sequence[PostingRequest], decided: Decided | None
    ) -> list[Result]:
        """Record what was decided, if it still holds; or lock the book."""
        self.answers_told += len(requests)
        if decided is not None:
            results = self._record(node, decided)
            self.batches["given up" if results is None else "assumed"] += 1
            if results is not None:
                return results
        self.batches["locked"] += 1
        remembered, node.remembered = node.remembered, None
        results, node.remembered = self._block(
            self._server, posting.post_on, book, requests, remembered
        )
        return results

    def _record(self, node: Node, decided: Decided) -> list[Result] | None:
        state, batch, decisions, arguments = decided
        if node.remembered is not state:
            return None
        recorded_at = self._runner.run(self._server.fetchval(RECORD, *arguments))
        if recorded_at is None:
            node.remembered = None
            return None
        if batch.recorded:
            state.recorded_at = recorded_at
        return batch.answers(decisions, recorded_at)

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
