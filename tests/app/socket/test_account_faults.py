"""An account watched while parts of it all fail: nothing is lost, repeated, or held up."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from actors import Backoff, ChildSpec, Intensity, Supervisor, System
from app.domain.errors import Refusal
from app.identity.model import Identity
from app.ledger.feed import AccountFeed
from app.ledger.limits import ACCOUNT_REPLAY_MAX
from app.ledger.model import Account
from app.storage import Annex, Database, ReadConnection
from channels.broker import MemoryBroker, MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.channel import Payload
from channels.limits import Limits
from tests.app.events.log import Remembering, running
from tests.app.socket.ledger import (
    directly,
    ledger_node,
    sale,
    shown,
)
from tests.app.transactions.shop import OPERATOR, SELLER

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

pytestmark = [pytest.mark.servers, pytest.mark.slow]


async def test_nodes_that_lose_each_other_miss_nothing(
    database: Database, account: Account
) -> None:
    """A client on one node sees what is posted on another, also while the bus is away."""
    wire = MemoryWire()
    async with (
        ledger_node(database, RedisBroker(MemoryBus(wire), "a")) as a,
        ledger_node(database, RedisBroker(MemoryBus(wire), "b")) as b,
        running(a.feed),
        running(b.feed),
        a.watcher(account) as watcher,
    ):
        await watcher.join()
        for number, cut in enumerate((False, True, False), 2):
            wire.cut = cut
            await b.post(sale(f"key-{number}"))
            await watcher.until(number)
        assert watcher.numbers == [2, 3, 4]


async def test_a_crash_loses_and_repeats_nothing(
    annex: Annex, database: Database, database_url: str, account: Account
) -> None:
    """With PostgreSQL away the feed crashes; once it is back it goes on where it was."""
    pool = Database(annex, database_url, pool_size=2)
    crashed = trio.Event()

    def emit(name: str, _fields: object) -> None:
        if name == "actor.crashed":
            crashed.set()

    async with running(pool) as away, ledger_node(database, feed_database=pool) as node:
        supervisor = Supervisor(
            "node",
            [ChildSpec("accounts", node.feed.run, backoff=Backoff(0.01, 0.02, 1.0, 0.0))],
            intensity=Intensity(100_000, 60.0),
        )
        async with running(supervisor, System(emit)), node.watcher(account) as watcher:
            await watcher.join()
            await node.post(sale("before"))
            await watcher.until(2)
            away.set()
            await crashed.wait()
            await node.post(sale("away-1"), sale("away-2"))
            async with running(pool):
                await watcher.until(4)
                await node.post(sale("after"))
                await watcher.until(5)
                assert watcher.view == await shown(database, account)
    assert watcher.numbers == [2, 3, 4, 5]


class Failing(Remembering):
    """A hub that cannot take the second thing, once."""

    failed = False

    def publish(
        self,
        topic: str,
        event: str,
        payload: Payload,
        position: int | None = None,
        *,
        cursor: str | None = None,
    ) -> None:
        """Take it, or not."""
        if self.published and not self.failed:
            self.failed = True
            raise RuntimeError("on purpose")
        super().publish(topic, event, payload, position, cursor=cursor)


async def test_a_crash_in_the_middle_of_telling_repeats_nothing(
    database: Database, account: Account
) -> None:
    """What was told is not told again, and what was not is."""
    hub = Failing()
    feed = AccountFeed(database, MemoryBroker(), hub)
    assert feed.enter(account.id)
    await feed.join(OPERATOR, account.id, None)
    await directly(database, *[sale(f"key-{n}") for n in range(4)])
    supervisor = Supervisor(
        "node", [ChildSpec("accounts", feed.run, backoff=Backoff(0.01, 0.02, 1.0, 0.0))]
    )
    async with running(supervisor):
        await hub.wait_for(4)
        assert hub.failed
    assert [position for _, _, _, position in hub.published] == [2, 3, 4, 5]


class Slow(Database):
    """A database whose first answer comes when it is told to."""

    def __init__(self, database: Database) -> None:
        self._beneath = database
        self.reads = 0
        self.behind = trio.Event()
        self.ahead = trio.Event()

    async def read(self, fn: Callable[[ReadConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """A block that reads."""
        self.reads += 1
        first = self.reads == 1
        result = await self._beneath.read(fn, *args)
        if first:
            self.behind.set()
            await self.ahead.wait()
        return result


async def test_first_joins_that_overtake_each_other_miss_nothing(
    database: Database, account: Account
) -> None:
    """One whose snapshot is behind the place where another's tail began reads again."""
    slow = Slow(database)
    feed = AccountFeed(slow, MemoryBroker(), Remembering())
    places: list[int] = []

    async def join(identity: Identity) -> None:
        assert feed.enter(account.id)
        start = await feed.join(identity, account.id, None)
        assert not isinstance(start, Refusal)
        places.append(start.cursor.position)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, OPERATOR)
        await slow.behind.wait()
        await directly(database, sale("between"))
        await join(SELLER)
        slow.ahead.set()
    assert places == [2, 2]
    assert slow.reads == 3


async def test_a_slow_reader_never_blocks_the_poster(database: Database, account: Account) -> None:
    """Who does not read is disconnected; all is posted, others see all, and it comes back."""
    count = 2 * ACCOUNT_REPLAY_MAX
    async with (
        ledger_node(database, limits=Limits(outbox_bytes=200_000)) as node,
        running(node.feed),
        node.watcher(account) as slow,
    ):
        await slow.join()
        (connection,) = node.node.endpoint._connections
        connection.outbox.busy = True  # somebody writes, and the socket takes nothing
        async with node.watcher(account) as quick, trio.open_nursery() as nursery:
            await quick.join()
            nursery.start_soon(quick.until, count + 1)
            for start in range(0, count, 20):
                await node.post(*[sale(f"key-{start + n}") for n in range(20)])
        assert quick.numbers == list(range(2, count + 2))
        assert node.node.endpoint.statistics().closed["slow_reader"] == 1
        async with node.watcher(account) as again:
            again.go_on_from(slow)
            reply = await again.join()
            assert (False, True) == (reply["recovered"], reply["reload"])
            assert again.view == await shown(database, account)
            await node.post(sale("more"))
            await again.until(count + 2)
            assert again.view == await shown(database, account)
            assert again.numbers == [count + 2]
