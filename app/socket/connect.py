"""Who may connect, and stay: whoever holds a valid token. What it proves is what channels get."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from app.domain.errors import Code, Refusal
from app.identity.callers import Callers
from app.identity.model import Identity
from app.socket.refusal import response_of
from channels.handshake import ConnectRefused
from channels.reception import RenewalRefused, SocketHandler

_SOMEBODY_ELSE: Final = Refusal(Code.FORBIDDEN, "The token is somebody else's.")


class TokenHandler(SocketHandler):
    """A token in, an `Identity` out as the connection's assigns."""

    waits: ClassVar[bool] = False

    def __init__(self, callers: Callers, *, now: Callable[[], float] = time.time) -> None:
        """A handler for all sockets of a node.

        Args:
            callers: tells whom a token proves.
            now: seconds since the epoch; the machine's clock unless a test brings its own.
        """
        self._callers = callers
        self._now = now

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> Identity | ConnectRefused:
        """The identity that the token proves. A refusal tells the log alone why."""
        if not token:
            return ConnectRefused(reason="no token")
        identity = self._callers.identify(token)
        return (
            ConnectRefused(reason=identity.message) if isinstance(identity, Refusal) else identity
        )

    def who(self, assigns: Identity) -> str:
        """A person of a line, in whatever role and session."""
        return assigns.name

    def valid_s(self, assigns: Identity) -> float:
        """What is left of the token; nothing of one that was revoked while the client came in."""
        return 0 if self._callers.has_revoked(assigns) else assigns.seconds_left(self._now())

    def renew(self, assigns: Identity, token: str) -> Identity | RenewalRefused:
        """Another token of the same person. Their role may have changed."""
        renewed = self._callers.identify(token)
        if isinstance(renewed, Identity) and renewed.name != assigns.name:
            renewed = _SOMEBODY_ELSE
        if isinstance(renewed, Refusal):
            return RenewalRefused(response_of(renewed))
        return renewed
