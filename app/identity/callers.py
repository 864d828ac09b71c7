"""Who is calling: whom a token proves, unless it was revoked. Asked at every door."""

from typing import Final, Protocol

from app.domain.errors import Code, Refusal
from app.identity.model import Identity
from app.identity.tokens import Tokens

REVOKED: Final = Refusal(Code.UNAUTHORIZED, "The token was revoked.")


class Revoked(Protocol):
    """Whoever knows what is revoked."""

    def covers(self, identity: Identity) -> bool:
        """Whether this identity's token is revoked."""


class Callers:
    """Tells who calls."""

    def __init__(self, tokens: Tokens, revoked: Revoked) -> None:
        self._tokens = tokens
        self._revoked = revoked

    def identify(self, token: str) -> Identity | Refusal:
        """The identity that a token proves, or the refusal `unauthorized`."""
        identity = self._tokens.verify(token)
        if isinstance(identity, Identity) and self.has_revoked(identity):
            return REVOKED
        return identity

    def has_revoked(self, identity: Identity) -> bool:
        """Whether this identity's token may not be used any more."""
        return self._revoked.covers(identity)
