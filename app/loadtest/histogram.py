"""Latencies, counted in buckets that grow with them. Pure.

Each power of two is cut into 64 buckets, so a value is known to 1.6 %, whatever its size, and 2,368
buckets reach from a nanosecond to more than an hour. Histograms of several processes are merged by
adding.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

from app.loadtest.limits import LATENCY_BITS

_CUT: Final = 6
_CUTS: Final = 1 << _CUT
_LARGEST: Final = (1 << LATENCY_BITS) - 1

BUCKETS: Final = (LATENCY_BITS - _CUT - 1) * _CUTS + 2 * _CUTS
"""How many there are at most."""


def bucket_of(value: int) -> int:
    """The bucket of a value in nanoseconds; the ends take what lies beyond them."""
    value = min(max(value, 0), _LARGEST)
    shift = max(value.bit_length() - _CUT - 1, 0)
    return (shift << _CUT) + (value >> shift)


def lower_bound(bucket: int) -> int:
    """The least value of a bucket; that of the next one is the first beyond this one."""
    shift = max((bucket >> _CUT) - 1, 0)
    return (bucket - (shift << _CUT)) << shift


class Histogram(msgspec.Struct):
    """Values in nanoseconds.

    Attributes:
        counts: bucket to values in it.
        most: the largest value, exactly.
    """

    counts: dict[int, int] = {}
    most: int = 0

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def add(self, value: int) -> None:
        """Count one."""
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.most = max(self.most, value)

    def add_since(self, origin: int, moments: Sequence[int]) -> None:
        """Count the time from one moment to each of others, which are in order.

        Being in order, those of one bucket lie together, and are found by bisection.
        """
        at, end = 0, len(moments)
        counts = self.counts
        while at < end:
            bucket = bucket_of(moments[at] - origin)
            start = at
            at = bisect_left(moments, origin + lower_bound(bucket + 1), at + 1)
            if bucket == BUCKETS - 1:
                at = end
            counts[bucket] = counts.get(bucket, 0) + at - start
        if end:
            self.most = max(self.most, moments[-1] - origin)

    def merge(self, other: "Histogram") -> None:
        """Count the other's, too."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.most = max(self.most, other.most)

    def quantile(self, part: float) -> int:
        """A value that at least this part of all do not exceed; 0 if there are none.

        Args:
            part: from 0 to 1, which is the largest value.
        """
        wanted = part * self.total
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(lower_bound(bucket + 1) - 1, self.most)
        return self.most
