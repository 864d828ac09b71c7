"""Who may connect."""

import pytest

from app.identity.model import Identity, Role
from app.identity.tokens import Tokens
from app.socket.connect import TokenHandler
from channels.handshake import ConnectRefused

SECRET = "a secret of the tests, at least 32 bytes long"


async def test_a_valid_token_is_an_identity() -> None:
    """The channels of the connection are handed who the token names."""
    tokens = Tokens(SECRET)
    token = tokens.issue("bea", Role.BUYER, "acme", 60)
    identity = await TokenHandler(tokens).connect({}, token, {}, "127.0.0.1")
    assert isinstance(identity, Identity)
    assert ("bea", Role.BUYER, "acme") == (identity.person, identity.role, identity.line)


@pytest.mark.parametrize("token", [None, "", "rubbish", "another secret's"])
async def test_without_a_valid_token_nobody_connects(token: str | None) -> None:
    """A missing, malformed or foreign token is refused with 403 and no word more."""
    if token == "another secret's":
        token = Tokens(SECRET[::-1]).issue("bea", Role.BUYER, "acme", 60)
    refused = await TokenHandler(Tokens(SECRET)).connect({}, token, {}, "127.0.0.1")
    assert refused == ConnectRefused(403, "")


async def test_an_expired_token_is_refused() -> None:
    """A token that was valid once is refused like any other."""
    then = Tokens(SECRET, now=lambda: 1_000.0)
    token = then.issue("bea", Role.BUYER, "acme", 60)
    assert await TokenHandler(Tokens(SECRET)).connect({}, token, {}, "") == ConnectRefused()
