"""A node with rooms for clients that poll, and one of them; other files make nodes of their own."""

from collections.abc import AsyncIterator

import pytest

from actors import System
from channels.delivery import DISCONNECT, latest_by
from channels.limits import Limits
from channels.longpoll import LongPoll
from channels.origin import parse_origins
from channels.router import Route, RouteLike
from channels.testing import Node, serving
from tests.channels.polling import Doorman, Poller, Told, long_polling
from tests.channels.rooms import Hot, Script


@pytest.fixture
def script() -> Script:
    """What the rooms do."""
    return Script()


@pytest.fixture
def doorman() -> Doorman:
    """Who may connect."""
    return Doorman()


@pytest.fixture
def told() -> Told:
    """The events that were told."""
    return []


@pytest.fixture
async def node(script: Script, doorman: Doorman, told: Told) -> AsyncIterator[Node]:
    """A node with rooms."""
    routes: list[RouteLike] = [
        ("room:*", script.room),
        ("hot:*", Hot),
        Route("strict:*", Hot, delivery=DISCONNECT),
        Route("price:*", Hot, delivery=latest_by("of")),
    ]
    system = System(lambda name, fields: told.append((name, fields)))
    limits = Limits(outbox_bytes=100_000, message_bytes=1_000, malformed=3)
    origins = parse_origins("https://ours.example")
    async with serving(
        routes, handler=doorman, limits=limits, system=system, origins=origins
    ) as node:
        yield node


@pytest.fixture
async def longpoll(node: Node, told: Told) -> AsyncIterator[LongPoll]:
    """Its clients that poll."""
    async with long_polling(
        node, system=System(lambda name, fields: told.append((name, fields)))
    ) as longpoll:
        yield longpoll


@pytest.fixture
async def poller(longpoll: LongPoll) -> Poller:
    """A client that has begun a session."""
    return await Poller(longpoll).open()
