"""How fast the full server delivers, beside a bound written in C that does one send a delivery.

    make bench-fanout
    make bench-fanout ARGS=--quick
    make bench-fanout ARGS="--case 1/1 --case 1/16 --seconds 5 --rounds 7"
    make bench-fanout ARGS="--case crowd --rounds 2"

docs/benchmarks.md tells what each case means.
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import trio

from bench.fanout.account import LoadError
from bench.fanout.cases import CASES, LONG, Bench
from bench.fanout.programs import agio, bound, build, cores
from bench.fanout.table import heading

_FIGURES: Final = ("rate", "processor")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench-fanout", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds of one second each")
    parser.add_argument(
        "--case", action="append", choices=CASES | LONG, help="only this one; any number of them"
    )
    parser.add_argument("--seconds", type=float, help="of each measurement (default: 3)")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 5)")
    read = parser.parse_args(arguments)
    read.case = read.case or list(CASES)
    read.seconds = read.seconds or (1.0 if read.quick else 3.0)
    read.rounds = read.rounds or (3 if read.quick else 5)
    return read


async def main(asked: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    await build()
    places = cores()
    wrong = 0
    _say(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}; {asked.rounds} rounds of "
        f"{asked.seconds:g} s, medians (lowest-highest); ratios above 1: Agio is better"
    )
    async with agio(places.server) as server, bound(places.server) as its:
        bench = Bench(server, its, places, asked.rounds, asked.seconds, _say)
        _say(heading("", _FIGURES))
        for name in asked.case:
            try:
                wrong += await (CASES | LONG)[name](bench)
            except LoadError as error:
                wrong += 1
                _say(f"{name}: FAILED: {error}")
    return 1 if wrong else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(trio.run(main, options()))
    except LoadError as error:
        sys.exit(f"bench-fanout: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
