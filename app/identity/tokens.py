"""Tokens: issued and verified with one secret, HS256, and nothing else accepted.

A token is a JWT whose header says `typ` `at+jwt` (RFC 9068) and whose claims are exactly those of
`CLAIMS`, each of its type, and `scope` where it has scopes. The algorithm is pinned here and never
read from the token (RFC 8725). A token that fails is refused without saying which check it failed,
save that an expired one of ours is told so, because its holder can mend that alone.
"""

import hashlib
import hmac
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import jwt

from app.domain.errors import Code, Refusal
from app.domain.names import is_id, is_person
from app.identity.model import LEEWAY_SECONDS, Identity, Role, Scope
from app.limits import TOKENS_KNOWN_MAX

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
# No issuer and no audience: whoever has the secret is both. So a token of a usual name is short
# enough for a socket's URL of 255 characters, which is what small clients keep room for.
CLAIMS: Final = frozenset({"sub", "role", "line", "exp", "jti"})
# What a token may have beside them, as RFC 8693 spells it: words with one space between.
SCOPE: Final = "scope"

# A token's own id is 12 bytes in base64: the moment of issue, whole seconds since 1970 in four
# bytes, the highest first, then 64 bits of chance. All of a person's tokens until now could not be
# called back without that moment, and a claim `iat` would not fit that URL.
_MOMENT_BYTES: Final = 4
_CHANCE_BYTES: Final = 8

# RFC 7518 section 3.2: an HMAC key is at least as long as the hash, 256 bits.
SECRET_BYTES_MIN: Final = 32

# A working month: what is revoked has to be remembered for as long.
TTL_SECONDS_MAX: Final = 31 * 24 * 3600

# Ours are under 400 characters. What is longer is refused before it costs a hash.
TOKEN_CHARACTERS_MAX: Final = 2_048

_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

_INVALID: Final = Refusal(Code.UNAUTHORIZED)
EXPIRED: Final = Refusal(Code.UNAUTHORIZED, "The token has expired.")


class Tokens:
    """Issues and verifies the tokens of one secret.

    Args:
        secret: at least `SECRET_BYTES_MIN` bytes of UTF-8.
        now: seconds since the epoch; the machine's clock unless a test brings its own.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str, *, now: Callable[[], float] = time.time) -> None:
        key = secret.encode()
        if len(key) < SECRET_BYTES_MIN:
            raise ValueError(f"a token secret has at least {SECRET_BYTES_MIN} bytes")
        self._key = key
        self._now = now
        self._known: dict[bytes, Identity] = {}  # by the hash of the token

    def __repr__(self) -> str:
        return f"<Tokens {ALGORITHM} {TYPE}>"

    def key_for(self, purpose: str) -> bytes:
        """A key for another purpose: whoever sees what it signs learns nothing of the secret."""
        return hmac.new(self._key, f"agio {purpose}".encode(), hashlib.sha256).digest()

    def issue(
        self, person: str, role: Role, line: str, ttl_s: int, scopes: Collection[Scope] = ()
    ) -> str:
        """A token for this person with these scopes, valid from now for `ttl_s` seconds.

        Raises:
            ValueError: a name or a lifetime that `verify` would not accept.
        """
        if not is_person(person):
            raise ValueError(f"{person!r} is no name: letters, digits and _.@-, 63 at most")
        if not is_id(line):
            raise ValueError(f"{line!r} is no business line: a-z, 0-9, _ and -, 63 at most")
        if not 1 <= ttl_s <= TTL_SECONDS_MAX:
            raise ValueError(f"a token lives 1 to {TTL_SECONDS_MAX} seconds, not {ttl_s}")
        now = int(self._now())
        claims = {
            "sub": person,
            "role": role.value,
            "line": line,
            "exp": now + ttl_s,
            "jti": new_session(now),
        }
        if scopes:
            claims[SCOPE] = " ".join(sorted(set(scopes)))
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE})

    def verify(self, token: str) -> Identity | Refusal:
        """The identity that `token` proves, or the refusal `unauthorized`."""
        identity, now = self._known_identity(token), self._now()
        if identity is None or identity.issued_at > now + LEEWAY_SECONDS:
            return _INVALID
        if identity.has_expired(now):
            return EXPIRED
        return identity

    def _known_identity(self, token: str) -> Identity | None:
        """Whom a token names, whatever the time is. Remembered, since clients come back with it."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            return None
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        identity = self._known.get(digest)
        if identity is None:
            claims = self._signed_claims(token)
            identity = None if claims is None else _identity(claims)
            if identity is not None:
                if len(self._known) >= TOKENS_KNOWN_MAX:
                    del self._known[next(iter(self._known))]
                self._known[digest] = identity
        return identity

    def _signed_claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims, once the shape, the header and the signature are ours; else None.

        Times are left to `_identity` and to `verify`, which read them on our clock and stricter.
        """
        if not _COMPACT.fullmatch(token):
            return None
        try:
            decoded = jwt.decode_complete(
                token,
                self._key,
                algorithms=[ALGORITHM],
                options={
                    "require": sorted(CLAIMS),
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            # The header is read before the signature is checked: it may hold any bytes at all.
            return None
        if decoded["header"] != {"alg": ALGORITHM, "typ": TYPE} or not _canonical(token):
            return None
        payload: Mapping[str, Any] = decoded["payload"]
        return payload if payload.keys() - {SCOPE} == CLAIMS else None


def _canonical(token: str) -> bool:
    """Whether the signature is spelled the one way that decodes to it.

    43 characters carry 258 bits for 256; the two spare ones must be zero, or one token would have
    four spellings and a list of revoked ones could be walked around.
    """
    signature = token.rpartition(".")[2]
    return len(signature) == 43 and signature[-1] in "AEIMQUYcgkosw048"


def new_session(now: int) -> str:
    """The id of a token that is issued at this moment, whole seconds since the epoch."""
    moment = now.to_bytes(_MOMENT_BYTES, "big")
    return urlsafe_b64encode(moment + secrets.token_bytes(_CHANCE_BYTES)).decode()


def issued_at(session: object) -> int | None:
    """When the token of this id was issued, in seconds since the epoch; None if it is no id."""
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        return None
    return int.from_bytes(urlsafe_b64decode(session)[:_MOMENT_BYTES], "big")


def _identity(claims: Mapping[str, Any]) -> Identity | None:
    """The identity in these claims, where each is of its type and none outlives our bound."""
    person, line, session, expires = (claims[name] for name in ("sub", "line", "jti", "exp"))
    issued = issued_at(session)
    if not (is_person(person) and is_id(line)) or issued is None or type(expires) is not int:
        return None
    if not issued < expires <= issued + TTL_SECONDS_MAX:
        return None
    role = claims["role"]
    if not isinstance(role, str) or role not in set(Role):
        return None
    scopes = _scopes(claims[SCOPE]) if SCOPE in claims else frozenset()
    if scopes is None:
        return None
    return Identity(person, Role(role), line, expires, session, issued, scopes)


def _scopes(claim: object) -> frozenset[Scope] | None:
    """The scopes that the claim lists, each of ours and once; None where it is no such list."""
    words = claim.split(" ") if isinstance(claim, str) else []
    if not words or len(set(words)) < len(words) or not set(words) <= set(Scope):
        return None
    return frozenset(map(Scope, words))
