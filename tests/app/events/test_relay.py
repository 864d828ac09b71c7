"""The relay: commits reach every node at once; one leads, and another takes over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from actors import Backoff, ChildSpec, Intensity, Supervisor, System
from app.events.feed import LOG, Feed
from app.events.feed_state import decode
from app.events.relay import Relay
from app.limits import EVENTS_A_BATCH, RELAY_POLL_S
from app.storage import Annex, Database
from channels.broker import MemoryBroker
from tests.app.events.log import (
    PATIENCE_S,
    Remembering,
    ask_sql,
    running,
    tell,
    wait_until,
)

pytestmark = pytest.mark.servers


class Heard:
    """What a relay published."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.more = trio.Event()
        broker.subscribe_raw(LOG, self._hear)

    def _hear(self, data: bytes) -> None:
        batch = decode(data)
        assert batch is not None
        self.ranges.append((batch.first, batch.last))
        self.more.set()

    async def wait_for(self, position: int) -> None:
        """Wait until this place was published."""
        with trio.fail_after(PATIENCE_S):
            while not self.ranges or self.ranges[-1][1] < position:
                self.more = trio.Event()
                await self.more.wait()


@asynccontextmanager
async def leading(database: Database, relay: Relay) -> AsyncIterator[trio.Event]:
    """A relay that runs, and leads."""
    async with running(relay) as stop:
        await wait_until(database, lambda: relay.statistics().leading)
        yield stop


async def test_commits_are_published_in_order_and_at_once(annex: Annex, database: Database) -> None:
    """What is committed is published in position order, sooner than by looking now and then."""
    broker = MemoryBroker()
    heard, relay = Heard(broker), Relay(annex, database, broker)
    await tell(database, 0)
    commits = 30
    began = trio.current_time()
    async with leading(database, relay):
        for number in range(commits):
            await heard.wait_for((await tell(database, number)).position)
    assert [(position, position) for position in range(2, commits + 2)] == heard.ranges
    assert trio.current_time() - began < commits * RELAY_POLL_S / 2
    assert (False, commits + 1, commits) == (
        relay.statistics().leading,
        relay.statistics().position,
        relay.statistics().published,
    )


async def test_a_large_block_is_published_in_batches(annex: Annex, database: Database) -> None:
    """No batch is larger than its bound, and together they are the whole block."""
    broker = MemoryBroker()
    heard = Heard(broker)
    async with leading(database, Relay(annex, database, broker)):
        await tell(database, *range(2 * EVENTS_A_BATCH + 1))
        await heard.wait_for(2 * EVENTS_A_BATCH + 1)
    size = EVENTS_A_BATCH
    assert [(1, size), (size + 1, 2 * size), (2 * size + 1, 2 * size + 1)] == heard.ranges


@pytest.mark.slow
async def test_one_leads_and_another_takes_over(annex: Annex, database: Database) -> None:
    """Of two relays one publishes; when it ends the other does, and no feed misses an event."""
    broker, hub = MemoryBroker(), Remembering()
    first, second = Relay(annex, database, broker), Relay(annex, database, broker)
    async with (
        running(Feed(database, broker, hub)),
        leading(database, first) as stop_first,
        running(second),
    ):
        await tell(database, 1)
        await hub.wait_for(1)
        assert (True, False) == (first.statistics().leading, second.statistics().leading)
        assert await ask_sql(database, "leaders") == 1
        stop_first.set()
        await wait_until(database, lambda: not first.statistics().leading)
        await tell(database, 2, 3)  # nobody leads
        await wait_until(database, lambda: second.statistics().leading)
        await tell(database, 4)
        await hub.wait_for(4)
        assert second.statistics().published <= 1
    assert [1, 2, 3, 4] == hub.numbers


@pytest.mark.slow
async def test_a_leader_whose_session_is_cut_crashes_and_leads_again(
    annex: Annex, database: Database
) -> None:
    """A broken session ends the run; the supervisor's next run leads, and feeds miss nothing."""
    broker, hub = MemoryBroker(), Remembering()
    relay = Relay(annex, database, broker)
    crashes: list[object] = []

    def emit(name: str, fields: object) -> None:
        if name == "actor.crashed":
            crashes.append(fields)

    supervisor = Supervisor(
        "node",
        [ChildSpec("relay", relay.run, backoff=Backoff(0.01, 0.1, 1.0, 0.0))],
        intensity=Intensity(100, 60.0),
    )
    async with running(Feed(database, broker, hub)), running(supervisor, System(emit)):
        await wait_until(database, lambda: relay.statistics().leading)
        await tell(database, 1)
        await hub.wait_for(1)
        await ask_sql(database, "end_leader")
        await wait_until(database, lambda: bool(crashes))
        await tell(database, 2)
        await wait_until(database, lambda: relay.statistics().leading)
        await tell(database, 3)
        await hub.wait_for(3)
    assert [1, 2, 3] == hub.numbers
