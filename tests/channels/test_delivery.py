"""What gives way for a client that reads too slowly, by the policy of the topic."""

import pytest
import trio
import trio.testing

from actors import ChildSpec, running
from channels.delivery import DISCONNECT, DROP_OLDEST, Delivery, latest_by, thing_of
from channels.frames import message_frame
from channels.hub import Hub
from channels.limits import OUTBOX_SLACK, Limits
from channels.outbox import Outbox, Piece, Totals
from channels.serializer_v2 import V2
from tests.channels.sinks import Sink, flush, frame_of, got, member, publish

SIZE = len(frame_of("t", 10))


def slow_member(hub: Hub, delivery: Delivery) -> Sink:
    """A member whose transport takes nothing, and has one message waiting for it already."""
    sink = Sink(hub, room=0)
    member(hub, "t", sink, delivery=delivery)
    publish(hub, "t", 10)
    flush(sink)
    assert sink.outbox.busy
    return sink


def read_on(sink: Sink) -> None:
    """The transport takes everything again."""
    sink.room = 1 << 20
    sink.write()
    flush(sink)


def test_the_oldest_are_dropped_with_some_slack() -> None:
    """So that the next messages find room without another look at all that waits."""
    hub = Hub(Limits(outbox_bytes=SIZE * OUTBOX_SLACK * 2))
    sink = slow_member(hub, DROP_OLDEST)
    for n in range(11, 11 + OUTBOX_SLACK * 2):
        publish(hub, "t", n)
        hub.settle()
    assert hub.statistics().dropped == 3
    read_on(sink)
    assert got(sink, frame_of("t", 10), *(frame_of("t", n) for n in range(14, 27)))
    assert sink.lost == []


def test_a_topic_may_ask_for_disconnection() -> None:
    """Its members recover what they miss."""
    hub = Hub(Limits(outbox_bytes=SIZE * 2))
    sink = slow_member(hub, DISCONNECT)
    publish(hub, "t", 11, 12)
    hub.settle()
    assert sink.lost == ["slow_reader"]
    assert hub.statistics().dropped == 0


@pytest.mark.parametrize("delivery", [DROP_OLDEST, latest_by("n")])
def test_what_is_vital_makes_others_give_way_and_never_does_itself(delivery: Delivery) -> None:
    """Whatever the topic's policy is."""
    hub = Hub(Limits(outbox_bytes=SIZE * 3))
    sink = slow_member(hub, delivery)
    publish(hub, "t", 11, 12)
    hub.publish("t", "e", {"n": 13}, vital=True)
    hub.settle()
    assert sink.lost == []
    hub.publish("t", "e", {"n": 14}, position=1)
    hub.settle()
    assert hub.statistics().dropped == 2
    hub.publish("t", "e", {"n": 15}, vital=True)
    hub.settle()
    assert sink.lost == ["slow_reader"]


def test_a_message_that_finds_no_room_does_not_stand_in_the_way_of_smaller_ones() -> None:
    """Nothing gives way to what would not fit anyhow; what fits then is looked at anew."""
    hub = Hub(Limits(outbox_bytes=SIZE * 4))
    sink = slow_member(hub, DROP_OLDEST)
    publish(hub, "t", 11, 12)
    hub.settle()
    hub.publish("t", "e", {"n": "x" * SIZE * 3})
    hub.settle()
    hub.push(sink.outbox, bytes(SIZE * 2))
    assert sink.lost == []
    found = hub.statistics()
    assert (found.dropped, found.queued) == (3, 2)


@pytest.mark.parametrize("delivery", [DROP_OLDEST, latest_by("n")])
def test_a_client_that_keeps_up_loses_nothing_however_much_comes_at_once(
    delivery: Delivery,
) -> None:
    """Its outbox is full because it was nobody's turn to send, and not because it reads slowly."""
    hub = Hub(Limits(outbox_bytes=SIZE * 3))
    sink = Sink(hub)
    member(hub, "t", sink, delivery=delivery)
    for n in range(10, 20):
        hub.push(sink.outbox, frame_of("t", n))
        publish(hub, "t", n)
    flush(sink)
    assert got(sink, *(frame_of("t", n) for n in range(10, 20) for _ in range(2)))
    assert (sink.lost, hub.statistics().dropped) == ([], 0)


async def test_what_is_too_large_stops_nobody_from_getting_the_rest() -> None:
    """Of a run in which the newest of each thing counts, the parts that fit are sent."""
    hub = Hub(Limits(outbox_bytes=SIZE * 3))
    sink = Sink(hub)
    member(hub, "t", sink, delivery=latest_by("n"))
    async with running(ChildSpec("hub", hub.run)):
        publish(hub, "t", 10)
        hub.publish("t", "e", {"n": "x" * SIZE * 3})
        hub.settle()
        await trio.testing.wait_all_tasks_blocked()
        assert got(sink, frame_of("t", 10))
        assert hub.statistics().queued == 0


def test_of_each_thing_the_newest_is_kept() -> None:
    """In the order of the newest; other messages stay where they are."""
    hub = Hub()
    sink = slow_member(hub, latest_by("id"))
    told = [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("a", 3), ("b", 2)]
    for thing, n in told:
        hub.publish("t", "price", {"id": thing, "n": n})
    hub.publish("t", "said", {"n": 1})
    hub.push(sink.outbox, b"mine")
    hub.publish("t", "said", {"n": 2})
    hub.settle()
    read_on(sink)
    broadcasts = [
        V2.encode_broadcast("t", "price", {"id": thing, "n": n})
        for thing, n in [("c", 1), ("a", 3), ("b", 2)]
    ]
    assert got(
        sink,
        frame_of("t", 10),
        *map(message_frame, broadcasts),
        b"mine",
        message_frame(V2.encode_broadcast("t", "said", {"n": 2})),
    )
    found = hub.statistics()
    assert (found.dropped, found.queued) == (4, 0)


def test_a_client_that_keeps_up_gets_every_message() -> None:
    """The newest replaces what waits behind a socket that takes nothing, and only that."""
    hub = Hub()
    sink = Sink(hub)
    member(hub, "t", sink, delivery=latest_by("n"))
    for _ in range(3):
        publish(hub, "t", 1, 1)
        flush(sink)
    assert got(sink, *[frame_of("t", 1)] * 6)


def test_places_that_were_emptied_do_not_pile_up() -> None:
    """A client that stands still while one price changes all day costs a few entries."""
    hub = Hub()
    sink = slow_member(hub, latest_by("id"))
    for n in range(2000):
        hub.publish("t", "price", {"id": "a", "n": n})
        hub.settle()
    assert len(sink.outbox.queue) < 200
    assert (sink.outbox.count, hub.statistics().dropped) == (2, 1999)


def test_nothing_is_dropped_in_vain() -> None:
    """Where all that may give way would not make enough room, it stays."""
    outbox = Outbox(Sink(Hub()), Totals())
    outbox.queue = [b"x" * 50, Piece.of(b"y" * 10)]
    outbox.size, outbox.count = 60, 2
    assert not outbox.make_room(45, 90)
    assert len(outbox.queue) == 2
    assert outbox.totals.dropped == 0


def test_what_was_full_is_looked_at_again_when_it_was_written() -> None:
    """A look that found nothing to drop is not repeated for each message, but not forever."""
    hub = Hub(Limits(outbox_bytes=SIZE * 2))
    sink = Sink(hub, room=0)
    member(hub, "t", sink)
    for n in (1, 2):
        hub.publish("t", "e", {"n": n + 10}, vital=True)
        flush(sink)
    publish(hub, "t", 13, 14)
    hub.settle()
    sink.write()
    sink.outbox.busy = True
    publish(hub, "t", 15, 16)
    hub.settle()
    publish(hub, "t", 17)
    hub.settle()
    assert hub.statistics().dropped == 4
    sink.write()
    assert got(sink, *(frame_of("t", n) for n in (11, 12, 17)))


@pytest.mark.parametrize(
    ("payload", "field", "thing"),
    [
        ({"id": 1, "n": 2}, "id", ("t", "e", b"1")),
        ({"id": {"a": "b"}}, "id", ("t", "e", b'{"a":"b"}')),
        ({"n": 2}, "id", ("t", "e", b"null")),
        ({"n": 2}, None, ("t", "e", b"")),
        (b"bytes", "id", ("t", "e", b"")),
    ],
)
def test_what_a_message_is_about(
    payload: dict[str, object] | bytes, field: str | None, thing: tuple[str, str, bytes]
) -> None:
    """Read from the message itself, so that every node sees the same."""
    assert thing_of(V2.encode_broadcast("t", "e", payload), field) == thing


async def test_small_and_large_groups_are_sent_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight to the transports or through the outboxes, in the order published."""
    monkeypatch.setattr("channels.flusher.FLUSH_SENDS_A_TURN", 2)
    hub = Hub()
    sinks = {topic: [Sink(hub) for _ in range(count)] for topic, count in (("t", 2), ("u", 3))}
    both = Sink(hub)
    for topic, those in sinks.items():
        for sink in (*those, both):
            member(hub, topic, sink)
    async with running(ChildSpec("hub", hub.run)):
        for n in range(3):
            publish(hub, "t", n)
            publish(hub, "u", n)
        await trio.testing.wait_all_tasks_blocked()
    for topic, those in sinks.items():
        assert all(got(sink, *(frame_of(topic, n) for n in range(3))) for sink in those)
    assert got(both, *(frame_of(topic, n) for n in range(3) for topic in "tu"))
    assert hub.statistics().queued == 0
