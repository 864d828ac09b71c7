"""Fan-out to clients of several versions of the protocol: each gets every message in its own."""

import pytest

from channels.form import websocket_form
from channels.hub import Hub
from channels.serializer import Serializer
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2
from tests.channels.sinks import Sink, flush, frame_of, got, member, publish


def test_each_version_is_sent_its_own_form() -> None:
    """Translated once; members of one version share the same bytes, in the order published."""
    hub = Hub()
    old, older, new = Sink(hub), Sink(hub), Sink(hub)
    member(hub, "t", old, serializer=V1)
    member(hub, "t", new)
    member(hub, "t", older, serializer=V1)
    publish(hub, "t", 1, 2)
    hub.settle()
    assert old.outbox.queue[0] is older.outbox.queue[0]
    publish(hub, "t", 3)
    hub.publish_encoded("t", V2.encode_broadcast("t", "e", {"n": 4}))
    flush(old, older, new)
    assert got(new, *(frame_of("t", n) for n in range(1, 5)))
    assert got(old, *(frame_of("t", n, V1) for n in range(1, 5)))
    assert hub.statistics().sends == 3


def test_a_version_that_nobody_speaks_any_more_costs_nothing() -> None:
    """Its group goes with its last member, and the others' run is not lost."""
    hub = Hub()
    old, new = Sink(hub), Sink(hub)
    subscriptions = [member(hub, "t", new), member(hub, "t", old, serializer=V1)]
    publish(hub, "t", 1)
    hub.unsubscribe(subscriptions[1])
    publish(hub, "t", 2)
    flush(old, new)
    assert got(new, frame_of("t", 1), frame_of("t", 2))
    assert got(old, frame_of("t", 1, V1))
    hub.unsubscribe(subscriptions[0])
    assert hub.statistics().topics == 0


def test_bytes_reach_those_whose_version_has_a_form_for_them() -> None:
    """The others do without, and that is counted."""
    hub = Hub()
    old, new = Sink(hub), Sink(hub)
    member(hub, "t", old, serializer=V1)
    member(hub, "t", new)
    hub.publish("t", "e", b"\x00\xff")
    publish(hub, "t", 1)
    flush(old, new)
    assert got(new, b"\x82\x07\x02\x01\x01te\x00\xff", frame_of("t", 1))
    assert got(old, frame_of("t", 1, V1))
    found = hub.statistics()
    assert (found.offered, found.delivered, found.dropped) == (4, 3, 1)


def test_a_durable_event_is_never_bytes() -> None:
    """Of what is durable nobody may go without."""
    with pytest.raises(AssertionError, match="JSON objects"):
        Hub().publish("t", "e", b"x", position=1)


@pytest.mark.parametrize("serializer", [V1, V2])
def test_what_is_published_during_a_join_is_held_in_its_version(
    serializer: type[Serializer],
) -> None:
    """And filtered by position, as of any member."""
    hub = Hub()
    sink = Sink(hub)
    subscription = hub.subscribe("t", sink.outbox, websocket_form(serializer))
    for position in (1, 2, 3):
        publish(hub, "t", position, position=position)
    hub.release(subscription, after=1)
    publish(hub, "t", 4, position=4)
    flush(sink)
    assert got(sink, *(frame_of("t", n, serializer) for n in (2, 3, 4)))
