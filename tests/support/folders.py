"""Folders that servers of the tests can work in, whoever they run as.

Nothing here is for a trio loop: it waits for the disk, and for a program that tries a folder.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.storage.embedded import StateFolder

# What servers may need there, with room to spare.
_ROOM_BYTES: Final = 1 << 30


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """An empty folder, removed afterwards, in memory where there is room."""
    folder = Path(tempfile.mkdtemp(prefix="agio-test-", dir=_in_memory()))
    # As root, servers run as another user, who must be able to enter; pytest's own temporary
    # folders are closed to others.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_state(path: Path) -> StateFolder:
    """Open a state folder, and find out where its servers can live; close it by `with`."""
    state = StateFolder(path)
    assert state.home.is_dir()
    return state


def _in_memory() -> str | None:
    """A place in memory where there is one: copying a database takes 12 ms there, else 300."""
    place = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    if not place.is_dir() or not os.access(place, os.W_OK):
        return None
    # The servers' binaries may have to be copied there and run.
    if os.statvfs(place).f_flag & os.ST_NOEXEC or shutil.disk_usage(place).free < _ROOM_BYTES:
        return None
    return str(place)
