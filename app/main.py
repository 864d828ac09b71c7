"""The supervision tree: the one place that wires everything.

    agio (rest for one)
    |- servers            one for one: embedded PostgreSQL and Valkey, those that have no URL
    `- node (rest for one)
       |- storage         rest for one: the annex, and on it the drivers
       |  |- annex
       |  `- drivers      one for one: database, bus
       |- schema
       `- service (one for one)
          |- broker, hub
          |- reader       reads the clients' sockets
          |- viewers      who watches, on all nodes
          |- events       one for one, patient: feed, relay, revocations; they need PostgreSQL
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

Stopping goes backwards through the tree: first the port, at last PostgreSQL. A second signal, or
`STOP_MARGIN_S` after the clients' time to leave, cuts whatever is still there.
"""

import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import trio

from actors import (
    INFINITE,
    ChildSpec,
    Intensity,
    Lifeline,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Strategy,
    Supervisor,
    System,
    run_root,
)
from app.config import Settings
from app.demo.store import load_demo
from app.http.listener import Bind, check_free
from app.identity.store import add_line
from app.identity.tokens import Tokens
from app.ledger.service import Ledger
from app.limits import CHECK_STATEMENT_S, STOP_MARGIN_S
from app.node import TREE, Addresses, Node
from app.storage import Annex, Database, StorageDown
from app.storage.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    StateFolder,
    StateFolderInUse,
    find_valkey,
    read_kept,
)
from app.storage.errors import StartupError
from app.storage.migrations import check_schema, migrate
from app.telemetry import Telemetry

# Names of secrets in the state folder.
_TOKENS: Final = "tokens"
_DATABASE_URL: Final = "database_url"

T = TypeVar("T")
OnReady = Callable[[str, Tokens], None]


async def serve(
    settings: Settings, telemetry: Telemetry, *, embed: bool, on_ready: OnReady
) -> None:
    """Run a node until SIGINT or SIGTERM.

    Args:
        settings: as the environment gave them.
        telemetry: takes every part's events and figures.
        embed: whether to bring what has no URL: PostgreSQL, Valkey, the token secret, the demo.
        on_ready: called with the URL and the issuer of tokens once everything runs.

    Raises:
        StartupError: it could not start, or gave up, for the reason its one line gives.
    """
    bind = Bind(settings.host, settings.port)
    check_free(bind)
    with ExitStack() as stack:
        state = stack.enter_context(StateFolder(settings.state_dir)) if embed else None
        tree = Tree(settings, telemetry, state, on_ready)
        stop = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(_hear_signals, stop, nursery.cancel_scope)
                # Off the loop: finding out where the servers may live runs a program as their user.
                root = await trio.to_thread.run_sync(tree.root)
                await _run_until(
                    root,
                    System(telemetry.emit),
                    stop,
                    settings.drain_seconds + STOP_MARGIN_S,
                )
                nursery.cancel_scope.cancel()
        except* (StartFailed, RestartIntensityExceeded, SystemExit) as group:
            raise _reason(group) from group


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
        self, settings: Settings, telemetry: Telemetry, state: StateFolder | None, on_ready: OnReady
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._state = state
        self._on_ready = on_ready
        self._tokens = Tokens(token_secret(settings, state))
        self._addresses = Addresses(settings.database_url, settings.redis_url)

    def root(self) -> Supervisor:
        """The supervisor of everything."""
        servers = Supervisor("servers", self._servers(), intensity=TREE)
        # A node stops as a supervisor does: each of its children has a time of its own.
        children = [
            servers.as_child(),
            ChildSpec("node", self._node, shutdown_s=INFINITE, start_s=INFINITE),
        ]
        return Supervisor(
            "agio",
            children,
            strategy=Strategy.REST_FOR_ONE,
            intensity=Intensity(restarts=3, window_s=60.0),
        )

    def _servers(self) -> list[ChildSpec]:
        """A child for each server that nobody has told us the address of."""
        if self._state is None:
            return []
        children = []
        if self._addresses.database_url is None:
            postgres = EmbeddedPostgres(self._state)
            self._addresses.database_url = postgres.url
            self._state.keep(_DATABASE_URL, postgres.url)
            children.append(ChildSpec("postgres", postgres.run))
        if self._addresses.redis_url is None and find_valkey() is not None:
            valkey = EmbeddedValkey(self._state)
            self._addresses.redis_url = valkey.url
            children.append(ChildSpec("valkey", valkey.run))
        return children

    async def _node(self, life: Lifeline) -> None:
        """A node of new parts; ready when its port is open."""
        node = Node(
            self._settings,
            self._addresses,
            self._tokens,
            self._telemetry,
            life.system,
            prepare=check_schema if self._state is None else _prepare,
        )
        life.on_ready(partial(self._up, node))
        await node.supervisor().run(life)

    def _up(self, node: Node) -> None:
        # Whoever chose the port, a node that comes after this one has it too: clients know it.
        self._settings = replace(self._settings, port=node.port)
        self._telemetry.emit("server.started", {"url": node.url, "port": node.port})
        self._on_ready(node.url, self._tokens)


async def _prepare(database: Database) -> None:
    """What `agio up` does to a database before it serves: migrate, and load the demo once."""
    await migrate(database)
    await database.write(load_demo)


# Commands that do one thing -----------------------------------------------------------------------


async def migrate_only(database_url: str) -> tuple[str, ...]:
    """Bring the schema up to date; returns the names of what was applied."""

    async def work(database: Database) -> tuple[str, ...]:
        return await migrate(database)

    return await _with_database(database_url, work)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of the ledger found, as lines for a person."""

    clean: bool
    lines: tuple[str, ...]


async def check_ledger(settings: Settings) -> Report:
    """Replay the ledger and compare it with what is cached.

    Without a database URL it is that of the state folder: of the running `agio up`, or else
    started for the check.
    """

    async def work(database: Database) -> Report:
        await check_schema(database)
        found = await Ledger(database).check()
        return Report(
            not found,
            (
                f"ledger of {database.place}: "
                + (f"{len(found)} violations" if found else "clean"),
                *(f"  {each.invariant}: {dict(each.broken)}" for each in found),
            ),
        )

    return await _with_settings(settings, work)


async def new_line(settings: Settings, line: str, name: str, commission_bp: int) -> bool:
    """Add a business line to the database that `check_ledger` would look at; False: it is there."""

    async def work(database: Database) -> bool:
        await check_schema(database)
        return await database.write(add_line, line, name, commission_bp)

    return await _with_settings(settings, work)


async def _with_settings(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` returns, given the settings' database, or else the state folder's."""
    if settings.database_url is not None:
        return await _with_database(settings.database_url, work)
    if not StateFolder.is_at(settings.state_dir):
        raise StartupError(
            f"no database: AGIO_DATABASE_URL is not set, and {settings.state_dir} is no state "
            "folder of `agio up`"
        )
    try:
        state = StateFolder(settings.state_dir)
    except StateFolderInUse:
        kept = read_kept(settings.state_dir, _DATABASE_URL)
        if kept is None:
            raise
        return await _with_database(kept, work)
    with state:
        postgres = await trio.to_thread.run_sync(EmbeddedPostgres, state)
        return await _with_database(postgres.url, work, ChildSpec("postgres", postgres.run))


async def _with_database(
    database_url: str, work: Callable[[Database], Awaitable[T]], *servers: ChildSpec
) -> T:
    """What `work` returns, given a database, and the servers beneath it, for as long as it runs.

    Raises:
        StartupError: the database is not there, or not of this version.
    """
    annex = Annex()
    database = Database(annex, database_url, pool_size=1, statement_s=CHECK_STATEMENT_S)
    results: list[T] = []

    async def main(life: Lifeline) -> None:
        results.append(await work(database))
        life.ready()

    children = [
        *servers,
        ChildSpec("annex", annex.run),
        ChildSpec("database", database.run),
        ChildSpec("work", main, restart=Restart.TEMPORARY, start_s=INFINITE),
    ]
    stop = trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_root, Supervisor("once", children), stop=stop))
            stop.set()
    except* StartFailed as group:
        raise _reason(group) from group
    return results[0]


# Secrets and errors -------------------------------------------------------------------------------


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


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Why a tree did not start, or gave up: one line for a person.

    What is a fault of ours stays as it is, to be shown with its traceback.
    """
    error: BaseException | None = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    while error is not None:
        if isinstance(error, StartupError):
            return error
        if isinstance(error, StorageDown | RestartIntensityExceeded | SystemExit):
            return StartupError(str(error))
        error = error.__cause__
    return group
