"""Transports that take what a test lets them, and what a hub is made to do with them."""

from dataclasses import dataclass, field

from channels.delivery import DROP_OLDEST, Delivery
from channels.form import websocket_form
from channels.frames import message_frame
from channels.hub import Hub
from channels.members import Subscription
from channels.outbox import Outbox
from channels.serializer import Serializer
from channels.serializer_v2 import V2


@dataclass
class Sink:
    """A transport that takes as many bytes at once as it is told to."""

    hub: Hub
    room: int = 1 << 30
    taken: bytearray = field(default_factory=bytearray)
    writers: int = 0
    lost: list[str] = field(default_factory=list)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self, self.hub.totals, self.send_nowait)

    def send_nowait(self, data: bytes) -> int:
        """Take what there is room for."""
        if not self.room:
            raise BlockingIOError
        size = min(self.room, len(data))
        self.room -= size
        self.taken += data[:size]
        return size

    def start_writer(self) -> None:
        """As the wire does."""
        self.writers += 1
        self.outbox.busy = True

    def write(self) -> None:
        """What the writer does when the transport takes bytes again."""
        while self.outbox.queue:
            batch = self.outbox.take()
            self.taken += batch
            self.outbox.wrote(len(batch))
            self.outbox.done()
        self.outbox.busy = False

    def overflowed(self) -> None:
        """Note it, and settle, as a connection does that ends."""
        self.lost.append("slow_reader")
        self.hub.settle()

    def broke(self) -> None:
        """The same."""
        self.lost.append("broken")
        self.outbox.close()
        self.hub.settle()


def frame_of(topic: str, n: int, serializer: type[Serializer] = V2) -> bytes:
    """What a broadcast looks like on the wire."""
    message = serializer.encode(None, None, topic, "e", {"n": n})
    assert message is not None
    return message_frame(message)


def publish(hub: Hub, topic: str, *numbers: int, position: int | None = None) -> None:
    """Publish some messages."""
    for n in numbers:
        hub.publish(topic, "e", {"n": n}, position)


def member(
    hub: Hub,
    topic: str,
    sink: Sink,
    after: int | None = None,
    serializer: type[Serializer] = V2,
    delivery: Delivery = DROP_OLDEST,
) -> Subscription:
    """Subscribe and release."""
    subscription = hub.subscribe(topic, sink.outbox, websocket_form(serializer), delivery)
    hub.release(subscription, after)
    return subscription


def flush(*sinks: Sink) -> None:
    """What the flusher does."""
    for sink in sinks:
        sink.hub.settle()
        sink.outbox.flush()


def got(sink: Sink, *messages: bytes) -> bool:
    """Whether the transport took exactly these."""
    return bytes(sink.taken) == b"".join(messages)
