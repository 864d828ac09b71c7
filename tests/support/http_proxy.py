"""An HTTP proxy before several servers: each request goes to the next, and any answer may be lost.

No connection is kept, neither by clients nor to servers, so nothing sticks to anything.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle

import h11
import httpx
import trio

from tests.support.no_tls import NO_TLS

_READ_BYTES = 64 * 1024
# Of a connection and not of what is passed on; or said anew.
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length"})


def lose_nothing(_request: h11.Request, _body: bytes) -> bool:
    """Whether to lose an answer: none."""
    return False


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        port: on 127.0.0.1.
        servers: to which requests go in turn: their ports.
        lose: asked of every request with the body of its answer: whether the client is cut off
            instead of being given that.
        passed: how many requests each server got.
        lost: how many answers were.
    """

    servers: list[int]
    lose: Callable[[h11.Request, bytes], bool] = lose_nothing
    port: int = 0
    passed: list[int] = field(default_factory=list)
    lost: int = 0

    @property
    def url(self) -> str:
        """The base of its URLs."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """What a Phoenix client is given."""
        return f"ws://127.0.0.1:{self.port}/socket"


@asynccontextmanager
async def proxying(*servers: int) -> AsyncIterator[Proxy]:
    """Run a proxy before the servers on these ports."""
    proxy = Proxy(list(servers), passed=[0] * len(servers))
    turns = cycle(range(len(servers)))
    # A long poll takes ten seconds.
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS) as http, trio.open_nursery() as nursery:

        async def serve(stream: trio.SocketStream) -> None:
            # A server that is killed takes the requests along that it has: who asked is cut off.
            gone = httpx.TransportError, trio.BrokenResourceError, h11.RemoteProtocolError
            with suppress(*gone):
                await _serve(stream, proxy, next(turns), http)

        start = partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        (listener,) = await nursery.start(start)
        proxy.port = listener.socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()


async def _serve(
    stream: trio.SocketStream, proxy: Proxy, turn: int, http: httpx.AsyncClient
) -> None:
    """Pass one request on, and its answer back, unless that is to be lost."""
    connection = h11.Connection(h11.SERVER)
    request, body = await _read(stream, connection)
    proxy.passed[turn] += 1
    answer = await http.request(
        request.method.decode(),
        f"http://127.0.0.1:{proxy.servers[turn]}{request.target.decode()}",
        headers=[(name, value) for name, value in request.headers if name not in _HOP_BY_HOP],
        content=body,
    )
    if proxy.lose(request, answer.content):
        proxy.lost += 1
        return
    headers = [
        (name, value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP
    ]
    headers += [(b"Content-Length", b"%d" % len(answer.content)), (b"Connection", b"close")]
    for event in (
        h11.Response(status_code=answer.status_code, headers=headers),
        h11.Data(data=answer.content),
        h11.EndOfMessage(),
    ):
        await stream.send_all(connection.send(event) or b"")


async def _read(stream: trio.SocketStream, connection: h11.Connection) -> tuple[h11.Request, bytes]:
    """A whole request."""
    request: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(_READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None, "a request begins with its head"
            return request, body
        else:
            raise trio.BrokenResourceError("the client left")
