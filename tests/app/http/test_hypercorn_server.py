"""hypercorn on connections it is given: what is used of it, and what is put right."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.connection
import h2.events
import hypercorn.protocol
import trio
import trio.testing
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from actors.events import drop_event
from app.http.hypercorn_server import HttpServer
from app.limits import KEEP_ALIVE_S, WRITE_S

DRAIN_S = 5.0
UPGRADE = b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def test_what_is_used_of_hypercorn_is_still_there() -> None:
    """The parts of hypercorn that are not public are as the pinned version has them."""
    assert list(inspect.signature(TCPServer.__init__).parameters) == [
        "self",
        "app",
        "config",
        "context",
        "state",
        "stream",
    ]
    assert list(inspect.signature(WorkerContext.__init__).parameters) == ["self", "max_requests"]
    run = inspect.getsource(TCPServer.run)
    assert "await self._read_data()" in run
    assert "self.protocol = ProtocolWrapper(" in run
    used = set(inspect.getsource(TCPServer).split("self.stream.")[1:])
    assert {each.split("(")[0].split(".")[0].split("\n")[0] for each in used} == {
        "do_handshake",
        "selected_alpn_protocol",
        "transport_stream",
        "socket",
        "send_all",
        "receive_some",
        "send_eof",
        "aclose",
    }
    assert "self.protocol: H11Protocol | H2Protocol" in inspect.getsource(
        hypercorn.protocol.ProtocolWrapper
    )
    assert "self.stream = None" in inspect.getsource(H11Protocol._close_stream)


async def echo(_scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """An ASGI application that answers with the length of the body."""
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"%d" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def flood(_scope: Any, _receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """An ASGI application whose answer no socket holds."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000):
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})


@dataclass
class Connection:
    """Both ends of a connection over loopback that a server serves.

    Attributes:
        client: the client's end.
        served: the server's end.
        over: set when `serve` has come back.
        head: with what.
    """

    client: trio.SocketStream
    served: trio.SocketStream
    over: trio.Event = field(default_factory=trio.Event)
    head: bytes = b""

    async def read_until(self, end: bytes) -> bytes:
        """Read on until what was read ends so."""
        read = b""
        while not read.endswith(end):
            data = await self.client.receive_some()
            assert data, f"the connection ended after {read!r}"
            read += data
        return read


@asynccontextmanager
async def connection(server: HttpServer, head: bytes = GET) -> AsyncIterator[Connection]:
    """A connection of which `head` was read before it is served."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        client = await trio.open_tcp_stream(*listener.socket.getsockname())
        made = Connection(client, await listener.accept())

        async def serve() -> None:
            made.head = await server.serve(made.served, head)
            made.over.set()

        nursery.start_soon(serve)
        async with client, made.served:
            yield made
            nursery.cancel_scope.cancel()


def plain(app: Any = echo) -> HttpServer:
    """A server of this application that tells nobody."""
    return HttpServer(app, drop_event, drain_s=DRAIN_S)


async def test_requests_follow_each_other_on_one_connection() -> None:
    """A connection is kept, and pipelined requests are answered in order."""
    async with connection(plain()) as to:
        first = await to.read_until(b"\r\n\r\n0")
        assert first.startswith(b"HTTP/1.1 200")
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
        await to.client.send_all(post % (3, b"abc") + post % (4, b"abcd") + GET)
        rest = await to.read_until(b"\r\n\r\n0")
        assert rest.count(b"HTTP/1.1 200") == 3
        assert rest.index(b"\r\n\r\n3") < rest.index(b"\r\n\r\n4")


async def test_http2_is_spoken_by_prior_knowledge() -> None:
    """A client that begins with the preface of HTTP/2 gets HTTP/2."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(
        1,
        [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")],
        end_stream=True,
    )
    async with connection(plain(), client.data_to_send()) as to:
        events: list[h2.events.Event] = []
        while not any(isinstance(each, h2.events.StreamEnded) for each in events):
            events += client.receive_data(bytes(await to.client.receive_some()))
        data = [each.data for each in events if isinstance(each, h2.events.DataReceived)]
        assert b"".join(data) == b"0"


async def test_a_late_upgrade_is_handed_back() -> None:
    """An upgrade between two requests ends the serving, and the connection stays open."""
    async with connection(plain()) as to:
        await to.read_until(b"\r\n\r\n0")
        await to.client.send_all(UPGRADE[:20])
        await trio.testing.wait_all_tasks_blocked(0.01)
        await to.client.send_all(UPGRADE[20:])
        await to.over.wait()
        assert to.head == UPGRADE
        await to.served.send_all(b"still open")
        assert await to.read_until(b"open") == b"still open"


async def test_a_client_that_leaves_is_let_go_at_once(mock_clock: trio.testing.MockClock) -> None:
    """When an idle client closes, nothing waits for the keep-alive timer."""
    server = plain()
    async with connection(server) as to:
        await to.read_until(b"\r\n\r\n0")
        assert server.serving == 1
        await to.client.aclose()
        await to.over.wait()
        assert (server.serving, mock_clock.current_time()) == (0, 0.0)


async def test_an_idle_connection_is_closed_after_its_time(
    mock_clock: trio.testing.MockClock,
) -> None:
    """A connection that nothing is asked on is closed, also when half a head came."""
    async with connection(plain()) as to:
        await to.read_until(b"\r\n\r\n0")
        await to.client.send_all(GET[:10])
        await trio.testing.wait_all_tasks_blocked(0.01)
        mock_clock.jump(KEEP_ALIVE_S)
        assert await to.client.receive_some() == b""
        await to.client.aclose()
        await to.over.wait()


async def test_a_reader_that_takes_nothing_is_given_up(mock_clock: trio.testing.MockClock) -> None:
    """A response that a peer does not read ends with its deadline, not never."""
    async with connection(plain(flood)) as to:
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not to.over.is_set()
        mock_clock.jump(WRITE_S)
        await to.over.wait()


async def test_a_cancellation_breaks_a_send(mock_clock: trio.testing.MockClock) -> None:
    """Cancelling a connection whose peer reads nothing ends it at once."""
    async with connection(plain(flood)):
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert mock_clock.current_time() == 0.0


async def test_draining_closes_idle_connections_and_waits_for_requests() -> None:
    """Idle connections are closed; a request under way is answered before its connection ends."""
    asked, go = trio.Event(), trio.Event()

    async def patient(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await go.wait()
        await echo(scope, receive, send)

    quick, slow = plain(), plain(patient)
    async with connection(quick) as idle, connection(slow) as busy:
        await idle.read_until(b"\r\n\r\n0")
        await asked.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(quick.drain)
            nursery.start_soon(slow.drain)
            assert await idle.client.receive_some() == b""
            assert slow.serving == 1
            go.set()
            await busy.read_until(b"\r\n\r\n0")
            assert await busy.client.receive_some() == b""
        assert (quick.serving, slow.serving) == (0, 0)


async def test_draining_closes_what_was_served_before_a_restart() -> None:
    """A listener that crashed opens the server again; connections from before are still its own."""
    server = plain()
    async with connection(server) as idle:
        await idle.read_until(b"\r\n\r\n0")
        server.open()
        await server.drain()
        assert await idle.client.receive_some() == b""
        assert server.serving == 0


async def test_draining_ends_with_its_deadline(mock_clock: trio.testing.MockClock) -> None:
    """A request that does not end holds up a drain no longer than its deadline."""
    server = plain(flood)
    async with connection(server), trio.open_nursery() as nursery:
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.start_soon(server.drain)
        await trio.testing.wait_all_tasks_blocked(0.01)
        mock_clock.jump(DRAIN_S)


async def test_a_fault_below_the_application_is_told_and_closes_the_connection() -> None:
    """What hypercorn itself raises is an event, and no more than that connection's end."""
    told: list[str] = []

    async def broken(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a\nb", b"c")]})

    server = HttpServer(broken, lambda name, _fields: told.append(name), drain_s=DRAIN_S)
    async with connection(server) as to:
        await to.over.wait()
        assert b"200" not in bytes(await to.client.receive_some())
