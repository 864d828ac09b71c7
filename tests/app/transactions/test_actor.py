"""A transaction's actor hears every caller at once, and answers each as soon as it can."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trio.testing

from actors import ActorDown, DynamicSupervisor, Ref, Restart, actor_child, run_root
from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.limits import TRANSACTION_CALLERS_MAX
from app.transactions.actor import ASK_AGAIN, Ask, Leave, TransactionActor
from app.transactions.driver import News
from app.transactions.model import Receipt

Transaction = Ref[Ask | News | Leave]

MINE, OTHER = b"mine", b"other"
RECEIPT = Receipt("txn_1", Cursor("abc", 1))


@pytest.fixture
async def actor() -> AsyncIterator[Transaction]:
    """An actor whose driver is the test."""
    supervisor, stop = DynamicSupervisor("transactions", max_children=1), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, supervisor, stop=stop))
        spec = actor_child("transaction", TransactionActor, restart=Restart.TEMPORARY)
        ref = await supervisor.start_child(spec)
        assert isinstance(ref, Ref)
        yield ref
        stop.set()


class Callers:
    """Some who ask, and what they were told."""

    def __init__(self, actor: Transaction) -> None:
        self.actor = actor
        self.told: list[object] = []

    async def ask(self, request_hash: bytes) -> None:
        """One asks."""
        try:
            answer = await self.actor.call(Ask(request_hash), deadline_s=60)
        except ActorDown:
            answer = ActorDown
        self.told.append(answer)


async def test_callers_wait_for_the_answer(actor: Transaction, nursery: trio.Nursery) -> None:
    """Those of the right request get it; those of another are refused as soon as that is known."""
    mine, others = Callers(actor), Callers(actor)
    for _ in range(3):
        nursery.start_soon(mine.ask, MINE)
        nursery.start_soon(others.ask, OTHER)
    await trio.testing.wait_all_tasks_blocked()
    assert (mine.told, others.told) == ([], [])
    await actor.send(News(MINE, None, stored=True))
    await trio.testing.wait_all_tasks_blocked()
    assert (mine.told, others.told) == ([], [Refusal(Code.KEY_REUSED)] * 3)
    await actor.send(News(MINE, RECEIPT, stored=True))
    await trio.testing.wait_all_tasks_blocked()
    await mine.ask(MINE)
    assert mine.told == [RECEIPT] * 4


async def test_an_answer_may_be_followed_by_a_better_one(actor: Transaction) -> None:
    """Who comes while the outcome is unknown is told so; who comes later is told more."""
    callers = Callers(actor)
    unknown = Refusal(Code.OUTCOME_UNKNOWN)
    for answer in (unknown, RECEIPT):
        await actor.send(News(MINE, answer, stored=True))
        await callers.ask(MINE)
    assert callers.told == [unknown, RECEIPT]


async def test_a_refusal_that_is_not_kept(actor: Transaction) -> None:
    """It is for those of the same request; to the others the key says nothing."""
    callers = Callers(actor)
    await actor.send(News(MINE, Refusal(Code.NOT_FOUND), stored=False))
    await callers.ask(MINE)
    await callers.ask(OTHER)
    assert callers.told == [Refusal(Code.NOT_FOUND), ASK_AGAIN]


async def test_callers_are_bounded(actor: Transaction, nursery: trio.Nursery) -> None:
    """One more than may wait is told to come again; those who went away make room."""
    first, more = Callers(actor), Callers(actor)
    async with trio.open_nursery() as waiting:
        for _ in range(TRANSACTION_CALLERS_MAX):
            waiting.start_soon(first.ask, MINE)
        await trio.testing.wait_all_tasks_blocked()
        await more.ask(MINE)
        waiting.cancel_scope.cancel()
    assert more.told == [Refusal(Code.BUSY)]
    nursery.start_soon(more.ask, MINE)
    await trio.testing.wait_all_tasks_blocked()
    await actor.send(News(MINE, RECEIPT, stored=True))
    await trio.testing.wait_all_tasks_blocked()
    assert more.told == [Refusal(Code.BUSY), RECEIPT]
    assert first.told == []


async def test_nobody_waits_for_one_that_left(actor: Transaction, nursery: trio.Nursery) -> None:
    """Callers without an answer learn that there is nobody to give it."""
    callers = Callers(actor)
    nursery.start_soon(callers.ask, MINE)
    await trio.testing.wait_all_tasks_blocked()
    await actor.send(Leave())
    await trio.testing.wait_all_tasks_blocked()
    await callers.ask(MINE)
    assert callers.told == [ActorDown, ActorDown]
