"""What a database may do to a batch under way: each posting is there once or not at all, and told.

Conflicts, connections that are ended, deadlines that pass, a full pool, a clock that is set back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import trio

from actors.testing import running
from app.domain.errors import Code, Refusal
from app.ledger import store
from app.ledger.limits import POST_TRIES_MAX
from app.ledger.poster import Posters
from app.storage import Annex, Database, ReadConnection, WriteConnection, load_queries
from app.storage.limits import WRITE_ATTEMPTS_MAX
from tests.simulation.books import open_book, set_time, to_answer, to_request
from tests.simulation.callers import BOOK, record
from tests.simulation.reference import Answer, Body

pytestmark = pytest.mark.servers

_SQL: Final = load_queries(__package__, "troubles.sql")
_MOVE: Final[Body] = {
    "type": "transfer",
    "debit": "bank:a",
    "credit": "wallet:ann",
    "amount": 5,
    "currency": "EUR",
}

# A block fails so often in all before its callers are told that nothing is known.
_FAILURES: Final = POST_TRIES_MAX * WRITE_ATTEMPTS_MAX


def posting(key: str, *transfers: Body) -> Body:
    """A posting of these, or of one move."""
    return {"key": key, "transfers": list(transfers) or [_MOVE]}


async def ask(posters: Posters, *bodies: Body) -> list[Answer] | Code:
    """What came of it, or why nothing is known."""
    results = await posters.post(BOOK, [to_request(body) for body in bodies])
    return results.code if isinstance(results, Refusal) else [to_answer(each) for each in results]


async def accepted(posters: Posters, body: Body) -> dict[str, Any]:
    """What was posted."""
    answers = await ask(posters, body)
    assert not isinstance(answers, Code), answers
    (answer,) = answers
    assert answer[0] == "accepted", answer
    told: dict[str, Any] = answer[1]
    return told


async def keys(owner: Database) -> list[str]:
    """What is recorded, in its order."""
    return [row["key"] for row in (await owner.read(record)).postings]


@asynccontextmanager
async def posting_by(database: Database) -> AsyncIterator[Posters]:
    """Posters on this database."""
    posters = Posters(database)
    async with running(posters.actors.as_child()):
        yield posters


@pytest.fixture
async def posters(database: Database, owner: Database) -> AsyncIterator[Posters]:
    """One node on a book; afterwards the ledger is sound."""
    await owner.write(open_book, BOOK)
    async with posting_by(database) as posters:
        yield posters
    assert await owner.read(store.check) == []


async def make_trouble(conn: WriteConnection, when: str, times: int, code: str) -> None:
    """Have the next blocks that post fail."""
    for statement in ("prepare", "prepare_table", "prepare_function", when):
        await conn.execute(getattr(_SQL, statement))
    await conn.execute(_SQL.make, times, code)


@pytest.mark.parametrize("when", ["while_writing", "while_committing"])
@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_conflicts_are_tried_again(
    posters: Posters, database: Database, owner: Database, when: str, code: str
) -> None:
    """As often as it is worth it; then nothing is known, and nothing was recorded."""
    first = await accepted(posters, posting("k0"))
    await owner.write(make_trouble, when, _FAILURES + WRITE_ATTEMPTS_MAX - 1, code)
    assert await ask(posters, posting("k1")) is Code.OUTCOME_UNKNOWN
    assert await keys(owner) == ["k0"]
    second = await accepted(posters, posting("k1"))
    assert (second["number"], second["transfers"][0]["debit_balance_after"]) == (2, 10)
    assert await accepted(posters, posting("k0")) == first
    assert await keys(owner) == ["k0", "k1"]
    assert database.statistics().blocks_retried > WRITE_ATTEMPTS_MAX


@asynccontextmanager
async def held(annex: Annex, owner: Database, statement: str, *args: object) -> AsyncIterator[None]:
    """Something is locked by somebody else, until the block ends."""
    has = trio.Event()

    async def hold(conn: WriteConnection) -> None:
        await conn.execute(getattr(_SQL, statement), *args)
        annex.post(has.set)
        await asyncio.Event().wait()  # until it is cancelled

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owner.write, hold)
        await has.wait()
        yield
        nursery.cancel_scope.cancel()


async def test_connections_ended_in_a_batch(
    posters: Posters, annex: Annex, owner: Database
) -> None:
    """A batch that is cut off after it has begun to write is posted by another, once."""
    await accepted(posters, posting("k0"))

    async def end(conn: ReadConnection) -> int:
        return int(await conn.fetchval(_SQL.end_waiting))

    answers: list[dict[str, Any]] = []

    async def post(body: Body) -> None:
        answers.append(await accepted(posters, body))

    async with trio.open_nursery() as nursery, held(annex, owner, "hold_transfers"):
        for number in range(1, 4):
            nursery.start_soon(post, posting(f"k{number}"))
        with trio.fail_after(20):
            while not await owner.read(end):
                pass
    assert len(answers) == 3
    assert sorted(await keys(owner)) == ["k0", "k1", "k2", "k3"]


@pytest.mark.parametrize(("statement_s", "lock_s"), [(10.0, 0.05), (0.05, 5.0)])
async def test_deadlines_that_pass(
    owner: Database,
    annex: Annex,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    statement_s: float,
    lock_s: float,
) -> None:
    """Of a lock, or of a statement: nothing is known, and asked again it is posted once."""
    monkeypatch.setattr("app.storage.database.POSTGRES_LOCK_S", lock_s)
    await owner.write(open_book, BOOK)
    database = Database(annex, database_url, pool_size=2, statement_s=statement_s)
    async with running(database), posting_by(database) as posters:
        await accepted(posters, posting("k0"))
        async with held(annex, owner, "hold_book", BOOK):
            with trio.fail_after(20):
                assert await ask(posters, posting("k1")) is Code.OUTCOME_UNKNOWN
        await accepted(posters, posting("k1"))
    assert await keys(owner) == ["k0", "k1"]
    assert await owner.read(store.check) == []


async def test_a_pool_that_is_exhausted(
    owner: Database, annex: Annex, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known, and asked again once there is a connection it is posted once."""
    monkeypatch.setattr("app.storage.pool.POSTGRES_ACQUIRE_S", 0.05)
    await owner.write(open_book, BOOK)
    database = Database(annex, database_url, pool_size=1)
    async with running(database), posting_by(database) as posters:
        async with held(annex, database, "clock"):
            with trio.fail_after(20):
                assert await ask(posters, posting("k0")) is Code.OUTCOME_UNKNOWN
        await accepted(posters, posting("k0"))
    assert await keys(owner) == ["k0"]


async def test_a_clock_that_is_set_back(posters: Posters, owner: Database) -> None:
    """Nothing is recorded before what is there, and what has expired stays so."""
    hold = await accepted(
        posters, posting("h", {**_MOVE, "type": "pending", "expires_after_s": 60})
    )
    before: datetime = hold["recorded_at"]
    ahead = before + timedelta(hours=1)
    await owner.write(set_time, BOOK, ahead)  # the clock was ahead, and is right again
    late = posting("late", {"type": "post", "pending": "1.0"})
    for _ in range(2):
        assert await ask(posters, late) == [("refused", "pending_expired", 0)]
    after = await accepted(posters, posting("k0"))
    another = await accepted(posters, posting("k1"))
    assert [after["recorded_at"], another["recorded_at"]] == [ahead, ahead]
    assert await keys(owner) == ["h", "expire:1.0", "k0", "k1"]
    assert (
        await accepted(posters, posting("h", {**_MOVE, "type": "pending", "expires_after_s": 60}))
        == hold
    )
