"""Who is asking: a person of one business line, in one role, with scopes, until a moment."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.errors import Code, Refusal

# How far the clocks of two of our nodes may stand apart. NTP keeps them within milliseconds.
LEEWAY_SECONDS: Final = 5


class Role(StrEnum):
    """What a person is on a business line: one of three."""

    BUYER = "buyer"
    SELLER = "seller"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What a token may let its holder do beside what their role does: one of a closed list."""

    LEDGER_READ = "ledger:read"
    LEDGER_POST = "ledger:post"
    LEDGER_ACCOUNTS = "ledger:accounts"
    LEDGER_LOCK = "ledger:lock"
    LEDGER_INTERLINE = "ledger:interline"


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
        scopes: what it lets them do beside what their role does.
    """

    person: str
    role: Role
    line: str
    expires_at: int
    session: str
    issued_at: int = 0
    scopes: frozenset[Scope] = frozenset()

    @property
    def name(self) -> str:
        """The person's name among all lines'. A line has no slash, so no two share one."""
        return self.namesake(self.person)

    def namesake(self, person: str) -> str:
        """The name, among all lines', of a person of the same line."""
        return f"{self.line}/{person}"

    @property
    def reads_ledger(self) -> bool:
        """Whether they may read all of the line's ledger, and not what is their own alone."""
        return self.role is Role.OPERATOR or Scope.LEDGER_READ in self.scopes

    def without(self, scope: Scope) -> Refusal | None:
        """The refusal `forbidden` where the token lacks this scope; None where it has it."""
        if scope in self.scopes:
            return None
        return Refusal(Code.FORBIDDEN, f"This needs a token with the scope {scope}.")

    def seconds_left(self, now: float) -> float:
        """For how long the token is still valid at `now`, on whichever of our nodes' clocks."""
        return self.expires_at + LEEWAY_SECONDS - now

    def has_expired(self, now: float) -> bool:
        """Whether the token is no longer valid at `now`."""
        return self.seconds_left(now) <= 0
