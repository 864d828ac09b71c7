"""Parts of a node that end in the middle of something, and run again: nothing is left behind."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from actors import ChildSpec, running
from actors.testing import PlannedCrash, crash
from channels.broker import BusMessage, MemoryBus, MemoryWire
from channels.broker_redis import RedisBroker
from channels.hub import Hub
from channels.testing import connect, serving
from tests.channels.rooms import Script
from tests.channels.sinks import Sink, frame_of, got, member, publish


@pytest.mark.parametrize("steps", range(8))
async def test_a_flusher_that_crashes_leaves_nobody_behind(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it ends, its next life sends what it had not sent, to everybody once."""
    monkeypatch.setattr("channels.flusher.FLUSH_SENDS_A_TURN", 1)
    hub = Hub()
    sinks = [Sink(hub) for _ in range(4)]
    for sink in sinks:
        member(hub, "t", sink)
    async with running(ChildSpec("hub", hub.run)) as system:
        publish(hub, "t", 1)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        crash(system, "root/hub", PlannedCrash())
        await trio.testing.wait_all_tasks_blocked()
        assert [True] * 4 == [got(sink, frame_of("t", 1)) for sink in sinks]
        publish(hub, "t", 2)
        await trio.testing.wait_all_tasks_blocked()
        assert [True] * 4 == [got(sink, frame_of("t", 1), frame_of("t", 2)) for sink in sinks]
    assert hub.statistics().queued == 0


class SlowBus(MemoryBus):
    """A bus that sends nothing before it is told to."""

    def __init__(self, wire: MemoryWire) -> None:
        super().__init__(wire)
        self.busy = trio.Event()
        self.go_on = trio.Event()

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Wait, then send."""
        self.busy.set()
        await self.go_on.wait()
        return await super().publish(messages)


async def test_a_broker_that_crashes_while_it_sends_counts_what_it_lost() -> None:
    """What was on its way is dropped, and told of; what waited is sent by the next life."""
    bus = SlowBus(MemoryWire())
    broker = RedisBroker(bus, "a")
    async with running(ChildSpec("broker", broker.run)) as system:
        broker.publish("t", b"1")
        broker.publish("t", b"2")
        await bus.busy.wait()
        broker.publish("t", b"3")
        crash(system, "root/broker", PlannedCrash())
        bus.go_on.set()
        await trio.testing.wait_all_tasks_blocked()
        told = broker.statistics()
        assert (2, 1) == (told.dropped, told.published)


async def test_a_drain_that_is_cut_off_refuses_nobody_later() -> None:
    """An endpoint that is asked to run again lets clients in again."""
    async with serving([("room:*", Script().room)]) as node:
        async with connect(node.endpoint), trio.open_nursery() as nursery:
            nursery.start_soon(node.endpoint.drain)
            await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        async with connect(node.endpoint) as client:
            await client.heartbeat()
