"""Buckets, crowds and failures: what limits are kept with."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.limiter import Bucket, Crowd, Failures, endless


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Ten at once; then one every half second."""
    bucket = Bucket(2.0, 10.0, 100.0)
    assert [True] * 10 + [False] * 2 == [bucket.take(100.0) for _ in range(12)]
    assert bucket.wait_s() == 0.5
    assert [False, True, False] == [bucket.take(at) for at in (100.4, 100.5, 100.5)]
    assert bucket.wait_s(3) == 1.5


def test_what_a_bucket_cannot_give_whole_is_not_taken() -> None:
    """So who asks for less gets it."""
    bucket = Bucket(1.0, 10.0, 0.0)
    assert [False, True, False] == [bucket.take(0.0, size) for size in (11, 10, 1)]


def test_a_bucket_that_rested_is_full_and_says_so() -> None:
    """Full is full, however long it rested, and before what is taken now."""
    bucket = Bucket(1.0, 3.0, 0.0)
    bucket.left -= 3
    bucket.left -= 4
    assert [False, True] == [bucket.refill(at, 4) for at in (2.9, 1_000.0)]
    assert bucket.left == -1.0
    assert bucket.wait_s() == 2.0


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), max_size=60),
    st.integers(1, 5),
    st.integers(5, 20),
)
def test_no_window_gives_more_than_two_bursts_and_its_rate(
    steps: list[tuple[float, int]], rate: int, burst: int
) -> None:
    """The price of not looking at the clock each time; and nothing that was free is refused."""
    bucket, now = Bucket(rate, burst, 0.0), 0.0
    taken: list[tuple[float, int]] = []
    left, at = float(burst), 0.0  # as a bucket has it that always looks at the clock
    for gap, size in steps:
        now += gap
        left, at = min(burst, left + (now - at) * rate), now
        granted = bucket.take(now, size)
        # What a strict one gives, this one gives, until it has given more than a strict one.
        assert granted or left < size + 1e-6
        if granted:
            left = max(left - size, 0.0)
            taken.append((now, size))
    for begin, _ in taken:
        within = sum(size for moment, size in taken if moment >= begin)
        assert within <= 2 * burst + (now - begin) * rate + 1e-6


def test_an_endless_bucket_is_never_empty() -> None:
    """That is a limit that is off."""
    bucket = endless()
    bucket.left -= 10**12
    assert bucket.left == inf
    assert bucket.take(0.0, 10**12)


def test_a_crowd_forgets_whom_it_has_none_of() -> None:
    """So it is never larger than those who are here."""
    crowd = Crowd()
    for key in ("a", "b", "a"):
        crowd.enter(key)
    assert (2, 1, 0, 2) == (crowd.count("a"), crowd.count("b"), crowd.count("c"), len(crowd))
    for key in ("a", "b", "a"):
        crowd.leave(key)
    assert len(crowd) == 0
    with pytest.raises(KeyError):
        crowd.leave("a")


def test_failures_are_forgotten_one_by_one() -> None:
    """Three in a minute: the fourth waits for twenty seconds, and so does each after it."""
    failures = Failures(3, 60.0, names_max=10)
    assert failures.wait_s("t", 0.0) == 0.0
    for _ in range(3):
        failures.add("t", 0.0)
    assert (20.0, 0.0) == (failures.wait_s("t", 0.0), failures.wait_s("u", 0.0))
    assert failures.wait_s("t", 15.0) == pytest.approx(5.0)
    assert failures.wait_s("t", 20.1) == 0.0
    failures.add("t", 20.1)
    assert failures.wait_s("t", 20.1) == pytest.approx(19.9)


def test_more_failures_than_allowed_are_no_longer_wait() -> None:
    """Where nothing is refused, as in a dry run, they go on without end."""
    failures = Failures(3, 60.0, names_max=10)
    for _ in range(100):
        failures.add("t", 0.0)
    assert failures.wait_s("t", 0.0) == 20.0


def test_only_so_many_names_are_remembered() -> None:
    """The one that failed first is forgotten; one that rested long enough is, too."""
    failures = Failures(1, 60.0, names_max=2)
    for name in ("a", "b", "c"):
        failures.add(name, 0.0)
    assert (0.0, 60.0, 60.0) == tuple(failures.wait_s(name, 0.0) for name in ("a", "b", "c"))
    assert failures.wait_s("b", 60.0) == 0.0
    failures.add("d", 60.0)  # in the place of b
    assert failures.wait_s("c", 59.0) > 0.0
