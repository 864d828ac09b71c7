"""`kill -9` of a server, and of PostgreSQL, while they post: what was acknowledged is there, once.

Every key is asked for again afterwards, and what was told before is told again. Seeds say when.
"""

import os
import random
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import trio

from actors import Backoff, ChildSpec, Intensity, Supervisor
from actors.testing import running
from app.identity.store import add_line
from app.ledger import store
from app.ledger.poster import Expiries, Posters
from app.storage import Annex, Database, migrate
from app.storage.embedded import EmbeddedPostgres, StateFolder
from tests.faults.live import PATIENCE_S
from tests.faults.postings import ask_all, judge

pytestmark = [pytest.mark.servers, pytest.mark.slow]

_ROOT: Final = Path(__file__).parents[2]
KEYS: Final = 600
_AGAIN: Final = Backoff(0.05, 0.2)


class Told:
    """What was acknowledged.

    Attributes:
        answers: the digest of each key's answer: whoever asks again is told the same.
    """

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    def hear(self, key: str, answer: str) -> None:
        """An answer came."""
        assert self.answers.setdefault(key, answer) == answer, f"{key} was answered otherwise"


async def serve(url: str, book: str, told: Told, kill_after: int | None) -> None:
    """A server that asks for all the postings; killed once it has told of so many."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.faults.postings", url, book, str(KEYS)],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdout is not None
    rest, lines = b"", 0
    with trio.fail_after(PATIENCE_S):
        async for chunk in process.stdout:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                key, answer = line.decode().split()
                told.hear(key, answer)
                lines += 1
                if lines == kill_after:
                    process.send_signal(signal.SIGKILL)
        await process.wait()
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL)


async def kill_servers(database: Database, url: str, seed: int) -> None:
    """Two servers on one book are killed one after the other; a third one ends what they began."""
    chance, told, book = random.Random(seed), Told(), f"book-{seed}"
    await database.write(add_line, book, "A line", 0)
    for _ in range(2):
        await serve(url, book, told, kill_after=chance.randrange(1, KEYS // 2))
    assert 0 < len(told.answers) < KEYS, "it was killed in the middle"
    await serve(url, book, told, None)
    assert len(told.answers) == KEYS
    await judge(database, book, KEYS)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_killed_server_loses_nothing(
    database: Database, database_url: str, seed: int
) -> None:
    """Whoever asks the next server is told the same, and nothing is there twice."""
    await kill_servers(database, database_url, seed)
    assert await database.read(store.check) == []


class Killer:
    """Ends PostgreSQL as soon as so many answers were heard.

    Attributes:
        moments: numbers of answers, the next one last.
    """

    def __init__(self, state: StateFolder, chance: random.Random, kills: int) -> None:
        self._data = state.folder("postgres") / "data"
        self._chance = chance
        self.told = Told()
        self.moments = sorted(chance.sample(range(1, KEYS), kills), reverse=True)

    def hear(self, key: str, answer: str) -> None:
        """An answer came."""
        self.told.hear(key, answer)
        if self.moments and len(self.told.answers) >= self.moments[-1]:
            self.moments.pop()
            with suppress(ProcessLookupError, FileNotFoundError):  # it is down just now
                os.kill(self._victim(), signal.SIGKILL)

    def _victim(self) -> int:
        """The server itself, or one of the processes that work for clients, which ends all."""
        server = int((self._data / "postmaster.pid").read_text("ascii").split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
        clients = [pid for pid in map(int, children) if _serves_a_client(pid)]
        return self._chance.choice([server, *clients[:1]])


def _serves_a_client(pid: int) -> bool:
    told = Path(f"/proc/{pid}/cmdline").read_bytes()
    return re.search(rb"127\.0\.0\.1\(\d+\)", told) is not None


async def kill_postgres(state: StateFolder, seeds: list[int], kills: int) -> int:
    """One PostgreSQL, killed so often a seed beneath posters that go on; how often in all."""
    server, annex = EmbeddedPostgres(state), Annex()
    urls = await trio.to_thread.run_sync(lambda: (server.url, server.owner_url))
    often = Intensity(restarts=1_000)
    tree = Supervisor("servers", [ChildSpec("postgres", server.run)], intensity=often)
    database = Database(annex, urls[0], pool_size=4)
    async with running(annex), running(tree):
        await migrate(Database(annex, urls[1]))
        async with running(database):
            for seed in seeds:
                book, killer = f"book-{seed}", Killer(state, random.Random(seed), kills)
                await database.write(add_line, book, "A line", 0)
                posters = Posters(database)
                wakers = ChildSpec("wakers", Expiries(database, posters).run, backoff=_AGAIN)
                posting = [posters.actors.as_child(), wakers]
                async with running(Supervisor("posting", posting, intensity=often)):
                    with trio.fail_after(PATIENCE_S):
                        await ask_all(posters, book, KEYS, killer.hear)
                        assert killer.moments == []
                        # Everybody asks again: what stands is what was told.
                        await ask_all(posters, book, KEYS, killer.told.hear)
                await judge(database, book, KEYS)
            assert await database.read(store.check) == []
    return len(seeds) * kills


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for the processes in /proc")
async def test_a_killed_postgres_loses_nothing(state: StateFolder) -> None:
    """What it acknowledged was on disk, and posters that were cut off find what they posted."""
    assert await kill_postgres(state, [1, 2], kills=3) == 6
