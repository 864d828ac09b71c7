"""What limits are kept with: buckets that fill with time, and counts by key. Pure.

Whoever asks brings the time, in seconds of any clock that does not go back.
"""

from collections.abc import Hashable
from math import inf
from typing import Final


class Bucket:
    """So much a second, and some of it at once. It looks at the clock only when it seems empty.

    A caller that is in a hurry takes by itself, `bucket.left -= 1`, and asks `refill` only where
    that went below zero: most of the time a limit then costs a subtraction. What came in meanwhile
    is added then, and what would have run over is lost then and not before; so after a quiet time
    a burst may be twice as large, once.

    Attributes:
        left: what may still be taken without asking.
    """

    __slots__ = ("_at", "_burst", "_rate", "left")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """A full bucket.

        Args:
            rate: what comes in a second, more than 0.
            burst: what it holds.
            now: the time.
        """
        assert rate > 0, "a bucket that never fills is a refusal"
        self.left = burst
        self._rate = rate
        self._burst = burst
        self._at = now

    def take(self, now: float, size: float = 1) -> bool:
        """Take so much; False, and nothing is taken, if there is less."""
        self.left -= size
        if self.left >= 0:
            return True
        self.refill(now, size)
        if self.left >= 0:
            return True
        self.left += size
        return False

    def refill(self, now: float, taken: float = 0) -> bool:
        """Add what came in before so much was taken. True if that filled it."""
        filled = self.left + taken + (now - self._at) * self._rate
        self._at = now
        self.left = min(filled, self._burst) - taken
        return filled >= self._burst

    def wait_s(self, size: float = 1) -> float:
        """Seconds from the last refill until so much can be taken; 0 if it can be now."""
        return max(size - self.left, 0.0) / self._rate


def endless() -> Bucket:
    """A bucket that is never empty, for a limit that is off."""
    return Bucket(1.0, inf, 0.0)


class Crowd:
    """How many there are of each key. A key that nobody is of is forgotten."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        """Nobody."""
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._counts)

    def count(self, key: Hashable) -> int:
        """How many are of this key."""
        return self._counts.get(key, 0)

    def enter(self, key: Hashable) -> None:
        """One more."""
        self._counts[key] = self._counts.get(key, 0) + 1

    def leave(self, key: Hashable) -> None:
        """One less."""
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]


class Failures:
    """How often each of a few names failed lately. A name that did not for long is forgotten."""

    __slots__ = ("_allowed", "_buckets", "_names_max", "_window_s")

    def __init__(self, allowed: int, window_s: float, names_max: int) -> None:
        """Nothing failed.

        Args:
            allowed: failures of one name in the window.
            window_s: failures are forgotten one by one, so that after so many seconds all are.
            names_max: of more names those are forgotten that failed first.
        """
        self._buckets: dict[str, Bucket] = {}
        self._allowed: Final = allowed
        self._window_s: Final = window_s
        self._names_max: Final = names_max

    def add(self, name: str, now: float) -> None:
        """One more failure."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._names_max:
                del self._buckets[next(iter(self._buckets))]
            bucket = Bucket(self._allowed / self._window_s, self._allowed, now)
            self._buckets[name] = bucket
        bucket.refill(now)
        bucket.left = max(bucket.left - 1, 0)

    def wait_s(self, name: str, now: float) -> float:
        """Seconds until it may be tried again; 0 if it may be now."""
        bucket = self._buckets.get(name)
        if bucket is None:
            return 0.0
        if bucket.refill(now):
            del self._buckets[name]
        return bucket.wait_s()
