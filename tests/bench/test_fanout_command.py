"""The command line of `make bench-fanout`."""

import pytest

from bench.fanout.__main__ import options
from bench.fanout.cases import CASES, LONG


def test_all_is_measured_unless_told_otherwise() -> None:
    """Five rounds of three seconds."""
    asked = options([])
    assert (asked.case, asked.rounds, asked.seconds) == (list(CASES), 5, 3.0)


def test_a_quick_look_is_shorter() -> None:
    """And what is named counts all the same."""
    asked = options(["--quick", "--case", "1/1", "--case", "flat", "--rounds", "1"])
    assert (asked.case, asked.rounds, asked.seconds) == (["1/1", "flat"], 1, 1.0)


def test_a_case_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are there are listed."""
    with pytest.raises(SystemExit):
        options(["--case", "2/2"])
    assert "500/4" in capsys.readouterr().err


@pytest.mark.parametrize("name", LONG)
def test_what_takes_minutes_has_to_be_asked_for(name: str) -> None:
    """It is no part of all."""
    assert name not in options([]).case
    assert options(["--case", name]).case == [name]
