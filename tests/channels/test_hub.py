"""Fan-out: who gets what, in which order, and that every message is accounted for."""

import re
from collections.abc import Callable

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actors import Lifeline
from channels.delivery import DISCONNECT, DROP_OLDEST, latest_by
from channels.form import websocket_form
from channels.hub import Hub
from channels.limits import FLUSH_SENDS_A_TURN, Limits
from channels.members import Subscription
from channels.outbox import Outbox
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2
from tests.channels.sinks import Sink, flush, frame_of, got, member, publish


def test_members_get_what_is_published_while_they_are_members() -> None:
    """Not what came before, nor what comes after."""
    hub = Hub()
    sink = Sink(hub)
    publish(hub, "t", 1)
    subscription = member(hub, "t", sink)
    publish(hub, "t", 2, 3)
    hub.unsubscribe(subscription)
    publish(hub, "t", 4)
    flush(sink)
    assert got(sink, frame_of("t", 2), frame_of("t", 3))


def test_messages_keep_their_order_across_topics_and_pushes() -> None:
    """Runs are a matter of speed only."""
    hub = Hub()
    sink = Sink(hub)
    member(hub, "a", sink)
    member(hub, "b", sink)
    publish(hub, "a", 1, 2)
    publish(hub, "b", 3)
    hub.push(sink.outbox, b"mine")
    publish(hub, "a", 4)
    flush(sink)
    assert got(
        sink, frame_of("a", 1), frame_of("a", 2), frame_of("b", 3), b"mine", frame_of("a", 4)
    )


@pytest.mark.parametrize("how", ["send", "settle"])
def test_a_connection_that_ends_in_the_middle_of_a_run_changes_no_order(how: str) -> None:
    """Its end settles what is pending, and that comes after the run for those who wait for it."""
    hub = Hub(Limits(outbox_bytes=60))
    gone, other = Sink(hub), Sink(hub)
    for sink in (gone, other):
        member(hub, "t", sink, delivery=DISCONNECT)
    gone.outbox.send_nowait = None
    hub.push(gone.outbox, bytes(50))
    flusher = hub._flusher
    publish(hub, "t", 1)
    flusher._cut(flusher._next_pending())  # and here it pauses, between two slices
    publish(hub, "t", 2)
    if how == "send":
        flusher._send_slice()
    flush(other)
    assert gone.lost == ["slow_reader"]
    assert got(other, frame_of("t", 1), frame_of("t", 2))


def test_what_was_being_written_as_the_writer_was_interrupted_is_lost_and_counted() -> None:
    """Also where somebody takes what came since, to say goodbye behind it."""
    hub = Hub()
    sink = Sink(hub)
    for message in (b"1", b"2"):
        hub.push(sink.outbox, message)
        sink.outbox.take()
    sink.outbox.close()
    found = hub.statistics()
    assert (found.disconnected, found.queued) == (2, 0)


def test_all_members_share_the_same_bytes() -> None:
    """A run is joined once, not once for each member."""
    hub = Hub()
    sinks = [Sink(hub), Sink(hub)]
    for sink in sinks:
        member(hub, "t", sink)
    publish(hub, "t", 1, 2)
    hub.settle()
    assert sinks[0].outbox.queue[0] is sinks[1].outbox.queue[0]


def test_what_is_published_during_a_join_is_held() -> None:
    """And follows what the join itself sent."""
    hub = Hub()
    sink = Sink(hub)
    subscription = hub.subscribe("t", sink.outbox)
    publish(hub, "t", 1)
    hub.push(sink.outbox, b"answer")
    hub.release(subscription, None)
    publish(hub, "t", 2)
    flush(sink)
    assert got(sink, b"answer", frame_of("t", 1), frame_of("t", 2))


def test_a_durable_join_sees_each_position_once() -> None:
    """What its snapshot shows is dropped, held or not; volatile messages all pass."""
    hub = Hub()
    sink = Sink(hub)
    subscription = hub.subscribe("t", sink.outbox)
    for position in (3, 4):
        publish(hub, "t", position, position=position)
    publish(hub, "t", 100)
    hub.release(subscription, after=6)
    publish(hub, "t", 5, position=5)
    publish(hub, "t", 101)
    publish(hub, "t", 6, position=6)
    publish(hub, "t", 7, position=7)
    publish(hub, "t", 102)
    flush(sink)
    assert got(sink, *(frame_of("t", n) for n in (100, 101, 7, 102)))


def test_a_join_behind_the_live_tail_gets_the_rest_of_what_was_held() -> None:
    """The snapshot was read before the last messages were published."""
    hub = Hub()
    sink = Sink(hub)
    subscription = hub.subscribe("t", sink.outbox)
    for position in (4, 5, 6):
        publish(hub, "t", position, position=position)
    hub.release(subscription, after=4)
    publish(hub, "t", 7, position=7)
    flush(sink)
    assert got(sink, *(frame_of("t", n) for n in (5, 6, 7)))


def test_holding_is_bounded() -> None:
    """The host is told, and has the client join again."""
    hub = Hub(Limits(held_messages=2))
    subscription = hub.subscribe("t", Sink(hub).outbox)
    publish(hub, "t", 1, 2)
    assert not subscription.lost
    publish(hub, "t", 3)
    assert subscription.lost


def test_a_slow_reader_of_a_durable_topic_is_disconnected() -> None:
    """It recovers by its cursor; the others do not notice."""
    size = len(frame_of("t", 1))
    hub = Hub(Limits(outbox_bytes=3 * size))
    slow, quick = Sink(hub, room=size), Sink(hub)
    member(hub, "t", slow)
    member(hub, "t", quick)
    for n in range(1, 8):
        publish(hub, "t", n, position=n)
        flush(slow, quick)
    assert (slow.lost, quick.lost) == (["slow_reader"], [])
    assert got(quick, *(frame_of("t", n) for n in range(1, 8)))
    found = hub.statistics()
    assert (found.offered, found.delivered, found.disconnected) == (14, 8, 6)


def test_the_oldest_volatile_messages_give_way() -> None:
    """But never one of which a part may be out: the first is on its way."""
    size = len(frame_of("t", 1))
    hub = Hub(Limits(outbox_bytes=2 * size))
    sink = Sink(hub, room=0)
    member(hub, "t", sink)
    for n in (1, 2, 3):
        publish(hub, "t", n)
        flush(sink)
    sink.write()
    sink.room = 1 << 20
    publish(hub, "t", 4)
    flush(sink)
    assert got(sink, *(frame_of("t", n) for n in (1, 3, 4)))
    assert (hub.statistics().dropped, sink.lost) == (1, [])


def test_a_reply_without_room_ends_the_connection() -> None:
    """A client that waits for it would wait forever."""
    hub = Hub(Limits(outbox_bytes=10))
    sink = Sink(hub)
    hub.push(sink.outbox, b"x" * 11)
    assert sink.lost == ["slow_reader"]


def test_a_broken_transport_is_reported() -> None:
    """What it had not taken counts as disconnected."""
    hub = Hub()
    sink = Sink(hub)
    member(hub, "t", sink)

    def broken(_data: bytes) -> int:
        raise ConnectionResetError

    sink.outbox = Outbox(sink, hub.totals, broken)
    hub.push(sink.outbox, b"x")
    flush(sink)
    assert sink.lost == ["broken"]
    assert hub.statistics().disconnected == 1


def test_the_flusher_keeps_off_while_somebody_writes() -> None:
    """A frame must not get within another."""
    hub = Hub()
    sink = Sink(hub, room=3)
    hub.push(sink.outbox, b"first")
    flush(sink)
    sink.room = 100
    hub.push(sink.outbox, b"second")
    flush(sink)
    assert (bytes(sink.taken), sink.writers) == (b"fir", 1)
    sink.write()
    assert bytes(sink.taken) == b"firstsecond"


def test_a_sealed_outbox_takes_nothing_more() -> None:
    """Its close frame is the last."""
    hub = Hub()
    sink = Sink(hub, room=0)
    member(hub, "t", sink)
    publish(hub, "t", 1)
    hub.settle()
    sink.outbox.seal()
    publish(hub, "t", 2)
    hub.settle()
    assert sink.outbox.queue == [frame_of("t", 1)]
    assert hub.statistics().disconnected == 1


def test_nobody_there_costs_nothing() -> None:
    """Topics without members are forgotten."""
    hub = Hub()
    subscription = member(hub, "t", Sink(hub))
    hub.unsubscribe(subscription)
    hub.unsubscribe(subscription)
    publish(hub, "t", 1)
    found = hub.statistics()
    assert (found.topics, found.subscriptions, found.published, found.offered) == (0, 0, 1, 0)


async def run_hub(hub: Hub, use: Callable[[], None]) -> None:
    """Run the flusher until it has nothing left to do."""
    async with trio.open_nursery() as nursery:
        life = Lifeline()
        nursery.start_soon(hub.run, life)
        use()
        await trio.testing.wait_all_tasks_blocked()
        life.request_stop()


async def test_the_flusher_sends_to_all_dirty_outboxes_at_once() -> None:
    """One write for each, however many messages it got."""
    hub = Hub()
    sinks = [Sink(hub) for _ in range(FLUSH_SENDS_A_TURN + 5)]
    for sink in sinks:
        member(hub, "t", sink)
    await run_hub(hub, lambda: publish(hub, "t", 1, 2, 3))
    assert all(got(sink, *(frame_of("t", n) for n in (1, 2, 3))) for sink in sinks)
    assert hub.statistics().sends == len(sinks)


async def test_long_runs_are_settled_in_pieces() -> None:
    """What waits for the flusher is bounded too."""
    hub = Hub()
    sink = Sink(hub)
    member(hub, "t", sink)
    await run_hub(hub, lambda: publish(hub, "t", *range(5000)))
    assert got(sink, *(frame_of("t", n) for n in range(5000)))


DELIVERIES = {"a": DROP_OLDEST, "b": DISCONNECT, "c": latest_by("n")}


class Accounting(RuleBasedStateMachine):
    """Whatever happens, every message offered is counted once, and each client sees a prefix."""

    @initialize()
    def begin(self) -> None:
        """A small hub."""
        self.hub = Hub(Limits(outbox_bytes=400, held_messages=3))
        self.sinks = [Sink(self.hub) for _ in range(3)]
        self.subscriptions: list[Subscription] = []
        self.position = 0

    @rule()
    def flush_runs(self) -> None:
        """The flusher sends what is pending straight to the transports."""
        flusher = self.hub._flusher
        while flusher._pending or flusher._sending:
            if not flusher._sending:
                flusher._cut(flusher._next_pending())
            flusher._send_slice()

    @rule()
    def cut_a_run(self) -> None:
        """The flusher pauses before it has sent a run to anybody."""
        if self.hub._flusher._pending:
            self.hub._flusher._cut(self.hub._flusher._next_pending())

    @rule(which=st.integers(0, 2), topic=st.sampled_from("abc"), held=st.booleans())
    def subscribe(self, which: int, topic: str, held: bool) -> None:  # noqa: FBT001 - drawn
        """Somebody joins; the first of the three speaks an older version. Nobody is there twice."""
        outbox = self.sinks[which].outbox
        if any(it.outbox is outbox and it.topic == topic for it in self.subscriptions):
            return
        delivery = DELIVERIES[topic]
        form = websocket_form(V2 if which else V1)
        subscription = self.hub.subscribe(topic, outbox, form, delivery)
        self.subscriptions.append(subscription)
        if not held:
            self.hub.release(subscription, self.position)

    @rule(which=st.integers(0, 9))
    def unsubscribe(self, which: int) -> None:
        """Somebody leaves."""
        if which < len(self.subscriptions):
            self.hub.unsubscribe(self.subscriptions.pop(which))

    @rule(topic=st.sampled_from("abc"), durable=st.booleans(), count=st.integers(1, 5))
    def publish(self, topic: str, durable: bool, count: int) -> None:  # noqa: FBT001 - drawn
        """Somebody speaks."""
        for _ in range(count):
            self.position += 1
            publish(self.hub, topic, self.position, position=self.position if durable else None)

    @rule(topic=st.sampled_from("abc"))
    def publish_bytes(self, topic: str) -> None:
        """Somebody sends what not everyone can be sent."""
        self.hub.publish(topic, "e", b"x")

    @rule(which=st.integers(0, 2), room=st.integers(0, 200))
    def flush(self, which: int, room: int) -> None:
        """The flusher comes by."""
        self.sinks[which].room = room
        flush(self.sinks[which])

    @rule(which=st.integers(0, 2))
    def write(self, which: int) -> None:
        """A writer gets through."""
        if self.sinks[which].outbox.busy:
            self.sinks[which].write()

    @rule(which=st.integers(0, 2))
    def close(self, which: int) -> None:
        """A connection ends."""
        self.sinks[which].outbox.close()

    @invariant()
    def all_is_accounted_for(self) -> None:
        """What is queued is what the outboxes hold."""
        found = self.hub.statistics()
        assert found.queued == sum(sink.outbox.count for sink in self.sinks)
        assert found.subscriptions == len(self.subscriptions)

    @invariant()
    def nobody_sees_a_message_twice_or_out_of_order(self) -> None:
        """Numbers only grow, as they do when they are published."""
        for sink in self.sinks:
            numbers = [int(n) for n in re.findall(rb'"n":(\d+)}', bytes(sink.taken))]
            assert numbers == sorted(numbers)

    @invariant()
    def no_outbox_exceeds_its_bound(self) -> None:
        """Bytes that wait are bounded."""
        for sink in self.sinks:
            assert sum(map(len, sink.outbox.queue)) <= 400


TestAccounting = pytest.mark.slow(Accounting.TestCase)
TestAccounting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
