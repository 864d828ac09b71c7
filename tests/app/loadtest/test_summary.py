"""A run in numbers, and why they may be doubted."""

import msgspec
import pytest

from app.loadtest.summary import as_json, duration, text, warnings
from tests.app.loadtest.runs import PLAN, histogram, summary


def test_the_summary_tells_all_there_is() -> None:
    """Every expected delivery is on time, late or lost."""
    told = text(summary(delivered=24_990, late=7, duplicates=1, reordered=2, gone=1))
    assert """\
ws://127.0.0.1:4000/socket/websocket
1,000 connections in 2 rooms, 64 bytes of payload, 100 messages/s in all, open loop, 1 s after \
2 s of warm-up

  connect and join  2,000/s, p50 20.2 ms, p90 40.0 ms, p99 40.0 ms, p99.9 40.0 ms, max 40.0 ms
  sent              100 messages, 100.0/s
  deliveries        49,990/s, 6.0 MB/s
  latency           p50 2.02 ms, p90 2.02 ms, p99 4.03 ms, p99.9 100 ms, max 100 ms, since when \
it was meant to be sent
  account           50,000 expected = 49,983 on time + 7 late (over 1 s) + 10 lost
  also              1 came again, 2 out of order, 1 connection lost
  load generator    2 processes, the busiest 25% busy, 20% of a processor, sends late by 100 us \
(p99)""" == "\n".join(told)


def test_a_window_has_no_intended_moment() -> None:
    """And no lag behind it."""
    plan = msgspec.structs.replace(PLAN, rate=None, window=4, rooms=1)
    told = "\n".join(text(summary(plan)))
    assert "in 1 room, 64 bytes of payload, 4 in flight in each room, closed loop" in told
    assert "since when it was sent" in told
    assert "sends late" not in told


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"busy": 0.95, "cpu": 0.9}, "the load generator was 95% busy: its own limit is in the"),
        ({"busy": 0.7, "cpu": 0.3}, "waited for a processor 40% of the time"),
        ({"sent": 40}, "only 90.0 messages/s could be sent"),
        ({"lag": histogram(*[3.0] * 50)}, "our own sends were late by 3.00 ms (p99)"),
        ({"unsent": 1}, "1 message could not be sent"),
        ({"refused": 2, "refusal": "busy"}, "2 pushes refused: busy"),
        ({"stalls": 1_234}, "1,234 times a room stood still"),
    ],
)
def test_what_makes_the_numbers_doubtful_is_told(changes: dict[str, object], doubt: str) -> None:
    """One line each, where there is a reason."""
    assert [] == warnings(summary())
    (told,) = warnings(summary(PLAN, **changes))
    assert doubt in told
    assert f"  ! {told}" == text(summary(PLAN, **changes))[-1]


def test_nothing_that_comes_back_is_told() -> None:
    """The channel there may not broadcast."""
    found = summary()
    results = tuple(msgspec.structs.replace(each, delivered=0) for each in found.results)
    (told,) = warnings(msgspec.structs.replace(found, results=results))
    assert told.startswith("nothing came back")


def test_programs_get_plain_numbers() -> None:
    """Counts, rates a second, milliseconds, and nothing that must be read out of text."""
    told = msgspec.json.decode(msgspec.json.encode(as_json(summary(delivered=24_000))))
    assert (50_000, 49_000, 1_000) == (told["expected"], told["delivered"], told["lost"])
    assert (49_000.0, 2_000.0) == (told["deliveries_per_second"], told["joins_per_second"])
    assert {"p50", "p90", "p99", "p99.9", "max"} == set(told["latency_ms"])
    assert 100.0 == told["latency_ms"]["max"]
    assert ([0.25, 0.25], 2) == (told["busy"], told["plan"]["rooms"])


@pytest.mark.parametrize(
    ("ns", "told"),
    [
        (0, "0.00 us"),
        (1_234, "1.23 us"),
        (45_678, "45.7 us"),
        (999_600, "1,000 us"),
        (1_000_000, "1.00 ms"),
        (123_456_789, "123 ms"),
        (9_994_000_000, "9.99 s"),
        (9_996_000_000, "10.0 s"),
        (4_000_000_000_000, "4,000 s"),
    ],
)
def test_durations_have_three_digits(ns: int, told: str) -> None:
    """And a unit."""
    assert told == duration(ns)
