"""Endpoints with limits on their clients, and clients at addresses of their own."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from actors import System
from channels.client_limits import ClientLimits, Limit, Mode
from channels.guard import GuardStatistics
from channels.limits import Limits
from channels.reception import SocketHandler
from channels.testing import Node, Streams, connect, serving
from tests.channels.rooms import Hot, Script
from tests.support.sockets import plain


def at_most(value: int) -> Limit:
    """A limit that is enforced."""
    return Limit(value, Mode.ENFORCE)


def dry(value: int) -> Limit:
    """A limit that only counts."""
    return Limit(value, Mode.DRY_RUN)


class Named(SocketHandler):
    """Lets everybody in under the name they give as token, and notes where they came from."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> object:
        """The token is the assigns."""
        self.addresses.append(address)
        return token

    def who(self, assigns: Any) -> str:
        """The token is the name, too."""
        return assigns or ""


@dataclass
class Guarded:
    """A node with limits.

    Attributes:
        node: to connect to.
        script: what its rooms do, and did.
        handler: whom it asked.
        told: the fields of each `limit.exceeded`.
    """

    node: Node
    script: Script
    handler: Named
    told: list[dict[str, object]] = field(default_factory=list)

    def statistics(self) -> GuardStatistics:
        """What was beyond the limits."""
        return self.node.endpoint.guard.statistics()

    def refused(self) -> dict[str, int]:
        """By limit, what was refused."""
        return {name: count for name, count in self.statistics().refused.items() if count}

    def would_refuse(self) -> dict[str, int]:
        """By limit, what would have been."""
        return {name: count for name, count in self.statistics().would_refuse.items() if count}


@asynccontextmanager
async def guarded(
    clients: ClientLimits, *, proxies: Any = (), **limits: Any
) -> AsyncIterator[Guarded]:
    """Run a node with these limits."""
    script, handler = Script(), Named()
    told: list[dict[str, object]] = []

    def emit(name: str, fields: Mapping[str, object]) -> None:
        if name == "limit.exceeded":
            told.append(dict(fields))

    system = System(emit)
    bounds = Limits(clients=clients, trusted_proxies=proxies, **limits)
    routes = [("room:*", script.room), ("hot:*", Hot)]
    async with serving(routes, handler=handler, limits=bounds, system=system) as node:
        yield Guarded(node, script, handler, told)


async def from_address(address: str) -> Streams:
    """The two ends of a connection that comes from one of this machine's addresses."""
    with socket.create_server(("127.0.0.1", 0)) as raw:
        raw.setblocking(False)
        listening = trio.socket.from_stdlib_socket(raw)
        ours = trio.socket.socket()
        await ours.bind((address, 0))
        await ours.connect(raw.getsockname())
        theirs, _ = await listening.accept()
    return trio.SocketStream(ours), plain(theirs)


def dial(guarded: Guarded, address: str, name: str = "ann") -> Any:
    """Connect from an address."""

    @asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        streams = await from_address(address)
        async with connect(guarded.node.endpoint, token=name, streams=streams) as client:
            yield client

    return connected()
