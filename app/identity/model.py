"""Who is asking: a person of one business line, in one role, until a moment."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# How far the clocks of two of our nodes may stand apart. NTP keeps them within milliseconds.
LEEWAY_SECONDS: Final = 5


class Role(StrEnum):
    """What a person is on a business line: one of three."""

    BUYER = "buyer"
    SELLER = "seller"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, as a verified token names them.

    Attributes:
        person: their name, unique on the line.
        role: what they may do there.
        line: the business line's id.
        expires_at: when the token stops being valid, in seconds since the epoch.
        session: the token's own id, for logs and revocation.
        issued_at: when the token was made, in seconds since the epoch.
    """

    person: str
    role: Role
    line: str
    expires_at: int
    session: str
    issued_at: int = 0

    @property
    def name(self) -> str:
        """The person's name among all lines'. A line has no slash, so no two share one."""
        return self.namesake(self.person)

    def namesake(self, person: str) -> str:
        """The name, among all lines', of a person of the same line."""
        return f"{self.line}/{person}"

    def seconds_left(self, now: float) -> float:
        """For how long the token is still valid at `now`, on whichever of our nodes' clocks."""
        return self.expires_at + LEEWAY_SECONDS - now

    def has_expired(self, now: float) -> bool:
        """Whether the token is no longer valid at `now`."""
        return self.seconds_left(now) <= 0
