"""Turns, ratios, medians, and the lines that tell them."""

import pytest

from bench.ratio import (
    Unit,
    at_least_per_s,
    at_most_bytes,
    at_most_times,
    heading,
    line,
    medians,
    ratio,
    take_turns,
)

# In the second round the machine was ten times slower, and our side a little worse.
ROUNDS = [(2.0, 4.0), (30.0, 40.0), (1.0, 4.0)]


async def test_sides_take_turns() -> None:
    """In each round every side is measured once, in their order."""
    done: list[str] = []

    async def side(name: str) -> int:
        done.append(name)
        return len(done)

    rounds = await take_turns(2, [lambda: side("a"), lambda: side("b")])
    assert (done, rounds) == (["a", "b", "a", "b"], [(1, 2), (3, 4)])


def test_a_ratio_is_taken_within_a_round() -> None:
    """It is the median of the rounds' ratios, so a round that was slow for both is harmless."""
    found = ratio(ROUNDS, 0, 1)
    assert (found.median, found.low, found.high) == (0.5, 0.25, 0.75)
    assert str(found) == "0.50 (0.25-0.75)"


def test_a_ratio_has_a_direction() -> None:
    """Our cost divided by theirs; the other way round it is the inverse."""
    assert ratio(ROUNDS, 1, 0).median == 2.0


def test_each_side_has_its_median() -> None:
    """Figures are medians of a side's own rounds."""
    assert medians(ROUNDS) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("unit", "cost", "told"),
    [
        (Unit.PER_S, 0.000_002, "500,000/s"),
        (Unit.SECONDS, 1.234, "1.23 s"),
        (Unit.BYTES, 3791.6, "3,792 B"),
    ],
)
def test_a_cost_is_told_in_its_unit(unit: Unit, cost: float, told: str) -> None:
    """Seconds for one are told as how many there are in a second; the rest as it is."""
    assert unit.tell(cost) == told


def test_aims_include_their_bound() -> None:
    """An aim is met at its very bound, and missed beyond it."""
    times, rate, size = at_most_times(1.5), at_least_per_s(500_000), at_most_bytes(4096)
    assert (times.met(9.0, 1.5), times.met(9.0, 1.51)) == (True, False)
    assert (rate.met(1 / 500_000, 9.0), rate.met(1 / 499_999, 9.0)) == (True, False)
    assert (size.met(4096.0, 9.0), size.met(4097.0, 9.0)) == (True, False)


def test_a_line_tells_all_sides() -> None:
    """Ours, then each other with its ratio, then the aim and whether it is met by the first."""
    rounds = [(8.0, 4.0, 16.0)]
    told = " ".join(line("a thing", rounds, Unit.BYTES, at_most_times(1.5)).split())
    figures = "8 B 4 B 2.00 (2.00-2.00) 16 B 0.50 (0.50-0.50)"
    assert told == f"a thing {figures} aim: at most 1.5 times, MISSED"


def test_figures_stand_below_their_heading() -> None:
    """The heading has a column for every figure."""
    head = heading("", ["bare trio", "triotp"])
    told = line("a thing", [(1.0, 2.0, 4.0)], Unit.BYTES)
    for name, figure in (("Agio", "1 B"), ("bare trio", "2 B"), ("triotp", "4 B")):
        assert head.index(name) + len(name) == told.index(figure) + len(figure)
