"""What the ledger does a second, and how long it takes, as ratios to PostgreSQL in the same run.

    make bench-ledger [ARGS="--quick"]

PostgreSQL, the service and its callers are on one machine; a commit is durable (`fsync` and
`synchronous_commit` on, printed). Sides take turns in rounds; of each figure the median counts, and
of each ratio the median of the rounds' ratios, with its extremes in brackets. The service is the
posters of a node, called in its process, but where HTTP is named: there it is `agio up`.

- *one by one*: the same postings by the same code, each in an atomic block of its own, from as many
  callers over the same pool.
- *usual way*: a function in the database that locks two accounts, moves them, and writes a transfer
  with two entries; one call a transfer, over the same pool.
"""

import argparse
import gc
import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import trio

from actors import ChildSpec, Supervisor
from app.ledger import reads, store
from app.ledger.model import TransferName
from app.ledger.poster import Posters
from app.limits import GC_THRESHOLDS
from app.storage import Database
from app.storage.migrations import migrate
from bench.ledger.books import ACCOUNTS, Bench, posting_by_number
from bench.ledger.load import Load, Spread, Work, closed, steady
from bench.ledger.over_http import bulk_over_http
from bench.ratio import Ratio, ratio, take_turns
from bench.servers import postgres
from bench.trees import running

_CALLERS: Final = 256
_POOL: Final = 10

# A disk that others flush to stands still for seconds at times; that is not what is measured.
_PATIENCE_S: Final = 60.0

_BULK: Final = 1_000
_PAGE: Final = 25
_SPREAD: Final = Spread(ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: turns of each side.
        seconds: of each turn.
        entries: that the large book has.
    """

    rounds: int
    seconds: float
    entries: int


async def _rates(size: Size, sides: Sequence[tuple[Work, int]]) -> list[tuple[float, ...]]:
    """For each round, the transfers a second of each side with so many callers."""

    def side(work: Work, callers: int) -> Callable[[], Awaitable[Load]]:
        return partial(closed, work, callers, size.seconds)

    rounds = await take_turns(size.rounds, [side(*each) for each in sides])
    return [tuple(load.rate for load in turn) for turn in rounds]


def _say(title: str, rounds: Sequence[Sequence[float]], of: int, to: int, told: str) -> None:
    """Print two sides' figures and their ratio."""
    middle = sorted(turn[of] for turn in rounds)[len(rounds) // 2]
    other = sorted(turn[to] for turn in rounds)[len(rounds) // 2]
    found: Ratio = ratio(rounds, of, to)
    print(f"{title:58} {middle:>9,.0f}/s {other:>9,.0f}/s  {found}  {told}", flush=True)


async def _throughput(bench: Bench, size: Size) -> float:
    """Batches beside one by one and the usual way, spread and hot; returns the spread rate."""
    await bench.make_book("spread")
    await bench.make_book("alone")
    rounds = await _rates(
        size,
        [
            (bench.batched("spread", _SPREAD), _CALLERS),
            (bench.one_by_one("alone", _SPREAD), _CALLERS),
            (bench.plain(_SPREAD), _CALLERS),
            (bench.batched("spread", Spread(ACCOUNTS, hot=True)), _CALLERS),
        ],
    )
    _say("256 callers, 10,000 accounts : one by one", rounds, 0, 1, "aim: at least 15")
    _say("256 callers, 10,000 accounts : the usual way", rounds, 0, 2, "")
    _say("one account in every transfer : spread", rounds, 3, 0, "aim: at least 1")
    return sorted(turn[0] for turn in rounds)[len(rounds) // 2]


async def _bulk(bench: Bench, size: Size) -> None:
    """Thousands of postings a request, beside COPY of the same rows without any index."""
    await bench.make_book("bulk")
    await bench.batched("bulk", _SPREAD, _BULK)()
    copy = (await bench.copies("bulk", _BULK), 1)
    async with bulk_over_http(_SPREAD, _BULK) as over_http:
        rounds = await _rates(size, [(over_http, 2), copy])
    title = "1,000 postings a request over HTTP : COPY of their rows"
    _say(title, rounds, 0, 1, "aim: at least 0.1")
    rounds = await _rates(size, [(bench.batched("bulk", _SPREAD, _BULK), 2), copy])
    _say("the same without HTTP : COPY of their rows", rounds, 0, 1, "")


async def _peers(bench: Bench, size: Size) -> None:
    """20 callers and few accounts, as the nearest peer measures itself."""
    for accounts in (50, 10):
        book = f"few-{accounts}"
        await bench.make_book(book, accounts)
        spread = Spread(accounts)
        sides = [(bench.batched(book, spread), 20), (bench.plain(spread), 20)]
        rounds = await _rates(size, sides)
        _say(f"20 callers, {accounts} accounts : the usual way", rounds, 0, 1, "")


async def _nodes(bench: Bench, other: Posters, size: Size) -> None:
    """Two posters of two nodes on one book, beside one."""
    await bench.make_book("shared")
    second = Bench(bench.database, other)
    turns = [bench.batched("shared", _SPREAD), second.batched("shared", _SPREAD)]
    state = {"next": 0}

    async def either() -> int:
        state["next"] += 1
        return await turns[state["next"] % 2]()

    rounds = await _rates(size, [(either, _CALLERS), (turns[0], _CALLERS)])
    _say("two nodes post to one book : one does", rounds, 0, 1, "")


async def _waits(bench: Bench, size: Size, full: float) -> None:
    """How long a posting takes at half of full load, beside a commit of nothing."""
    await bench.make_book("half")
    # Until the poster knows its accounts, each batch looks some of them up.
    await closed(bench.batched("half", _SPREAD), _CALLERS, size.seconds)
    sides = [
        partial(steady, bench.batched("half", _SPREAD), full / 2, size.seconds),
        partial(closed, bench.nothing(), 1, size.seconds),
    ]
    rounds = await take_turns(size.rounds, sides)
    p99 = [tuple(load.wait(0.99) for load in turn) for turn in rounds]
    p50 = [tuple(load.wait(0.5) for load in turn) for turn in rounds]
    for name, figures, told in (("p99", p99, "aim: at most 5"), ("p50", p50, "")):
        mine, nothing = (sorted(each)[len(each) // 2] * 1e3 for each in zip(*figures, strict=True))
        title = f"{name} of a posting at half load : of an empty commit"
        print(f"{title:58} {mine:>8.2f} ms {nothing:>8.2f} ms  {ratio(figures, 0, 1)}  {told}")


async def _past(bench: Bench, size: Size) -> None:
    """A book with a long past beside one with a short one: postings, and reads."""
    large, small = size.entries // 2, 100_000 // 2
    for book, postings in (("large", large), ("small", small)):
        await bench.make_book(book)
        await bench.fill(book, postings)
    sides = [(bench.batched(book, _SPREAD), _CALLERS) for book in ("large", "small")]
    rounds = await _rates(size, sides)
    title = f"posting at {size.entries:,} entries : at 100,000"
    _say(title, rounds, 0, 1, "aim: at least 0.77 (within 1.3 times)")
    (account,) = await bench.database.read(store.accounts_of_line, "large", 0, 1)
    middle = TransferName(large // 2, 0)
    sides = [
        (bench.reads(store.account_of_line, "large", account.id), 1),
        (bench.reads(reads.statement_lines, account, middle, large, _PAGE), 1),
        (bench.reads(posting_by_number, "large", large // 2), 1),
    ]
    rounds = await _rates(size, sides)
    _say(f"balance at {size.entries:,} entries : a row by primary key", rounds, 0, 2, _AT_LEAST)
    _say(f"{_PAGE} lines of a statement : a row by primary key", rounds, 1, 2, _AT_LEAST)


_AT_LEAST: Final = "aim: at least 0.5 (within 2 times)"


async def _measure(size: Size, only: str | None) -> None:
    async with postgres() as (annex, url):
        database = Database(annex, url, pool_size=_POOL, statement_s=_PATIENCE_S)
        posters, other = Posters(database), Posters(database)
        tree = Supervisor(
            "bench",
            [
                ChildSpec("database", database.run),
                posters.actors.as_child(),
                Supervisor("other", [other.actors.as_child()]).as_child(),
            ],
        )
        async with running(tree):
            await migrate(database)
            bench = Bench(database, posters)
            promises = ", ".join(f"{name} {value}" for name, value in (await bench.make()).items())
            print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors,", end=" ")
            print(f"Python {platform.python_version()}, PostgreSQL {promises};", end=" ")
            print(f"{size.rounds} rounds of {size.seconds:.0f} s, medians (lowest-highest)")
            await _run(bench, other, size, only)


async def _run(bench: Bench, other: Posters, size: Size, only: str | None) -> None:
    full = await _throughput(bench, size) if only in {None, "waits"} else 0.0
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "bulk": partial(_bulk, bench, size),
        "peers": partial(_peers, bench, size),
        "nodes": partial(_nodes, bench, other, size),
        "waits": partial(_waits, bench, size, full),
        "past": partial(_past, bench, size),
    }
    for name, part in parts.items():
        if only in {None, name}:
            await part()


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="bench.ledger")
    parser.add_argument("--quick", action="store_true", help="about two minutes; smaller books")
    parser.add_argument("--only", choices=["bulk", "peers", "nodes", "waits", "past"])
    arguments = parser.parse_args()
    size = Size(3, 1.5, 1_000_000) if arguments.quick else Size(5, 3.0, 10_000_000)
    gc.set_threshold(*GC_THRESHOLDS)  # the server's
    trio.run(_measure, size, arguments.only)


if __name__ == "__main__":
    main()
