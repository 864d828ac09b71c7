"""The live line: what it tells at each step, and nothing where there is no terminal."""

import io

import pytest

from app.loadtest.coordinator import Stage
from app.loadtest.histogram import Histogram
from app.loadtest.model import NS, Plan, Progress
from app.loadtest.progress import ProgressLine, line_of_progress
from tests.app.loadtest.runs import histogram

PLAN = Plan(connections=1_000)


class Tty(io.StringIO):
    """A terminal that remembers what was written."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def stage(began_ns: int | None) -> Stage:
    """How far two processes are."""
    told = [Progress(500, 10, 4_000, Histogram({})), Progress(400, 5, 3_000, histogram(2.0))]
    return Stage(PLAN, began_ns, dict(enumerate(told)))


@pytest.mark.parametrize(
    ("began_s", "line"),
    [
        (None, "900 of 1,000 connections joined"),
        (99, "warm-up 1/2 s  15 sent  7,000 deliveries/s"),
        (95, "3/10 s  15 sent  7,000 deliveries/s"),
        (80, "waiting for what is on its way  15 sent  7,000 deliveries/s"),
    ],
)
def test_each_step_has_its_line(began_s: int | None, line: str) -> None:
    """First who joined, then what is sent and comes."""
    began_ns = None if began_s is None else began_s * NS
    told = line_of_progress(stage(began_ns), 900, 7_000.0, Histogram({}), 100 * NS)
    assert line == told


def test_latencies_are_told_as_soon_as_there_are_some() -> None:
    """Those of the newest point."""
    told = line_of_progress(stage(95 * NS), 900, 7_000.0, histogram(2.0, 2.0, 9.0), 100 * NS)
    assert told.endswith("deliveries/s  p50 2.02 ms  p99 9.00 ms  max 9.00 ms")


def test_the_line_is_written_over_and_leaves_nothing() -> None:
    """And not more often than can be read."""
    stream = Tty()
    with ProgressLine(stream) as progress:
        for _ in range(3):
            progress.show(stage(None))
    assert "\r\x1b[K900 of 1,000 connections joined\r\x1b[K" == stream.getvalue()


def test_a_file_gets_no_line() -> None:
    """What is written there stays."""
    stream = io.StringIO()
    with ProgressLine(stream) as progress:
        progress.show(stage(None))
    assert "" == stream.getvalue()
