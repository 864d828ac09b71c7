"""The arithmetic of restarting: when a supervisor gives up, and how long a child waits. Pure."""

from collections import deque
from dataclasses import dataclass

from actors.limits import RESTART_WINDOW_S, RESTARTS_MAX


@dataclass(frozen=True, slots=True)
class Intensity:
    """How often a supervisor restarts before it gives up: `restarts` within `window_s` seconds.

    One more than `restarts` in the window ends the supervisor. Zero gives up at the first failure.
    """

    restarts: int = RESTARTS_MAX
    window_s: float = RESTART_WINDOW_S

    def __post_init__(self) -> None:
        assert self.restarts >= 0, f"{self.restarts} restarts"
        assert self.window_s > 0, f"a window of {self.window_s} s"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failing child waits before each restart: doubling, with a ceiling.

    Attributes:
        first_s: seconds before the first restart; each next wait is twice the one before.
        ceiling_s: the longest wait, in seconds.
        reset_after_s: a child that lived so long was healthy, and begins again at `first_s`.
        jitter: 0 to 1, the share of each wait that chance may take off, so that many children
            which failed together do not come back together.
    """

    first_s: float = 0.1
    ceiling_s: float = 30.0
    reset_after_s: float = 60.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        assert 0 < self.first_s <= self.ceiling_s, f"{self.first_s} s up to {self.ceiling_s} s"
        assert self.reset_after_s >= 0, f"reset after {self.reset_after_s} s"
        assert 0 <= self.jitter <= 1, f"a jitter of {self.jitter}"


@dataclass(frozen=True, slots=True)
class Failure:
    """One end of a child that its supervisor answered with a restart, or gave up on.

    Attributes:
        at: the trio clock, in seconds.
        child: its id.
        error: what left it; None where a permanent child returned.
    """

    at: float
    child: str
    error: Exception | None


class Window:
    """The failures of one supervisor that still count."""

    __slots__ = ("_failures", "_intensity")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._failures: deque[Failure] = deque()

    def admit(self, failure: Failure) -> bool:
        """Count a failure. False when it was one too many. Never holds more than that many."""
        failures = self._failures
        failures.append(failure)
        while failure.at - failures[0].at > self._intensity.window_s:
            failures.popleft()
        return len(failures) <= self._intensity.restarts

    @property
    def history(self) -> tuple[Failure, ...]:
        """The failures counted now, oldest first."""
        return tuple(self._failures)


class Delays:
    """The waits of one child under its backoff."""

    __slots__ = ("_backoff", "_next_s")

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._next_s = backoff.first_s

    def after(self, lived_s: float, chance: float) -> float:
        """Seconds to wait now.

        Args:
            lived_s: how long the child was ready before it failed; 0 if it never was.
            chance: a random number, 0 to 1, that the jitter uses.
        """
        backoff = self._backoff
        if lived_s >= backoff.reset_after_s:
            self._next_s = backoff.first_s
        delay_s = self._next_s
        self._next_s = min(backoff.ceiling_s, delay_s * 2)
        return delay_s * (1 - backoff.jitter * chance)
