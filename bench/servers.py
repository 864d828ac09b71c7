"""Servers of a bench's own, gone when it ends."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from actors import ChildSpec, Supervisor
from app.storage import Annex
from app.storage.embedded import EmbeddedPostgres, EmbeddedValkey, StateFolder
from bench.trees import running


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder that the user whom servers run as can enter."""
    with TemporaryDirectory(prefix="agio-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@asynccontextmanager
async def postgres() -> AsyncIterator[tuple[Annex, str]]:
    """A running annex, and the URL of a PostgreSQL with `fsync` and `synchronous_commit` on.

    It is that of the owner, who may make tables.
    """
    with _folder() as folder, StateFolder(folder / "state") as state:
        server = EmbeddedPostgres(state)
        annex = Annex()
        tree = Supervisor(
            "bench", [ChildSpec("postgres", server.run), ChildSpec("annex", annex.run)]
        )
        async with running(tree):
            yield annex, server.owner_url


@asynccontextmanager
async def valkey() -> AsyncIterator[tuple[Annex, str]]:
    """A running annex, and the URL of a Valkey."""
    with _folder() as folder, StateFolder(folder / "state") as state:
        server = EmbeddedValkey(state)
        annex = Annex()
        tree = Supervisor("bench", [ChildSpec("valkey", server.run), ChildSpec("annex", annex.run)])
        async with running(tree):
            yield annex, server.url
