"""What the load generator says is read, and divided."""

import pytest

from bench.fanout.account import (
    Heard,
    Joined,
    LoadError,
    Measured,
    amiss,
    compare,
    missing,
    parse,
    reached_all_s,
    times,
)
from tests.bench.runs import heard, joined, measured, said


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


def test_what_a_part_heard_is_read() -> None:
    """With the time of each message."""
    assert parse(said(messages=2, last_us=[1.0, 2.5]), Heard) == heard(1.0, 2.5)


def test_a_message_has_reached_all_when_the_last_generator_says_so() -> None:
    """Whichever of them that is."""
    assert reached_all_s([heard(1e6, 2e6), heard(3e6, 1e6)]) == [3.0, 2.0]


def test_there_is_no_time_for_what_did_not_reach_all() -> None:
    """Rather than a time that leaves some of them out."""
    with pytest.raises(LoadError, match="did not reach"):
        reached_all_s([heard(1.0, 2.0), heard(3.0)])


def test_what_a_generator_never_heard_of_is_missing_at_all_its_members() -> None:
    """Beside what it knows that some of them did not get."""
    parts = [heard(1.0, 2.0, lost=3), heard(1.0)]
    assert missing(parts, [10, 20]) == 23
    assert missing([heard(1.0), heard(1.0)], [10, 20]) == 0


@pytest.mark.parametrize("name", ["lost", "again", "skipped", "strange", "ended"])
def test_all_that_must_not_happen_is_amiss(name: str) -> None:
    """To any of the generators."""
    assert amiss([heard(1.0), heard(1.0, **{name: 4})], [10, 20]) == 4
