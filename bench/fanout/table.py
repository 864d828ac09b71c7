"""The lines that tell what was measured. Pure."""

import math
import statistics
from collections.abc import Sequence
from typing import Final

from bench.fanout.account import (
    BUSY_MAX,
    Heard,
    Joined,
    Measured,
    compare,
    reached_all_s,
    times,
)
from bench.ratio import Ratio

_TITLE: Final = 40
_FIGURE: Final = 12
_RATIO: Final = 18

Rounds = Sequence[Sequence[Measured]]


def heading(title: str, figures: Sequence[str]) -> str:
    """The line above some lines: what figures are of, of which each has a ratio."""
    columns = "".join(
        f"{'Agio ' + figure:>{_FIGURE + 4}}{'bound':>{_FIGURE}}  {'ratio':<{_RATIO}}"
        for figure in figures
    )
    return f"{title:<{_TITLE}}{columns}".rstrip()


def line(
    title: str, figures: Sequence[tuple[str, str, Ratio]], told: Sequence[str], aim: str = ""
) -> str:
    """One line.

    Args:
        title: what was done.
        figures: ours, the bound's and their ratio, each.
        told: what else there is to say.
        aim: what it should come to, and whether it does.
    """
    columns = "".join(
        f"{ours:>{_FIGURE + 4}}{its:>{_FIGURE}}  {found!s:<{_RATIO}}"
        for ours, its, found in figures
    )
    rest = "; ".join(part for part in (*told, aim) if part)
    return f"{title:<{_TITLE}}{columns}{rest}".rstrip()


def fanout(title: str, rounds: Rounds, least: float | None = None) -> str:
    """Deliveries a second, and what each costs the server; both ratios are better if higher.

    Args:
        title: what was done.
        rounds: for each round, ours and the bound's.
        least: the ratio that is aimed at.
    """
    ours, its = compare(rounds, lambda each: each.rate)
    rate = times(rounds, lambda each: each.rate)
    cost, its_cost = compare(rounds, lambda each: each.cost_s)
    cheapness = times(rounds, lambda each: each.cost_s, 1, 0)
    figures = [
        (f"{ours:,.0f}/s", f"{its:,.0f}/s", rate),
        (f"{cost * 1e6:.2f} us", f"{its_cost * 1e6:.2f} us", cheapness),
    ]
    aim = "" if least is None else at_least(rate.median, least)
    return line(title, figures, _warnings(rounds), aim)


def latency(title: str, rounds: Rounds, names: tuple[str, str], most: float | None = None) -> str:
    """Percentiles of two sides in milliseconds, and the ratio of their p99.

    Args:
        title: what was done.
        rounds: for each round, the two sides.
        names: of the sides.
        most: the ratio that is aimed at; None where the two are to be equal.
    """
    p50, p99 = (
        compare(rounds, lambda each: each.p50_us / 1e3),
        compare(rounds, lambda each: each.p99_us / 1e3),
    )
    told = ", ".join(
        f"{name} p50 {low:.2f} ms, p99 {high:.2f} ms"
        for name, low, high in zip(names, p50, p99, strict=True)
    )
    found = times(rounds, lambda each: each.p99_us)
    aim = "aim: 1, but for noise" if most is None else at_most(found.median, most)
    return f"{title}: {told}; p99 ratio {found}; " + "; ".join([*_warnings(rounds), aim])


def joins(title: str, rounds: Sequence[Sequence[Joined]], least: float) -> str:
    """How many connect and join in a second, and what that costs."""
    ours, its = compare(rounds, lambda each: each.rate)
    cost, its_cost = compare(rounds, lambda each: each.cost_s)
    cheapness = times(rounds, lambda each: each.cost_s, 1, 0)
    figures = [
        (f"{ours:,.0f}/s", f"{its:,.0f}/s", times(rounds, lambda each: each.rate)),
        (f"{cost * 1e6:.0f} us", f"{its_cost * 1e6:.0f} us", cheapness),
    ]
    told = [f"{1 / cost:,.0f} for a processor second"]
    return line(title, figures, told, at_least(ours, least, ",.0f"))


def flatness(sizes: Sequence[int], costs: Sequence[Sequence[float]]) -> str:
    """How much more a delivery costs in the largest room than in the smallest.

    Args:
        sizes: of the rooms, ascending.
        costs: for each of them, processor seconds for a delivery: ours, the bound's.
    """
    (ours, its), (ours_last, its_last) = costs[0], costs[-1]
    return (
        f"a delivery to {sizes[-1]:,} members costs {ours_last / ours:.2f} times what it costs to "
        f"{sizes[0]:,}; the bound's {its_last / its:.2f} times"
    )


def memory(title: str, each_bytes: Sequence[float], aim: float) -> str:
    """Memory of each connection: the median of all rounds, and the extremes.

    Args:
        title: what was done.
        each_bytes: of each round.
        aim: bytes that it should be at most.
    """
    found = sorted(each_bytes)
    median = found[len(found) // 2]
    spread = f"({found[0] / 1e3:.1f}-{found[-1] / 1e3:.1f})"
    return f"{title}: {median / 1e3:.1f} KB {spread}; {at_most(median / 1e3, aim / 1e3)}"


def reached(title: str, parts: Sequence[Heard], most_s: float) -> str:
    """How long messages took to the last member of all generators, and deliveries.

    Args:
        title: what was done.
        parts: what each generator heard; of their percentiles the highest is told.
        most_s: seconds that half of the messages should take at most.
    """
    times_s = sorted(reached_all_s(parts))
    median = statistics.median(times_s)
    p99 = times_s[math.ceil(0.99 * len(times_s)) - 1]
    p50_s, p99_s = (
        max(part.p50_us for part in parts) / 1e6,
        max(part.p99_us for part in parts) / 1e6,
    )
    return (
        f"{title}: p50 {median:.2f} s, p99 {p99:.2f} s, max {times_s[-1]:.2f} s of {len(times_s)}; "
        f"a delivery p50 {p50_s:.2f} s, p99 {p99_s:.2f} s; {at_most(median, most_s)}"
    )


def between(title: str, there: Heard, here: Heard, most_ms: float) -> str:
    """Latencies from one node to another, beside those that stay on it.

    Args:
        title: what was done.
        there: what was heard on the other node.
        here: what was heard where it was published.
        most_ms: that the p99 between nodes should be at most.
    """
    told = ", ".join(
        f"{name} p50 {part.p50_us / 1e3:.2f} ms, p99 {part.p99_us / 1e3:.2f} ms, "
        f"max {part.max_us / 1e3:.1f} ms"
        for name, part in (("there", there), ("here", here))
    )
    return f"{title}: {told}; {at_most(there.p99_us / 1e3, most_ms)}"


def at_least(found: float, aim: float, form: str = "g") -> str:
    """Whether a figure is as high as it should be."""
    return f"aim: at least {aim:{form}}, {'met' if found >= aim else 'MISSED'}"


def at_most(found: float, aim: float) -> str:
    """Whether a figure is as low as it should be."""
    return f"aim: at most {aim:g}, {'met' if found <= aim else 'MISSED'}"


def _warnings(rounds: Rounds) -> list[str]:
    """What must not have happened, and whether the generator itself was measured."""
    runs = [side for turn in rounds for side in turn]
    told = []
    for name in ("lost", "again", "skipped", "strange", "ended"):
        count = sum(getattr(run, name) for run in runs)
        if count or name == "lost":
            told.append(f"{name} {count:,}")
    busy = max(compare(rounds, lambda each: each.busy))
    told.append(f"generator {busy:.0%} busy" + (": IT WAS MEASURED" if busy > BUSY_MAX else ""))
    return told
