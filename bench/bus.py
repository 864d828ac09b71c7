"""What a broadcast costs a node on its way to other nodes, and one of theirs on its way in.

    make bench-bus

Processor time of the whole process, both threads, for each message; Redis is another process. The
same messages go the client library's own way in the same run: `redis.asyncio`, a pipeline for what
is sent and `get_message` for what is heard. Each figure is the median of rounds in which the sides
take turns; the extremes of the ratio follow in brackets.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import redis.asyncio
import trio

from actors import ChildSpec, Supervisor
from app.storage import Annex
from app.storage.redis import RedisBus
from bench.ratio import Unit, heading, line, take_turns
from bench.servers import valkey
from bench.trees import running
from channels.broker_redis import RedisBroker
from channels.limits import BUS_BATCH_MAX

_ROUNDS: Final = 7
_MESSAGES: Final = 50 * BUS_BATCH_MAX
_TOPICS: Final = [f"bench:{number}" for number in range(500)]
# As the rooms of a load test broadcast: 64 bytes of payload, and the envelope around them.
_MESSAGE: Final = b"x" * 130
# What publishers say between two laps of the loop, under load.
_BURST: Final = 32


class _Node:
    """A node's broker, and how much it heard from others."""

    def __init__(self, annex: Annex, url: str, name: str) -> None:
        self.bus = RedisBus(annex, url)
        self.broker = RedisBroker(self.bus, name)
        self.broker.attach(self._hear)
        self.heard = 0
        self._name = name

    def _hear(self, _topic: str, _data: bytes) -> None:
        self.heard += 1

    def children(self) -> list[ChildSpec]:
        """What is to run."""
        return [
            ChildSpec(f"bus-{self._name}", self.bus.run),
            ChildSpec(f"broker-{self._name}", self.broker.run),
        ]


async def _broadcast(sender: _Node, listeners: list[_Node]) -> float:
    """Processor seconds for each message, until all are sent and heard."""
    before = [(node, node.heard) for node in listeners]
    published = sender.broker.statistics().published

    def sent() -> int:
        return sender.broker.statistics().published - published

    began = time.process_time()
    for number in range(0, _MESSAGES, _BURST):
        for topic in range(number, number + _BURST):
            sender.broker.publish(_TOPICS[topic % len(_TOPICS)], _MESSAGE)
        await trio.lowlevel.checkpoint()
        await _until(partial(_is_close, sent, number))
    await _until(lambda: sent() == _MESSAGES)
    await _until(lambda: all(node.heard - heard == _MESSAGES for node, heard in before))
    return (time.process_time() - began) / _MESSAGES


def _is_close(sent: Callable[[], int], number: int) -> bool:
    """Whether no more wait than a node keeps waiting."""
    return number - sent() <= 4 * BUS_BATCH_MAX


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - asked once a millisecond, it costs nothing beside the rest
        await trio.sleep(0.001)


async def _by_library(annex: Annex, url: str, *, listens: bool) -> float:
    """The same through the client's pipeline, with a subscription of its own or without."""

    async def publish(client: redis.asyncio.Redis, count: int) -> None:
        async with client.pipeline(transaction=False) as pipeline:
            for number in range(count):
                pipeline.publish(_TOPICS[number % len(_TOPICS)], _MESSAGE)
            await pipeline.execute()

    async def work() -> float:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(redis.asyncio.Redis.from_url(url))
            pubsub = await stack.enter_async_context(client.pubsub(ignore_subscribe_messages=True))
            if listens:
                await pubsub.subscribe(*_TOPICS)
                while await pubsub.get_message(timeout=0.1) is not None:
                    pass
            began = time.process_time()
            for _ in range(0, _MESSAGES, BUS_BATCH_MAX):
                await publish(client, BUS_BATCH_MAX)
                heard = 0
                while listens and heard < BUS_BATCH_MAX:
                    heard += await pubsub.get_message(timeout=1.0) is not None
            return (time.process_time() - began) / _MESSAGES

    return await annex.call(work)


async def _compare(title: str, *sides: Callable[[], Awaitable[float]]) -> None:
    print(line(title, await take_turns(_ROUNDS, sides), Unit.MICROSECONDS), flush=True)


async def main() -> None:
    """Measure and print."""
    async with valkey() as (annex, url):
        a, b = _Node(annex, url, "a"), _Node(annex, url, "b")
        async with running(Supervisor("nodes", [*a.children(), *b.children()])):
            print(heading("processor time a message", ["redis-py"]))
            library = partial(_by_library, annex, url)
            await _compare(
                "published, nobody listens",
                partial(_broadcast, a, []),
                partial(library, listens=False),
            )
            for topic in _TOPICS:
                await a.broker.subscribe(topic)
            await _compare(
                "published, members here alone: the echo skipped",
                partial(_broadcast, a, []),
                partial(library, listens=True),
            )
            for topic in _TOPICS:
                a.broker.unsubscribe(topic)
                await b.broker.subscribe(topic)
            await _compare(
                "published here, heard by another node: both nodes'",
                partial(_broadcast, a, [b]),
                partial(library, listens=True),
            )


if __name__ == "__main__":
    trio.run(main)
