"""What crossing to the annex costs: whole blocks against single statements, 16 connections or 64.

    make bench-annex

Each figure is the median of five rounds in which the two sides take turns, so that a machine that
slows down slows both; the extremes of the ratio follow in brackets.
"""

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from actors import ChildSpec, Supervisor
from app.storage import Annex, Database, ReadConnection, WriteConnection
from bench.ratio import medians, ratio, take_turns
from bench.servers import postgres
from bench.trees import running

_ROUNDS: Final = 5
_SECONDS: Final = 1.0
_CALLERS: Final = 64
_STATEMENTS: Final = 5


async def _rate(unit: Callable[[], Awaitable[object]], callers: int) -> float:
    """How many units a second `callers` tasks get through."""
    done = 0
    with trio.move_on_after(_SECONDS):
        async with trio.open_nursery() as nursery:

            async def caller() -> None:
                nonlocal done
                while True:
                    await unit()
                    done += 1

            for _ in range(callers):
                nursery.start_soon(caller)
    return done / _SECONDS


async def _compare(
    title: str,
    ours: tuple[str, Callable[[], Awaitable[object]]],
    other: tuple[str, Callable[[], Awaitable[object]]],
    callers: int = _CALLERS,
) -> None:
    """Print both rates and their ratio."""
    sides = [partial(_rate, ours[1], callers), partial(_rate, other[1], callers)]
    rounds = await take_turns(_ROUNDS, sides)
    mine, its = medians(rounds)
    print(f"{title}: {ours[0]} {mine:,.0f}/s, {other[0]} {its:,.0f}/s, ratio {ratio(rounds, 0, 1)}")


async def _one(conn: ReadConnection) -> object:
    return await conn.fetchval("select 1")


async def _five(conn: WriteConnection) -> None:
    for _ in range(_STATEMENTS):
        await conn.fetchval("select 1")


@asynccontextmanager
async def _database(annex: Annex, url: str, pool_size: int) -> AsyncIterator[Database]:
    database = Database(annex, url, pool_size=pool_size)
    async with running(Supervisor("database", [ChildSpec("database", database.run)])):
        yield database


async def main() -> None:
    """Measure and print."""
    async with (
        postgres() as (annex, url),
        _database(annex, url, 16) as small,
        _database(annex, url, 64) as large,
    ):

        async def whole() -> None:
            await small.write(_five)

        async def single() -> None:
            for _ in range(_STATEMENTS):
                await small.read(_one)

        await _compare(
            "five statements", ("one crossing", whole), ("a crossing each, in blocks", single)
        )
        await _compare(
            "64 callers",
            ("16 connections", lambda: small.read(_one)),
            ("64 connections", lambda: large.read(_one)),
        )

        def at(interval: float) -> Callable[[], Awaitable[object]]:
            async def unit() -> object:
                sys.setswitchinterval(interval)
                return await small.write(_five)

            return unit

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_busy)
            await _compare(
                "five statements beside a busy loop, 1 caller",
                ("switching at 0.5 ms", at(0.0005)),
                ("at 5 ms", at(0.005)),
                1,
            )
            nursery.cancel_scope.cancel()


async def _busy() -> None:
    """Keep the trio loop at work for 3 of every 5 ms."""
    while True:
        until = time.perf_counter() + 0.003
        while time.perf_counter() < until:
            pass
        await trio.sleep(0.002)


if __name__ == "__main__":
    trio.run(main)
