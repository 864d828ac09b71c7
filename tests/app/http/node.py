"""The HTTP side of a node, made of its real parts, for tests that need no database or bring one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from actors import DynamicSupervisor, Lifeline, System, drop_event
from actors.tree import Vitals
from app.events.feed import Feed
from app.events.service import EventLog
from app.http.adapter import quart_app
from app.http.head import path_of
from app.http.hypercorn_server import HttpServer
from app.http.listener import Bind, Listener
from app.http.readiness import Readiness
from app.http.router import Route, Router
from app.http.services import Services
from app.http.table import ROUTES
from app.identity.callers import Callers
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens
from app.ledger.books import Books
from app.ledger.interline import Interline
from app.ledger.keeper import Keeper
from app.ledger.poster import Posters
from app.ledger.service import Ledger
from app.payments.memory_gateway import MemoryGateway
from app.sales.service import Sales
from app.socket.audience import Audience, Sockets
from app.storage import Annex, Database
from app.transactions.service import Transactions
from channels.broker import MemoryBroker
from channels.endpoint import Endpoint
from channels.hub import Hub
from channels.longpoll import LongPoll
from channels.router import Router as ChannelRouter
from channels.testing import Anyone

SECRET: Final = "a secret of the tests, at least 32 bytes long"


@dataclass
class Seen:
    """What a node told: events by name with their fields, and observations of requests."""

    events: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    observed: list[tuple[str, str, int]] = field(default_factory=list)

    def emit(self, name: str, fields: Mapping[str, object]) -> None:
        """Take an event."""
        self.events.append((name, fields))

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Take an observation."""
        assert seconds >= 0
        self.observed.append((route, method, status))

    def told(self, name: str) -> list[Mapping[str, object]]:
        """The fields of every event of this name."""
        return [fields for event, fields in self.events if event == name]


def router(services: Services, seen: Seen, routes: Sequence[Route] = ROUTES) -> Router:
    """A router over these services, told of in `seen`."""
    return Router(routes, services, emit=seen.emit, observe=seen.observe)


class NoMembers:
    """A hub on a node without members: whatever is published reaches nobody."""

    def publish(
        self,
        topic: str,
        event: str,
        payload: Mapping[str, object],
        position: int | None = None,
        *,
        cursor: str | None = None,
    ) -> None:
        """Reach nobody."""


class Deaf(Sockets):
    """The sockets of a node without any."""

    async def publish(self, topic: str, event: str, payload: object) -> None:
        """Reach nobody."""

    def kick(self, topic: str, who: str) -> None:
        """Reach nobody."""

    def disconnect(self, who: str) -> None:
        """Reach nobody."""


class EchoEndpoint:
    """An endpoint for the listener's tests: says which path was upgraded, then ends."""

    def __init__(self) -> None:
        self.drained = False
        self.broken = False

    async def serve(self, stream: trio.abc.Stream, head: bytes, life: Lifeline) -> None:
        """Answer with the path; raise where it is broken."""
        if self.broken:
            raise RuntimeError("boom")
        await stream.send_all(b"upgraded " + path_of(head).encode())

    async def drain(self) -> None:
        """Remember it."""
        self.drained = True


@dataclass
class Node:
    """A running listener.

    Attributes:
        port: on 127.0.0.1.
        listener: itself.
        life: what ties it to this test; `request_stop` ends it gracefully.
        stopped: set when it has ended.
    connections: the supervisor of its connections.
        endpoint: where upgrades go.
        readiness: its readiness.
        seen: what it told.
    """

    port: int
    listener: Listener
    life: Lifeline
    stopped: trio.Event
    connections: DynamicSupervisor
    endpoint: EchoEndpoint
    readiness: Readiness
    seen: Seen

    async def connect(self) -> trio.SocketStream:
        """A client's connection to it."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)


@asynccontextmanager
async def serving(
    services: Services,
    *,
    routes: Sequence[Route] = ROUTES,
    seen: Seen | None = None,
    max_connections: int = 100,
) -> AsyncIterator[Node]:
    """A listener on a free port, serving these routes until the block ends."""
    seen = seen or Seen()
    endpoint = EchoEndpoint()
    connections = DynamicSupervisor("connections", max_children=max_connections)
    http = HttpServer(quart_app(router(services, seen, routes)), seen.emit, drain_s=2)
    listener = Listener(
        Bind("127.0.0.1", 0),
        http,
        endpoint,
        connections=connections,
        readiness=services.readiness,
        emit=seen.emit,
    )
    stopped = trio.Event()
    async with trio.open_nursery() as nursery:
        await _start(nursery, seen, connections.run)
        life = await _start(nursery, seen, listener.run, stopped)
        assert isinstance(life.value, int)
        yield Node(
            life.value, listener, life, stopped, connections, endpoint, services.readiness, seen
        )
        nursery.cancel_scope.cancel()


async def _start(
    nursery: trio.Nursery,
    seen: Seen,
    run: Callable[[Lifeline], Awaitable[None]],
    ended: trio.Event | None = None,
) -> Lifeline:
    """Run this child in the nursery; returns once it is ready."""
    ready = trio.Event()
    life = Lifeline(system=System(seen.emit))
    life.on_ready(ready.set)

    async def live() -> None:
        await run(life)
        if ended is not None:
            ended.set()

    nursery.start_soon(live)
    await ready.wait()
    return life


def bare_longpoll() -> LongPoll:
    """Nobody polls, and nobody can begin to: its sessions' supervisor does not run."""
    endpoint = Endpoint(Anyone(), ChannelRouter([]), Hub(), MemoryBroker())
    return LongPoll(endpoint, node="none", key=b"none")


def bare_services(readiness: Readiness | None = None) -> Services:
    """Services whose database does not run: all that needs it is unavailable."""
    annex = Annex()
    database = Database(annex, "postgresql://nobody@127.0.0.1:1/none")
    revocations = Revocations(database, MemoryBroker())
    log = EventLog(database, Feed(database, MemoryBroker(), NoMembers()))
    return Services(
        callers=Callers(Tokens(SECRET), revocations),
        revocations=revocations,
        audience=Audience(Deaf(), MemoryBroker(), Sales(database), rooms_open=False),
        sales=Sales(database),
        transactions=Transactions(database, MemoryGateway()),
        ledger=Ledger(database),
        books=Books(database),
        posters=Posters(database),
        interline=Interline(database),
        keeper=Keeper(database),
        log=log,
        longpoll=bare_longpoll(),
        readiness=readiness or Readiness({}, drop_event),
        render_metrics=lambda: (b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        tree=lambda _: Vitals("agio", "supervisor", "rest_for_one", "running", 1.5, 0, None, (), 0),
    )
