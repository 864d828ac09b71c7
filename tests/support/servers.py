"""PostgreSQL and Valkey for one run of the suite, in a process of their own.

    python -m tests.support.servers

prints one line of JSON, `{"folder": path, "postgres": url, "owner": url, "valkey": url or null}`,
once both can be reached, and ends and removes them when its standard input ends: also when the
suite was killed and could not say so. It is a process because the servers must be started in a main
thread with a trio loop that lives as long as they do, and each test has a trio loop of its own.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

import trio

from actors import run_root
from app.storage.embedded import EmbeddedPostgres, EmbeddedValkey, StateFolder, find_valkey
from tests.support.folders import folder_for_servers


async def serve(folder: Path) -> None:
    """Run the servers, in this folder, until standard input ends."""
    stop = trio.Event()
    with StateFolder(folder) as state:
        # Nothing that a test wrote is worth waiting for a disk.
        postgres = EmbeddedPostgres(state, durable=False)
        servers: dict[str, EmbeddedPostgres | EmbeddedValkey] = {"postgres": postgres}
        if find_valkey() is not None:
            servers["valkey"] = EmbeddedValkey(state)
        async with trio.open_nursery() as nursery:
            urls: dict[str, str | None] = {
                "folder": str(folder),
                "owner": postgres.owner_url,
                "valkey": None,
            }
            for name, server in servers.items():
                urls[name] = await nursery.start(partial(run_root, server, stop=stop))
            print(json.dumps(urls), flush=True)  # noqa: T201 - its one line
            await _standard_input_ends()
            stop.set()


async def _standard_input_ends() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
        async for _ in stream:
            pass


def main() -> None:
    """Run the servers in a folder of their own and remove it afterwards."""
    with folder_for_servers() as folder:
        trio.run(serve, folder / "state")


if __name__ == "__main__":
    main()
