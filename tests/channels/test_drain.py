"""A node that stops: each client is told its own time to come back, and they are spread evenly."""

import random
from math import inf

import pytest
import trio

from channels.channel import Body
from channels.drain import send_away, window_s
from channels.limits import DRAIN_RETURNS_A_SECOND, DRAIN_WINDOW_MIN_S, Limits
from channels.serializer import Ref
from channels.testing import Anyone, connect, serving
from channels.verdict import Verdict
from tests.channels.rooms import Script


class Leaver:
    """A client that remembers when it was sent away, and until when."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Body]] = []
        self.verdict: Verdict | None = None
        self.after_ms = -1
        self.back_at = inf

    def send(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: Body) -> None:
        """Take it, while the connection is there."""
        assert self.verdict is None
        assert (join_ref, ref) == (None, None)
        assert isinstance(payload, dict)
        self.sent.append((topic, event, payload))
        self.after_ms = payload["reconnect_after_ms"]
        self.back_at = trio.current_time() + self.after_ms / 1000

    def end(self, verdict: Verdict) -> None:
        """The connection is closed."""
        self.verdict = verdict


@pytest.mark.parametrize(
    ("clients", "window"),
    [(0, DRAIN_WINDOW_MIN_S), (1, DRAIN_WINDOW_MIN_S), (10 * DRAIN_RETURNS_A_SECOND, 10.0)],
)
def test_the_window_fits_the_number(clients: int, window: float) -> None:
    """A few come back over a second; of many, no more in a second than others can take."""
    assert window == window_s(clients)


@pytest.mark.parametrize("size", [0, 1, 7, 4_000])
async def test_returns_are_an_even_stream(
    size: int, autojump_clock: trio.testing.MockClock
) -> None:
    """Whatever the batches, one client comes back in each of as many equal pieces of the window."""
    clients = [Leaver() for _ in range(size)]
    limits = Limits(drain_batch=300, drain_interval_s=0.05, drain_s=2.0)
    began = autojump_clock.current_time()
    await send_away(clients, limits, random.Random(4))
    gone = autojump_clock.current_time() - began
    assert gone <= limits.drain_s / 2
    piece = window_s(size) / max(size, 1)
    for rank, client in enumerate(clients):
        back = client.back_at - began
        # Those whose moment has passed when their batch's turn comes, come at once.
        assert piece * rank - 0.001 <= back <= max(piece * (rank + 1), gone) + 0.001
        assert client.verdict is not None
        assert client.sent == [("phoenix", "drain", {"reconnect_after_ms": client.after_ms})]
        told = (client.verdict.code, client.verdict.reason, client.verdict.told)
        assert told == (1012, "drained", f"reconnect_after_ms={client.after_ms}")


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_a_client_is_told_and_then_closed(version: str) -> None:
    """What was published before, the event, the close frame; in each version of the protocol."""
    script = Script()
    async with (
        serving([("room:*", script.room)]) as node,
        connect(node.endpoint, token="ann", params={"vsn": version}) as client,
    ):
        await client.join("room:1")
        async with trio.open_nursery() as nursery:
            node.endpoint.broadcast("room:1", "last", {})
            nursery.start_soon(node.endpoint.drain)
            assert await client.assert_ended() == 1012
        last, drain = await client.received()
        assert (last.event, drain.topic, drain.event) == ("last", "phoenix", "drain")
        assert client.close_reason == f"reconnect_after_ms={drain.payload['reconnect_after_ms']}"


class Thoughtful(Anyone):
    """Lets a client in when a test says so."""

    def __init__(self) -> None:
        self.decided = trio.Event()

    async def connect(self, params: object, token: object, headers: object, address: str) -> object:
        """Wait for the test."""
        if token == "late":
            await self.decided.wait()
        return token


async def test_who_is_let_in_as_the_drain_begins_is_sent_away_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its handshake was under way; nobody waits for it in vain."""
    handler = Thoughtful()
    async with serving([("room:*", Script().room)], handler=handler) as node:

        async def come(token: str) -> None:
            async with connect(node.endpoint, token=token) as client:
                assert await client.assert_ended() == 1012

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come, "late")
            nursery.start_soon(come, "early")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(node.endpoint.drain)
            while not node.endpoint.reception.closed:
                await trio.lowlevel.checkpoint()
            handler.decided.set()
        assert node.endpoint.statistics().closed == {"drained": 2}
        assert autojump_clock.current_time() == 0
