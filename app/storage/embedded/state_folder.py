"""The folder that holds what the embedded servers keep between starts.

    version          the layout's version, so that another one is refused and not misread
    lock             held while a process uses the folder
    home             where the servers' own files are: `.` is this folder, which may be moved and
                     copied; another path where they cannot reach this one
    *.port, *.secret what each server was given, so that URLs survive restarts
    *.log            what each server said since its last start

Where we are root, servers run as another user (see `run_as`) and this folder may lie where that
user cannot go, such as below /root. Their files then live in /var/lib/agio/, in a folder named
after this one's path, and `home` remembers it. Files that hold secrets are ours alone; so is the
whole folder, unless we are root and the servers have to pass through it.
"""

import fcntl
import hashlib
import os
import random
import secrets
import socket
import time
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.storage.embedded.run_as import RunAs, choose_user
from app.storage.errors import StartupError

_VERSION: Final = "1"
_ELSEWHERE: Final = Path("/var/lib/agio")

# Below the range that Linux and macOS take for outgoing connections, so that no such connection
# sits on a server's port when it is started again.
_PORTS: Final = range(20_000, 32_000)
_PORT_TRIES_MAX: Final = 100


# Says which version of Agio a state folder is of, and that it is one.
_VERSION_FILE: Final = "version"


class StateFolderInUse(StartupError):  # noqa: N818 - it says how it is
    """Another process has the state folder open."""


class StateFolder:
    """An open state folder; nobody else has it open. Usable as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the folder at `path`, making it where there is none.

        Raises:
            StartupError: it is in use, of another version, not ours, or cannot be opened.
        """
        self.path = path.absolute()
        self.run_as = choose_user()
        self._ports: dict[str, int] = {}
        self._locks: list[int] = []
        try:
            self._make()
            self._take_lock(self.path)
        except OSError as error:
            raise StartupError(
                f"cannot use the state folder {self.path}: {error.strerror}"
            ) from error
        try:
            self._check_version()
        except OSError as error:
            self.close()
            raise StartupError(
                f"cannot use the state folder {self.path}: {error.strerror}"
            ) from error
        except BaseException:
            self.close()
            raise

    @staticmethod
    def is_at(path: Path) -> bool:
        """Whether there is a state folder at `path`, of whatever version."""
        return (path / _VERSION_FILE).exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others have it."""
        while self._locks:
            os.close(self._locks.pop())

    @cached_property
    def home(self) -> Path:
        """Where the servers' own files are; found, or made, when it is first asked for.

        Raises:
            StartupError: it is gone, out of reach, or in use, or there is no place for it.
        """
        try:
            return self._find_home()
        except OSError as error:
            raise StartupError(f"cannot use the state folder {self.path}: {error}") from error

    # What servers are given ----------------------------------------------------------------------

    def port(self, name: str, *, in_use_by_us: bool = False) -> int:
        """The TCP port on 127.0.0.1 of the server `name`: the last one, unless it was taken.

        Within one life of this object a server's port stays the same.

        Args:
            name: the server's.
            in_use_by_us: the server still ends from before: its port is only seemingly taken.
        """
        if name not in self._ports:
            file = self.path / f"{name}.port"
            last = file.read_text("ascii").strip() if file.exists() else ""
            if last.isdecimal() and (in_use_by_us or _is_free(int(last))):
                self._ports[name] = int(last)
            else:
                self._ports[name] = _free_port()
                _write(file, str(self._ports[name]))
        return self._ports[name]

    def secret(self, name: str) -> str:
        """The password of the server `name`, made when it is first asked for."""
        file = self.path / f"{name}.secret"
        if not file.exists():
            _write(file, secrets.token_urlsafe(24))
        return file.read_text("ascii").strip()

    def keep(self, name: str, text: str) -> None:
        """Keep a secret line that is ours, for `read_kept`."""
        _write(self.path / f"{name}.secret", text)

    def log(self, name: str) -> Path:
        """Where the server `name` writes what it says."""
        return self.path / f"{name}.log"

    def folder(self, name: str) -> Path:
        """A folder of the servers' user in `home`, made where there is none."""
        folder = self.home / name
        if not folder.exists():
            folder.mkdir(mode=0o700)
            self.run_as.give(folder)
        return folder

    # Opening -------------------------------------------------------------------------------------

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.is_dir():
            raise StartupError(f"the state folder {self.path} is not a folder")
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise StartupError(
                f"the state folder {self.path} belongs to user {owner}, not to user "
                f"{os.geteuid()}: start Agio as that user, or choose another folder"
            )
        # Servers of another user pass through it; the files that hold secrets stay ours alone.
        self.path.chmod(0o711 if self.run_as.is_other else 0o700)

    def _take_lock(self, folder: Path) -> None:
        """Hold the folder's lock until the process ends; children do not inherit it."""
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            data = "" if folder == self.path else f"data in {folder} of the "
            raise StateFolderInUse(
                f"the {data}state folder {self.path} is in use by another agio"
            ) from None
        self._locks.append(lock)

    def _check_version(self) -> None:
        file = self.path / _VERSION_FILE
        if file.exists():
            found = file.read_text("utf-8").strip()
            if found != _VERSION:
                raise StartupError(
                    f"the state folder {self.path} is of version {found!r}, this Agio's are of "
                    f"version {_VERSION!r}: use the Agio that made it, or another folder"
                )
            return
        if [entry for entry in self.path.iterdir() if entry.name != "lock"]:
            raise StartupError(f"{self.path} is not empty and not a state folder of Agio")
        _write(file, _VERSION)

    def _find_home(self) -> Path:
        """Where the servers' files are, or are to be."""
        pointer = self.path / "home"
        if pointer.exists():
            home = self.path / pointer.read_text("utf-8").strip()
            if not home.is_dir():
                raise StartupError(
                    f"the data of the state folder {self.path} was in {home}, which is gone: "
                    "bring it back, or remove the state folder to begin anew"
                )
            if home == self.path and not self.run_as.can_enter(home):
                raise StartupError(
                    f"the servers' user can no longer reach {home}, where their data is: "
                    "put the folder back to where it was, or open those above it"
                )
        elif self.run_as.can_enter(self.path):
            home = self.path
            _write(pointer, ".")
        else:
            home = _make_elsewhere(self.path, self.run_as)
            _write(pointer, str(home))
        if home != self.path:
            # A copy of this folder would lead to the same data.
            self._take_lock(home)
        return home


def read_kept(path: Path, name: str) -> str | None:
    """The line that was kept, or the secret that was made, under `name` in the folder at `path`.

    The folder may be in use by another process; None where there is no such line.

    Raises:
        StartupError: the folder cannot be read.
    """
    try:
        return (path / f"{name}.secret").read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartupError(f"cannot use the state folder {path}: {error.strerror}") from error


def _make_elsewhere(path: Path, run_as: RunAs) -> Path:
    """A new folder in /var/lib for the servers of the state folder at `path`."""
    home = _ELSEWHERE / hashlib.sha256(str(path).encode()).hexdigest()[:12]
    if home.exists():
        # Of a state folder that was here before and is gone. Data is set aside, never deleted.
        home.rename(home.with_name(f"{home.name}.before-{int(time.time())}"))
    home.mkdir(parents=True)
    for folder in (_ELSEWHERE, home):
        folder.chmod(0o711)
    if not run_as.can_enter(home):
        raise StartupError(f"the servers' user cannot reach {path}, nor {home}")
    return home


def _write(file: Path, text: str) -> None:
    """Write a small file of ours, whole or not at all, lasting."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(f"{text}\n")
        stream.flush()
        os.fsync(descriptor)
    fresh.replace(file)


def _is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    """A port that nobody listens on."""
    for port in random.sample(_PORTS, _PORT_TRIES_MAX):
        if _is_free(port):
            return port
    raise StartupError("found no free port on 127.0.0.1")
