"""The feed against a real log: batches may come or not, each event is given out once, in order."""

import random
from functools import partial

import pytest
import trio

from actors import Backoff, ChildSpec, Intensity, Supervisor, System, run_root
from app.domain.cursor import Cursor
from app.events import store
from app.events.feed import LOG, Feed, LogReplacedError
from app.events.feed_state import Batch, encode
from app.limits import FEED_BATCHES_MAX
from app.storage import Annex, Database
from channels.broker import MemoryBroker
from tests.app.events.log import PATIENCE_S, Remembering, head, run_sql, running, tell, told

pytestmark = pytest.mark.servers


async def publish(database: Database, broker: MemoryBroker, first: int, last: int) -> None:
    """Send a piece of the log as the relay does."""
    epoch = (await head(database)).epoch
    events = await database.read(store.read_after, first - 1, last - first + 1)
    broker.publish_raw(LOG, encode(Batch.of(epoch, events)))


async def test_members_get_events_with_their_cursors(database: Database) -> None:
    """Each topic of an event gets its data, the cursor on the wire, and the position."""
    hub, broker = Remembering(), MemoryBroker()
    await tell(database, 0)
    async with running(Feed(database, broker, hub)):
        cursor = await database.write(store.append, [told(7, "sale:a", "sale:b")])
        await publish(database, broker, 2, 2)
        await hub.wait_for(2)
    payload = {"n": 7, "cursor": f"{cursor.epoch}-2"}
    assert hub.published == [("sale:a", "told", payload, 2), ("sale:b", "told", payload, 2)]


@pytest.mark.slow
async def test_without_any_batch_events_come_by_the_feeds_own_looks(database: Database) -> None:
    """A node that hears nothing from the broker gets every event a moment later."""
    hub = Remembering()
    feed = Feed(database, MemoryBroker(), hub)
    async with running(feed):
        await tell(database, *range(700))  # more than one read
        assert await feed.wait_for(700, PATIENCE_S)
    assert list(range(700)) == hub.numbers
    statistics = feed.statistics()
    assert (700, 0, 700, 700) == (
        statistics.position,
        statistics.behind,
        statistics.applied,
        statistics.healed,
    )


@pytest.mark.slow
async def test_lost_doubled_and_reordered_batches_do_not_show(database: Database) -> None:
    """Whatever becomes of batches on their way, members get each event once, in order."""
    hub, broker, chance = Remembering(), MemoryBroker(), random.Random(5)
    async with running(Feed(database, broker, hub)):
        for start in range(1, 120, 3):
            await tell(database, start, start + 1, start + 2)
            for _ in range(chance.choice([0, 1, 1, 3])):
                first = chance.randint(max(1, start - 9), start)
                await publish(database, broker, first, chance.randint(first, start + 2))
        await hub.wait_for(120)
    assert list(range(1, 121)) == hub.numbers
    assert list(range(1, 121)) == [position for _, _, _, position in hub.published]


async def test_what_is_not_of_this_log_is_left_alone(database: Database) -> None:
    """Batches of another log, and bytes that are no batch, change nothing."""
    hub, broker = Remembering(), MemoryBroker()
    feed = Feed(database, broker, hub)
    async with running(feed):
        await tell(database, 1)
        events = await database.read(store.read_after, 0, 1)
        broker.publish_raw(LOG, encode(Batch.of("another", events)))
        broker.publish_raw(LOG, b"no batch")
        await publish(database, broker, 1, 1)
        await hub.wait_for(1)
    assert [1] == hub.numbers
    assert feed.statistics().batches_unread == 2


async def test_a_queue_that_overflows_loses_nothing(database: Database) -> None:
    """Batches that no longer fit the feed's queue are read from the database."""
    hub, broker = Remembering(), MemoryBroker()
    feed = Feed(database, broker, hub)
    count = FEED_BATCHES_MAX + 40
    async with running(feed):
        await tell(database, *range(count))
        epoch = (await head(database)).epoch
        for event in await database.read(store.read_after, 0, count):
            broker.publish_raw(LOG, encode(Batch.of(epoch, [event])))
        await hub.wait_for(count)
    assert list(range(count)) == hub.numbers
    assert feed.statistics().batches_unread == 40


@pytest.mark.slow
async def test_a_crash_loses_and_repeats_nothing(
    annex: Annex, database: Database, database_url: str
) -> None:
    """With PostgreSQL away the feed crashes, and once it is back it goes on where it was."""
    hub = Remembering()
    pool = Database(annex, database_url, pool_size=1)
    feed = Feed(pool, MemoryBroker(), hub)
    crashed = trio.Event()

    def emit(name: str, _fields: object) -> None:
        if name == "actor.crashed":
            crashed.set()

    supervisor = Supervisor(
        "node",
        [ChildSpec("feed", feed.run, backoff=Backoff(0.01, 0.02, 1.0, 0.0))],
        intensity=Intensity(100_000, 60.0),
    )
    with trio.fail_after(PATIENCE_S):
        async with running(pool) as away, running(supervisor, System(emit)):
            await tell(database, 1)
            await hub.wait_for(1)
            away.set()
            await crashed.wait()
            await tell(database, 2, 3)
            async with running(pool):
                await hub.wait_for(3)
                await tell(database, 4)
                await hub.wait_for(4)
    assert [1, 2, 3, 4] == hub.numbers


@pytest.mark.slow
@pytest.mark.parametrize("replaced", ["replace_log", "rewind_log"])
async def test_a_replaced_log_is_not_followed(
    database: Database, owner: Database, replaced: str
) -> None:
    """A feed whose log became another one, or shorter, ends the tree that it is in."""
    feed = Feed(database, MemoryBroker(), Remembering())
    await tell(database, 1)
    supervisor = Supervisor("node", [ChildSpec("feed", feed.run)])
    with trio.fail_after(PATIENCE_S), pytest.RaisesGroup(LogReplacedError):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_root, supervisor))
            await run_sql(owner, replaced)
    with pytest.raises(LogReplacedError):
        await run_root(feed)


@pytest.mark.slow
async def test_waiting_for_a_place(database: Database) -> None:
    """A waiter goes on when the place was applied, and is told where the time is up first."""
    hub = Remembering()
    feed = Feed(database, MemoryBroker(), hub)
    assert feed.cursor is None
    assert not await feed.wait_for(0, 0.01)
    async with running(feed):
        assert await feed.wait_for(0, 0)
        assert not await feed.wait_for(1, 0.01)
        cursor = await tell(database, 1)
        assert await feed.wait_for(1, PATIENCE_S)
        assert feed.cursor == Cursor(cursor.epoch, 1)
