"""Rooms that look twice at who is in them, and clients that send new tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import trio

from channels.broker import Broker
from channels.channel import (
    Channel,
    ChannelSocket,
    InResult,
    Joined,
    JoinResult,
    NowaitChannel,
    Reply,
)
from channels.limits import Limits
from channels.router import RouteLike
from channels.testing import Client, Node, serving
from tests.channels.tickets import Tickets

# Shorter than what the client of these tests waits for anything.
WARNING_S: Final = 10.0
LIMITS: Final = Limits(idle_s=1e6, expiry_warning_s=WARNING_S)


@dataclass
class Guards:
    """What guarded rooms do, and what happened in them.

    Attributes:
        gate: what joins and second looks wait for; open at first.
        answer: what a second look says; whether the topic is what the ticket sees, if None.
        looks: (topic, until when) of each second look.
        ended: (topic, reason) of every room that said goodbye.
    """

    gate: trio.Event = field(default_factory=trio.Event)
    answer: Any = None
    looks: list[tuple[str, float]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()


class Guarded(Channel):
    """A room that looks twice, and tells a client who it is."""

    def __init__(self, guards: Guards) -> None:
        self.guards = guards

    async def join(self, topic: str, params: Any, socket: ChannelSocket) -> JoinResult:
        """Tell who joins."""
        until = socket.assigns.until
        await self.guards.gate.wait()
        return Joined({"until": _wire(until)})

    async def handle_in(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Tell who pushes."""
        if event == "hang":
            await self.guards.gate.wait()
        return Reply.ok({"until": _wire(socket.assigns.until)})

    async def reauthorize(self, socket: ChannelSocket) -> bool:
        """As the guards say, or the ticket."""
        self.guards.looks.append((socket.topic, socket.assigns.until))
        await self.guards.gate.wait()
        if isinstance(self.guards.answer, Exception):
            raise self.guards.answer
        if self.guards.answer is not None:
            return self.guards.answer  # type: ignore[no-any-return] # on purpose
        return socket.assigns.sees in {"", socket.topic}

    async def terminate(self, reason: str, socket: ChannelSocket) -> None:
        """Note it."""
        self.guards.ended.append((socket.topic, reason))


class Quick(NowaitChannel):
    """A room whose pushes are handled where they are read."""

    def handle_in_nowait(self, event: str, payload: Any, socket: ChannelSocket) -> InResult:
        """Tell who pushes."""
        return Reply.ok({"until": _wire(socket.assigns.until)})

    async def reauthorize(self, socket: ChannelSocket) -> bool:
        """As the ticket says."""
        return bool(socket.assigns.sees in {"", socket.topic})


def _wire(until: float) -> float | None:
    """JSON has no infinity."""
    return until if until < 1e300 else None


@asynccontextmanager
async def place(guards: Guards, broker: Broker | None = None) -> AsyncIterator[Node]:
    """A node with guarded rooms."""
    routes: list[RouteLike] = [("room:*", partial(Guarded, guards)), ("quick:*", Quick)]
    async with serving(routes, handler=Tickets(), limits=LIMITS, broker=broker) as node:
        yield node


async def renew(client: Client, token: object, topic: str = "phoenix") -> str:
    """Send a new token. Returns the ref."""
    return await client.push(topic, "access_token", {"access_token": token})


async def renewed(client: Client, token: str, topic: str = "phoenix") -> Any:
    """Send a new token, which is taken. Returns the seconds left."""
    answer = await client.assert_reply(await renew(client, token, topic))
    return answer["expires_in"]
