"""What one thing costs beside another: turns taken in several rounds, medians, and a line to print.

Theory of operation. A machine is never alone, so a figure by itself says little. The sides of a
comparison take turns, A B A B, each beginning with garbage collected; in each round the costs are
divided, and of the ratios the median counts. What slows the machine for a while slows both.
"""

import gc
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

T = TypeVar("T")

_TITLE_WIDTH: Final = 52
_FIGURE_WIDTH: Final = 14


async def take_turns(
    rounds: int, sides: Sequence[Callable[[], Awaitable[T]]]
) -> list[tuple[T, ...]]:
    """Have each side measured once in every round.

    Returns:
        For each round, what the sides came to, in their order.
    """
    return [tuple([await _turn(side) for side in sides]) for _ in range(rounds)]


async def _turn(side: Callable[[], Awaitable[T]]) -> T:
    gc.collect()
    return await side()


@dataclass(frozen=True, slots=True)
class Ratio:
    """One side's figure divided by another's: the median of all rounds, and the extremes."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio(rounds: Sequence[Sequence[float]], of: int, to: int) -> Ratio:
    """The one side's figure divided by the other's, round by round.

    Args:
        rounds: for each round, the figure of each side.
        of: the position of the one.
        to: the position of the other.
    """
    ratios = [costs[of] / costs[to] for costs in rounds]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def medians(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The median of each side."""
    return [statistics.median(costs) for costs in zip(*rounds, strict=True)]


class Unit(Enum):
    """How a cost is told. It is of one of whatever is counted."""

    PER_S = "per second"  # costs are seconds, and how many there are in one is told
    SECONDS = "seconds"
    MICROSECONDS = "microseconds"  # costs are seconds
    BYTES = "bytes"

    def tell(self, cost: float) -> str:
        """A cost, for a person."""
        if self is Unit.PER_S:
            return f"{1 / cost:,.0f}/s"
        if self is Unit.MICROSECONDS:
            return f"{cost * 1e6:,.2f} us"
        return f"{cost:,.2f} s" if self is Unit.SECONDS else f"{cost:,.0f} B"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a comparison should come to.

    Attributes:
        text: in words.
        met: whether it does, given our cost and its ratio to the other's.
    """

    text: str
    met: Callable[[float, float], bool]


def at_most_times(most: float) -> Aim:
    """Our cost is at most so many times the other's."""
    return Aim(f"at most {most} times", lambda _cost, times: times <= most)


def at_least_per_s(least: int) -> Aim:
    """We get through so many a second."""
    return Aim(f"at least {least:,}/s", lambda cost, _times: cost * least <= 1)


def at_most_bytes(most: int) -> Aim:
    """Ours takes at most so many bytes."""
    return Aim(f"at most {most:,} B", lambda cost, _times: cost <= most)


def heading(first: str, others: Sequence[str]) -> str:
    """The line above a table: us, and with whom we are compared."""
    beside = "".join(f"{other:>{_FIGURE_WIDTH}}  {'ratio':<18}" for other in others)
    return f"{first:<{_TITLE_WIDTH}}{'Agio':>{_FIGURE_WIDTH}}{beside}".rstrip()


def line(
    title: str, rounds: Sequence[Sequence[float]], unit: Unit = Unit.PER_S, aim: Aim | None = None
) -> str:
    """One line of a table: our figure, then for each other side its figure and the ratio.

    Args:
        title: what was done.
        rounds: for each round, the cost of ours and then of each other side.
        unit: what the costs are.
        aim: what it should come to beside the first other side.
    """
    ours, *others = medians(rounds)
    told = f"{title:<{_TITLE_WIDTH}}{unit.tell(ours):>{_FIGURE_WIDTH}}"
    for position, cost in enumerate(others, 1):
        told += f"{unit.tell(cost):>{_FIGURE_WIDTH}}  {ratio(rounds, 0, position)!s:<18}"
    if aim is not None:
        verdict = "met" if aim.met(ours, ratio(rounds, 0, 1).median) else "MISSED"
        told += f"  aim: {aim.text}, {verdict}"
    return told.rstrip()
