"""Counting latencies: to 1.6 %, in bounded memory, and the same however it is shared."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.loadtest.histogram import BUCKETS, Histogram, bucket_of, lower_bound

VALUES = st.integers(0, 1 << 45)


def filled(*values: int) -> Histogram:
    """A histogram of these."""
    histogram = Histogram({})
    for value in values:
        histogram.add(value)
    return histogram


@given(st.integers(0, (1 << 42) - 1))
def test_a_bucket_holds_its_values_and_is_narrow(value: int) -> None:
    """Each value lies between its bucket's bounds, which are 1.6 % apart at most."""
    bucket = bucket_of(value)
    low, above = lower_bound(bucket), lower_bound(bucket + 1)
    assert low <= value < above
    assert above - low <= max(low / 64, 1)


def test_there_are_so_many_buckets() -> None:
    """They follow each other without a gap, and what lies beyond is in the last."""
    bounds = [lower_bound(bucket) for bucket in range(BUCKETS + 1)]
    assert bounds == sorted(set(bounds))
    assert [bucket_of(bound) for bound in bounds[:-1]] == list(range(BUCKETS))
    assert (0, BUCKETS - 1) == (bucket_of(-1), bucket_of(1 << 60))


@given(VALUES, st.lists(VALUES))
def test_moments_in_order_are_counted_like_single_values(origin: int, spans: list[int]) -> None:
    """Bisection finds what counting one by one finds."""
    moments = sorted(origin + span for span in spans)
    together = Histogram({})
    together.add_since(origin, moments)
    assert filled(*spans) == together


@given(st.lists(VALUES), st.lists(VALUES))
def test_merged_histograms_are_those_of_all_values(ours: list[int], theirs: list[int]) -> None:
    """It does not matter which process counted, nor that it was told as JSON."""
    merged = filled(*ours)
    merged.merge(msgspec.json.decode(msgspec.json.encode(filled(*theirs)), type=Histogram))
    assert filled(*ours, *theirs) == merged


def test_quantiles_are_of_the_values() -> None:
    """At least this part of all is not larger, to the width of a bucket; the largest is exact."""
    histogram = filled(*range(1, 1_001))
    assert 1_000 == histogram.total
    assert 500 <= histogram.quantile(0.5) <= 508
    assert 990 <= histogram.quantile(0.99) <= 1_000
    assert 1_000 == histogram.quantile(1)
    assert 1 == histogram.quantile(0.001)


def test_nothing_counted_is_nothing() -> None:
    """Whatever is asked."""
    assert (0, 0, 0) == (Histogram({}).total, Histogram({}).quantile(0.5), Histogram({}).most)
