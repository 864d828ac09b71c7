"""A whole node in the test's own process, on a real port, with a way to end any part of it."""

import asyncio
import io
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from actors import System, run_root
from actors.testing import crash
from app.config import Settings
from app.ledger.service import Ledger
from app.main import Tree
from app.storage import Annex, Database, ReadConnection, WriteConnection, load_queries
from app.storage.embedded import StateFolder
from app.telemetry import Telemetry
from app.telemetry.log import configure
from tests.e2e.server import TOKEN_SECRET, token
from tests.faults.http import Http

_SQL: Final = load_queries(__package__)

# Far longer than any restart, and shorter than pytest's patience: a test that needs it has failed.
PATIENCE_S: Final = 45.0

# Whose children come and go with clients and purchases: their starts say nothing of restarts.
_CROWDS: Final = frozenset({"connections", "channels", "checkouts", "transactions"})

# Where the node is in its tree.
NODE: Final = "agio/node"

# Where no client gets its own port from: a client that finds the server away cannot take its port.
_PORTS: Final = range(20_000, 30_000)


class Boom(Exception):  # noqa: N818 - a test's own word
    """What a test ends parts with."""


class News:
    """Something that changes, and those who wait for it to become what they want."""

    def __init__(self) -> None:
        self._changed = trio.Event()

    def tell(self) -> None:
        """It changed."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until this holds; looked at after each change."""
        with trio.move_on_after(PATIENCE_S):
            while not holds():
                await self._changed.wait()
            return
        raise AssertionError(f"waited {PATIENCE_S:g} s for {what}")


class Telling(Telemetry):
    """A node's telemetry that also keeps every event."""

    def __init__(self) -> None:
        super().__init__(configure("error", io.StringIO()), "debug")
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.news = News()

    def emit(self, name: str, fields: Mapping[str, object]) -> None:
        """Take an event."""
        super().emit(name, fields)
        self.told.append((name, dict(fields)))
        self.news.tell()


class Live:
    """The running node.

    Attributes:
        system: of its tree.
        port: where it listens.
        telemetry: what it told.
    """

    def __init__(self, settings: Settings, state: StateFolder | None = None) -> None:
        self.telemetry = Telling()
        self.system = System(self.telemetry.emit, chance=random.Random(1))
        self.port = settings.port
        self.urls: list[str] = []
        self._tree = Tree(settings, self.telemetry, state, lambda url, _: self.urls.append(url))

    async def run(self, stop: trio.Event, task_status: trio.TaskStatus[object]) -> None:
        """Run its tree until `stop`."""
        # Off the loop: finding out where the servers may live runs a program as their user.
        root = await trio.to_thread.run_sync(self._tree.root)
        await run_root(root, system=self.system, stop=stop, task_status=task_status)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until this holds; looked at after each event that it tells."""
        await self.telemetry.news.until(holds, what)

    async def more_events(self, count: int) -> None:
        """Wait until it has told so many more."""
        due = len(self.telemetry.told) + count
        await self.until(lambda: len(self.telemetry.told) >= due, f"{count} events")

    # Its parts.

    def crash(self, path: str) -> int:
        """End the life at a place below `agio/node`. Returns where in `told` that was.

        Args:
            path: of the place; one that ends in `/*` means the first that lives there.
        """
        mark = len(self.telemetry.told)
        crash(self.system, self.places(path)[0], Boom(path))
        return mark

    def places(self, path: str) -> list[str]:
        """The whole paths of what lives at such a place now."""
        whole = f"{NODE}/{path}".removesuffix("/")
        return [at for at, _ in self.system.lives() if fnmatch(at, whole)]

    def starts_since(self, mark: int) -> Counter[str]:
        """Parts of the node that started since then, as `supervisor/child`, and how often."""
        return Counter(
            f"{fields['supervisor']}/{fields['child']}"
            for name, fields in self.telemetry.told[mark:]
            if name == "actor.started" and fields["supervisor"] not in _CROWDS
        )

    def names_of(self, event: str) -> list[Mapping[str, object]]:
        """The fields of all events of this name."""
        return [fields for name, fields in self.telemetry.told if name == event]

    def is_up(self, path: str) -> bool:
        """Whether the part there runs."""
        tree = self.system.tree(children_max=100)
        assert tree is not None, "the tree runs"
        return any(
            at == f"{NODE}/{path}" and vitals.state == "running" for at, vitals in tree.walk()
        )

    def resting(self) -> list[str]:
        """Places that are not as they should be: neither running nor about to go."""
        tree = self.system.tree(children_max=100)
        assert tree is not None, "the tree runs"
        return [
            at for at, vitals in tree.walk() if vitals.state in {"starting", "waiting", "ended"}
        ]

    # As its clients see it.

    async def listens(self) -> None:
        """Wait until its port is open."""
        await self.until(lambda: self.is_up("service/listener"), "the port to be open")

    async def dial(self) -> trio.SocketStream:
        """A connection to its port, once it listens."""
        while True:
            await self.listens()
            try:
                return await trio.open_tcp_stream("127.0.0.1", self.port)
            except OSError:
                continue  # it went away just now

    @contextmanager
    def client(self, role: str, name: str | None = None) -> Iterator[Http]:
        """An HTTP client that carries a token of this role."""
        client = Http(self.port, token(role, name))
        try:
            yield client
        finally:
            client.close()

    def hub(self) -> dict[str, float]:
        """The numbers of its hub, as it is scraped."""
        lines = self.telemetry.metrics.render()[0].decode().splitlines()
        told = (line.split() for line in lines if line.startswith("agio_hub_"))
        return {name.removeprefix("agio_hub_"): float(value) for name, value in told}


@asynccontextmanager
async def live(
    database_url: str, redis_url: str | None, *, port: int | None = None
) -> AsyncIterator[Live]:
    """A running node on this database; stopped in order at the end of the block.

    Args:
        database_url: a migrated database.
        redis_url: a Redis or Valkey; None: a single node.
        port: where to listen; None: where nobody else does, and no client will.
    """
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        port=_free_port() if port is None else port,
        state_dir=Path("nowhere"),
        token_secret=TOKEN_SECRET,
        pool_size=8,
    )
    async with _served(Live(settings)) as node:
        yield node


@asynccontextmanager
async def live_with_servers(state: StateFolder) -> AsyncIterator[Live]:
    """A running node with a PostgreSQL and a Valkey of its own, as `agio up` has them."""
    async with _served(Live(Settings(port=_free_port(), token_secret=TOKEN_SECRET), state)) as node:
        yield node


@asynccontextmanager
async def _served(node: Live) -> AsyncIterator[Live]:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE_S):
            await nursery.start(node.run, stop)
        yield node
        stop.set()


def _free_port() -> int:
    for port in random.Random().sample(_PORTS, 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")


# The provider, as a test holds it -----------------------------------------------------------------


@asynccontextmanager
async def charges_held(annex: Annex, database: Database) -> AsyncIterator[Callable[[], None]]:
    """Let no charge come to its end, until the block does or what it is given is called."""
    held = trio.Event()

    async def hold(conn: WriteConnection) -> None:
        await conn.execute(_SQL.hold_charges)
        annex.post(held.set)
        await asyncio.Event().wait()  # until it is cancelled

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(database.write, hold))
        await held.wait()
        yield nursery.cancel_scope.cancel
        nursery.cancel_scope.cancel()


async def until_charging(database: Database, count: int) -> None:
    """Wait until so many charges are held."""

    async def ask(conn: ReadConnection) -> int:
        return int(await conn.fetchval(_SQL.charges_held))

    with trio.fail_after(PATIENCE_S):
        while await database.read(ask) < count:
            pass


async def violations(database: Database) -> list[Any]:
    """What `agio ledger check` finds."""
    return list(await Ledger(database).check())
