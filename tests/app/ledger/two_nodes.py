"""Two nodes that post to one book, the first of which remembers it and can be held."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from app.domain.errors import Refusal
from app.ledger.model import Result
from app.ledger.poster import Posters
from app.ledger.request import PostingRequest
from tests.app.ledger.posting_book import BANK, SAM, SUE, Bank, accepted, pay, running
from tests.app.ledger.watched_node import Watched, post, settle, told


async def three_accounts(bank: Bank) -> None:
    """A book in which Sam, Sue and the bank have an account, Sam one without debts."""
    await bank.open()
    await bank.limit(SAM, 0)
    await bank.limit(SUE, None)
    await bank.limit(BANK, None)


@dataclass
class Pair:
    """A node that remembers the book, in which Sam has 100 at first, and another node.

    Attributes:
        bank: the book.
        node: the first node.
        here: its posters.
        there: those of the other.
        answers: by the first key of each caller.
    """

    bank: Bank
    node: Watched
    here: Posters
    there: Posters
    answers: dict[str, list[Result] | Refusal]
    nursery: trio.Nursery

    async def ask(self, *requests: PostingRequest) -> None:
        """One caller of the first node, which has done with it what it can."""
        self.nursery.start_soon(post, self.here, self.answers, *requests)
        await settle()

    async def elsewhere(self, *requests: PostingRequest) -> None:
        """What another node posts meanwhile."""
        for result in told(await self.there.post("acme", requests)):
            accepted(result)

    def hold(self) -> None:
        """Batches do not begin until `release`."""
        self.node.gate = trio.Event()

    def release(self) -> None:
        """They do."""
        self.node.gate.set()

    def of(self, key: str) -> list[Result]:
        """What a caller was told."""
        return told(self.answers[key])

    def numbers(self, key: str) -> list[int]:
        """Of a caller's postings."""
        return [accepted(each).number for each in self.of(key)]


@asynccontextmanager
async def two_nodes(bank: Bank) -> AsyncIterator[Pair]:
    """They run until all who asked were answered."""
    node = Watched(bank.database)
    here, there = Posters(node), Posters(bank.database)
    async with running(here.actors, there.actors):
        async with trio.open_nursery() as nursery:
            pair = Pair(bank, node, here, there, {}, nursery)
            await pair.elsewhere(pay("sam", 100))
            told(await here.post("acme", [pay("sue", 1, credit=SUE), pay("none", 0)]))
            assert node.ways == ["locked"]
            told(await here.post("acme", [pay("sam knows", 0)]))
            node.ways.clear()
            node.batches.clear()
            yield pair
        await bank.check()
