"""The one file that knows hypercorn: it serves an ASGI application on one connection at a time.

Theory of operation. hypercorn's own `serve` wants the listening socket, which here has another
owner: the listener gives each connection to `HttpServer.serve`. That uses hypercorn's `TCPServer`,
which is not public: the version is pinned and a test stands guard over what is used of it.

What it does otherwise is put right here:

- *An upgrade that comes late.* A proxy may send a WebSocket handshake into a connection that has
  served plain requests before. Between two requests, and only there, the next head is looked at;
  an upgrade ends `serve`, which hands that head back, and the connection stays open. What comes
  while a request is being answered waits for that answer's end, so that it is looked at too.
- *A client that ends its side early.* hypercorn takes the end of a client's side for the client's
  end and drops the request; here a request that was read whole is answered first.
- *A reader that takes nothing.* hypercorn shields its sends from cancellation, without a deadline.
  `_Outlet` gives every send one, and lets a cancellation break a send that is under way. A send
  that failed cancels all that the connection does: nobody is left to hear of it.
- *A connection that is over.* hypercorn waits out its idle timer before it lets go of a connection
  that the client closed; here the timer ends with the reading. It also closes at once where a
  request was refused half read; see `farewell` for what that does to the answer.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from actors import Emit
from app.http.farewell import part_with
from app.http.head import is_websocket_upgrade, read_head
from app.limits import (
    HEAD_BYTES_MAX,
    HTTP2_STREAMS_MAX,
    KEEP_ALIVE_S,
    WRITE_S,
)

_READ_BYTES: Final = 64 * 1024


class HttpServer:
    """Serves HTTP/1.1 and HTTP/2 over cleartext on connections it is given."""

    def __init__(self, app: Any, emit: Emit, *, drain_s: float) -> None:
        """A server of connections that it is given.

        Args:
            app: an ASGI application that needs no lifespan.
            emit: takes `connection.failed`.
            drain_s: seconds that requests under way are given to end when the server stops.
        """
        self._app = wrap_app(app, _READ_BYTES, "asgi")
        self._config = _config()
        self._context = WorkerContext(None)
        self._emit = emit
        self._drain_s = drain_s
        self._serving = 0
        self._idle = trio.Event()

    @property
    def serving(self) -> int:
        """Connections being served."""
        return self._serving

    def open(self) -> None:
        """Serve from now on: forget an earlier `drain`."""
        if self._context.terminated.is_set():
            self._context = WorkerContext(None)

    async def drain(self) -> None:
        """Close what is idle, and wait until what is under way has ended, at most `drain_s`."""
        await self._context.terminated.set()
        with trio.move_on_after(self._drain_s):
            while self._serving:
                self._idle = trio.Event()
                await self._idle.wait()

    async def serve(self, stream: trio.SocketStream, head: bytes) -> bytes:
        """Serve one connection.

        Args:
            stream: the connection. It is closed, unless a head is returned.
            head: what was read of it before.

        Returns:
            The head of a WebSocket upgrade that came between two requests; else nothing.
        """
        outlet = _Outlet(stream)
        server = _Server(self._app, self._config, self._context, outlet, head)
        self._serving += 1
        try:
            async with trio.open_nursery() as nursery:
                outlet.give_up = nursery.cancel_scope.cancel
                nursery.start_soon(outlet.break_when_cancelled)
                await server
                if server.left_unread():
                    await part_with(stream)
                nursery.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - hypercorn on a peer's bytes, not ours: told, closed
            self._emit("connection.failed", {"error": error})
        finally:
            self._serving -= 1
            if not self._serving:
                self._idle.set()
            if not server.upgrade:
                await trio.aclose_forcefully(stream)
        return server.upgrade


class _Stream(Protocol):
    """What `TCPServer` uses of a stream."""

    socket: Any

    async def receive_some(self, max_bytes: int) -> bytes: ...
    async def send_all(self, data: bytes) -> None: ...
    async def send_eof(self) -> None: ...
    async def aclose(self) -> None: ...


class _Outlet:
    """A stream as hypercorn sees it: sends have a deadline, and closing only ends the reading."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._closed = False
        self._reading: trio.CancelScope | None = None
        self._sending: trio.CancelScope | None = None
        self.give_up: Callable[[], None] = self._stop_reading

    async def receive_some(self, max_bytes: int) -> bytes:
        with trio.CancelScope() as self._reading:
            if not self._closed:
                return bytes(await self._stream.receive_some(max_bytes))
        raise trio.ClosedResourceError

    async def send_all(self, data: bytes) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        try:
            with trio.fail_after(WRITE_S) as self._sending:
                await self._stream.send_all(data)
        except (trio.TooSlowError, trio.BrokenResourceError) as error:
            self.give_up()
            raise trio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """The end of the connection sends it; hypercorn may still mean to hand it on."""

    async def aclose(self) -> None:
        self._closed = True
        self._stop_reading()
        await trio.lowlevel.checkpoint()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def break_when_cancelled(self) -> None:
        """Break a send that is under way, shielded as it is, when this task is cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            if self._sending is not None:
                self._sending.cancel()


class _Server(TCPServer):
    """hypercorn's server of one connection, but for the reading.

    Attributes:
        upgrade: the head of a WebSocket upgrade that ended the reading.
    """

    def __init__(
        self, app: Any, config: Config, context: WorkerContext, stream: _Stream, head: bytes
    ) -> None:
        super().__init__(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type] # it uses four methods
        self.upgrade = b""
        self._outlet = stream
        self._head = head

    def left_unread(self) -> bool:
        """Whether the client may have sent more than was read of it."""
        protocol = self.protocol.protocol
        if not isinstance(protocol, H11Protocol) or not isinstance(
            protocol.connection, h11.Connection
        ):
            return False
        unfinished = protocol.connection.their_state in {h11.SEND_BODY, h11.ERROR}
        return unfinished or bool(protocol.connection.trailing_data[0])

    async def _read_data(self) -> None:
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            await self._read_until_over()
        await self.idle_task.stop()
        await self.protocol.handle(Closed())

    async def _read_until_over(self) -> None:
        await self.protocol.handle(RawData(self._head))
        while True:
            data = await self._outlet.receive_some(_READ_BYTES)
            await self._answered()
            if not data:
                break
            if self._is_between_requests():
                data = await read_head(self._outlet.receive_some, data)
                if is_websocket_upgrade(data):
                    self.upgrade = data
                    return
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(RawData(b""))

    async def _answered(self) -> None:
        """Wait until the request that was read whole is answered, if there is one."""
        protocol = self.protocol.protocol
        while (
            isinstance(protocol, H11Protocol)
            and protocol.stream is not None
            and protocol.connection.their_state is h11.DONE
        ):
            await protocol.can_read.clear()
            await protocol.can_read.wait()

    def _is_between_requests(self) -> bool:
        protocol = self.protocol.protocol
        return (
            isinstance(protocol, H11Protocol)
            and protocol.stream is None
            and isinstance(protocol.connection, h11.Connection)
            and protocol.connection.their_state is h11.IDLE
            and not protocol.connection.trailing_data[0]
        )


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.h2_max_concurrent_streams = HTTP2_STREAMS_MAX
    config.h2_max_header_list_size = HEAD_BYTES_MAX
    return config
