"""The supervision tree: the one place that wires everything.

    agio (rest for one)
    |- servers            one for one: embedded PostgreSQL and Valkey, those that have no URL
    `- node (rest for one)
       |- storage         rest for one: the annex, and on it the drivers
       |  |- annex
       |  `- drivers      one for one: database, bus, history
       |- schema
       `- service (one for one)
          |- broker, hub
          |- reader       reads the clients' sockets
          |- viewers      who watches, on all nodes
          |- histories    topics whose members miss nothing: appends, heals, compares
          |- events       one for one, patient: feed, relay, revocations, expiries; they need
          |               PostgreSQL
          |- posters      one virtual actor for each book that is posted to
          |- transactions one virtual actor for each live transaction
          |- recovery     finds purchases that nobody drives
          |- checkouts    dynamic: one child for each push that waits for a purchase
          |- connections  dynamic: one child for each client
          |- longpoll     one for one: clients that poll, and requests of other nodes' ones
          `- listener     the port

A node's parts are made anew each time the node starts, because their addresses may have changed.
Within a node, what stands on another part does so by calls that may fail, and not by having been
started after it: so each part of `service` restarts alone, and no client is disconnected because
another part failed. Only what holds the thread and the schema takes everything with it.

With several workers each is a process with such a node in it, named `worker-1` and so on, and the
parent's tree is

    agio (rest for one)
    |- servers            as above
    |- schema             migrates, once for all; with `agio up` alone
    |- workers            dynamic: one child for each process
    `- crew               starts them together, and one after another on SIGHUP

Stopping goes backwards through the tree: first the port, at last PostgreSQL. A second signal, or
`STOP_MARGIN_S` after the clients' time to leave, cuts whatever is still there.
"""

import gc
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import trio

from actors import (
    INFINITE,
    ChildSpec,
    Intensity,
    Lifeline,
    RestartIntensityExceeded,
    StartFailed,
    Strategy,
    Supervisor,
    System,
    run_root,
)
from app.config import Settings
from app.demo.store import load_demo
from app.http.address import local_url
from app.http.listener import Bind, check_free
from app.identity.tokens import Tokens
from app.limits import (
    GC_THRESHOLDS,
    STOP_MARGIN_S,
    WORKER_SPARE_S,
)
from app.node import TREE, Addresses, Node
from app.once import DATABASE_OWNER_URL, DATABASE_URL, migrate_only, reason_of, with_database
from app.storage import Database
from app.storage.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    StateFolder,
    find_valkey,
    read_kept,
)
from app.storage.errors import StartupError
from app.storage.limits import (
    EMBEDDED_CONNECTIONS,
)
from app.storage.migrations import check_schema
from app.telemetry import Telemetry
from app.workers.berth import Berth
from app.workers.crew import Crew, Orders

# Names of secrets in the state folder.
_TOKENS: Final = "tokens"

T = TypeVar("T")
OnReady = Callable[[str, Tokens], None]


async def serve(
    settings: Settings,
    telemetry: Telemetry,
    *,
    embed: bool,
    on_ready: OnReady,
    workers: int = 1,
    berth: Berth | None = None,
) -> None:
    """Run a node, or the parent of several, until SIGINT or SIGTERM.

    Args:
        settings: as the environment gave them.
        telemetry: takes every part's events and figures.
        embed: whether to bring what has no URL: PostgreSQL, Valkey, the token secret, the demo.
        on_ready: called with the URL and the issuer of tokens once everything runs.
        workers: how many processes are to serve; one is this process itself.
        berth: this process's place, where it is a worker of another.

    Raises:
        StartupError: it could not start, or gave up, for the reason its one line gives.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    if berth is None:
        check_free(Bind(settings.host, settings.port))
    with ExitStack() as stack:
        state = stack.enter_context(StateFolder(settings.state_dir)) if embed else None
        tree = Tree(settings, telemetry, state, on_ready, workers=workers, berth=berth)
        stack.callback(tree.close)
        stop = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_hear_signals, stop, nursery.cancel_scope)
                if berth is not None:
                    nursery.start_soon(berth.listen, nursery.cancel_scope)
                # Off the loop: finding out where the servers may live runs a program as their user.
                root = await trio.to_thread.run_sync(tree.root)
                await _run_until(
                    root,
                    System(telemetry.emit),
                    stop,
                    settings.drain_seconds + STOP_MARGIN_S + (WORKER_SPARE_S if workers > 1 else 0),
                )
                nursery.cancel_scope.cancel()
        except* (StartupError, StartFailed, RestartIntensityExceeded, SystemExit) as group:
            raise reason_of(group) from group


async def _run_until(root: Supervisor, system: System, stop: trio.Event, stop_s: float) -> None:
    """Run the tree; after `stop`, give it `stop_s` seconds to end in order."""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def limit() -> None:
                await stop.wait()
                scope.deadline = trio.current_time() + stop_s

            nursery.start_soon(limit)
            await run_root(root, system=system, stop=stop)
            nursery.cancel_scope.cancel()


async def _hear_signals(
    stop: trio.Event,
    everything: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The first SIGINT or SIGTERM asks the tree to stop, the second cuts it down."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                everything.cancel()
            stop.set()


class Tree:
    """The root of the tree, and what its two children tell each other."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        state: StateFolder | None,
        on_ready: OnReady,
        *,
        workers: int = 1,
        berth: Berth | None = None,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._state = state
        self._on_ready = on_ready
        self._berth = berth
        self._secret = token_secret(settings, state)
        self._tokens = Tokens(self._secret)
        self._addresses = Addresses(settings.database_url, settings.redis_url, berth)
        self._owner_url = settings.database_owner_url or settings.database_url
        self._crew = self._make_crew(workers) if workers > 1 else None

    def close(self) -> None:
        """Give back what is no child's."""
        if self._crew is not None:
            self._crew.close()

    def root(self) -> Supervisor:
        """The supervisor of everything."""
        servers = Supervisor("servers", self._servers(), intensity=TREE)
        return Supervisor(
            "agio",
            [*([] if self._berth else [servers.as_child()]), *self._serving()],
            strategy=Strategy.REST_FOR_ONE,
            intensity=Intensity(restarts=3, window_s=60.0),
        )

    def _serving(self) -> list[ChildSpec]:
        """What serves: a node, or workers, each of which is one."""
        if self._crew is None:
            # A node stops as a supervisor does: each of its children has a time of its own.
            name = "node" if self._berth is None else self._berth.name
            return [ChildSpec(name, self._node, shutdown_s=INFINITE, start_s=INFINITE)]
        if self._addresses.redis_url is None:
            raise StartupError(
                "AGIO_REDIS_URL is not set: workers are nodes, and speak to each other through it"
            )
        schema = (
            [] if self._state is None else [ChildSpec("schema", self._schema, start_s=INFINITE)]
        )
        return [*schema, *self._crew.children()]

    def _make_crew(self, workers: int) -> Crew:
        settings = self._settings
        bind = Bind(settings.host, settings.port)
        return Crew(Orders(workers, bind, settings.drain_seconds, self._tell, self._is_up))

    def _tell(self) -> dict[str, str]:
        """What workers are told that may not be in our environment."""
        assert self._addresses.database_url is not None, "a node has a database"
        assert self._addresses.redis_url is not None, "workers have a bus"
        told = {
            "AGIO_DATABASE_URL": self._addresses.database_url,
            # Whoever serves has no business with the owner's.
            "AGIO_DATABASE_OWNER_URL": "",
            "AGIO_REDIS_URL": self._addresses.redis_url,
            "AGIO_TOKEN_SECRET": self._secret,
        }
        if self._state is not None and self._crew is not None:
            share = EMBEDDED_CONNECTIONS // self._crew.count
            told["AGIO_POOL_SIZE"] = str(max(2, min(self._settings.pool_size, share)))
        return told

    async def _schema(self, life: Lifeline) -> None:
        """Prepare the database, once for all workers."""
        assert self._addresses.database_url is not None, "a node has a database"
        await with_database(self._addresses.database_url, self._prepare)
        life.ready()
        await life.stop_requested.wait()

    def _servers(self) -> list[ChildSpec]:
        """A child for each server that nobody has told us the address of."""
        if self._state is None:
            return []
        children = []
        if self._addresses.database_url is None:
            if self._owner_url is not None:
                raise StartupError(
                    "AGIO_DATABASE_OWNER_URL is set and AGIO_DATABASE_URL is not: "
                    "they name one database, as two roles"
                )
            postgres = EmbeddedPostgres(self._state)
            self._addresses.database_url = postgres.url
            self._owner_url = postgres.owner_url
            self._state.keep(DATABASE_URL, postgres.url)
            self._state.keep(DATABASE_OWNER_URL, postgres.owner_url)
            children.append(ChildSpec("postgres", postgres.run))
        if self._addresses.redis_url is None and find_valkey() is not None:
            valkey = EmbeddedValkey(self._state)
            self._addresses.redis_url = valkey.url
            children.append(ChildSpec("valkey", valkey.run))
        return children

    async def _prepare(self, database: Database) -> None:
        """What `agio up` does to a database before it serves: migrate, and load the demo once."""
        assert self._owner_url is not None, "a node has a database"
        await migrate_only(self._owner_url)
        await database.write(load_demo)

    async def _node(self, life: Lifeline) -> None:
        """A node of new parts; ready when its port is open."""
        node = Node(
            self._settings,
            self._addresses,
            self._tokens,
            self._telemetry,
            life.system,
            prepare=check_schema if self._state is None else self._prepare,
        )
        life.on_ready(partial(self._up, node))
        await node.supervisor().run(life)

    def _up(self, node: Node) -> None:
        if self._berth is not None:
            self._berth.say_up(node.port, node.local_port)
        self._is_up(node.port)

    def _is_up(self, port: int) -> None:
        # Whoever chose the port, a node that comes after this one has it too: clients know it.
        self._settings = replace(self._settings, port=port)
        url = local_url(self._settings.host, port)
        self._telemetry.emit("server.started", {"url": url, "port": port})
        self._on_ready(url, self._tokens)


# Secrets ------------------------------------------------------------------------------------------


def token_secret(settings: Settings, state: StateFolder | None = None) -> str:
    """The secret that signs tokens: the setting's, or the state folder's, made there if need be.

    Args:
        settings: which may name one, and name the state folder.
        state: the state folder, where the caller has it open.
    """
    if settings.token_secret is not None:
        return settings.token_secret
    if state is not None:
        return state.secret(_TOKENS)
    kept = read_kept(settings.state_dir, _TOKENS)
    if kept is not None:
        return kept
    with StateFolder(settings.state_dir) as opened:
        return opened.secret(_TOKENS)
