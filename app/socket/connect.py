"""Who may connect: whoever holds a valid token. What it proves is what every channel is handed."""

from collections.abc import Mapping
from typing import Any

from app.domain.errors import Refusal
from app.identity.model import Identity
from app.identity.tokens import Tokens
from channels.handshake import ConnectRefused


class TokenHandler:
    """The endpoint's `SocketHandler`: a token in, an `Identity` out as the connection's assigns."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def connect(
        self,
        params: Mapping[str, Any],
        token: str | None,
        headers: Mapping[str, str],
        address: str,
    ) -> Identity | ConnectRefused:
        """The identity that the token proves. A refusal says nothing: a browser cannot see it."""
        identity = self._tokens.verify(token) if token else None
        if identity is None or isinstance(identity, Refusal):
            return ConnectRefused()
        return identity
