"""A durable PostgreSQL of the bench's own, gone when it ends."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from actors import ChildSpec, Supervisor, run_root
from app.storage import Annex
from app.storage.embedded import EmbeddedPostgres, StateFolder


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder that the user whom servers run as can enter."""
    with TemporaryDirectory(prefix="agio-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@asynccontextmanager
async def postgres() -> AsyncIterator[tuple[Annex, str]]:
    """A running annex, and the URL of a PostgreSQL with `fsync` and `synchronous_commit` on."""
    with _folder() as folder, StateFolder(folder / "state") as state:
        server = EmbeddedPostgres(state)
        annex = Annex()
        tree = Supervisor(
            "bench", [ChildSpec("postgres", server.run), ChildSpec("annex", annex.run)]
        )
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_root, tree, stop=stop))
            try:
                yield annex, server.url
            finally:
                stop.set()
