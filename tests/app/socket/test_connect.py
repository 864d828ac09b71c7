"""Who may connect, for how long, and who they become with another token."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import Code
from app.identity.callers import Callers
from app.identity.model import LEEWAY_SECONDS, Identity, Role
from app.identity.revocation_state import Kind, Revocation, RevokedState
from app.identity.tokens import Tokens
from app.socket.connect import TokenHandler
from channels.handshake import ConnectRefused
from channels.reception import RenewalRefused

SECRET = "a secret of the tests, at least 32 bytes long"
NOW = 1_800_000_000
TOKENS = Tokens(SECRET, now=lambda: NOW)
TOKEN = TOKENS.issue("bea", Role.BUYER, "acme", 60)


class Desk:
    """A handler, and the revocations that it knows."""

    def __init__(self) -> None:
        self.revoked = RevokedState()
        self.now = float(NOW)
        tokens = Tokens(SECRET, now=lambda: self.now)
        self.handler = TokenHandler(Callers(tokens, self.revoked), now=lambda: self.now)

    async def connect(self, token: str | None = TOKEN) -> Any:
        """What comes of a client with this token."""
        return await self.handler.connect({}, token, {}, "127.0.0.1")

    def revoke(self, kind: Kind, name: str) -> None:
        """From now on this is revoked."""
        self.revoked.add(Revocation("acme", kind, name, 1, NOW, NOW + 60))


@pytest.fixture
def desk() -> Desk:
    """Where clients come."""
    return Desk()


async def test_a_valid_token_is_an_identity(desk: Desk) -> None:
    """The channels of the connection are handed who the token names."""
    identity = await desk.connect()
    assert isinstance(identity, Identity)
    assert ("bea", Role.BUYER, "acme") == (identity.person, identity.role, identity.line)
    assert desk.handler.who(identity) == "acme/bea"


@pytest.mark.parametrize("token", [None, "", "rubbish", "another secret's"])
async def test_without_a_valid_token_nobody_connects(desk: Desk, token: str | None) -> None:
    """A missing, malformed or foreign token is refused with 403; only the log is told more."""
    reason = "A valid token is needed." if token else "no token"
    if token == "another secret's":
        token = Tokens(SECRET[::-1], now=lambda: NOW).issue("bea", Role.BUYER, "acme", 60)
    assert await desk.connect(token) == ConnectRefused(403, "", reason=reason)


async def test_an_expired_token_is_refused(desk: Desk) -> None:
    """A token that was valid once is refused like any other."""
    desk.now += 60 + LEEWAY_SECONDS
    assert await desk.connect() == ConnectRefused(reason="The token has expired.")


async def test_a_client_may_stay_until_its_token_is_over(desk: Desk) -> None:
    """With the leeway that it was let in with."""
    identity = await desk.connect()
    for passed, left in [(0, 65), (10, 55), (65, 0)]:
        desk.now = NOW + passed
        assert desk.handler.valid_s(identity) == left


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_revoked_token_lets_nobody_in_nor_stay(desk: Desk, kind: Kind) -> None:
    """Nor is it taken from a client that is here under another."""
    identity = await desk.connect()
    desk.revoke(kind, identity.session if kind is Kind.SESSION else "bea")
    assert await desk.connect() == ConnectRefused(reason="The token was revoked.")
    assert desk.handler.valid_s(identity) == 0
    refused = desk.handler.renew(replace(identity, session="another"), TOKEN)
    assert isinstance(refused, RenewalRefused)
    assert refused.response["code"] == Code.UNAUTHORIZED


async def test_another_token_of_the_same_person_is_taken(desk: Desk) -> None:
    """In whatever role, and with its own time."""
    identity = await desk.connect()
    renewed = desk.handler.renew(identity, TOKENS.issue("bea", Role.SELLER, "acme", 600))
    assert isinstance(renewed, Identity)
    assert (renewed.role, renewed.expires_at) == (Role.SELLER, NOW + 600)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (TOKENS.issue("ann", Role.BUYER, "acme", 60), Code.FORBIDDEN),
        (TOKENS.issue("bea", Role.BUYER, "other", 60), Code.FORBIDDEN),
        ("rubbish", Code.UNAUTHORIZED),
    ],
)
async def test_anybody_elses_token_is_not(desk: Desk, token: str, code: Code) -> None:
    """Nor what is no token: the client stays who it was, and is told why."""
    refused = desk.handler.renew(await desk.connect(), token)
    assert isinstance(refused, RenewalRefused)
    assert refused.response["code"] == code
    assert refused.response["reason"] == code
