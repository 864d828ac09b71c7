"""What is revoked, as one node knows it. Pure.

It is asked for every request and every new socket, so it lives in memory: one entry for each
revocation that matters, which is until no token that it revokes could be valid any more.
"""

from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final

from app.domain.errors import Code, Refusal
from app.domain.names import is_person
from app.identity.model import LEEWAY_SECONDS, Identity, Role
from app.identity.tokens import TTL_SECONDS_MAX, issued_at


class Kind(StrEnum):
    """What a revocation is of."""

    SESSION = "session"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be revoked.

    Attributes:
        kind: a session, or a person.
        name: the session's id or the person's name, on the line of whoever asks.
        expires_at: when the last token that this revokes is void anyhow, seconds since the epoch.
    """

    kind: Kind
    name: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """What was revoked. Moments are whole seconds since the epoch.

    Attributes:
        line: the business line.
        kind: a session, or a person.
        name: the session's id or the person's name.
        position: its number: later ones are higher.
        issued_until: of a person, tokens issued up to then are revoked.
        expires_at: when it no longer matters.
    """

    line: str
    kind: Kind
    name: str
    position: int
    issued_until: int
    expires_at: int


def wanted(
    identity: Identity, session: str | None, person: str | None, now: float
) -> Wanted | Refusal:
    """What somebody asks to have revoked, if they may: operators anybody's, others their own.

    Args:
        identity: who asks.
        session: a token's own id.
        person: a name. Without either it is the session that asks.
        now: seconds since the epoch.
    """
    if session is not None and person is not None:
        return Refusal(Code.INVALID_REQUEST, "Either `session` or `person`, not both.")
    # A clock that issued the last of these tokens may have stood a little ahead of this one.
    latest = int(now) + TTL_SECONDS_MAX + 2 * LEEWAY_SECONDS
    if person is not None:
        found = Wanted(Kind.PERSON, person, latest)
        own, well_formed = person == identity.person, is_person(person)
    elif session in {None, identity.session}:
        return Wanted(Kind.SESSION, identity.session, identity.expires_at + LEEWAY_SECONDS)
    else:
        issued = issued_at(session)
        expires = min(latest, (issued or 0) + TTL_SECONDS_MAX + LEEWAY_SECONDS)
        found = Wanted(Kind.SESSION, session or "", expires)
        own, well_formed = False, issued is not None
    if not own and identity.role is not Role.OPERATOR:
        return Refusal(Code.FORBIDDEN, "Others are revoked by operators.")
    if not well_formed:
        return Refusal(Code.INVALID_REQUEST, f"This is no {found.kind}.")
    return found


class RevokedState:
    """Every revocation that matters."""

    __slots__ = ("_expiries", "_people", "_sessions")

    def __init__(self) -> None:
        self._sessions: set[str] = set()
        self._people: dict[str, int] = {}  # tokens issued up to then
        self._expiries: Final[list[tuple[int, Kind, str, int]]] = []  # a heap, the soonest first

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._sessions) + len(self._people)

    def add(self, revocation: Revocation) -> None:
        """From now on this is revoked. Adding it again changes nothing."""
        kind, until = revocation.kind, revocation.issued_until
        key = f"{revocation.line}/{revocation.name}"
        if kind is Kind.SESSION:
            if key in self._sessions:
                return
            self._sessions.add(key)
        elif self._people.get(key, -1) < until:
            self._people[key] = until
        else:
            return
        heappush(self._expiries, (revocation.expires_at, kind, key, until))

    def covers(self, identity: Identity) -> bool:
        """Whether this identity's token is revoked."""
        if f"{identity.line}/{identity.session}" in self._sessions:
            return True
        return identity.issued_at <= self._people.get(identity.name, -1)

    def forget(self, now: float, most: int) -> None:
        """Forget what no longer matters, at most so many."""
        expiries = self._expiries
        for _ in range(most):
            if not expiries or expiries[0][0] > now:
                return
            _, kind, key, until = heappop(expiries)
            if kind is Kind.SESSION:
                self._sessions.discard(key)
            elif self._people.get(key) == until:  # not revoked once more since
                del self._people[key]
