"""Several nodes: fifty thousand people on three workers, and the way from one node to another."""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import trio

from bench.fanout import account, table
from bench.fanout.account import Heard, Joined, parse
from bench.fanout.programs import Lines, Side, agio, generator, resident_bytes, workers_of
from bench.servers import postgres, valkey

_CROWD: Final = 50_000
_WORKERS: Final = 3
_REACHED_S: Final = 1.5
# As many generators as workers: none has more than 20,000 descriptors either.
_GENERATORS: Final = 3
# Slow enough for a broadcast to be over before the next one.
_CROWD_BROADCASTS_A_SECOND: Final = 0.4
_CROWD_BROADCASTS: Final = 10
_CROWD_JOIN_S: Final = 600
# As one address has ports for half of them, and used ones rest a while.
_SOURCES: Final = 8

_ACROSS_A_SECOND: Final = 1_000
_ACROSS_MEMBERS: Final = 10
_ACROSS_P99_MS: Final = 10

# How long listeners go on after the last publisher: a message that is late is not lost yet.
_LATE_S: Final = 5.0

Say = Callable[[str], None]


async def crowd(rounds: int, say: Say) -> int:
    """Many on several workers, in each round on workers just started; returns what went wrong."""
    wrong = 0
    for _ in range(rounds):
        async with agio(None, workers=_WORKERS) as server:
            wrong += await _gather(server, say)
    return wrong


async def across(rounds: int, seconds: float, say: Say) -> int:
    """Who publishes is on one node, who listens on another; returns what went wrong."""
    counts = [_ACROSS_MEMBERS, 1]
    pace = [f"--rate={_ACROSS_A_SECOND}", f"--seconds={seconds}", "--warm-up=0"]
    title = f"{_ACROSS_A_SECOND:,} broadcasts/s from one node to {_ACROSS_MEMBERS} on another"
    wrong = 0
    async with _two_nodes() as nodes:
        for _ in range(rounds):
            async with _generators(nodes, counts, [], pace) as generators:
                for each in generators:
                    await each.next()
                there, here = await _hear(generators)
            wrong += account.amiss([there, here], counts)
            told = table.between(title, there, here, _ACROSS_P99_MS)
            say(f"{told}; lost {account.missing([there, here], counts):,}; {_load()}")
    return wrong


async def _gather(server: Side, say: Say) -> int:
    """One round of a crowd."""
    workers = workers_of(server.pid)
    empty = sum(map(resident_bytes, workers))
    counts = [_CROWD // _GENERATORS + (n < _CROWD % _GENERATORS) for n in range(_GENERATORS)]
    common = [f"--sources={_SOURCES}", f"--join-seconds={_CROWD_JOIN_S}"]
    seconds = _CROWD_BROADCASTS / _CROWD_BROADCASTS_A_SECOND
    pace = [f"--rate={_CROWD_BROADCASTS_A_SECOND}", f"--seconds={seconds}", "--warm-up=0"]
    async with _generators([server] * _GENERATORS, counts, common, pace) as generators:
        joined = [parse(await each.next(), Joined) for each in generators]
        took = max(each.seconds for each in joined)
        memory = [resident_bytes(worker) for worker in workers]
        say(
            f"{_CROWD:,} in one room on {_WORKERS} workers: joined in {took:.0f} s, "
            f"{_CROWD / took:,.0f}/s; a worker has {max(memory) / 1e6:.0f} MB at most, "
            f"{(sum(memory) - empty) / _CROWD / 1e3:.1f} KB a connection; {_load()}"
        )
        heard = await _hear(generators)
    told = table.reached("  a broadcast reaches all", heard, _REACHED_S)
    say(f"{told}; lost {account.missing(heard, counts):,}; {_load()}")
    return account.amiss(heard, counts)


async def _hear(generators: Sequence[Lines]) -> list[Heard]:
    """Have the last of the generators publish, and the others end when it is over."""
    *listeners, publisher = generators
    await publisher.end_input()
    published = parse(await publisher.next(), Heard)
    await trio.sleep(_LATE_S)
    for listener in listeners:
        await listener.end_input()
    return [*[parse(await listener.next(), Heard) for listener in listeners], published]


@asynccontextmanager
async def _generators(
    places: Sequence[Side], counts: Sequence[int], common: Sequence[str], pace: Sequence[str]
) -> AsyncIterator[list[Lines]]:
    """Generators that share a room, each with so many members; the last one is to publish."""
    async with AsyncExitStack() as stack:
        found = []
        for number, (place, count) in enumerate(zip(places, counts, strict=True), 1):
            role = ["--hold", *pace] if number == len(counts) else ["--listen"]
            words = [f"--connections={count}", *common, *role]
            found.append(await stack.enter_async_context(generator(place, None, words)))
        yield found


@asynccontextmanager
async def _two_nodes() -> AsyncIterator[list[Side]]:
    """Two nodes that have nothing in common but a PostgreSQL and a Valkey."""
    async with postgres() as (_, database_url), valkey() as (_, redis_url):
        settings = {
            "AGIO_DATABASE_URL": database_url,
            "AGIO_REDIS_URL": redis_url,
            "AGIO_TOKEN_SECRET": secrets.token_urlsafe(32),
        }
        async with agio(None, settings=settings) as one, agio(None, settings=settings) as other:
            yield [one, other]


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"
