"""The ways from a bus to Redis: what they have in common, and the one to a single server."""

from collections.abc import Sequence
from typing import Protocol

from app.storage.redis_link import Connect, Hooks, Listener, Speaker
from app.storage.redis_wire import PLAIN
from channels.broker import BusMessage


class Way(Protocol):
    """All the connections of a bus. `run` is their whole life; used only while that runs."""

    @property
    def connected(self) -> bool:
        """Whether what is wished for is listened to, as far as there are connections for it."""

    @property
    def connections_lost(self) -> int:
        """How often a listener's connection failed."""

    async def run(self) -> None:
        """Keep the connections until cancelled."""

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """As `Bus.publish`; raises one of `DOWN`, or `BusDown`."""

    async def subscribe(self, channels: Sequence[str]) -> None:
        """As `Bus.subscribe`; raises one of `DOWN`, or `BusDown`."""

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """As `Bus.unsubscribe`; raises one of `DOWN`, or `BusDown`."""


class OneServer:
    """The way to one server: a connection of each kind."""

    def __init__(self, connect: Connect, wished: set[str], hooks: Hooks) -> None:
        """Describe it.

        Args:
            connect: makes a connection to the server.
            wished: the bus channels to listen to.
            hooks: where what it hears goes.
        """
        self._speaker = Speaker(connect, PLAIN)
        self._listener = Listener(connect, PLAIN, wished, hooks)

    @property
    def connected(self) -> bool:
        """Whether there is a connection that listens."""
        return self._listener.connected

    @property
    def connections_lost(self) -> int:
        """How often it failed."""
        return self._listener.connections_lost

    async def run(self) -> None:
        """Listen until cancelled, or until `greet` finds that this is not the way."""
        try:
            await self._listener.run()
        finally:
            await self._speaker.close()

    async def publish(self, messages: Sequence[BusMessage]) -> int:
        """Send messages in order; returns how many heard the last."""
        return await self._speaker.publish(messages)

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Listen to these too."""
        await self._listener.subscribe(channels)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Listen to these no more."""
        await self._listener.unsubscribe(channels)
