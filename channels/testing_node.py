"""A node for tests: an endpoint without a port, with all that it needs. See `channels.testing`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from actors import Lifeline, System
from channels.broker import Broker, MemoryBroker
from channels.endpoint import Endpoint
from channels.history import MemoryHistory
from channels.hub import Hub
from channels.limits import Limits
from channels.origin import Origins
from channels.reception import SocketHandler
from channels.recovery import Recovery
from channels.router import RouteLike, Router


@dataclass(slots=True)
class Node:
    """One node under test.

    Attributes:
        endpoint: to connect to.
        hub: to publish by, and to look at.
        broker: of this node.
    """

    endpoint: Endpoint
    hub: Hub
    broker: Broker


class Anyone(SocketHandler):
    """A handler that lets everybody in, under the name they give as token."""

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> object:
        """The token is the assigns."""
        return token

    def who(self, assigns: Any) -> str:
        """The token, too."""
        return assigns or ""


@asynccontextmanager
async def serving(
    routes: Sequence[RouteLike],
    *,
    handler: SocketHandler | None = None,
    broker: Broker | None = None,
    limits: Limits | None = None,
    system: System | None = None,
    origins: Origins | None = None,
) -> AsyncIterator[Node]:
    """Run a node's endpoint, hub, broker and timers, with histories in memory.

    Args:
        routes: which topics are served, and by what.
        handler: who may connect; anyone if left out.
        broker: of a lone node if left out.
        limits: of the endpoint and the hub.
        system: of the tree; takes events. Its timers run here.
        origins: the pages that may connect.
    """
    hub = Hub(limits)
    broker = broker or MemoryBroker()
    system = system or System()
    router = Router(routes, origins=origins)
    endpoint = Endpoint(handler or Anyone(), router, hub, broker, limits, system=system)
    recovery = Recovery(MemoryHistory(), hub)
    endpoint.publishing.attach(recovery)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(system.timers.run)
        nursery.start_soon(hub.run, Lifeline())
        nursery.start_soon(broker.run, Lifeline())
        nursery.start_soon(endpoint.reader.run, Lifeline())
        nursery.start_soon(recovery.run, Lifeline())
        yield Node(endpoint, hub, broker)
        nursery.cancel_scope.cancel()
