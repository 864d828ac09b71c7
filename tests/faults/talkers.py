"""Nodes that share histories in a real Redis, and members that check what they are told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio

from actors import Lifeline
from app.storage import Annex
from app.storage.redis import RedisBus
from app.storage.redis_history import RedisHistory
from channels.broker_redis import RedisBroker
from channels.cursor import Cursor, parse_cursor
from channels.endpoint import Endpoint
from channels.errors import HistoryDown
from channels.history import History
from channels.hub import Hub
from channels.recovery import Recovery
from channels.router import Route, Router
from channels.testing import Client, connect
from channels.testing_node import Anyone
from tests.channels.histories import Talk
from tests.faults.live import News


@dataclass
class Talker:
    """One node.

    Attributes:
        endpoint: its own.
        recovery: its own.
        refused: the numbers that it could not publish.
        said: those that it could, with their places.
    """

    endpoint: Endpoint
    recovery: Recovery
    refused: list[int] = field(default_factory=list)
    said: dict[int, Cursor] = field(default_factory=dict)

    async def say(self, topic: str, *numbers: int) -> None:
        """Publish these, one after the other."""
        for n in numbers:
            try:
                cursor = await self.endpoint.publish(topic, "said", {"n": n})
            except HistoryDown:
                self.refused.append(n)
            else:
                assert cursor is not None
                self.said[n] = cursor


@asynccontextmanager
async def talkers(
    annex: Annex, urls: Sequence[str], history: History
) -> AsyncIterator[list[Talker]]:
    """A node for each URL of the one Redis."""
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        stack.callback(nursery.cancel_scope.cancel)
        nodes = []
        for number, url in enumerate(urls):
            name = f"n{number}"
            bus, store, hub = RedisBus(annex, url), RedisHistory(annex, url), Hub()
            broker = RedisBroker(bus, name)
            recovery = Recovery(store, hub, name, sign=bus.statistics)
            endpoint = Endpoint(
                Anyone(), Router([Route("talk:*", Talk, history=history)]), hub, broker
            )
            endpoint.publishing.attach(recovery)
            for part in (bus, store, hub, broker, recovery, endpoint.reader):
                nursery.start_soon(part.run, Lifeline(name))
            nodes.append(Talker(endpoint, recovery))
        yield nodes


class Listener:
    """A member that checks what it is told as it comes.

    Attributes:
        heard: the numbers that it was told, with their cursors.
        reloads: where it was told to reload to.
        news: tells of each.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.heard: list[tuple[int, Cursor]] = []
        self.reloads: list[Cursor] = []
        self.news = News()
        self._at: Cursor | None = None

    async def run(self, endpoint: Endpoint, task_status: trio.TaskStatus[None]) -> None:
        """Join, and listen until cancelled."""
        async with connect(endpoint) as client:
            self._at = await self._join(client)
            task_status.started()
            while True:
                self._take(await client.receive())

    async def _join(self, client: Client) -> Cursor:
        with trio.fail_after(20):
            while True:  # as Phoenix's clients do
                ref = await client.send_join(self.topic, {"cursors": True})
                while (envelope := await client.receive()).ref != ref:
                    pass
                if envelope.payload["status"] == "ok":
                    break
        cursor = parse_cursor(envelope.payload["response"]["cursor"])
        assert cursor is not None
        return cursor

    def _take(self, envelope: object) -> None:
        event = getattr(envelope, "event", "")
        if event not in {"said", "reload"}:
            return
        cursor = parse_cursor(getattr(envelope, "ref", None))
        assert cursor is not None
        assert self._at is not None
        payload = getattr(envelope, "payload", {})
        if event == "reload":
            assert payload == {"cursor": str(cursor)}
            self.reloads.append(cursor)
        else:
            # Once, in order, and without a gap since the last one or the reload.
            assert cursor == Cursor(self._at.epoch, self._at.position + 1)
            self.heard.append((payload["n"], cursor))
        self._at = cursor
        self.news.tell()

    async def until_heard(self, n: int) -> None:
        """Wait until it was told this number."""
        await self.news.until(lambda: any(n == each for each, _ in self.heard), f"{n}")
