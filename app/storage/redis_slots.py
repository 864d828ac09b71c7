"""Where things are on a cluster: which primary has the slot of a channel, and how to get there.

Only the connections of `redis.asyncio` and its hash of slots are used; what keeps the answer true,
asking again when something says that it has changed, is up to whoever holds it.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from app.storage.limits import BUS_ANSWER_S, BUS_CONNECTIONS_MAX, BUS_SHARDS_MAX
from app.storage.redis_link import DOWN
from app.storage.redis_wire import ServerRefused

Place: TypeAlias = tuple[str, int]
"""Where a node of the cluster is: host and port."""

ConnectTo: TypeAlias = Callable[[Place | None], AbstractConnection]
"""Makes a connection to a node, or with None to where the settings point; not connected yet."""

SLOTS: Final = 16_384


class ClusterFound(Exception):  # noqa: N818 - it says what happened
    """The server that one connected to is a node of a cluster."""


class Slots:
    """Who owns which slot, as the cluster said when it was asked last.

    Attributes:
        places: the primaries that there are.
        whole: whether each slot has one.
    """

    def __init__(self, connect_to: ConnectTo) -> None:
        """Nothing is known yet.

        Args:
            connect_to: makes a connection.
        """
        self.places: frozenset[Place] = frozenset()
        self.whole = False
        self._connect_to = connect_to
        self._owners: dict[int, Place] = {}

    def owner(self, channel: str) -> Place | None:
        """The primary that has the slot of this channel, or key; None: as far as known, nobody."""
        return self._owners.get(key_slot(channel.encode()))

    async def ask(self, near: Iterable[Place]) -> bool:
        """Ask anew; whether any node answered.

        Args:
            near: nodes to ask first, in this order.
        """
        for place in (*near, None):
            with suppress(*DOWN):
                async with asyncio.timeout(BUS_ANSWER_S):
                    owners = await _ask_at(self._connect_to(place))
                self._owners = owners
                self.places = frozenset(owners.values())
                self.whole = len(owners) == SLOTS
                return True
        return False


async def _ask_at(connection: AbstractConnection) -> dict[int, Place]:
    try:
        await connection.connect()  # type: ignore[no-untyped-call] # the client forgot it
        await connection.send_command("CLUSTER", "SLOTS", check_health=False)
        ranges: Any = await connection.read_response()
        asked = str(getattr(connection, "host", ""))
    finally:
        await connection.disconnect(nowait=True)
    owners: dict[int, Place] = {}
    for first, last, (host, port, *_), *_replicas in ranges:
        # A node that does not know its own address means the one it was asked at.
        place = (host.decode() if host else asked, int(port))
        owners.update(dict.fromkeys(range(first, last + 1), place))
    if len(set(owners.values())) > BUS_SHARDS_MAX:
        raise ServerRefused({"TOO_MANY_SHARDS"})
    return owners


def connections_to(url: str) -> ConnectTo:
    """What makes connections as a URL says, to other nodes of the same cluster, too.

    Args:
        url: `redis://user:password@host:port/database`, or `rediss://` for TLS.
    """
    pool = ConnectionPool.from_url(
        url,
        max_connections=BUS_CONNECTIONS_MAX,
        # Deadlines are ours: the client's own run through asyncio.wait_for, which before Python
        # 3.12 can swallow a cancellation.
        socket_timeout=None,
        socket_connect_timeout=None,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return partial(_connection_to, pool)


def _connection_to(pool: ConnectionPool, place: Place | None) -> AbstractConnection:
    if place is None:
        return pool.make_connection()  # type: ignore[no-any-return,no-untyped-call] # it forgot them
    host, port = place
    options = {**pool.connection_kwargs, "host": host, "port": port}
    made: AbstractConnection = pool.connection_class(**options)
    return made


def tells_of_cluster(info: bytes) -> bool:
    """Whether what a server says to `INFO cluster` means that it is a node of one."""
    return b"cluster_enabled:1" in info
