"""Posters on real PostgreSQL: their batches, their order, their bounds, and what ends them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

import asyncpg
import pytest
import trio
import trio.testing

from actors import run_root
from app.domain.errors import Code, Refusal
from app.ledger import desk, poster, posting
from app.ledger.codes import LedgerCode
from app.ledger.limits import REVERSAL_COUNTS
from app.ledger.model import Accepted, Result
from app.ledger.poster import Posters
from app.ledger.request import PostingRequest, Transfer
from app.storage import Database, StorageDown, WriteConnection
from tests.app.ledger.posting_book import (
    BANK,
    SAM,
    Bank,
    accepted,
    ask,
    pay,
    refusal,
    running,
)
from tests.app.ledger.watched_node import Watched, post, settle, told

pytestmark = pytest.mark.servers

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book without accounts."""
    bank = Bank(database)
    await bank.open()
    return bank


# Batches -----------------------------------------------------------------------------------------


async def test_what_comes_meanwhile_is_the_next_batch(bank: Bank) -> None:
    """All of it, in the order in which it came, and each caller has its own results."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, pay("first"))
        await settle()
        for number in range(8):
            mine = [pay(f"{number}.{place}") for place in range(3)]
            nursery.start_soon(post, posters, answers, *mine)
            await settle()
        node.gate.set()
    later = [f"{number}.{place}" for number in range(8) for place in range(3)]
    assert node.batches == [["first"], later]
    numbers = {key: [accepted(each).number for each in told(answers[key])] for key in answers}
    assert numbers == {
        "first": [1],
        **{f"{each}.0": [2 + 3 * each, 3 + 3 * each, 4 + 3 * each] for each in range(8)},
    }
    await bank.check()


async def test_a_batch_is_bounded(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long request is several batches, a posting is never cut, and no caller is passed over."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 4)
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    long = ask("long", *[Transfer(BANK, SAM, 1, "EUR")] * 6)
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, *(pay(str(number)) for number in range(6)))
        await settle()
        for requests in ([long], [pay("a"), pay("b")], [pay("c"), pay("d")], [pay("e")]):
            nursery.start_soon(post, posters, answers, *requests)
            await settle()
        node.gate.set()
    assert node.batches == [list("0123"), list("45"), ["long"], list("abcd"), ["e"]]
    assert [accepted(each).number for each in told(answers["0"])] == [*range(1, 7)]
    await bank.check()


async def test_a_batch_of_reversals_is_small(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they bring is only known when it is read, so they count as much as it may be."""
    monkeypatch.setattr(desk, "TRANSFERS_A_BATCH_MAX", 2 * REVERSAL_COUNTS)
    node = Watched(bank.database)
    posters = Posters(node)
    back = [PostingRequest(f"back {number}", reverses=number) for number in range(1, 4)]
    async with running(posters.actors):
        await posters.post("acme", [pay(str(number)) for number in range(3)])
        results = await posters.post("acme", back)
    assert node.batches == [list("012"), ["back 1", "back 2"], ["back 3"]]
    assert node.ways == ["locked"] * 3
    assert not isinstance(results, Refusal)
    assert [accepted(each).reverses for each in results] == [1, 2, 3]


async def test_a_refusal_is_its_callers(bank: Bank) -> None:
    """Callers of one batch: who asks for nonsense is told so, the others post."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, pay("first"))
        await settle()
        nursery.start_soon(post, posters, answers, pay("good"))
        nursery.start_soon(post, posters, answers, pay("bad", 0))
        await settle()
        node.gate.set()
    assert refusal(told(answers["bad"])[0]) == (LedgerCode.AMOUNT_NOT_POSITIVE, 0)
    assert accepted(told(answers["good"])[0]).number == 2
    async with running(posters.actors):
        assert await posters.post("nowhere", [pay("x")]) != []
        assert await posters.post("acme", []) == []


async def test_a_full_line_is_told(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would be too many is told at once; those who wait are posted."""
    monkeypatch.setattr(desk, "POSTINGS_WAITING_MAX", 3)
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, pay("under way"))
        await settle()
        nursery.start_soon(post, posters, answers, pay("a"), pay("b"), pay("c"))
        await settle()
        busy = await posters.post("acme", [pay("d")])
        assert isinstance(busy, Refusal)
        assert busy.code is Code.BUSY
        node.gate.set()
    assert [accepted(each).number for each in told(answers["a"])] == [2, 3, 4]
    assert await bank.balances() == {BANK: 20, SAM: 20}


async def test_too_many_books_at_once(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book more than may be posted to is busy; one that is at rest makes room."""
    monkeypatch.setattr(poster, "POSTERS_MAX", 1)
    await Bank(bank.database, "other").open()
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, pay("a"))
        await settle()
        busy = await posters.post("other", [pay("b")])
        assert isinstance(busy, Refusal)
        assert busy.code is Code.BUSY
        node.gate.set()
    assert len(told(answers["a"])) == 1


# What fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_batch_that_fails_once(bank: Bank, when: str) -> None:
    """Before or after its commit: all who wait are posted, once, by the poster's next life."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        getattr(node, when).append(StorageDown("gone"))
        nursery.start_soon(post, posters, answers, pay("first"))
        await settle()
        for number in range(20):
            nursery.start_soon(post, posters, answers, pay(f"key {number}"))
        await settle()
        node.gate.set()
    results = [told(answer)[0] for answer in answers.values()]
    assert sorted(accepted(each).number for each in results) == list(range(1, 22))
    stale = [key for key, answer in answers.items() if not _fresh(told(answer)[0])]
    assert stale == ([] if when == "before" else ["first"])
    await bank.check()


def _fresh(result: Result) -> bool:
    return isinstance(result, Accepted) and result.fresh


@pytest.mark.parametrize("by", ["a sweep", "a caller"])
async def test_who_comes_while_a_poster_dies(bank: Bank, by: str) -> None:
    """Is not forgotten, though the dying took the wake-up: the next one wakes another."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    node.before = [StorageDown("gone")]

    async def late() -> None:
        await node.failing.wait()
        gone.cancel()
        await post(posters, answers, pay("late"))

    async with running(posters.actors), trio.open_nursery() as nursery:
        nursery.start_soon(late)
        with trio.CancelScope() as gone:
            await posters.post("acme", [pay("first")])
        await settle()
        assert answers == {}
        if by == "a sweep":
            posters.wake_all()
        else:
            nursery.start_soon(post, posters, answers, pay("next"))
    assert accepted(told(answers["late"])[0]).number == 1


async def test_a_database_that_stays_away(bank: Bank) -> None:
    """Nobody waits for ever: it is not known what came of it; and later the same is posted."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    node.before = [StorageDown("gone") for _ in range(100)]
    async with running(posters.actors):
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(post, posters, answers, pay(f"key {number}"))
            codes = {each.code for each in answers.values() if isinstance(each, Refusal)}
            assert (len(answers), codes) == (10, {Code.OUTCOME_UNKNOWN})
        node.before = []
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(post, posters, answers, pay(f"key {number}"))
    assert sorted(accepted(told(each)[0]).number for each in answers.values()) == [*range(1, 11)]
    await bank.check()


async def test_a_batch_that_runs_again_after_a_conflict(bank: Bank, database_url: str) -> None:
    """It reads the book anew, also where another node posted as many meanwhile."""
    await bank.limit(SAM, 0)
    node = Watched(bank.database)
    posters = Posters(node)
    tries: list[list[Result]] = []

    async def around(fn: Callable[..., Awaitable[Any]], conn: WriteConnection, *args: Any) -> Any:
        if tries:
            await _post_elsewhere(database_url, pay("elsewhere", 1, credit="seller:sue:payable"))
        result = await fn(conn, *args)
        tries.append(result)
        if len(tries) == 1:
            raise asyncpg.SerializationError("another one first")
        return result

    async with running(posters.actors):
        told(await posters.post("acme", [pay("in", 100)]))
        node.around = around
        # Its date is not the time of recording, so that it locks the book, in a block.
        out = PostingRequest("out", pay("", 100, SAM, BANK).transfers, effective_at=LONG_AGO)
        (result,) = told(await posters.post("acme", [out]))
        node.around = None
        (more,) = told(await posters.post("acme", [pay("out more", 1, SAM, BANK)]))
    assert accepted(result).number == 3
    assert len(tries) == 2
    assert refusal(more) == (LedgerCode.BELOW_FLOOR, None)
    assert bank.database.statistics().blocks_retried == 1
    await bank.check()


async def _post_elsewhere(url: str, request: PostingRequest) -> None:
    """Another node posts, in a block of its own."""
    conn = await asyncpg.connect(url)
    try:
        async with conn.transaction():
            await posting.post(cast("WriteConnection", conn), "acme", [request])
    finally:
        await conn.close()


# The end -----------------------------------------------------------------------------------------


async def test_who_was_heard_is_answered_at_a_stop(bank: Bank) -> None:
    """The batch under way and those who wait for the next one; then it is over."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, posters.actors, stop=stop))
        node.gate = trio.Event()
        nursery.start_soon(post, posters, answers, pay("under way"))
        await settle()
        nursery.start_soon(post, posters, answers, pay("waiting"))
        await settle()
        stop.set()
        await settle()
        node.gate.set()
    assert [accepted(told(each)[0]).number for each in answers.values()] == [1, 2]
    late = await posters.post("acme", [pay("late")])
    assert isinstance(late, Refusal)


async def test_a_caller_who_goes_away(bank: Bank) -> None:
    """Is not missed: the others are answered, and the same asked again is the same posting."""
    node = Watched(bank.database)
    posters = Posters(node)
    answers: dict[str, list[Result] | Refusal] = {}
    async with running(posters.actors), trio.open_nursery() as nursery:
        node.gate = trio.Event()
        with trio.CancelScope() as gone:
            async with trio.open_nursery() as impatient:
                impatient.start_soon(post, posters, answers, pay("one"))
                nursery.start_soon(post, posters, answers, pay("two"))
                await settle()
                gone.cancel()
        node.gate.set()
        (result,) = told(await posters.post("acme", [pay("one")]))
    assert not _fresh(result)
    assert await bank.balances() == {BANK: 10, SAM: 10}
