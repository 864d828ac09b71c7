"""One node: its parts, made for one run, and the supervisor over them. `app.main` has the picture.

Everything is made before anything runs, so that what a part stands on is an argument and not a
global; the order of the supervisor's children is the order in which parts need each other.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from actors import (
    INFINITE,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    Strategy,
    Supervisor,
    System,
)
from app.config import Settings
from app.domain.ids import new_id
from app.events import store as events
from app.events.feed import Feed
from app.events.relay import Relay
from app.events.service import EventLog
from app.http.adapter import quart_app
from app.http.hypercorn_server import HttpServer
from app.http.listener import SOCKET_PATH, Bind, Listener
from app.http.local_listener import LocalListener
from app.http.readiness import Readiness
from app.http.router import Route as HttpRoute
from app.http.router import Router as HttpRouter
from app.http.services import Services
from app.http.table import LOCAL_ROUTES, ROUTES
from app.identity.callers import Callers
from app.identity.revocations import Revocations
from app.identity.tokens import Tokens
from app.ledger.books import Books
from app.ledger.feed import AccountFeed
from app.ledger.interline import Interline
from app.ledger.keeper import Keeper
from app.ledger.poster import Expiries, Posters
from app.ledger.sealer import Sealer
from app.ledger.service import Ledger
from app.limits import CHECKOUTS_MAX, CONNECTIONS_MAX
from app.payments.test_gateway import TestGateway
from app.sales.service import Sales
from app.socket.account_channel import AccountChannel
from app.socket.audience import Audience
from app.socket.bench_channel import BenchChannel
from app.socket.chat_channel import HISTORY as CHAT_HISTORY
from app.socket.chat_channel import ChatChannel
from app.socket.connect import TokenHandler
from app.socket.limits import limits_of
from app.socket.sale_channel import SaleChannel
from app.storage import Annex, Database
from app.storage.privileges import may_rewrite
from app.storage.redis import RedisBus
from app.storage.redis_history import RedisHistory
from app.telemetry import Telemetry
from app.transactions.service import Transactions
from app.workers.berth import Berth
from app.workers.siblings import Siblings
from channels.broker import Broker, MemoryBroker
from channels.broker_redis import RedisBroker
from channels.delivery import DISCONNECT
from channels.endpoint import Endpoint
from channels.history import MemoryHistory
from channels.hub import Hub
from channels.longpoll import LongPoll
from channels.presence import Presence
from channels.recovery import Recovery
from channels.router import Route, RouteLike, Router

# Parts of a node are few and each stands for many: more crashes than these in a minute are no
# accident, and an orchestrator is better at starting over.
TREE: Final = Intensity(restarts=10, window_s=60.0)

# PostgreSQL's absence crashes what follows it once a backoff, for as long as it lasts.
_PATIENT: Final = Intensity(restarts=200, window_s=60.0)
_AGAIN: Final = Backoff(first_s=0.1, ceiling_s=2.0, reset_after_s=10.0, jitter=0.2)

# Of each part's figures, those that only ever grow: Prometheus takes their rates.
_SOCKET_COUNTERS: Final = (
    "opened",
    "refused",
    "received",
    "malformed",
    "joined",
    "crashed",
    "slow_lanes",
)
_LONGPOLL_COUNTERS: Final = ("polls", "posts", "repeated", "superseded", "relayed")
_LIMITS_COUNTERS: Final = ("refused", "would_refuse", "joins_turned_away")
_HUB_COUNTERS: Final = (
    "published",
    "offered",
    "delivered",
    "dropped",
    "disconnected",
    "bytes_sent",
    "sends",
    "overflows",
)
_ACCESS_COUNTERS: Final = ("renewed", "refused", "warned", "kicked", "unread")
_HISTORIES_COUNTERS: Final = (
    "appended",
    "refused",
    "given",
    "healed",
    "gaps",
    "reloads",
    "checked",
    "reads",
)
_FEED_COUNTERS: Final = ("looked", "late", "applied", "healed", "batches_unread")
_PRESENCE_COUNTERS: Final = ("told", "listed", "asked", "expired", "dropped")
_BUS_COUNTERS: Final = ("published", "received", "dropped", "connections_lost")
_LISTENER_COUNTERS: Final = ("accepted", "refused", "turned_away", "starved")
_CHILDREN_COUNTERS: Final = ("started", "restarts")
_VIRTUAL_COUNTERS: Final = ("activated", "passivated", "restarts")
_TALLY_COUNTERS: Final = ("dropped", "replaced", "refused", "lost", "quarantined")
_TIMERS_COUNTERS: Final = ("started", "fired", "cancelled", "crashed")

# What prepares the database before the node serves.
Prepare = Callable[[Database], Awaitable[None]]


@dataclass(slots=True)
class Addresses:
    """Where PostgreSQL and Redis are. Without a Redis the node is alone.

    Attributes:
        database_url: PostgreSQL, as the role that serves.
        redis_url: Redis or Valkey.
        berth: the node's own place, where it is one of several workers.
    """

    database_url: str | None
    redis_url: str | None
    berth: Berth | None = None


class Node:
    """The parts of one node, for one run.

    Args:
        settings: as the environment gave them.
        addresses: of PostgreSQL and Redis.
        tokens: tells who calls.
        telemetry: takes events and figures.
        system: of the tree that the node is part of.
        prepare: brings the database up to date, or sees that somebody has.
    """

    def __init__(
        self,
        settings: Settings,
        addresses: Addresses,
        tokens: Tokens,
        telemetry: Telemetry,
        system: System,
        *,
        prepare: Prepare,
    ) -> None:
        assert addresses.database_url is not None, "a node has a database"
        self._settings = settings
        self._emit = telemetry.emit
        self._system = system
        self._metrics = telemetry.metrics
        self._prepare = prepare
        self._annex = Annex()
        self._database = Database(self._annex, addresses.database_url, pool_size=settings.pool_size)
        self._bus = RedisBus(self._annex, addresses.redis_url) if addresses.redis_url else None
        name = new_id("node")
        self._broker: Broker = RedisBroker(self._bus, name) if self._bus else MemoryBroker()
        url = addresses.redis_url
        self._history = RedisHistory(self._annex, url) if url else None
        limits = limits_of(settings)
        self._hub = Hub(limits)
        self._histories = Recovery(
            self._history or MemoryHistory(), self._hub, name, sign=self._sign_of_loss
        )
        # Who watches a sale is nobody's business: its members are told how many do.
        self._viewers = Presence(self._hub, self._broker, name="viewers", listed_max=0)
        self._feed = Feed(self._database, self._broker, self._hub)
        self._relay = Relay(self._annex, self._database, self._broker)
        self._checkouts = DynamicSupervisor("checkouts", max_children=CHECKOUTS_MAX)
        self._connections = DynamicSupervisor("connections", max_children=CONNECTIONS_MAX)
        self._transactions = Transactions(
            self._database,
            TestGateway(self._database),
            reservation_s=settings.reservation_seconds,
            emit=self._emit,
        )
        self._sales = Sales(self._database)
        self._accounts = AccountFeed(self._database, self._broker, self._hub)
        self._posters = Posters(self._database, self._accounts.posted)
        self._expiries = Expiries(self._database, self._posters)
        self._sealer = Sealer(self._database)
        self._readiness = Readiness({"database": self._look}, self._emit)
        self._revocations = Revocations(self._database, self._broker, emit=self._emit)
        callers = Callers(tokens, self._revocations)
        self._endpoint = Endpoint(
            TokenHandler(callers),
            self._topics(),
            self._hub,
            self._broker,
            limits,
            system=system,
        )
        self._endpoint.publishing.attach(self._histories)
        self._revocations.attach(self._endpoint.access.cut)
        key = tokens.key_for("long polling")
        self._longpoll = LongPoll(self._endpoint, node=name, key=key)
        services = self._services(callers)
        siblings = None if addresses.berth is None else Siblings(addresses.berth)
        self._listener = self._listen(replace(services, siblings=siblings))
        self._local = LocalListener(self._http(LOCAL_ROUTES, services)) if siblings else None

    @property
    def port(self) -> int:
        """Where it listens, once it is ready."""
        return self._listener.port

    @property
    def local_port(self) -> int:
        """Where its siblings ask it, once it is ready."""
        assert self._local is not None, "only a worker has siblings"
        return self._local.port

    def supervisor(self) -> Supervisor:
        """The supervisor of the node's parts, in the order in which they start."""
        self._export()
        children = [
            self._storage().as_child(),
            ChildSpec("schema", self._schema, start_s=INFINITE),
            self._service().as_child(),
        ]
        return Supervisor("node", children, strategy=Strategy.REST_FOR_ONE, intensity=TREE)

    def _storage(self) -> Supervisor:
        """The thread of the drivers, and they, who reconnect by themselves."""
        drivers = [ChildSpec("database", self._database.run)]
        if self._bus is not None:
            drivers.append(ChildSpec("bus", self._bus.run))
        if self._history is not None:
            drivers.append(ChildSpec("history", self._history.run))
        children = [
            ChildSpec("annex", self._annex.run),
            Supervisor("drivers", drivers, intensity=TREE).as_child(),
        ]
        return Supervisor("storage", children, strategy=Strategy.REST_FOR_ONE, intensity=TREE)

    def _service(self) -> Supervisor:
        """What serves clients: parts that restart alone, in the order in which they begin."""
        patient = [
            ChildSpec("feed", self._feed.run, backoff=_AGAIN),
            ChildSpec("relay", self._relay.run, backoff=_AGAIN),
            ChildSpec("accounts", self._accounts.run, backoff=_AGAIN),
            ChildSpec("revocations", self._revocations.run, backoff=_AGAIN),
            ChildSpec("expiries", self._expiries.run, backoff=_AGAIN),
            ChildSpec("sealer", self._sealer.run, backoff=_AGAIN),
        ]
        children = [
            ChildSpec("broker", self._broker.run),
            ChildSpec("hub", self._hub.run),
            ChildSpec("reader", self._endpoint.reader.run),
            ChildSpec("viewers", self._viewers.run),
            ChildSpec("histories", self._histories.run),
            Supervisor("events", patient, intensity=_PATIENT).as_child(),
            self._posters.actors.as_child(),
            self._transactions.actors.as_child(),
            ChildSpec("recovery", self._transactions.run, backoff=_AGAIN),
            self._checkouts.as_child(),
            self._connections.as_child(),
            self._longpoll.supervisor().as_child(),
            *([] if self._local is None else [ChildSpec("local", self._local.run)]),
            ChildSpec("listener", self._listener.run, shutdown_s=self._settings.drain_seconds + 1),
        ]
        return Supervisor("service", children, intensity=TREE)

    def _topics(self) -> Router:
        routes: list[RouteLike] = [
            ("sale:*", self._sale_channel),
            Route("chat:*", lambda: ChatChannel(self._sales), history=CHAT_HISTORY),
            Route("account:*", lambda: AccountChannel(self._accounts), delivery=DISCONNECT),
        ]
        if self._settings.bench_rooms:
            routes.append(("bench:*", BenchChannel))
        return Router(routes, path=SOCKET_PATH, origins=self._settings.origins)

    def _sale_channel(self) -> SaleChannel:
        return SaleChannel(self._sales, self._transactions, self._checkouts, viewers=self._viewers)

    def _services(self, callers: Callers) -> Services:
        return Services(
            callers=callers,
            revocations=self._revocations,
            audience=Audience(
                self._endpoint,
                self._broker,
                self._sales,
                rooms_open=self._settings.bench_rooms,
            ),
            sales=self._sales,
            transactions=self._transactions,
            ledger=Ledger(self._database),
            books=Books(self._database),
            posters=self._posters,
            interline=Interline(self._database),
            keeper=Keeper(self._database),
            log=EventLog(self._database, self._feed),
            longpoll=self._longpoll,
            readiness=self._readiness,
            render_metrics=self._metrics.render,
            tree=lambda children_max: self._system.tree(children_max=children_max),
        )

    def _listen(self, services: Services) -> Listener:
        return Listener(
            Bind(self._settings.host, self._settings.port, shared=services.siblings is not None),
            self._http(ROUTES, services),
            self._endpoint,
            connections=self._connections,
            readiness=self._readiness,
            emit=self._emit,
        )

    def _http(self, routes: Sequence[HttpRoute], services: Services) -> HttpServer:
        """What answers requests by these routes."""
        observe = self._metrics.observe_request
        router = HttpRouter(routes, services, emit=self._emit, observe=observe)
        return HttpServer(quart_app(router), self._emit, drain_s=self._settings.drain_seconds)

    def _sign_of_loss(self) -> object:
        """What changes when the bus may have lost something, or is there again."""
        if self._bus is None:
            return None
        now = self._bus.statistics()
        return now.connected, now.connections_lost, now.dropped

    async def _schema(self, life: Lifeline) -> None:
        """Prepare the database; the child then only stands for it being prepared."""
        await self._prepare(self._database)
        if await self._database.read(may_rewrite):
            self._emit("ledger.exposed", {"place": self._database.place})
        life.ready()
        await life.stop_requested.wait()

    async def _look(self) -> None:
        """Whether the database answers."""
        await self._database.read(events.head)

    def _export(self) -> None:
        """Have every part's figures read at each scrape."""
        watch = self._metrics.watch
        watch("messages", self._system.statistics, counters=_TALLY_COUNTERS)
        watch("timers", self._system.timers.statistics, counters=_TIMERS_COUNTERS)
        watch("annex", self._annex.statistics, counters=("calls_made",))
        watch("database", self._database.statistics, counters=("blocks_retried", "blocks_down"))
        if self._bus is not None:
            watch("bus", self._bus.statistics, counters=_BUS_COUNTERS)
        watch("broker", self._broker.statistics, counters=("published", "received", "dropped"))
        watch("socket", self._endpoint.statistics, counters=_SOCKET_COUNTERS)
        watch("limits", self._endpoint.guard.statistics, counters=_LIMITS_COUNTERS)
        watch("access", self._endpoint.access.statistics, counters=_ACCESS_COUNTERS)
        watch("revocations", self._revocations.statistics, counters=("cut",))
        watch("longpoll", self._longpoll.statistics, counters=_LONGPOLL_COUNTERS)
        watch("hub", self._hub.statistics, counters=_HUB_COUNTERS)
        watch("viewers", self._viewers.statistics, counters=_PRESENCE_COUNTERS)
        watch("histories", self._histories.statistics, counters=_HISTORIES_COUNTERS)
        watch("feed", self._feed.statistics, counters=_FEED_COUNTERS)
        watch("relay", self._relay.statistics, counters=("published",))
        watch("sealer", self._sealer.statistics, counters=("seals", "postings"))
        watch("accounts", self._accounts.statistics, counters=("looked", "told"))
        watch("listener", self._listener.statistics, counters=_LISTENER_COUNTERS)
        watch("transactions", self._transactions.actors.statistics, counters=_VIRTUAL_COUNTERS)
        watch("checkouts", self._checkouts.statistics, counters=_CHILDREN_COUNTERS)
        watch("connections", self._connections.statistics, counters=_CHILDREN_COUNTERS)
