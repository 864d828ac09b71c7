"""A transaction's actor hears every caller at once, and answers each as soon as it can."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing

from actors import ActorDown, Lives, Restart, VirtualActors, run_root
from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.limits import TRANSACTION_CALLERS_MAX
from app.transactions.actor import ASK_AGAIN, Ask, TakeUp, TransactionActor
from app.transactions.driver import News, Tell
from app.transactions.model import Receipt
from app.transactions.store import Order
from tests.app.transactions.shop import BUYER, REQUEST

MINE = Order(BUYER, REQUEST, 60.0)
OTHER = Order(BUYER, replace(REQUEST, quantity=2), 60.0)
RECEIPT = Receipt("txn_1", Cursor("abc", 1))


class Told:
    """A driver that does as the test says. `stopped` is set when it was asked to stop."""

    def __init__(self) -> None:
        self.begun = 0
        self.stopped = False
        self._tell: Tell
        self._end = trio.Event()
        self._error: Exception | None = None

    async def run(self, tell: Tell, stop_requested: trio.Event) -> None:
        """Waits to be told the end."""
        self.begun += 1
        self._tell, self._end = tell, trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, stop_requested)
            await self._end.wait()
            nursery.cancel_scope.cancel()
        if self._error is not None:
            raise self._error

    async def learn(self, news: News) -> None:
        """It has learned something."""
        self._tell(news)
        await trio.testing.wait_all_tasks_blocked()

    async def end(self, error: Exception | None = None) -> None:
        """It is done, or crashes."""
        self._error = error
        self._end.set()
        await trio.testing.wait_all_tasks_blocked()

    async def _watch(self, stop_requested: trio.Event) -> None:
        await stop_requested.wait()
        self.stopped = True


class Purchase:
    """One key, those who ask about it, and what they were told."""

    def __init__(self) -> None:
        self.driver = Told()
        self.told: dict[Order, list[object]] = {MINE: [], OTHER: []}
        self.stop = trio.Event()
        self.actors = VirtualActors(
            "transactions",
            TransactionActor,
            lambda _key: TransactionActor(lambda _begin: self.driver),  # type: ignore[arg-type,return-value]  # it drives
            Lives(idle_s=60, max_live=1, restart=Restart.TEMPORARY, shutdown_s=5),
        )

    async def ask(self, order: Order) -> None:
        """One asks."""
        try:
            answer = await self.actors.call("key", Ask(order), deadline_s=60)
        except ActorDown:
            answer = ActorDown
        self.told[order].append(answer)


@pytest.fixture
async def purchase() -> AsyncIterator[Purchase]:
    """An actor whose driver is the test."""
    purchase = Purchase()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, purchase.actors, stop=purchase.stop))
        yield purchase
        nursery.cancel_scope.cancel()


async def ask_all(purchase: Purchase, nursery: trio.Nursery, *orders: Order) -> None:
    """They ask, and have been heard."""
    for order in orders:
        nursery.start_soon(purchase.ask, order)
        await trio.testing.wait_all_tasks_blocked()


async def test_callers_wait_for_the_answer(purchase: Purchase, nursery: trio.Nursery) -> None:
    """Those of the right request get it; those of another are refused as soon as that is known."""
    await ask_all(purchase, nursery, MINE, OTHER, MINE, OTHER)
    assert purchase.told == {MINE: [], OTHER: []}
    await purchase.driver.learn(News(REQUEST.hash, None, stored=True))
    assert purchase.told == {MINE: [], OTHER: [Refusal(Code.KEY_REUSED)] * 2}
    await purchase.driver.learn(News(REQUEST.hash, RECEIPT, stored=True))
    await purchase.ask(MINE)
    assert (purchase.told[MINE], purchase.driver.begun) == ([RECEIPT] * 3, 1)


async def test_an_answer_may_be_followed_by_a_better_one(
    purchase: Purchase, nursery: trio.Nursery
) -> None:
    """Who comes while the outcome is unknown is told so; who comes later is told more."""
    await ask_all(purchase, nursery, MINE)
    unknown = Refusal(Code.OUTCOME_UNKNOWN)
    for answer in (unknown, RECEIPT):
        await purchase.driver.learn(News(REQUEST.hash, answer, stored=True))
        await purchase.ask(MINE)
    assert purchase.told[MINE] == [unknown, unknown, RECEIPT]


async def test_a_refusal_that_is_not_kept(purchase: Purchase, nursery: trio.Nursery) -> None:
    """It is for those of the same request; to the others the key says nothing."""
    await ask_all(purchase, nursery, MINE)
    await purchase.driver.learn(News(REQUEST.hash, Refusal(Code.NOT_FOUND), stored=False))
    await purchase.ask(OTHER)
    assert purchase.told == {MINE: [Refusal(Code.NOT_FOUND)], OTHER: [ASK_AGAIN]}


async def test_callers_are_bounded(purchase: Purchase, nursery: trio.Nursery) -> None:
    """One more than may wait is told to come again; those who went away make room."""
    async with trio.open_nursery() as waiting:
        await ask_all(purchase, waiting, *[MINE] * TRANSACTION_CALLERS_MAX)
        await purchase.ask(MINE)
        waiting.cancel_scope.cancel()
    assert purchase.told[MINE] == [Refusal(Code.BUSY)]
    await ask_all(purchase, nursery, MINE)
    await purchase.driver.learn(News(REQUEST.hash, RECEIPT, stored=True))
    assert purchase.told[MINE] == [Refusal(Code.BUSY), RECEIPT]


async def test_it_goes_when_its_work_is_done(purchase: Purchase, nursery: trio.Nursery) -> None:
    """The actor ends with its driver, and whoever asks then begins another."""
    await ask_all(purchase, nursery, MINE)
    await purchase.driver.learn(News(REQUEST.hash, RECEIPT, stored=True))
    await purchase.driver.end()
    assert (purchase.actors.keys(), purchase.told[MINE]) == ((), [RECEIPT])
    await ask_all(purchase, nursery, MINE)
    assert (purchase.actors.keys(), purchase.driver.begun) == (("key",), 2)


async def test_a_crash_of_the_driver_reaches_all_callers(
    purchase: Purchase, nursery: trio.Nursery
) -> None:
    """They learn that there is nobody to answer, and the key is free."""
    await ask_all(purchase, nursery, MINE, OTHER)
    await purchase.driver.end(RuntimeError("boom"))
    assert purchase.told == {MINE: [ActorDown], OTHER: [ActorDown]}
    assert purchase.actors.keys() == ()


async def test_a_stop_lets_the_driver_come_to_its_end(
    purchase: Purchase, nursery: trio.Nursery
) -> None:
    """The driver is told, and what it still learns is passed on."""
    await ask_all(purchase, nursery, MINE)
    purchase.stop.set()
    await trio.testing.wait_all_tasks_blocked()
    assert (purchase.driver.stopped, purchase.told[MINE]) == (True, [])
    await purchase.driver.learn(News(REQUEST.hash, RECEIPT, stored=True))
    await purchase.driver.end()
    assert purchase.told[MINE] == [RECEIPT]


async def test_what_was_found_open_is_taken_up_once(purchase: Purchase) -> None:
    """Recovery begins the work; a second look changes nothing."""
    for _ in range(2):
        purchase.actors.cast("key", TakeUp(None))  # type: ignore[arg-type]  # the driver looks away
        await trio.testing.wait_all_tasks_blocked()
    assert purchase.driver.begun == 1
