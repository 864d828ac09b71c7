"""One port for everything: it accepts connections, looks at how each begins, and hands it on.

Theory of operation. The accept loop does one thing, so that it cannot fail for a reason that lies
in a connection: every connection is a temporary child of a dynamic supervisor, and what happens in
it ends there. The supervisor's bound is the bound on connections; beyond it a connection is told
so with one write that never waits, and closed. When the process runs out of file descriptors the
loop rests and tries again: the clients wait in the backlog meanwhile.

A connection's first bytes are read until its head is whole, within a deadline and a bound; a peer
that dribbles is cut off. A WebSocket handshake goes to the channels' endpoint with what was read,
all else to the HTTP server, which gives the connection back if an upgrade comes later.

Stopping: readiness says no, what the kernel had accepted for us is taken, and the socket closes.
Clients of channels are told to go elsewhere, and requests under way are given as long to end.
Connections that are then left belong to their supervisor, which is stopped after this.
"""

import errno
import socket
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import trio

from actors import (
    INFINITE,
    ActorDown,
    ChildSpec,
    DynamicSupervisor,
    Emit,
    Lifeline,
    Restart,
    TooManyChildren,
)
from app.domain.errors import Code, Refusal
from app.http.farewell import part_with
from app.http.head import is_settled, is_too_long, is_websocket_upgrade, path_of, read_head
from app.http.hypercorn_server import HttpServer
from app.http.message import Response
from app.http.problem import problem
from app.http.readiness import Readiness
from app.limits import ACCEPT_REST_S, ACCEPTS_A_TURN, BACKLOG, HEAD_BYTES_MAX, HEAD_S, RETRY_AFTER_S
from app.storage.errors import StartupError
from channels.plain_stream import PlainStream

# Where the Phoenix client connects when it is given `/socket`.
SOCKET_PATH: Final = "/socket/websocket"

# What `accept` raises for want of something that others may give back.
_STARVED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What it raises for a connection that was gone before it was accepted.
_GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EHOSTUNREACH})

_TOO_LONG: Final = problem(
    Refusal(Code.TOO_LARGE, f"The head is larger than the {HEAD_BYTES_MAX} bytes allowed."),
    status=431,
)
_TOO_SLOW: Final = problem(
    Refusal(Code.INVALID_REQUEST, f"The head did not arrive within {HEAD_S:.0f} seconds."),
    status=408,
)
_NO_SOCKET: Final = problem(Refusal(Code.NOT_FOUND, f"The socket is at {SOCKET_PATH}."))
_STOPPING: Final = problem(Refusal(Code.UNAVAILABLE, "This node is stopping."))
# In words alone: nothing was read, so this may answer a client that polls, and those stall on a
# document whose `status` they do not know.
_FULL: Final = Response(
    503,
    (("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", str(RETRY_AFTER_S))),
    b"This node has all the connections it takes.\n",
).to_http1()


class SocketEndpoint(Protocol):
    """What serves WebSocket connections."""

    async def serve(self, stream: trio.abc.Stream, head: bytes, life: Lifeline) -> None:
        """The whole life of one connection, in the child of this life; `head` was read before."""

    async def drain(self) -> None:
        """Send every client elsewhere."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Where to listen.

    Attributes:
        host: an address of this machine.
        port: 0 takes a free one.
        shared: whether other processes of this user listen there, too. The kernel then gives each
            connection to one of them; without it a port is one process's alone.
    """

    host: str
    port: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ListenerStatistics:
    """Counts since the listener was made.

    Attributes:
        accepted: connections given to a child.
        refused: connections closed because there were too many.
        turned_away: connections answered and closed here: slow or oversized heads, wrong upgrades.
        starved: times `accept` lacked file descriptors or memory.
    """

    accepted: int
    refused: int
    turned_away: int
    starved: int


class Listener:
    """Owns the port. `run` is a child's whole life, and may be run again."""

    def __init__(
        self,
        bind: Bind,
        http: HttpServer,
        endpoint: SocketEndpoint,
        *,
        connections: DynamicSupervisor,
        readiness: Readiness,
        emit: Emit,
    ) -> None:
        self._bind = bind
        self._http = http
        self._endpoint = endpoint
        self._connections = connections
        self._readiness = readiness
        self._emit = emit
        self._accepted = 0
        self._refused = 0
        self._turned_away = 0
        self._starved = 0

    @property
    def port(self) -> int:
        """Where it listens, once it is ready."""
        return self._bind.port

    def statistics(self) -> ListenerStatistics:
        """What became of connections so far."""
        return ListenerStatistics(self._accepted, self._refused, self._turned_away, self._starved)

    async def run(self, life: Lifeline) -> None:
        """Listen until asked to stop; ready with the port's number.

        Raises:
            StartupError: the address cannot be had.
        """
        with _listening(self._bind) as listening:
            # Started again it takes the same port, whoever chose that: clients know it by now.
            self._bind = replace(self._bind, port=listening.getsockname()[1])
            self._http.open()
            self._readiness.draining = False
            life.ready(self.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._accept_forever, listening)
                await life.stop_requested.wait()
                self._readiness.draining = True
                nursery.cancel_scope.cancel()
            # What the kernel holds for this socket would be reset with it.
            with trio.move_on_after(ACCEPT_REST_S):
                while await self._accept_some(listening):
                    pass
        await self._drain()

    async def _drain(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._endpoint.drain)
            nursery.start_soon(self._http.drain)

    async def _accept_forever(self, listening: socket.socket) -> None:
        while True:
            if not await self._accept_some(listening):
                await trio.lowlevel.wait_readable(listening)

    async def _accept_some(self, listening: socket.socket) -> bool:
        """Accept what is there, a few at most. False if there is no more."""
        for _ in range(ACCEPTS_A_TURN):
            try:
                accepted, peer = listening.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in _GONE:
                    continue
                if error.errno not in _STARVED:
                    raise
                self._starved += 1
                self._emit("listener.starved", {"error": error})
                await trio.sleep(ACCEPT_REST_S)
            else:
                self._admit(accepted, peer[0])
        await trio.lowlevel.checkpoint()
        return True

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        """Make the connection a child, or close it."""
        serial = self._accepted + self._refused + 1
        spec = ChildSpec(
            id=f"connection-{serial}",
            start=partial(self._serve, PlainStream(accepted, peer)),
            restart=Restart.TEMPORARY,
            shutdown_s=0,  # its time to end was the listener's drain
            start_s=INFINITE,  # it is ready at once
        )
        try:
            self._connections.start_child_nowait(spec)
        except (TooManyChildren, ActorDown):  # full; or their supervisor has ended
            self._refused += 1
            self._emit("connection.refused", {"refused": self._refused})
            _send_at_once(accepted, _FULL)
            accepted.close()
        else:
            self._accepted += 1

    async def _serve(self, stream: PlainStream, life: Lifeline) -> None:
        life.ready()
        try:
            head = await self._first_head(stream)
            if head and not is_websocket_upgrade(head):
                head = await self._speak_http(stream, head)
            if not head:
                return
            if path_of(head) != SOCKET_PATH:
                await self._turn_away(stream, _NO_SOCKET)
            elif self._readiness.draining:
                await self._turn_away(stream, _STOPPING)
            else:
                await self._endpoint.serve(stream, head, life)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            stream.close()

    async def _speak_http(self, stream: PlainStream, head: bytes) -> bytes:
        """Serve requests; the head of an upgrade that comes after them, if one does."""
        spoken = _as_trio(stream)
        while head and not is_websocket_upgrade(head):
            head = await self._http.serve(spoken, head)
        return head

    async def _first_head(self, stream: PlainStream) -> bytes:
        head = _arrived(stream.socket)
        if not is_settled(head):
            with trio.CancelScope(relative_deadline=HEAD_S) as scope:
                head = await read_head(stream.receive_some, head)
            if scope.cancelled_caught:
                await self._turn_away(stream, _TOO_SLOW)
                return b""
        if is_too_long(head):
            await self._turn_away(stream, _TOO_LONG)
            return b""
        return head

    async def _turn_away(self, stream: PlainStream, response: Response) -> None:
        self._turned_away += 1
        self._emit("connection.turned_away", {"status": response.status})
        await part_with(_as_trio(stream), response.to_http1())


def check_free(bind: Bind) -> None:
    """Find out, before anything is started for it, whether the address can be had.

    Raises:
        StartupError: it cannot.
    """
    _listening(bind).close()


def _listening(bind: Bind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    try:
        raw = socket.create_server(
            (bind.host, bind.port), family=family, backlog=BACKLOG, reuse_port=bind.shared
        )
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "it is in use; AGIO_PORT names another" if in_use else error.strerror
        raise StartupError(f"cannot listen on {bind.host} port {bind.port}: {why}") from error
    raw.setblocking(False)
    # What is accepted inherits it: our messages are small and wanted now.
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def _as_trio(stream: PlainStream) -> trio.SocketStream:
    """The same connection, as trio and hypercorn know them. Whoever closes one closes both."""
    return trio.SocketStream(trio.socket.from_stdlib_socket(stream.socket))


def _arrived(connection: socket.socket) -> bytes:
    """What is there of a head without waiting: nearly always all of it, for clients speak first."""
    try:
        return connection.recv(HEAD_BYTES_MAX)
    except OSError:  # nothing yet; or it is gone, as whoever waits will see
        return b""


def _send_at_once(connection: socket.socket, data: bytes) -> None:
    """Send what fits without waiting; nothing was sent before, so all of it fits."""
    try:
        connection.send(data)
    except OSError:
        return
