"""One port over real sockets: whole and broken requests, upgrades, bounds, and the end."""

import errno
import socket
from dataclasses import replace
from typing import cast

import h11
import httpx
import pytest
import trio
import trio.testing

from actors import Lifeline
from app.domain.errors import Code
from app.http.listener import SOCKET_PATH, Bind, check_free
from app.http.message import Request, Response
from app.http.operations import public
from app.http.router import Route
from app.http.services import Services
from app.limits import BODY_BYTES_MAX, HEAD_BYTES_MAX, HEAD_S
from app.storage.errors import StartupError
from tests.app.http.node import Node, bare_services, serving
from tests.support.no_tls import NO_TLS

UPGRADE = (
    b"GET %s?vsn=2.0.0&token=secret HTTP/1.1\r\nHost: a\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"


async def exchange(node: Node, sent: bytes) -> bytes:
    """Everything the server says to these bytes, until it closes."""
    async with await node.connect() as stream:
        await stream.send_all(sent)
        return b"".join([bytes(data) async for data in stream])


def parse(answer: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """The responses in these bytes, as h11 reads them: status, headers, body."""
    client = h11.Connection(h11.CLIENT)
    found: list[tuple[int, dict[str, str], bytes]] = []
    rest = answer
    while rest:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(rest)
        head = client.next_event()
        assert isinstance(head, h11.Response), head
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), event
        headers = {name.decode(): value.decode() for name, value in head.headers}
        found.append((head.status_code, headers, body))
        rest = client.trailing_data[0]
    return found


def client(node: Node) -> httpx.AsyncClient:
    """An ordinary HTTP client of this node."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{node.port}", verify=NO_TLS)


async def test_an_ordinary_client_is_served() -> None:
    """The index links to what there is, and a connection is used again."""
    async with serving(bare_services()) as node, client(node) as http:
        index = await http.get("/")
        assert index.json()["links"]["openapi"] == "/openapi.json"
        for _ in range(3):
            assert (await http.get("/livez")).json() == {"status": "live"}
        assert node.listener.statistics().accepted == 1


@pytest.mark.parametrize("size", [1, 7])
async def test_a_head_may_come_in_pieces(size: int) -> None:
    """A request cut anywhere is the same request."""
    sent = LIVE.replace(b"Host", b"Connection: close\r\nHost")
    async with serving(bare_services()) as node, await node.connect() as stream:
        for begin in range(0, len(sent), size):
            await stream.send_all(sent[begin : begin + size])
            await trio.testing.wait_all_tasks_blocked()
        ((status, _, _),) = parse(b"".join([bytes(data) async for data in stream]))
        assert status == 200


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests sent at once are answered one after another on one connection."""
    last = LIVE.replace(b"/livez", b"/nowhere").replace(b"Host", b"Connection: close\r\nHost")
    async with serving(bare_services()) as node:
        answers = parse(await exchange(node, LIVE * 3 + last))
        assert [status for status, _, _ in answers] == [200, 200, 200, 404]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x00",
        b"hello there\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_is_refused_and_disturbs_nobody(sent: bytes) -> None:
    """What is not HTTP is answered 400 and closed; the next client is served."""
    async with serving(bare_services()) as node, client(node) as http:
        answers = parse(await exchange(node, sent))
        assert [status for status, _, _ in answers] == [400]
        assert (await http.get("/livez")).status_code == 200
        assert node.seen.told("actor.crashed") == []


@pytest.mark.parametrize("target", ["//", "/%00", "/%ff", "/a%2fb", "*", "livez", "http://[bad/"])
async def test_a_strange_target_is_not_found(target: str) -> None:
    """What names no resource is 404, however it is spelt."""
    sent = f"GET {target} HTTP/1.1\r\nHost: [strange\r\nConnection: close\r\n\r\n"
    async with serving(bare_services()) as node:
        ((status, headers, _),) = parse(await exchange(node, sent.encode()))
        assert (status, headers["content-type"]) == (404, "application/problem+json")


async def test_a_client_that_ends_its_side_is_answered() -> None:
    """A client may send its requests, end its side, and read on."""
    async with serving(bare_services()) as node, await node.connect() as stream:
        await stream.send_all(LIVE * 2)
        await stream.send_eof()
        answers = parse(b"".join([bytes(data) async for data in stream]))
        assert [status for status, _, _ in answers] == [200, 200]


async def test_a_client_that_says_nothing_and_leaves_is_no_trouble() -> None:
    """A connection that is closed or reset before it said anything just ends."""
    async with serving(bare_services()) as node, client(node) as http:
        await (await node.connect()).aclose()
        rude = await node.connect()
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await rude.aclose()
        assert (await http.get("/livez")).status_code == 200
        assert node.seen.told("actor.crashed") == []


async def test_a_head_that_is_too_long_is_refused() -> None:
    """A head beyond the bound is 431, also when its end was sent."""
    sent = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_BYTES_MAX
    async with serving(bare_services()) as node:
        ((status, headers, body),) = parse(await exchange(node, sent))
        assert (status, headers["content-type"]) == (431, "application/problem+json")
        assert b'"too_large"' in body
        assert node.listener.statistics().turned_away == 1


async def test_a_head_that_dribbles_is_cut_off(mock_clock: trio.testing.MockClock) -> None:
    """A head has one deadline, however often a byte of it comes."""
    async with serving(bare_services()) as node, await node.connect() as stream:
        for byte in (b"G", b"E", b"T"):
            await stream.send_all(byte)
            await trio.testing.wait_all_tasks_blocked(0.01)
            mock_clock.jump(HEAD_S / 2 - 0.1)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_is_too_large_is_refused_with_an_answer() -> None:
    """A body beyond the bound is 413, declared or chunked, and the answer arrives."""

    async def endless() -> object:
        for _ in range(64):
            yield bytes(BODY_BYTES_MAX // 16)

    async with serving(bare_services()) as node, client(node) as http:
        declared = await http.post("/v1/transactions", content=bytes(BODY_BYTES_MAX + 1))
        assert (declared.status_code, declared.json()["code"]) == (413, Code.TOO_LARGE)
        chunked = await http.post("/v1/transactions", content=endless())  # type: ignore[arg-type]  # an async iterator of bytes
        assert (chunked.status_code, chunked.json()["code"]) == (413, Code.TOO_LARGE)


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "BREW"])
async def test_another_method_is_refused_with_what_is_allowed(method: str) -> None:
    """A method that a resource lacks is 405, and says which there are."""
    async with serving(bare_services()) as node, client(node) as http:
        answer = await http.request(method, "/v1/sales")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert answer.json()["code"] == Code.METHOD_NOT_ALLOWED


async def test_head_and_options_follow_from_the_table() -> None:
    """HEAD answers as GET does but for the body; OPTIONS says what is allowed."""
    async with serving(bare_services()) as node, client(node) as http:
        get, head = await http.get("/livez"), await http.head("/livez")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))
        options = await http.options("/livez")
        assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_an_upgrade_goes_to_the_endpoint() -> None:
    """An upgrade of the socket's path is the endpoint's, first on a connection or later."""
    async with serving(bare_services()) as node:
        upgrade = UPGRADE % SOCKET_PATH.encode()
        assert await exchange(node, upgrade) == b"upgraded /socket/websocket"
        async with await node.connect() as stream:
            await stream.send_all(LIVE)
            assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 200")
            await stream.send_all(upgrade)
            rest = b"".join([bytes(data) async for data in stream])
            assert rest.endswith(b"upgraded /socket/websocket")


async def test_an_upgrade_of_another_path_is_not_found() -> None:
    """There is one path for sockets; another is 404, as a problem."""
    async with serving(bare_services()) as node:
        ((status, _, body),) = parse(await exchange(node, UPGRADE % b"/socket"))
        assert (status, b"not_found" in body) == (404, True)


async def test_connections_beyond_the_bound_are_told_and_closed() -> None:
    """One connection too many is told, without JSON; when another ends there is room again."""
    async with serving(bare_services(), max_connections=1) as node:
        async with await node.connect() as stream:
            await stream.send_all(LIVE)
            await stream.receive_some()
            async with await node.connect() as one_too_many:
                answer = b"".join([bytes(data) async for data in one_too_many])
            ((status, headers, body),) = parse(answer)
            assert (status, headers["retry-after"], body[:1]) == (503, "1", b"T")
            assert node.listener.statistics().refused == 1
        while node.connections.statistics().children:
            await trio.testing.wait_all_tasks_blocked(0.001)
        answers = parse(await exchange(node, LIVE.replace(b"Host", b"Connection: close\r\nHost")))
        assert [status for status, _, _ in answers] == [200]


async def test_a_connection_that_crashes_disturbs_nobody() -> None:
    """An endpoint that fails loses its own connection; the listener goes on."""
    async with serving(bare_services()) as node, client(node) as http:
        node.endpoint.broken = True
        assert await exchange(node, UPGRADE % SOCKET_PATH.encode()) == b""
        assert (await http.get("/livez")).status_code == 200
        assert len(node.seen.told("actor.crashed")) == 1


async def test_a_fault_in_a_handler_is_told_by_its_id_alone() -> None:
    """A handler's exception is 500 with an id that the log has too, and nothing of its text."""

    async def crash(_services: Services, _request: Request) -> Response:
        raise RuntimeError("the password is hunter2")

    routes = (Route("GET", "/crash", crash, public("crash", "Crashes.", dict)),)
    async with serving(bare_services(), routes=routes) as node, client(node) as http:
        answer = await http.get("/crash")
        (told,) = node.seen.told("request.crashed")
        assert answer.status_code == 500
        assert answer.json()["instance"] == f"urn:agio:fault:{told['fault']}"
        assert "hunter2" not in answer.text
        assert (await http.get("/crash")).status_code == 500


async def test_no_query_and_no_token_is_ever_told() -> None:
    """The access log has the route's template, not what was asked."""
    async with serving(bare_services()) as node, client(node) as http:
        await http.get("/livez?token=secret", headers={"Authorization": "Bearer secret"})
        await http.get("/secret/path")
        assert "secret" not in repr(node.seen.events)
        served = node.seen.told("request.served")
        assert [each["route"] for each in served] == ["/livez", "unmatched"]
        assert node.seen.observed == [("/livez", "GET", 200), ("unmatched", "GET", 404)]


async def test_stopping_lets_requests_under_way_end() -> None:
    """A stop closes the port and idle connections, drains the endpoint, and waits for requests."""
    asked, go = trio.Event(), trio.Event()

    async def slow(_services: Services, _request: Request) -> Response:
        asked.set()
        await go.wait()
        return Response(200, (), b"done")

    routes = (Route("GET", "/slow", slow, public("slow", "Slow.", dict)),)
    async with serving(bare_services(), routes=routes) as node, client(node) as http:
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await http.get("/slow"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await asked.wait()
            node.life.request_stop()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert node.readiness.draining
            assert node.endpoint.drained
            with pytest.raises(OSError, match="all attempts to connect"):
                await node.connect()
            assert not node.stopped.is_set()
            go.set()
        await node.stopped.wait()
        assert answers[0].content == b"done"


async def test_upgrades_are_refused_while_stopping() -> None:
    """A node that stops sends a new socket elsewhere."""
    async with serving(bare_services()) as node:
        node.readiness.draining = True
        ((status, headers, _),) = parse(await exchange(node, UPGRADE % SOCKET_PATH.encode()))
        assert (status, headers["retry-after"]) == (503, "1")


async def test_a_listener_may_run_again() -> None:
    """After a stop the same listener serves as before."""
    async with serving(bare_services()) as node:
        node.life.request_stop()
        await node.stopped.wait()
        ready = trio.Event()
        life = Lifeline()
        life.on_ready(ready.set)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.listener.run, life)
            await ready.wait()
            again = replace(node, port=life.value)  # type: ignore[arg-type]  # the port
            async with client(again) as http:
                assert (await http.get("/livez")).status_code == 200
            assert not node.readiness.draining
            life.request_stop()


async def test_a_port_in_use_is_one_clear_line() -> None:
    """Listening where somebody listens is a StartupError, which can be found out before."""
    async with serving(bare_services()) as node:
        taken = Bind("127.0.0.1", node.port)
        line = f"cannot listen on 127.0.0.1 port {node.port}: it is in use; AGIO_PORT names another"
        with pytest.raises(StartupError, match=line):
            check_free(taken)
        node.listener._bind = taken
        with pytest.raises(StartupError, match=line):
            await node.listener.run(Lifeline())
    check_free(Bind("127.0.0.1", 0))


def test_an_address_that_is_not_ours_is_one_clear_line() -> None:
    """An address of another machine is a StartupError."""
    with pytest.raises(StartupError, match=r"cannot listen on 192\.0\.2\.1 port 0: "):
        check_free(Bind("192.0.2.1", 0))


class StarvedSocket:
    """A listening socket whose process has no file descriptors left, at first."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.failures = [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED]

    def fileno(self) -> int:
        """Its descriptor."""
        return self._listening.fileno()

    def accept(self) -> object:
        """Fail as long as there are failures."""
        if self.failures:
            number = self.failures.pop()
            raise OSError(number, "starved")
        return self._listening.accept()


async def test_running_out_of_file_descriptors_is_survived() -> None:
    """When accept fails for want of descriptors, the loop rests and goes on."""
    async with serving(bare_services()) as node, trio.open_nursery() as nursery:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            starved = cast(socket.socket, StarvedSocket(listening))
            nursery.start_soon(node.listener._accept_forever, starved)
            again = replace(node, port=listening.getsockname()[1])
            async with client(again) as http:
                assert (await http.get("/livez")).status_code == 200
            assert node.listener.statistics().starved == 2
            nursery.cancel_scope.cancel()
