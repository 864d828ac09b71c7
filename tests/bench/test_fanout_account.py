"""What the load generator says is read, and divided."""

import pytest

from bench.fanout.account import Joined, LoadError, Measured, compare, parse, times
from tests.bench.runs import joined, measured, said


def test_a_measurement_is_read() -> None:
    """With figures for each delivery and each second."""
    run = parse(said(lost=2, ended=1), Measured)
    assert run == measured(lost=2, ended=1)
    assert (run.rate, run.cost_s, run.busy, run.wrong) == (5_000.0, 5e-6, 0.25, 3)


def test_joins_are_read() -> None:
    """With figures for each of them."""
    told = parse(b'{"joined":1000,"seconds":0.5,"server_s":0.25}\n', Joined)
    assert told == joined(0.5, 0.25)
    assert (told.rate, told.cost_s) == (2_000.0, 0.00025)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"no JSON", "said b'no JSON'"),
        (b'{"seconds":1}', "missing required field"),
        (said(deliveries=0), "nothing was delivered"),
        (said(server_s=0.0), "too little"),
    ],
)
def test_what_tells_nothing_is_refused(line: bytes, why: str) -> None:
    """With a line that says why."""
    with pytest.raises(LoadError, match=why):
        parse(line, Measured)


def test_sides_are_compared_round_by_round() -> None:
    """In the second round the machine was slow; the ratios do not see it."""
    rounds = [
        (measured(deliveries=2_000), measured(deliveries=1_000)),
        (measured(deliveries=200), measured(deliveries=100)),
        (measured(deliveries=3_000), measured(deliveries=1_000)),
    ]
    found = times(rounds, lambda each: each.rate)
    assert (found.low, found.median, found.high) == (2.0, 2.0, 3.0)
    assert compare(rounds, lambda each: each.deliveries) == (2_000, 1_000)
    assert times(rounds, lambda each: each.rate, 1, 0).median == 0.5
