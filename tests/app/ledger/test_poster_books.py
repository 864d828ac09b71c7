"""What a poster remembers of its book, and the holds that expire whether anybody posts or not."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
import trio
import trio.testing

from actors import run_root
from app.ledger import poster, posting
from app.ledger.codes import LedgerCode
from app.ledger.poster import Expiries, Posters
from app.ledger.request import Pending
from app.storage import Database, WriteConnection, load_queries
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
from tests.app.ledger.watched_node import Watched, told

pytestmark = pytest.mark.servers


_POSTING: Final = load_queries("app.ledger", "posting.sql")


@pytest.fixture
async def bank(database: Database) -> Bank:
    """A book without accounts."""
    bank = Bank(database)
    await bank.open()
    return bank


# What is remembered ------------------------------------------------------------------------------


class Reads:
    """Notes whether a batch read its book's chart and accounts, or remembered them."""

    def __init__(self) -> None:
        self.anew: list[bool] = []

    async def __call__(
        self, fn: Callable[..., Awaitable[Any]], conn: WriteConnection, *args: Any
    ) -> Any:
        """A batch on a connection that is watched."""
        self.anew.append(False)
        return await fn(_Spied(conn, self), *args)


class _Spied:
    def __init__(self, conn: WriteConnection, reads: Reads) -> None:
        self._conn = conn
        self._reads = reads

    async def fetch(self, query: str, *args: Any) -> Any:
        if query == _POSTING.chart:
            self._reads.anew[-1] = True
        return await self._conn.fetch(query, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


async def test_a_book_is_remembered_until_something_moves(bank: Bank) -> None:
    """By another node, or by whoever changes an account; what is then posted stands on that."""
    await bank.limit(SAM, 0)
    node = Watched(bank.database)
    node.around = reads = Reads()
    here, there = Posters(node), Posters(bank.database)
    async with running(here.actors, there.actors):
        told(await here.post("acme", [pay("in", 100)]))
        told(await here.post("acme", [pay("out", 10, SAM, BANK)]))
        told(await there.post("acme", [pay("out there", 90, SAM, BANK)]))
        (result,) = told(await here.post("acme", [pay("out again", 1, SAM, BANK)]))
        assert refusal(result) == (LedgerCode.BELOW_FLOOR, None)
        told(await here.post("acme", [pay("in again", 1)]))
        await bank.write("set_floor", bank.name, SAM, -5)
        (result,) = told(await here.post("acme", [pay("out below", 6, SAM, BANK)]))
    assert accepted(result).number == 5
    in_doubt = ["assumed", "locked"]
    assert node.ways == ["locked", "assumed", *in_doubt, "locked", *in_doubt]
    assert reads.anew == [True, True, False, True]  # of those that are locked
    await bank.check()


async def test_no_more_is_remembered_than_may_be(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A book of many accounts is begun anew now and then, with the same results."""
    monkeypatch.setattr(posting, "ACCOUNTS_REMEMBERED_MAX", 3)
    node = Watched(bank.database)
    node.around = reads = Reads()
    posters = Posters(node)
    async with running(posters.actors):
        for number in range(6):
            told(await posters.post("acme", [pay(str(number), credit=f"seller:s{number}:payable")]))
    assert reads.anew == [True, False, False, True, False, False]
    await bank.check()


# What expires ------------------------------------------------------------------------------------


async def hold(bank: Bank, owner: Database, count: int) -> None:
    """Holds that were open until now."""
    accepted((await bank.post(ask("hold", *[Pending(BANK, SAM, 5, "EUR", 60)] * count)))[0])
    for table in ("posting", "transfer", "hold", "book"):
        await Bank(owner).tamper(f"move_{table}_back", timedelta(seconds=61))


async def test_holds_of_a_book_at_rest_expire(bank: Bank, owner: Database) -> None:
    """Also where nobody posts to it; a book that takes nothing keeps no other from its turn."""
    closed = Bank(bank.database, "aaa-closed")
    await closed.open()
    accepted((await closed.post(ask("hold", Pending(BANK, SAM, 5, "EUR", 60))))[0])
    await hold(bank, owner, 3)
    await closed.write("set_mode", closed.name, "closed")
    node = Watched(bank.database)
    posters = Posters(node)
    stop = trio.Event()
    async with running(posters.actors), trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, Expiries(node, posters), stop=stop))
        await node.ended.wait()
        stop.set()
    assert await bank.database.read(posting.books_due) == ()
    assert await bank.rows("holds", bank.name) == []
    assert len(await bank.rows("holds", closed.name)) == 1
    keys = [row["key"] for row in await bank.rows("keys", bank.name)]
    assert keys == ["hold", "expire:1.0", "expire:1.1", "expire:1.2"]
    await bank.check()


async def test_more_holds_expire_than_fit_a_batch(
    bank: Bank, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest since first; one that waits its turn has expired all the same."""
    monkeypatch.setattr(posting, "EXPIRIES_A_BATCH_MAX", 2)
    await hold(bank, owner, 5)
    left = []
    for _ in range(3):
        accepted_or_not = await bank.post()
        left.append([row["leg"] for row in await bank.rows("holds", bank.name)])
        assert accepted_or_not == []
    assert left == [[2, 3, 4], [4], []]
    await bank.check()


class Swept(Watched):
    """Tells when a sweep has looked for books once more."""

    def __init__(self, beneath: Database) -> None:
        super().__init__(beneath)
        self.again = trio.Event()
        self._reads = 0

    async def read(self, fn: Callable[..., Awaitable[Any]], *args: object) -> Any:
        """A block that reads."""
        self._reads += 1
        if self._reads > 1:
            self.again.set()
        return await super().read(fn, *args)


async def test_a_sweep_waits_for_no_book(
    bank: Bank, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for a long batch nor for a poster whose end took the wake-up: it looks again."""
    monkeypatch.setattr(poster, "EXPIRY_SWEEP_S", 0.01)
    await hold(bank, owner, 1)
    node = Swept(bank.database)
    node.gate = trio.Event()
    posters = Posters(node)
    stop = trio.Event()
    async with running(posters.actors), trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, Expiries(node, posters), stop=stop))
        await node.again.wait()
        node.gate.set()
        await node.ended.wait()
        stop.set()
    assert await bank.rows("holds", bank.name) == []
