"""What is measured, and what it should come to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from bench.fanout import crowd as crowds
from bench.fanout import table
from bench.fanout.account import Joined, Measured, compare
from bench.fanout.programs import Cores, Side, agio, memory_of, only_join, put_load
from bench.ratio import take_turns

_MEMBERS: Final = 1_000
_IDLE: Final = 2_000
_IDLE_BYTES: Final = 20_000
_JOINING: Final = 3_000
_JOINS_A_SECOND: Final = 3_000
_BROADCASTS_A_SECOND: Final = 20
_P99_TIMES: Final = 1.5
# A hundred broadcasts: with fewer, their p99 would be the slowest one.
_PACED_S: Final = 5.0
# Rounds of what takes long and varies little.
_FEW: Final = 3
SIZES: Final = (100, 1_000, 5_000, 15_000)
# The first joins of a process make what every later one uses.
_FIRST: Final = 200


@dataclass(frozen=True, slots=True)
class Bench:
    """What cases are measured with.

    Attributes:
        server: the full server.
        bound: the bound.
        cores: the processors.
        rounds: how often each side has its turn.
        seconds: of each measurement.
        say: tells of what was measured.
    """

    server: Side
    bound: Side
    cores: Cores
    rounds: int
    seconds: float
    say: Callable[[str], None]

    async def load(self, side: Side, *words: str) -> Measured:
        """One measurement of one side."""
        options = [f"--connections={_MEMBERS}", f"--seconds={self.seconds}", *words]
        return (await put_load(side, self.cores.load, options))[1]

    async def beside(self, *words: str) -> list[tuple[Measured, ...]]:
        """The server and the bound in turns."""
        sides = [partial(self.load, side, *words) for side in (self.server, self.bound)]
        return await take_turns(self.rounds, sides)


Case: TypeAlias = Callable[[Bench], Awaitable[int]]
"""Measures and tells; returns how much was lost, or happened that must not."""


async def fan_out(rooms: int, window: int, least: float, bench: Bench) -> int:
    """Closed loop: so many broadcasts on their way in each of so many rooms."""
    rounds = await bench.beside(f"--rooms={rooms}", f"--window={window}")
    share = _MEMBERS // rooms
    title = f"{rooms} room{'s' * (rooms > 1)} of {share:,}, {window} in flight"
    bench.say(table.fanout(title, rounds, least))
    return _wrong(rounds)


async def steady(bench: Bench) -> int:
    """Open loop: latency at a pace that nobody finds hard."""
    rounds = await bench.beside(*_pace(bench))
    title = f"{_BROADCASTS_A_SECOND} broadcasts/s to {_MEMBERS:,}"
    bench.say(table.latency(title, rounds, ("Agio", "bound"), _P99_TIMES))
    return _wrong(rounds)


async def stopped(bench: Bench) -> int:
    """The same, with one reader that stopped and whose buffers are full, and without."""
    options = ("--stopped=1", "--stopped=0")
    sides = [partial(bench.load, bench.server, *_pace(bench), option) for option in options]
    rounds = await take_turns(bench.rounds, sides)
    bench.say(table.latency("the same, one reader stopped", rounds, ("with it", "without")))
    return _wrong(rounds)


async def memory(bench: Bench) -> int:
    """Memory of a joined connection that is idle, on a server that was just started."""
    found = []
    for _ in range(min(bench.rounds, _FEW)):
        async with agio(bench.cores.server) as fresh:
            await only_join(fresh, bench.cores.load, [f"--connections={_FIRST}"])
            found.append(await memory_of(fresh, bench.cores.load, _IDLE))
    bench.say(table.memory(f"memory of each of {_IDLE:,} joined connections", found, _IDLE_BYTES))
    return 0


async def joins(bench: Bench) -> int:
    """Connecting and joining, as fast as it goes."""

    async def join(side: Side) -> Joined:
        return await only_join(side, bench.cores.load, [f"--connections={_JOINING}"])

    sides = [partial(join, side) for side in (bench.server, bench.bound)]
    rounds = await take_turns(min(bench.rounds, _FEW), sides)
    bench.say(table.joins(f"{_JOINING:,} connect and join one room", rounds, _JOINS_A_SECOND))
    return 0


async def flat(bench: Bench) -> int:
    """What a delivery costs in rooms of different sizes."""
    costs, wrong = [], 0
    few = replace(bench, rounds=min(bench.rounds, _FEW))
    for size in SIZES:
        # One address has ports for less than twice the largest room, and used ones rest a while.
        rounds = await few.beside(f"--connections={size}", "--sources=8")
        bench.say(table.fanout(f"1 room of {size:,}, 1 in flight", rounds))
        costs.append(compare(rounds, lambda each: each.cost_s))
        wrong += _wrong(rounds)
    bench.say(table.flatness(SIZES, costs))
    return wrong


async def crowd(bench: Bench) -> int:
    """Fifty thousand on three workers, and a broadcast to all of them."""
    return await crowds.crowd(min(bench.rounds, _FEW), bench.say)


async def across(bench: Bench) -> int:
    """Latency from one node to another."""
    return await crowds.across(bench.rounds, max(bench.seconds, _PACED_S), bench.say)


def _pace(bench: Bench) -> tuple[str, str]:
    return f"--rate={_BROADCASTS_A_SECOND}", f"--seconds={max(bench.seconds, _PACED_S)}"


def _wrong(rounds: Sequence[Sequence[Measured]]) -> int:
    return sum(side.wrong for turn in rounds for side in turn)


CASES: Final[dict[str, Case]] = {
    "1/1": partial(fan_out, 1, 1, 0.7),
    "1/16": partial(fan_out, 1, 16, 7),
    "100/4": partial(fan_out, 100, 4, 1.2),
    "100/16": partial(fan_out, 100, 16, 3.5),
    "500/4": partial(fan_out, 500, 4, 0.45),
    "flat": flat,
    "steady": steady,
    "stopped": stopped,
    "joins": joins,
    "memory": memory,
    "across": across,
}
"""What is measured unless something else is asked for."""

LONG: Final[dict[str, Case]] = {"crowd": crowd}
"""What takes minutes, all processors and 100,000 descriptors: only where it is asked for."""
