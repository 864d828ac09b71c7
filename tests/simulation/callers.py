"""Many callers of a book at once, over several nodes, and whether what they were told can be.

The ledger says in which order it took postings. The reference takes them in that order, and must
come to the same answers and the same balances. A refusal has no place in that order; but it was
decided between two places: not before what anybody knew of when it was asked, nor after what was
asked only when it had been told.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeGuard

import trio

from actors.testing import running
from app.domain.errors import Refusal
from app.ledger.model import Accepted, Result
from app.ledger.poster import Posters
from app.storage import Annex, Database, ReadConnection
from tests.simulation.books import SQL, open_book, set_time, to_answer, to_request
from tests.simulation.commands import BEGINNING, CHART, a_posting
from tests.simulation.reference import Answer, Body, Book
from tests.simulation.reference_accounts import Hold

BOOK: Final = "busy"

# Of many requests, how many are those of an earlier one, its key alone, or new.
_AGAIN: Final = ("same", "key", *["new"] * 6)


@dataclass
class Call:
    """One request and what it was told.

    Attributes:
        body: what was asked.
        began: when, in steps of the whole conversation.
        ended: when it was answered.
        known: the highest number that anybody knew of when it was asked.
        answer: what it was told.
        fresh: whether it recorded the posting.
    """

    body: Body
    began: int
    known: int
    ended: int = 0
    answer: Answer = ()
    fresh: bool = False


class Conversation:
    """Callers that ask at random, and all that was said.

    Attributes:
        calls: every request, in the order of asking.
    """

    def __init__(self, nodes: Sequence[Posters], seed: int) -> None:
        self.calls: list[Call] = []
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._seen = Book(BOOK, CHART, BEGINNING)  # what callers have heard of
        self._steps = 0

    async def hold(self, callers: int, requests: int) -> None:
        """Ask so many requests, by so many callers at a time, each of any node."""
        async with trio.open_nursery() as nursery:
            for _ in range(callers):
                nursery.start_soon(self._ask, requests // callers)

    async def _ask(self, requests: int) -> None:
        while requests > 0:
            bodies = [self._body() for _ in range(self._chance.choice([1, 1, 1, 2, 5]))]
            requests -= len(bodies)
            calls = [Call(each, self._step(), len(self._seen.postings)) for each in bodies]
            self.calls += calls
            node = self._chance.choice(self._nodes)
            results = await node.post(BOOK, [to_request(body) for body in bodies])
            assert not isinstance(results, Refusal), results
            places = [each.posted.number for each in results if _is_fresh(each)]
            assert places == sorted(places), "one caller's are in its order"
            for call, result in zip(calls, results, strict=True):
                self._hear(call, result)

    def _body(self) -> Body:
        how = self._chance.choice(_AGAIN) if self.calls else "new"
        if how == "same":
            return self._chance.choice(self.calls[-40:]).body
        body = a_posting(self._chance.choice, self._seen, f"k{self._step()}")
        if how == "key":
            body["key"] = self._chance.choice(self.calls[-40:]).body["key"]
        return body

    def _hear(self, call: Call, result: Result) -> None:
        call.ended = self._step()
        call.answer = to_answer(result)
        if not isinstance(result, Accepted):
            return
        call.fresh = result.fresh
        seen, posted = self._seen, result.posted
        seen.postings += [{}] * (posted.number - len(seen.postings))
        for leg in posted.transfers:
            if leg.type == "pending":
                hold = Hold(leg.debit, leg.credit, leg.currency, leg.amount, leg.expires_at)
                seen.holds.setdefault(f"{posted.number}.{leg.leg}", hold)
            elif leg.pending in seen.holds:
                seen.holds[leg.pending].ended = leg.type

    def _step(self) -> int:
        self._steps += 1
        return self._steps


def _is_fresh(result: Result) -> TypeGuard[Accepted]:
    return isinstance(result, Accepted) and result.fresh


class Record(NamedTuple):
    """What the database shows of the book in the end, as rows."""

    postings: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    open_holds: list[dict[str, Any]]
    quotes: list[dict[str, Any]]


async def record(conn: ReadConnection) -> Record:
    """The book as it is."""
    return Record(
        *[
            [dict(row) for row in await conn.fetch(getattr(SQL, query), BOOK)]
            for query in Record._fields
        ]
    )


def judge(calls: Sequence[Call], shown: Record) -> Counter[str]:
    """Find that all that was told can be so; how often each kind of answer was."""
    fresh = {call.body["key"]: call for call in calls if call.fresh}
    assert sum(call.fresh for call in calls) == len(fresh) == len(shown.postings), "once each"
    numbers = {row["key"]: row["number"] for row in shown.postings}
    _judge_order(fresh, numbers)
    refused = [call for call in calls if call.answer[0] == "refused"]
    book = Book(BOOK, CHART, BEGINNING)
    refused = _still_impossible(book, refused, fresh, numbers)
    for row in shown.postings:
        call = fresh[row["key"]]
        assert book.post(call.body) == call.answer
        refused = _still_impossible(book, refused, fresh, numbers)
    assert refused == [], "a refusal that was right at no moment"
    for call in calls:
        if call.answer[0] == "accepted":
            assert call.answer == fresh[call.body["key"]].answer, "the same to everybody"
    _compare(shown, book)
    return Counter(str(call.answer[1]) if call.answer[0] == "refused" else "-" for call in calls)


def _judge_order(fresh: dict[str, Call], numbers: dict[str, int]) -> None:
    """Whoever was answered before another asked comes before it."""
    calls = sorted(fresh.values(), key=lambda call: numbers[call.body["key"]])
    latest_beginning = 0
    for call in calls:
        assert call.ended > latest_beginning, "it was told before one ahead of it was asked"
        latest_beginning = max(latest_beginning, call.began)


def _still_impossible(
    book: Book, refused: list[Call], fresh: dict[str, Call], numbers: dict[str, int]
) -> list[Call]:
    """Those refusals that were not right at this place either."""
    here = len(book.postings)
    # When the last of those that are recorded here was asked.
    begun = max((call.began for key, call in fresh.items() if numbers[key] <= here), default=0)
    return [
        call
        for call in refused
        if call.known > here or call.ended < begun or book.would(call.body) != call.answer
    ]


def _compare(shown: Record, book: Book) -> None:
    """Every account, hold and quote is as the reference has it."""
    accounts = {
        (row["path"], row["currency"]): (
            *(row["debits_posted"], row["credits_posted"]),
            *(row["debits_pending"], row["credits_pending"], row["version"]),
        )
        for row in shown.accounts
    }
    assert accounts == {key: account.counters for key, account in book.accounts.items()}
    assert {row["name"] for row in shown.open_holds} == {*book.open_holds()}
    assert {row["quote"] for row in shown.quotes} == book.quotes


@asynccontextmanager
async def two_nodes(annex: Annex, server_url: str, owner: Database) -> AsyncIterator[list[Posters]]:
    """Two servers' worth of posters, each with a pool of its own, on a book that is there."""
    await owner.write(open_book, BOOK)
    await owner.write(set_time, BOOK, BEGINNING)
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(2):
            database = Database(annex, server_url, pool_size=4, application_name="agio-node")
            await stack.enter_async_context(running(database))
            posters = Posters(database)
            await stack.enter_async_context(running(posters.actors.as_child()))
            nodes.append(posters)
        yield nodes
