"""PostgreSQL and Valkey for one run of the suite, in a process of their own.

    python -m tests.support.servers

prints one line of JSON, `{"postgres": url, "valkey": url or null}`, once both can be reached, and
ends and removes them when its standard input ends: also when the suite was killed and could not say
so. It is a process because the servers must be started in a main thread with a trio loop that lives
as long as they do, and each test has a trio loop of its own.
"""

import json
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import trio

from actors import run_root
from app.storage.embedded import EmbeddedPostgres, EmbeddedValkey, StateFolder, find_valkey

# What the servers may need there, with room to spare.
_ROOM_BYTES: Final = 1 << 30


async def serve(folder: Path) -> None:
    """Run the servers, in this folder, until standard input ends."""
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


def main() -> None:
    """Run the servers in a folder of their own and remove it afterwards."""
    # As root, the servers run as a user who must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="agio-test-", dir=_in_memory()))
    folder.chmod(0o711)
    try:
        trio.run(serve, folder / "state")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> str | None:
    """A place in memory where there is one: copying a database takes 12 ms there, else 300."""
    place = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    if not place.is_dir() or not os.access(place, os.W_OK):
        return None
    # The servers' binaries may have to be copied there and run.
    if os.statvfs(place).f_flag & os.ST_NOEXEC or shutil.disk_usage(place).free < _ROOM_BYTES:
        return None
    return str(place)


if __name__ == "__main__":
    main()
