"""The two lanes over real sockets: whole frames, in order, whoever else is writing."""

import pytest
import trio
import trio.testing
from wsproto.events import Ping, TextMessage

from channels.limits import Limits
from channels.serializer import Envelope
from channels.testing import Client, Node, Streams, connect, serving
from tests.channels.rooms import Hot, Script
from tests.support.sockets import plain

ROOM = "hot:1"
REQUEST = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def sockets(buffer: int = 4096) -> Streams:
    """Two ends of a connection with small buffers."""
    pair = trio.socket.socketpair()
    for end in pair:
        end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, buffer)
        end.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, buffer)
    ours, theirs = pair
    return trio.SocketStream(ours), plain(theirs)


async def _numbers(client: Client, count: int) -> list[int]:
    """The numbers of so many broadcasts."""
    return [(await client.receive()).payload["n"] for _ in range(count)]


async def _chatter(client: Client, rounds: int) -> None:
    """Pings, plain frames and fragmented ones, as fast as they go."""
    for n in range(rounds):
        await client.send_event(Ping(b"%d" % n))
        await client.push(ROOM, "echo", {"n": n})
        await client.send_event(TextMessage('["1","x","hot:1",', message_finished=False))
        await client.send_event(Ping(b"within %d" % n))
        await client.send_event(TextMessage('"echo",{"n":-1}]'))


@pytest.mark.slow
async def test_broadcasts_pongs_and_replies_never_mix() -> None:
    """Thousands of injected frames between the library's own, over buffers that are always full."""
    count, rounds = 5000, 150
    async with (
        serving([("hot:*", Hot)]) as node,
        connect(node.endpoint, streams=sockets()) as client,
        trio.open_nursery() as nursery,
    ):
        await client.join(ROOM)
        nursery.start_soon(_chatter, client, rounds)
        for n in range(count):
            node.hub.publish(ROOM, "tick", {"n": n})
            if n % 7 == 0:
                await trio.lowlevel.checkpoint()
        messages = [await client.receive() for _ in range(count + 2 * rounds)]
    ticks = [e.payload["n"] for e in messages if e.event == "tick"]
    echoes = [e.payload["response"]["n"] for e in messages if e.event == "phx_reply"]
    assert ticks == list(range(count))
    assert echoes == [n for round_ in range(rounds) for n in (round_, -1)]
    assert client.pongs == [p for n in range(rounds) for p in (b"%d" % n, b"within %d" % n)]
    found = node.hub.statistics()
    assert (found.queued, found.dropped, found.disconnected) == (0, 0, 0)


async def test_a_message_larger_than_every_buffer_arrives() -> None:
    """By the writer, piece by piece; what is published meanwhile follows it."""
    script = Script()
    async with (
        serving([("room:*", script.room)]) as node,
        connect(node.endpoint, streams=sockets()) as client,
    ):
        await client.join("room:1")
        node.hub.publish("room:1", "tick", {"n": 1, "fill": "x" * 300_000})
        node.hub.publish("room:1", "tick", {"n": 2})
        assert await _numbers(client, 2) == [1, 2]


async def _deaf(node: Node, nursery: trio.Nursery) -> trio.abc.Stream:
    """A client that joins and then never reads."""
    ours, theirs = sockets()
    nursery.start_soon(node.endpoint.serve, theirs, b"")
    await ours.send_all(REQUEST)
    await ours.receive_some()
    join = b'["1","1","hot:1","phx_join",{}]'
    await ours.send_all(b"\x81" + bytes((0x80 | len(join),)) + b"\0\0\0\0" + join)
    await trio.testing.wait_all_tasks_blocked()
    return ours


async def test_a_reader_that_stops_holds_up_nobody() -> None:
    """On a durable topic it is disconnected; the others get everything."""
    count = 400
    limits = Limits(outbox_bytes=20_000)
    async with serving([("hot:*", Hot)], limits=limits) as node, trio.open_nursery() as nursery:
        deaf = await _deaf(node, nursery)
        async with connect(node.endpoint) as client:
            await client.join(ROOM)
            for n in range(1, count + 1):
                node.hub.publish(ROOM, "tick", {"n": n, "fill": "x" * 200}, position=n)
                await trio.testing.wait_all_tasks_blocked()
            assert await _numbers(client, count) == list(range(1, count + 1))
            found = node.hub.statistics()
            assert (node.endpoint.statistics().closed, found.overflows) == ({"slow_reader": 1}, 1)
        assert found.offered == found.delivered + found.dropped + found.disconnected
        assert found.disconnected > 0
        await deaf.aclose()


async def test_the_oldest_volatile_messages_for_a_reader_that_stops_are_dropped() -> None:
    """It stays, and when it reads on it gets whole frames, in order, and the newest of all."""
    limits = Limits(outbox_bytes=20_000)
    async with serving([("hot:*", Hot)], limits=limits) as node, trio.open_nursery() as nursery:
        deaf = await _deaf(node, nursery)
        client = Client(deaf)
        for n in range(400):
            node.endpoint.broadcast(ROOM, "tick", {"n": n, "fill": "x" * 200})
            await trio.testing.wait_all_tasks_blocked()
        found = node.hub.statistics()
        assert found.dropped > 0
        assert (found.overflows, node.endpoint.statistics().connections) == (0, 1)
        seen = await _frames(deaf)
        assert seen == sorted(set(seen))
        assert (seen[0], seen[-1], len(seen)) == (0, 399, 400 - found.dropped)
        assert client.pongs == []
        await deaf.aclose()


async def _frames(stream: trio.abc.Stream) -> list[int]:
    """The numbers in all frames that are there to be read."""
    data = bytearray()

    async def read() -> None:
        while True:
            data.extend(await stream.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    marks = bytes(data).split(b'{"n":')[1:]
    return [int(mark.split(b",")[0]) for mark in marks]


async def test_a_client_that_vanishes_while_it_is_written_to_is_gone() -> None:
    """Nothing is raised, and what it had not got is counted."""
    async with serving([("hot:*", Hot)]) as node:
        async with trio.open_nursery() as nursery:
            deaf = await _deaf(node, nursery)
            node.hub.publish(ROOM, "tick", {"fill": "x" * 500_000})
            await trio.testing.wait_all_tasks_blocked()
            await deaf.aclose()
        found = node.hub.statistics()
        assert (found.disconnected, found.queued) == (1, 0)
        assert node.endpoint.statistics().connections == 0


async def test_a_goodbye_comes_after_what_waited() -> None:
    """A client that reads slowly gets its messages, then the close frame."""
    async with (
        serving([("hot:*", Hot)]) as node,
        connect(node.endpoint, streams=sockets()) as client,
    ):
        await client.join(ROOM)
        for n in range(1000):
            node.hub.publish(ROOM, "tick", {"n": n, "fill": "x" * 200})
        await node.endpoint.drain()
        assert await client.assert_ended() == 1012
        assert await _numbers(client, 1000) == list(range(1000))


async def test_frames_in_one_packet_are_all_acted_upon() -> None:
    """Also when the last is cut in the middle."""
    async with serving([("hot:*", Hot)]) as node, connect(node.endpoint) as client:
        await client.join(ROOM)
        push = b'["1","2","hot:1","echo",{}]'
        frame = b"\x81" + bytes((0x80 | len(push),)) + b"\0\0\0\0" + push
        packet = frame * 10
        await client.stream.send_all(packet[:-5])
        assert len(await client.received()) == 9
        await client.stream.send_all(packet[-5:])
        assert await client.received() == [
            Envelope("1", "2", ROOM, "phx_reply", {"status": "ok", "response": {}})
        ]
