"""Which lane a client's bytes take, and that the other one is not there before it is needed."""

import os
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.testing
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from actors import ChildSpec, Lifeline, running
from actors.testing import PlannedCrash, crash
from channels.limits import READ_COST_BYTES, WAKES_A_TURN, Limits
from channels.outbox import Totals
from channels.plain_stream import PlainStream
from channels.reader import Reader
from channels.testing import Node, Streams, connect, serving
from channels.websocket import Wire
from tests.channels.raw_frames import FINAL_TEXT, PING, masked
from tests.channels.rooms import Hot
from tests.channels.test_wire import REQUEST, sockets
from tests.support.sockets import plain

ROOM = "hot:1"


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node with rooms."""
    async with serving([("hot:*", Hot)]) as node:
        yield node


@pytest.fixture(params=["memory", "read by the node", "read alone"])
def streams(request: pytest.FixtureRequest, node: Node) -> Streams:
    """Each way in which a client is read."""
    node.endpoint.reader.running = request.param == "read by the node"
    return trio.testing.memory_stream_pair() if request.param == "memory" else sockets()


async def test_messages_pings_and_a_goodbye_need_no_slow_lane(node: Node, streams: Streams) -> None:
    """What every client sends, and nothing else."""
    async with connect(node.endpoint, streams=streams, token="ann") as client:
        await client.join(ROOM)
        await client.send_event(Ping(b"there?"))
        await client.send_event(Pong(b"nobody asked"))
        ref = await client.push(ROOM, "echo", {"n": 1})
        await client.assert_reply(ref)
        assert client.pongs == [b"there?"]
        await client.send_event(CloseConnection(1000, "bye"))
        assert await client.assert_ended() == 1000
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().slow_lanes == 0
    assert node.endpoint.statistics().closed == {"left": 1}


async def test_fragments_open_the_slow_lane_once(node: Node, streams: Streams) -> None:
    """From then on it answers the pings, too, in their place."""
    async with connect(node.endpoint, streams=streams, token="ann") as client:
        await client.join(ROOM)
        for n in range(3):
            await client.send_event(TextMessage(f'["1","f{n}","hot:1",', message_finished=False))
            await client.send_event(Ping(b"%d" % n))
            await client.send_event(TextMessage('"echo",{}]'))
            await client.assert_reply(f"f{n}")
        assert client.pongs == [b"0", b"1", b"2"]
        assert node.endpoint.statistics().slow_lanes == 1
        node.endpoint.disconnect("ann")
        assert await client.assert_ended() == 1001


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b"\xff\x80abcd", 1002, "protocol_error"),
        (b"\x81\x81\0\0\0\0\xff", 1007, "invalid_data"),
        (b"\x88\x81\0\0\0\0x", 1002, "protocol_error"),
    ],
)
async def test_who_breaks_the_rules_is_told_so(
    node: Node, streams: Streams, data: bytes, code: int, reason: str
) -> None:
    """By the slow lane, whichever way the bytes came."""
    async with connect(node.endpoint, streams=streams, token="ann") as client:
        await client.heartbeat()
        await client.stream.send_all(data)
        assert await client.assert_ended() == code
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {reason: 1}


async def test_a_client_that_goes_without_a_word_is_lost(node: Node, streams: Streams) -> None:
    """Whoever reads it sees the end."""
    async with connect(node.endpoint, streams=streams, token="ann") as client:
        await client.heartbeat()
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {"lost": 1}


async def test_a_goodbye_waits_for_the_clients_own(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    """One that never answers is closed in time; what it still sends is not acted upon."""
    ours, theirs = trio.testing.memory_stream_pair()
    heartbeat = b'[null,"1","phoenix","heartbeat",{}]'
    request = REQUEST.replace(b"vsn=2.0.0", b"vsn=2.0.0&token=ann")
    frame = bytes((0x81, 0x80 | len(heartbeat))) + bytes(4) + heartbeat
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.endpoint.serve, theirs, request + frame)
        await trio.testing.wait_all_tasks_blocked()
        began = autojump_clock.current_time()
        node.endpoint.disconnect("ann")
        await ours.send_all(frame)
    assert autojump_clock.current_time() == began + Limits().close_s
    assert node.endpoint.statistics().received == 1
    assert node.endpoint.statistics().closed == {"disconnected": 1}


async def test_a_reader_that_crashes_reads_on_in_its_next_life() -> None:
    """Nobody whose socket it watches notices."""
    reader = Reader()
    ours, theirs = sockets()
    heard: list[bytes] = []
    async with running(ChildSpec("reader", reader.run)) as system, ours, theirs:
        assert isinstance(theirs, PlainStream)
        descriptor = theirs.socket.fileno()

        def read() -> int:
            heard.append(os.read(descriptor, 10))
            return 0

        reader.add(descriptor, read)
        await ours.send_all(b"1")
        await trio.testing.wait_all_tasks_blocked()
        crash(system, "root/reader", PlannedCrash())
        await ours.send_all(b"2")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [b"1", b"2"]
        reader.remove(descriptor)
        reader.remove(descriptor)
        await ours.send_all(b"3")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [b"1", b"2"]


@pytest.mark.parametrize("cost", [1, WAKES_A_TURN])
async def test_few_tasks_are_woken_between_two_laps(cost: int) -> None:
    """Thousands who leave at once do not keep the others waiting; each has its turn."""
    reader, woken, laps = Reader(), 0, [0]
    pairs = [trio.socket.socketpair() for _ in range(10 * WAKES_A_TURN)]

    def leave(descriptor: int) -> int:
        nonlocal woken
        woken += 1
        reader.remove(descriptor)
        return cost

    async with running(ChildSpec("reader", reader.run)):
        for ours, theirs in pairs:
            reader.add(theirs.fileno(), partial(leave, theirs.fileno()))
            ours.close()
        while woken < len(pairs):
            await trio.lowlevel.checkpoint()
            laps.append(woken)
    # The two tasks run in any order within a lap, so there may be two turns between two looks.
    assert max(after - before for before, after in pairwise(laps)) <= 2 * WAKES_A_TURN // cost
    for _, theirs in pairs:
        theirs.close()


async def test_what_is_read_costs_by_its_bytes_and_by_whom_it_wakes() -> None:
    """A buffer full of messages takes as long as several tasks, though nobody is woken for them."""
    ours, theirs = trio.socket.socketpair()
    messages = masked(FINAL_TEXT, b"x" * 100) * 300
    async with trio.open_nursery() as nursery:
        wire = Wire(
            plain(theirs),
            limits=Limits(),
            totals=Totals(),
            nursery=nursery,
            reader=Reader(),
        )
        costs = []
        for packet in (messages, masked(FINAL_TEXT, b"x"), masked(PING)):
            await ours.send(packet)
            costs.append(wire._read())
        assert costs == [len(messages) // READ_COST_BYTES, 0, 1]
        await wire.aclose()
    ours.close()


async def test_without_epoll_everybody_reads_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems that have none."""
    monkeypatch.delattr("select.epoll")
    reader = Reader()
    async with trio.open_nursery() as nursery:
        life = Lifeline()
        nursery.start_soon(reader.run, life)
        await trio.testing.wait_all_tasks_blocked()
        assert not reader.running
        life.request_stop()
