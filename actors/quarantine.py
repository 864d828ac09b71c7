"""Messages that crashed their actor too often, set aside for somebody to look at."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from actors.limits import QUARANTINE_KEPT


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that is not retried any more.

    Attributes:
        actor: whose it was.
        message: the message itself. It may hold secrets: show its type, not its contents.
        attempts: how many lives it crashed.
        error: what it crashed the last of them with.
        at: the trio clock, in seconds.
    """

    actor: str
    message: Any
    attempts: int
    error: Exception | None
    at: float


@dataclass(frozen=True, slots=True)
class QuarantineStatistics:
    """A quarantine, now.

    Attributes:
        kept: messages still there to look at.
        admitted: messages ever quarantined.
    """

    kept: int
    admitted: int


class Quarantine:
    """The last messages that were quarantined in one tree; older ones give way."""

    __slots__ = ("_admitted", "_kept")

    def __init__(self, kept_max: int = QUARANTINE_KEPT) -> None:
        """An empty one, that keeps so many messages."""
        self._kept: deque[Quarantined] = deque(maxlen=kept_max)
        self._admitted = 0

    def admit(self, case: Quarantined) -> None:
        """Set a message aside."""
        self._admitted += 1
        self._kept.append(case)

    def cases(self) -> tuple[Quarantined, ...]:
        """What is kept, oldest first."""
        return tuple(self._kept)

    def statistics(self) -> QuarantineStatistics:
        """How many, now and ever."""
        return QuarantineStatistics(len(self._kept), self._admitted)
