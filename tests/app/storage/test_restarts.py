"""The thread of the drivers ends by itself, or a driver does: what comes back, and what is left."""

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import pytest
import trio

from actors import ChildSpec, StartFailed, Strategy, Supervisor, System, run_root, running
from actors.testing import crash
from app.storage import Annex, AnnexDown, Database, ReadConnection, load_queries
from app.storage.redis import RedisBus
from channels.errors import BusDown

pytestmark = pytest.mark.servers

_SQL: Final = load_queries("tests.app.storage")
_NAME: Final = "agio-restarts"


class Storage:
    """A node's storage, and what was told of it."""

    def __init__(self, database_url: str, valkey_url: str) -> None:
        self.annex = Annex()
        self.database = Database(self.annex, database_url, pool_size=2, application_name=_NAME)
        self.bus = RedisBus(self.annex, valkey_url)
        self.bus.attach(lambda _channel, _data: None)
        self.system = System(self._hear)
        self.starts: Counter[str] = Counter()
        self._started = trio.Event()

    def supervisor(self) -> Supervisor:
        """As the node has it."""
        drivers = [ChildSpec("database", self.database.run), ChildSpec("bus", self.bus.run)]
        return Supervisor(
            "storage",
            [ChildSpec("annex", self.annex.run), Supervisor("drivers", drivers).as_child()],
            strategy=Strategy.REST_FOR_ONE,
        )

    async def crash(self, part: str, *restarts: str) -> None:
        """End a part, and wait until those have started once more."""
        before = self.starts.copy()
        crash(self.system, f"storage/{part}", ValueError("a crash on purpose"))
        with trio.fail_after(20):
            while Counter(restarts) - (self.starts - before):
                self._started = trio.Event()
                await self._started.wait()
        assert Counter(restarts) == self.starts - before

    def _hear(self, event: str, fields: Mapping[str, object]) -> None:
        if event == "actor.started":
            self.starts[str(fields["child"])] += 1
            self._started.set()


async def _clients(connection: ReadConnection) -> int:
    return int(await connection.fetchval(_SQL.count_clients, _NAME))


async def _fill(database: Database) -> None:
    """Have the pool make all of its connections."""
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(database.read, _clients)


@pytest.mark.parametrize(
    ("part", "restarts"),
    [
        ("annex", ["annex", "drivers", "database", "bus"]),
        ("drivers", ["drivers", "database", "bus"]),
        ("drivers/database", ["database"]),
        ("drivers/bus", ["bus"]),
    ],
)
async def test_each_part_comes_back_whole(
    part: str, restarts: list[str], database_url: str, valkey_url: str
) -> None:
    """It works again, life after life, and leaves no connection of an earlier life open."""
    storage = Storage(database_url, valkey_url)
    async with running(storage.supervisor(), storage.system):
        for _ in range(3):
            await _fill(storage.database)
            await storage.crash(part, *restarts)
            assert await storage.database.read(_clients) <= 2
            with trio.fail_after(20):
                while not storage.bus.statistics().connected:
                    await trio.lowlevel.checkpoint()
            await storage.bus.publish([("restarts", b"heard")])


async def test_drivers_wait_for_the_annex_to_come_back(database_url: str, valkey_url: str) -> None:
    """While work holds up the end of the thread, they do not crash again and again."""
    storage = Storage(database_url, valkey_url)
    held = trio.Event()

    async def ends_slowly() -> None:
        storage.annex.post(held.set)
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(1000):
                await asyncio.sleep(0)

    async with running(storage.supervisor(), storage.system), trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(AnnexDown):
                await storage.annex.call(ends_slowly)

        nursery.start_soon(ask)
        await held.wait()
        await storage.crash("annex", "annex", "drivers", "database", "bus")


async def test_a_start_that_loses_the_annex_fails(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for a driver that waits for the annex, which nobody restarts meanwhile."""
    monkeypatch.setattr("app.storage.annex.ANNEX_STOP_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        storage = Storage(url, valkey_url)

        async def crash_once_connecting() -> None:
            while not storage.annex.statistics().calls_waiting:
                await trio.lowlevel.checkpoint()
            crash(storage.system, "storage/annex", ValueError("a crash on purpose"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash_once_connecting)
            with trio.fail_after(20), pytest.raises(StartFailed):
                await run_root(storage.supervisor(), system=storage.system)


@pytest.mark.parametrize("part", ["annex", "drivers/bus"])
async def test_a_batch_under_way_leaves_no_connection_behind(
    part: str, database_url: str, valkey_url: str
) -> None:
    """Nor does a connection that is being made just then: the collector would tell of it."""
    storage = Storage(database_url, valkey_url)
    restarts = ["annex", "drivers", "database", "bus"] if part == "annex" else ["bus"]

    async def publish() -> None:
        while True:
            with suppress(BusDown):
                await storage.bus.publish([("restarts", b"x" * 1000)] * 2000)
            await trio.lowlevel.checkpoint()

    async with running(storage.supervisor(), storage.system), trio.open_nursery() as nursery:
        nursery.start_soon(publish)
        nursery.start_soon(publish)
        for _ in range(3):
            sent = storage.bus.statistics().published
            with trio.fail_after(20):
                while storage.bus.statistics().published == sent:
                    await trio.lowlevel.checkpoint()
            await storage.crash(part, *restarts)
        nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(gc.collect)
