"""Connecting, refusing, and the ways a connection ends."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from actors import System
from channels.handshake import TOKEN_PREFIX, ConnectRefused
from channels.limits import Limits
from channels.reception import SocketHandler
from channels.router import Router
from channels.serializer import Envelope
from channels.testing import Anyone, Client, HandshakeRefused, Node, connect, serving
from tests.channels.rooms import Hot, Script

Told = list[tuple[str, Mapping[str, object]]]


class Doorman(SocketHandler):
    """Lets in who has the right token, and notes what it was told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Any], str | None, Mapping[str, str], str]] = []

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> object:
        """Do as the token says."""
        self.asked.append((params, token, headers, address))
        match token:
            case "limited":
                return ConnectRefused(429)
            case "crash":
                raise ValueError("a crash on purpose")
            case "hang":
                await trio.sleep_forever()
        return {"name": token} if token else ConnectRefused()


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture
def told() -> Told:
    """The events that were told."""
    return []


@pytest.fixture
async def node(script: Script, told: Told) -> AsyncIterator[Node]:
    """A node with rooms."""

    def emit(name: str, fields: Mapping[str, object]) -> None:
        told.append((name, fields))

    routes = [("room:*", script.room), ("hot:*", Hot)]
    limits = Limits(malformed=3, message_bytes=1000, drain_batch=2)
    async with serving(routes, handler=Doorman(), limits=limits, system=System(emit)) as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A client of the node."""
    async with connect(node.endpoint, token="ann") as client:
        yield client


async def test_the_handler_is_told_who_asks() -> None:
    """Params without the token, the token, headers in lower case."""
    doorman = Doorman()
    async with (
        serving([], handler=doorman) as node,
        connect(node.endpoint, token="t", params={"a[b]": "c"}) as client,
    ):
        await client.heartbeat()
    ((params, token, headers, address),) = doorman.asked
    assert (params, token, address) == ({"vsn": "2.0.0", "a": {"b": "c"}}, "t", "")
    assert all(name == name.lower() for name in headers)


async def test_a_token_by_subprotocol_is_answered_with_the_protocol(node: Node) -> None:
    """Without the token in it."""
    offered = ["phoenix", TOKEN_PREFIX + b64encode(b"ann?>").decode().rstrip("=")]
    async with connect(node.endpoint, subprotocols=offered) as client:
        assert client.subprotocol == "phoenix"
        await client.join("room:1")


@pytest.mark.parametrize(
    ("asked", "status", "body", "reason"),
    [
        ({}, 403, b"", "refused by the application"),
        ({"token": "limited"}, 429, b"", None),
        ({"token": "ann", "path": "/elsewhere"}, 404, b"", "no such path"),
        ({"token": "ann", "subprotocols": ["other"]}, 403, b"", "no known subprotocol"),
        (
            {"token": "ann", "params": {"vsn": "3.0.0"}},
            403,
            b"This server speaks vsn 1.0 and 2.0 of the Phoenix protocol.\n",
            "other version",
        ),
    ],
)
async def test_who_is_refused_is_told_before_the_upgrade(
    node: Node, told: Told, asked: dict[str, Any], status: int, body: bytes, reason: str | None
) -> None:
    """With an HTTP status, and an empty body as a rule; the log, too, unless it may be a flood."""
    with pytest.raises(HandshakeRefused) as caught:
        async with connect(node.endpoint, **asked):
            pass
    assert (caught.value.status, caught.value.body) == (status, body)
    assert node.endpoint.statistics().refused == 1
    fields = {"status": status, "reason": reason, "address": ""}
    assert _refused(told) == ([fields] if reason else [])


def _refused(told: Told) -> list[Mapping[str, object]]:
    return [fields for name, fields in told if name == "socket.refused"]


async def test_a_handler_that_crashes_refuses() -> None:
    """The client is told 500, and the caller of serve gets the error."""
    async with serving([], handler=Doorman()) as node:
        with pytest.RaisesGroup(pytest.RaisesGroup(ValueError)):
            async with connect(node.endpoint, token="crash"):
                pass
        assert node.endpoint.statistics().connections == 0


async def test_a_handshake_has_a_deadline(
    node: Node, told: Told, autojump_clock: trio.testing.MockClock
) -> None:
    """For the application's part, and for the client's."""
    ours, theirs = trio.testing.memory_stream_pair()
    await ours.send_all(b"GET /socket/websocket HTTP/1.1\r\nHost: x\r\n")
    await node.endpoint.serve(theirs, b"")
    assert autojump_clock.current_time() == pytest.approx(Limits().handshake_s)
    assert await ours.receive_some() == b""
    with pytest.raises(HandshakeRefused, match="without an answer"):
        async with connect(node.endpoint, token="hang"):
            pass
    assert _refused(told) == [{"status": 0, "reason": "left, or too slow", "address": ""}] * 2


@pytest.mark.parametrize(
    "head",
    [
        b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /socket/websocket HTTP/1.1\r\nHost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_what_is_no_upgrade_is_refused(node: Node, head: bytes) -> None:
    """And does not wait for a deadline."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.endpoint.serve, theirs, head)
        answer = await ours.receive_some()
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_an_endless_head_is_cut_off(node: Node) -> None:
    """It is bounded."""
    ours, theirs = trio.testing.memory_stream_pair()
    await node.endpoint.serve(theirs, b"GET /" + b"x" * 20_000)
    assert await ours.receive_some() == b""


async def test_messages_behind_the_head_are_read(node: Node) -> None:
    """A client may be quicker than the upgrade."""
    ours, theirs = trio.testing.memory_stream_pair()
    client = Client(ours)
    query = "vsn=2.0.0&token=ann"
    head = (
        f"GET /socket/websocket?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    early = b"\x81\x80\0\0\0\0" + b"\x89\x80\0\0\0\0"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.endpoint.serve, theirs, head + early)
        await trio.testing.wait_all_tasks_blocked()
        answer = await ours.receive_some()
        assert answer.endswith(b"\r\n\r\n\x8a\x00")
        assert node.endpoint.statistics().malformed == 1
        await client.stream.aclose()


async def test_a_client_that_leaves_is_gone(node: Node, script: Script, told: Told) -> None:
    """Its channels say goodbye, and nothing is left of it."""
    async with connect(node.endpoint, token="ann") as client:
        await client.join("room:1")
        await client.send_event(CloseConnection(1001))
        assert await client.assert_ended() == 1001
    found = node.endpoint.statistics()
    assert (found.connections, found.channels, found.closed) == (0, 0, {"left": 1})
    assert script.ended == [("room:1", "closed")]
    assert [name for name, _ in told if name.startswith("socket.")] == [
        "socket.opened",
        "socket.closed",
    ]


async def test_a_client_that_is_cut_off_is_gone(node: Node, script: Script) -> None:
    """As one that leaves."""
    async with connect(node.endpoint, token="ann") as client:
        await client.join("room:1")
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert node.endpoint.statistics().closed == {"lost": 1}
    assert script.ended == [("room:1", "closed")]


async def test_a_bad_frame_is_forgiven_and_many_are_not(node: Node, client: Client) -> None:
    """They are counted, the channels live on, and then the connection ends with a code of ours."""
    await client.join("room:1")
    for text in ("nonsense", "[]"):
        await client.send_text(text)
    await client.assert_reply(await client.push("room:1", "echo"))
    await client.send_event(BytesMessage(b"\x01\x01\x01\x04\x04"))
    assert await client.assert_ended() == 4400
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().malformed == 3


async def test_the_largest_message_passes_and_a_larger_one_ends_the_connection(
    client: Client,
) -> None:
    """With the code for that."""
    await client.join("room:1")
    empty = len('["1","2","room:1","echo",{"a":""}]')
    ref = await client.push("room:1", "echo", {"a": "x" * (1000 - empty)})
    await client.assert_reply(ref)
    await client.push("room:1", "echo", {"a": "x" * (1001 - empty)})
    assert await client.assert_ended() == 1009


async def test_text_that_is_no_utf8_ends_the_connection(node: Node, client: Client) -> None:
    """The lane leaves it to the library, and the client is told the code."""
    await client.heartbeat()
    await client.stream.send_all(b"\x81\x81\0\0\0\0\xff")
    assert await client.assert_ended() == 1007
    await trio.testing.wait_all_tasks_blocked()
    assert node.endpoint.statistics().closed == {"invalid_data": 1}


async def test_a_broken_frame_ends_the_connection(client: Client) -> None:
    """One without a mask, as no client may send."""
    await client.heartbeat()
    await client.stream.send_all(b"\x81\x02hi")
    assert await client.assert_ended() == 1002


async def test_pings_and_fragments_keep_their_place_among_plain_frames(client: Client) -> None:
    """The lane overtakes nothing."""
    await client.join("hot:1")
    fragments = '["1","f","hot:1","shout",{"n":2}]'
    await client.push("hot:1", "shout", {"n": 1})
    await client.send_event(TextMessage(fragments[:9], message_finished=False))
    await client.send_event(Ping(b"within"))
    await client.send_event(TextMessage(fragments[9:]))
    await client.push("hot:1", "shout", {"n": 3})
    assert [envelope.payload["n"] for envelope in await client.received()] == [1, 2, 3]
    assert client.pongs == [b"within"]


async def test_a_silent_client_is_given_up(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    """After a minute without a byte; a heartbeat puts it off."""
    began = autojump_clock.current_time()
    async with connect(node.endpoint, token="ann") as client:
        await trio.sleep(30)
        await client.heartbeat()
        assert await client.assert_ended() == 4408
    assert autojump_clock.current_time() - began == pytest.approx(90, abs=7)


async def test_draining_sends_everybody_elsewhere(node: Node, script: Script) -> None:
    """In batches, with 1012; whoever comes meanwhile is refused."""
    codes: list[int] = []

    async def stay() -> None:
        async with connect(node.endpoint, token="ann") as client:
            await client.join("room:1")
            codes.append(await client.assert_ended())

    async def come_late() -> None:
        with pytest.raises(HandshakeRefused, match="503"):
            async with connect(node.endpoint, token="bob"):
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(stay)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(node.endpoint.drain)
        nursery.start_soon(come_late)
    assert codes == [1012] * 5
    assert script.ended == [("room:1", "closed")] * 5
    assert node.endpoint.statistics().closed == {"drained": 5}
    async with connect(node.endpoint, token="ann") as client:
        await client.heartbeat()


async def test_draining_ends_in_time(
    node: Node, told: Told, autojump_clock: trio.testing.MockClock
) -> None:
    """Also when a client does not say goodbye, and a channel hangs."""
    async with trio.open_nursery() as nursery:
        async with connect(node.endpoint, token="ann") as client:
            await client.join("room:1")
            await client.assert_reply(await client.push("room:1", "goodbye", {"do": "hang"}))
            began = autojump_clock.current_time()
            await node.endpoint.drain()
            assert autojump_clock.current_time() - began == pytest.approx(Limits().drain_s)
        nursery.cancel_scope.cancel()
    assert ("socket.drained", {"connections": 1, "left": 1}) in told


async def test_a_bug_of_ours_is_told_with_1011() -> None:
    """And goes on to whoever accepted the connection."""

    class Broken(Router):
        """Fails where nothing may."""

        def route(self, topic: str) -> None:
            """Not at all."""
            raise RuntimeError(topic)

    async with serving([]) as node:
        node.endpoint.around = replace(node.endpoint.around, router=Broken([]))
        with pytest.RaisesGroup(pytest.RaisesGroup(RuntimeError)):
            async with connect(node.endpoint) as client:
                await client.send_join("room:1")
                assert await client.assert_ended() == 1011


async def test_statistics_count_what_there_is(node: Node, client: Client) -> None:
    """Connections, channels, and what came in."""
    await client.join("room:1")
    await client.join("room:2", {"do": "crash"}, status="error")
    await client.push("room:1", "crash")
    await client.assert_crash("room:1")
    await client.join("room:3")
    found = node.endpoint.statistics()
    assert (found.connections, found.channels, found.opened) == (1, 1, 1)
    assert (found.received, found.joined, found.crashed) == (4, 2, 2)


async def test_anyone_is_let_in_by_the_handler_for_tests() -> None:
    """Under the name they give."""
    assert await Anyone().connect({}, "ann", {}, "") == "ann"


async def test_a_hundred_clients_share_a_room(node: Node) -> None:
    """Each hears each other one once."""
    heard: list[list[Envelope]] = []

    async def visit(n: int) -> None:
        async with connect(node.endpoint, token="ann") as client:
            await client.join("hot:1")
            await trio.testing.wait_all_tasks_blocked()
            await client.push("hot:1", "shout", {"n": n})
            heard.append(await client.received())
            await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        for n in range(50):
            nursery.start_soon(visit, n)
    for messages in heard:
        assert sorted(envelope.payload["n"] for envelope in messages) == list(range(50))
