"""PostgreSQL and Valkey for one run of the suite, in a process of their own.

    python -m tests.support.servers FOLDER

prints one line of JSON, `{"postgres": url, "valkey": url or null}`, once both can be reached, and
ends them when its standard input ends: also when the suite was killed and could not say so. It is a
process because the servers must be started in a main thread with a trio loop that lives as long as
they do, and each test has a trio loop of its own.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

import trio

from actors import run_root
from app.storage.embedded import EmbeddedPostgres, EmbeddedValkey, StateFolder, find_valkey


async def serve(folder: Path) -> None:
    """Run the servers until standard input ends."""
    stop = trio.Event()
    with StateFolder(folder) as state:
        # Nothing that a test wrote is worth waiting for a disk.
        servers: dict[str, EmbeddedPostgres | EmbeddedValkey] = {
            "postgres": EmbeddedPostgres(state, durable=False)
        }
        if find_valkey() is not None:
            servers["valkey"] = EmbeddedValkey(state)
        async with trio.open_nursery() as nursery:
            urls: dict[str, str | None] = {"valkey": None}
            for name, server in servers.items():
                urls[name] = await nursery.start(partial(run_root, server, stop=stop))
            print(json.dumps(urls), flush=True)  # noqa: T201 - its one line
            await _standard_input_ends()
            stop.set()


async def _standard_input_ends() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
        async for _ in stream:
            pass


if __name__ == "__main__":
    trio.run(serve, Path(sys.argv[1]))
