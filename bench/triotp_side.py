"""The same work on triotp, the other OTP for trio, where it is installed. It is no dependency.

triotp 0.2.1 is the last for Python before 3.13. It asks for an old trio, and runs on a new one:

    pip install --no-deps --target FOLDER triotp==0.2.1 tenacity trio-util logbook async_generator
    PYTHONPATH=FOLDER make bench-actors

Each function returns processor seconds, or bytes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, Final

import trio

from bench.actors_lives import Boom
from bench.actors_messages import CALLERS, DEADLINE_S
from bench.meters import Scales, Stopwatch

INSTALLED: Final = find_spec("triotp") is not None
RELEASE: Final = version("triotp") if INSTALLED else ""

_mailbox, _server, _dynamic, _supervisor, _logbook = (
    import_module(name) if INSTALLED else SimpleNamespace()
    for name in (
        "triotp.mailbox",
        "triotp.gen_server",
        "triotp.dynamic_supervisor",
        "triotp.supervisor",
        "logbook",
    )
)
_RESTARTS: Final = 1_000_000


class Server:
    """The callbacks of a generic server, which triotp takes from any object.

    Attributes:
        began: set by each life that begins.
        ended: set by each life that ends.
    """

    __name__ = "bench"

    def __init__(self) -> None:
        self.began = trio.Event()
        self.ended = trio.Event()

    async def init(self, state: Any) -> Any:
        """Begin."""
        self.began.set()
        return state

    async def handle_call(self, message: Any, _caller: Any, state: Any) -> Any:
        """Answer."""
        return _server.Reply(message), state

    async def handle_cast(self, message: Any, state: Any) -> Any:
        """Stop or crash if told to, else nothing."""
        if message == "stop":
            return _server.Stop(), state
        if message == "crash":
            raise Boom
        return _server.NoReply(), state

    async def terminate(self, _reason: Any, _state: Any) -> None:
        """End."""
        self.ended.set()

    async def start(self, supervisor: Any, *, permanent: bool = True) -> None:
        """Start under a supervisor, and wait until it has begun."""
        restart = _supervisor.restart_strategy
        await _dynamic.start_child(
            supervisor,
            _supervisor.child_spec(
                "one",
                _server.start,
                [self, None, "one"],
                restart.PERMANENT if permanent else restart.TEMPORARY,
            ),
        )
        await self.began.wait()


@asynccontextmanager
async def _running() -> AsyncIterator[Any]:
    """A supervisor of servers that come and go."""
    _mailbox._init()  # noqa: SLF001 - its own node does no more, but takes over the whole program
    options = _supervisor.options(_RESTARTS, 1)
    with _logbook.NullHandler().applicationbound():
        async with trio.open_nursery() as nursery:
            yield await nursery.start(_dynamic.start, options)
            nursery.cancel_scope.cancel()


async def handled_casts(count: int) -> float:
    """Casts; its mailbox holds none, so each is taken before the next."""
    async with _running() as supervisor:
        await Server().start(supervisor)
        with Stopwatch() as watch:
            for number in range(count):
                await _server.cast("one", number)
    return watch.seconds


async def calls(count: int) -> float:
    """Calls, one after the other."""
    async with _running() as supervisor:
        await Server().start(supervisor)
        with Stopwatch() as watch:
            for number in range(count):
                await _server.call("one", number, DEADLINE_S)
    return watch.seconds


async def shared_calls(count: int) -> float:
    """Calls of one server by many callers."""
    async with _running() as supervisor:
        await Server().start(supervisor)

        async def caller() -> None:
            for number in range(count // CALLERS):
                await _server.call("one", number, DEADLINE_S)

        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(CALLERS):
                    nursery.start_soon(caller)
    return watch.seconds


async def starts_and_stops(count: int) -> float:
    """Servers, each started and stopped by a message, since nobody else can, before the next."""
    async with _running() as supervisor:
        with Stopwatch() as watch:
            for _ in range(count):
                server = Server()
                await server.start(supervisor, permanent=False)
                await _server.cast("one", "stop")
                await server.ended.wait()
                await trio.lowlevel.checkpoint()  # its name is free a step later
    return watch.seconds


async def restarts(count: int) -> float:
    """Crashes, each followed by the next life."""
    server = Server()
    async with _running() as supervisor:
        await server.start(supervisor)
        with Stopwatch() as watch:
            for _ in range(count):
                server.began = trio.Event()
                await _server.cast("one", "crash")
                await server.began.wait()
    return watch.seconds


async def idle_servers(count: int) -> float:
    """Servers that wait for a message; in bytes."""
    server = Server()
    async with _running() as supervisor:
        spec = _supervisor.child_spec("one", _server.start, [server])
        with Scales() as scales:
            for _ in range(count):
                server.began = trio.Event()
                await _dynamic.start_child(supervisor, spec)
                await server.began.wait()
            await trio.lowlevel.checkpoint()
    return scales.bytes
