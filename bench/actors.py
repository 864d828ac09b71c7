"""What actors cost beside the same work on bare trio, and on triotp where that is installed.

    make bench-actors
    make bench-actors ARGS=--quick

Every figure is the median of rounds in which the sides take turns; the ratio is our cost divided by
theirs, so below 1 we are cheaper. Its extremes follow in brackets. Times are of the processor.
"""

import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Final, TypeAlias

import trio

from bench import actors_crowd as crowd
from bench import actors_keys as keys
from bench import actors_lives as lives
from bench import actors_messages as messages
from bench import actors_timers as timers
from bench import triotp_side as triotp
from bench.ratio import (
    Aim,
    Unit,
    at_least_per_s,
    at_most_bytes,
    at_most_times,
    heading,
    line,
    take_turns,
)

# Does something so many times; what that cost altogether.
Side: TypeAlias = Callable[[int], Awaitable[float]]

_CROWD: Final = 100_000


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        title: what is done.
        count: how often in one turn.
        sides: ours, and what it is compared with first.
        triotp: the same on triotp, if it can.
        unit: of the costs.
        aim: what it should come to.
    """

    title: str
    count: int
    sides: tuple[Side, Side]
    triotp: Side | None = None
    unit: Unit = Unit.PER_S
    aim: Aim | None = None


ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "Messages": (
        Row(
            "cast; bare: send_nowait into a channel with room",
            200_000,
            (messages.casts, messages.sends),
            aim=at_most_times(1.5),
        ),
        Row(
            "cast and handle, 1,000 in a row; bare: async for",
            100_000,
            (messages.handled_casts, messages.iterated_sends),
            triotp.handled_casts,
            aim=at_least_per_s(500_000),
        ),
        Row(
            "the same; bare: a loop that drains the channel",
            100_000,
            (messages.handled_casts, messages.drained_sends),
        ),
        Row(
            "cast to one that sleeps: ping-pong",
            20_000,
            (messages.actor_ping_pong, messages.task_ping_pong),
        ),
        Row(
            "call; bare: two channels and a deadline",
            5_000,
            (messages.calls, messages.channel_calls),
            triotp.calls,
        ),
        Row(
            "the same; bare: an event a request, and a deadline",
            5_000,
            (messages.calls, messages.event_calls),
        ),
        Row(
            "call, 64 callers; bare: an event a request",
            12_800,
            (messages.shared_calls, messages.shared_event_calls),
            triotp.shared_calls,
        ),
    ),
    "Lives": (
        Row(
            "start and stop; bare: nursery.start and a scope",
            2_000,
            (lives.starts_and_stops, lives.bare_starts_and_stops),
            triotp.starts_and_stops,
        ),
        Row(
            "crash and restart, dynamic; bare: respawn",
            2_000,
            (lives.restarts, lives.bare_restarts),
            triotp.restarts,
        ),
        Row(
            "crash and restart, one_for_one of ten; bare: respawn",
            2_000,
            (lives.ordered_restarts, lives.bare_restarts),
        ),
        Row(
            "calls beside 200 crashes/s",
            9_600,
            (lives.calls_beside_crashes, lives.asks_beside_crashes),
        ),
        Row(
            "the same; instead of bare trio: beside no crashes",
            9_600,
            (lives.calls_beside_crashes, lives.calls_beside_none),
        ),
        Row("monitor, and be told of the end", 1_000, (lives.monitors, lives.bare_monitors)),
        Row(
            "two linked, one crashes; bare: a nursery for two",
            1_000,
            (lives.links, lives.bare_links),
        ),
    ),
    "Virtual actors": (
        Row(
            "activate, call, passivate; bare: a table of tasks",
            2_000,
            (keys.activations, keys.bare_activations),
        ),
        Row(
            "call a key; 1,000 live at most; bare: the same",
            4_000,
            (keys.touches, keys.bare_touches),
        ),
    ),
    "Timers": (
        Row(
            "set and cancel; bare: a scope with a deadline",
            20_000,
            (timers.short_timers, timers.short_scopes),
        ),
        Row(
            "set all, cancel all; bare: a sleeping task each",
            10_000,
            (timers.standing_timers, timers.standing_tasks),
        ),
        Row(
            "set all, all fire; bare: a sleeping task each",
            10_000,
            (timers.firing_timers, timers.waking_tasks),
        ),
    ),
    "Memory, counted": (
        Row(
            "an idle actor; bare: a task that sleeps",
            1_000,
            (crowd.idle_actors, crowd.idle_tasks),
            triotp.idle_servers,
            Unit.BYTES,
            at_most_bytes(4096),
        ),
        Row(
            "the same; bare: a task that waits at a channel",
            1_000,
            (crowd.idle_actors, crowd.listening_tasks),
            unit=Unit.BYTES,
        ),
        Row(
            "a timer; bare: a task that sleeps",
            1_000,
            (crowd.waiting_timers, crowd.sleeping_tasks),
            unit=Unit.BYTES,
        ),
    ),
}


async def _print_row(row: Row, rounds: int, count: int) -> None:
    sides = [*row.sides]
    if row.triotp is not None and triotp.INSTALLED:
        sides.append(row.triotp)
    costs = await take_turns(rounds, [partial(side, count) for side in sides])
    print(line(row.title, _each(costs, count), row.unit, row.aim), flush=True)


def _each(rounds: Sequence[Sequence[float]], count: int) -> list[list[float]]:
    """Costs of one, given those of so many."""
    return [[cost / count for cost in costs] for costs in rounds]


async def _print_crowd(rounds: int, count: int) -> None:
    """A crowd of each side, from its first start to its last stop."""
    sides = [partial(crowd.costs, kind, count) for kind in ("actors", "tasks")]
    crowds = await take_turns(rounds, sides)
    resident, *stages = ([[side[at] for side in turn] for turn in crowds] for at in range(4))
    print(line("memory of one, as the system sees it", _each(resident, count), Unit.BYTES))
    for title, seconds in zip(
        ("start all", "cast to all, all handle", "stop all"), stages, strict=True
    ):
        print(line(title, seconds, Unit.SECONDS))


def _about() -> str:
    """What ran where."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    beside = (
        f"triotp {triotp.RELEASE}" if triotp.INSTALLED else "no triotp: see bench/triotp_side.py"
    )
    return (
        f"{now}, {platform.machine()}, Python {platform.python_version()},"
        f" trio {version('trio')}, {beside}, load {os.getloadavg()[0]:.1f}"
    )


async def main(*, quick: bool) -> None:
    """Measure and print."""
    print(_about())
    print(heading("", ["bare trio", "triotp"] if triotp.INSTALLED else ["bare trio"]))
    for title, rows in ROWS.items():
        print(f"\n{title}")
        for row in rows:
            await _print_row(row, 3 if quick else 5, row.count // (2 if quick else 1))
    count = _CROWD // 20 if quick else _CROWD
    print(f"\n{count:,} alive; bare: a task that waits at a channel")
    await _print_crowd(1 if quick else 2, count)


def _stay_on_one_core() -> None:
    """Caches stay warm, and what is measured is what one core does."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    _stay_on_one_core()
    trio.run(partial(main, quick="--quick" in sys.argv))
