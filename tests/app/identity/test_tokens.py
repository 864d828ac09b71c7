"""Tokens: what is accepted, and everything that is not."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from app.domain.errors import Code, Refusal
from app.identity.model import LEEWAY_SECONDS, Identity, Role, Scope
from app.identity.tokens import (
    CLAIMS,
    SECRET_BYTES_MIN,
    TOKEN_CHARACTERS_MAX,
    TTL_SECONDS_MAX,
    Tokens,
    issued_at,
    new_session,
)

SECRET = "a secret of the tests, at least 32 bytes long"
NOW = 1_800_000_000
GOOD: dict[str, Any] = {
    "sub": "demo-buyer",
    "role": "buyer",
    "line": "demo",
    "exp": NOW + 60,
    "jti": new_session(NOW),
}
HEADER = {"alg": "HS256", "typ": "at+jwt"}
INVALID = Refusal(Code.UNAUTHORIZED)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _forge(header: object, claims: object, *, secret: str = SECRET) -> str:
    """A token with any header and claims, rightly signed."""
    head, body = (_b64(json.dumps(part).encode()) for part in (header, claims))
    mac = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{_b64(mac.digest())}"


def _tokens(now: float = NOW) -> Tokens:
    return Tokens(SECRET, now=lambda: now)


@pytest.mark.parametrize("role", list(Role))
def test_an_issued_token_verifies(role: Role) -> None:
    """What is issued comes back as the same person, role and line, until its time is over."""
    token = _tokens().issue("demo-x", role, "demo", 60)
    identity = _tokens(NOW + 59).verify(token)
    assert isinstance(identity, Identity)
    assert (identity.person, identity.role, identity.line) == ("demo-x", role, "demo")
    assert (identity.issued_at, identity.expires_at) == (NOW, NOW + 60)


def test_each_token_has_a_session_of_its_own() -> None:
    """Two tokens issued in one second still differ."""
    first, second = (_tokens().issue("x", Role.BUYER, "demo", 60) for _ in range(2))
    assert first != second


def test_a_session_tells_when_it_was_issued() -> None:
    """To the second, whatever chance follows; and what is no session tells nothing."""
    assert {issued_at(new_session(moment)) for moment in (NOW, NOW)} == {NOW}
    assert (issued_at(new_session(0)), issued_at(new_session(2**32 - 1))) == (0, 2**32 - 1)
    assert [issued_at(other) for other in ("", "x" * 15, "x" * 17, "é" * 16, None)] == [None] * 5


def test_the_claims_are_the_constant_set() -> None:
    """An issued token carries exactly the documented claims and header."""
    token = _tokens().issue("x", Role.BUYER, "demo", 60)
    assert jwt.get_unverified_header(token) == HEADER
    claims = jwt.decode(token, options={"verify_signature": False})
    assert frozenset(claims) == CLAIMS


@pytest.mark.parametrize("scopes", [(), *([scope] for scope in Scope), list(Scope)])
def test_scopes_come_back_as_they_were_issued(scopes: list[Scope]) -> None:
    """None, each alone, or all of them; the claim is there where a token has any."""
    token = _tokens().issue("x", Role.BUYER, "demo", 60, scopes)
    identity = _tokens().verify(token)
    assert isinstance(identity, Identity)
    assert identity.scopes == set(scopes)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert frozenset(claims) == CLAIMS | ({"scope"} if scopes else set())


def test_scopes_are_taken_in_any_order_and_signed() -> None:
    """Another issuer may list them otherwise; none is added without the secret."""
    claims = GOOD | {"scope": "ledger:read ledger:post"}
    identity = _tokens().verify(_forge(HEADER, claims))
    assert isinstance(identity, Identity)
    assert identity.scopes == {Scope.LEDGER_POST, Scope.LEDGER_READ}
    head, _, mac = _forge(HEADER, GOOD).split(".")
    _, body, _ = _forge(HEADER, claims).split(".")
    assert _tokens().verify(f"{head}.{body}.{mac}") == INVALID


def test_a_forged_twin_of_a_good_token_is_accepted() -> None:
    """The forger of these tests makes good tokens when nothing is bent, so refusals are real."""
    assert isinstance(_tokens().verify(_forge(HEADER, GOOD)), Identity)


def test_an_expired_token_is_told_so_after_the_leeway() -> None:
    """Expiry is the one reason that is named, and clocks may stand a little apart."""
    token = _forge(HEADER, GOOD)
    assert isinstance(_tokens(NOW + 60 + LEEWAY_SECONDS - 1).verify(token), Identity)
    expired = _tokens(NOW + 60 + LEEWAY_SECONDS).verify(token)
    assert expired == Refusal(Code.UNAUTHORIZED, "The token has expired.")


@pytest.mark.parametrize("missing", sorted(CLAIMS))
def test_every_claim_is_required(missing: str) -> None:
    """A token without any one of its claims is refused."""
    claims = {name: value for name, value in GOOD.items() if name != missing}
    assert _tokens().verify(_forge(HEADER, claims)) == INVALID


@pytest.mark.parametrize(
    "bent",
    [
        {"sub": 7},
        {"sub": ""},
        {"sub": "no spaces"},
        {"sub": "x" * 64},
        {"sub": "demo-buyer\n"},
        {"role": "admin"},
        {"role": 1},
        {"role": ["buyer"]},
        {"line": "Upper"},
        {"line": None},
        {"exp": str(NOW + 60)},
        {"exp": NOW + 60.5},
        {"exp": NOW + TTL_SECONDS_MAX + 1},
        {"exp": NOW},
        {"exp": True},
        {"exp": 0},
        {"exp": 10**400},
        {"jti": ""},
        {"jti": 5},
        {"jti": new_session(NOW)[1:]},
        {"jti": new_session(NOW)[1:] + "="},
        {"jti": new_session(NOW + LEEWAY_SECONDS + 1), "exp": NOW + 3600},
        {"nbf": NOW},
        {"iss": "another"},
        {"aud": "agio"},
        {"scope": "everything"},
        {"scope": ""},
        {"scope": "ledger:read "},
        {"scope": "ledger:read  ledger:post"},
        {"scope": "ledger:read ledger:read"},
        {"scope": "ledger:read\tledger:post"},
        {"scope": "ledger:read everything"},
        {"scope": "Ledger:read"},
        {"scope": ["ledger:read"]},
        {"scope": None},
        {"scopes": "ledger:read"},
    ],
)
def test_a_bent_claim_is_refused(bent: dict[str, object]) -> None:
    """Each claim has one type and one range; a claim we do not know is refused too."""
    assert _tokens().verify(_forge(HEADER, GOOD | bent)) == INVALID


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": "none", "typ": "at+jwt"},
        {"alg": "None", "typ": "at+jwt"},
        {"alg": "HS512", "typ": "at+jwt"},
        {"alg": "RS256", "typ": "at+jwt"},
        {"typ": "at+jwt"},
        HEADER | {"crit": ["exp"]},
        HEADER | {"kid": "../../secret"},
        HEADER | {"jku": "http://127.0.0.1/keys"},
        HEADER | {"zip": "DEF"},
        HEADER | {"b64": False},
        [],
        "HS256",
    ],
)
def test_another_header_is_refused(header: object) -> None:
    """Algorithm and type are pinned, and a header can bring neither keys nor extensions."""
    assert _tokens().verify(_forge(header, GOOD)) == INVALID


def test_another_secret_is_refused() -> None:
    """A token signed with another secret proves nothing."""
    assert _tokens().verify(_forge(HEADER, GOOD, secret="b" * 40)) == INVALID


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "x" * (TOKEN_CHARACTERS_MAX + 1),
        f"{_b64(b'[' * 1500)}.{_b64(b'{}')}.{'A' * 43}",
        f"{_b64(bytes(range(128, 256)))}.e30.{'A' * 43}",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """Any text at all gets the same answer, and none crashes the reader."""
    assert _tokens().verify(token) == INVALID


def test_a_token_has_one_spelling() -> None:
    """Changing any one character, or padding it, makes another, refused token."""
    token = _forge(HEADER, GOOD)
    spellings = {token + "=", token + " ", token + "\n", " " + token, token[:-1]}
    for place, character in enumerate(token):
        spellings.add(token[:place] + ("B" if character != "B" else "C") + token[place + 1 :])
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings |= {token[:-1] + character for character in last}
    accepted = {each for each in spellings if _tokens().verify(each) != INVALID}
    assert accepted == {token}


def test_a_short_secret_is_refused() -> None:
    """A secret shorter than the hash is not accepted at all."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Tokens("x" * (SECRET_BYTES_MIN - 1))


@pytest.mark.parametrize(
    ("person", "line", "ttl_s"),
    [
        ("", "demo", 60),
        ("a b", "demo", 60),
        ("x", "De mo", 60),
        ("x", "demo", 0),
        ("x", "demo", TTL_SECONDS_MAX + 1),
    ],
)
def test_what_would_not_verify_is_not_issued(person: str, line: str, ttl_s: int) -> None:
    """A name or a lifetime that no one would accept is refused when the token is asked for."""
    with pytest.raises(ValueError, match=r"is no |lives 1 to"):
        _tokens().issue(person, Role.BUYER, line, ttl_s)


def test_the_repr_does_not_show_the_secret() -> None:
    """An object of this class in a log tells nothing."""
    assert SECRET not in repr(_tokens())


@pytest.mark.parametrize("role", list(Role))
def test_a_token_fits_the_url_of_a_small_client(role: Role) -> None:
    """A socket's URL with the token of a usual name in it has at most 255 characters."""
    token = _tokens().issue(f"demo-{role}", role, "demo", 3600)
    assert len(f"/socket/websocket?vsn=2.0.0&token={token}") <= 255
