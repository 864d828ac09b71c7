"""What a client asks for when it connects: path, params, version, token. Pure.

A refusal is a value with the HTTP status to answer. A browser cannot see that status, so refusals
say no more than they must; that of a wrong version carries a line for whoever looks with curl.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_plus

from channels.limits import QUERY_DEPTH_MAX, QUERY_PAIRS_MAX
from channels.serializer import Serializer
from channels.serializer_v1 import V1
from channels.serializer_v2 import V2

Params: TypeAlias = Mapping[str, Any]
"""A query: text values, and mappings of them where names are spelt `a[b]`."""

SUBPROTOCOL: Final = "phoenix"
TOKEN_PREFIX: Final = "base64url.bearer.phx."  # noqa: S105 - the name of a place for one

_SEMVER: Final = re.compile(
    r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
# As Phoenix: clients that do not say are the oldest.
_DEFAULT_VERSION: Final = "1.0.0"
# By major and minor version: `~> 1.0.0` and `~> 2.0.0`.
_SERIALIZERS: Final[Mapping[tuple[str, str], type[Serializer]]] = {("1", "0"): V1, ("2", "0"): V2}
# What nearly every client says, to be found without an expression.
_USUAL: Final[Mapping[str, type[Serializer]]] = {"1.0.0": V1, "2.0.0": V2}
# What a query is spelt with where it means something else.
_SPELT: Final = re.compile(r"[%+\[]")


@dataclass(frozen=True, slots=True)
class ConnectRefused:
    """The client may not connect.

    Attributes:
        status: the HTTP status it is answered with.
        text: the body, for a person; empty as a rule.
        retry_after_s: when it may try again, for clients that can see it; 0 says nothing.
        reason: one word or a few, for the log and not for the client.
    """

    status: int = 403
    text: str = ""
    retry_after_s: int = 0
    reason: str = "refused by the application"


_OTHER_VERSION: Final = ConnectRefused(
    403, "This server speaks vsn 1.0 and 2.0 of the Phoenix protocol.\n", reason="other version"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to connect that is well formed.

    Attributes:
        serializer: of the version that the client speaks.
        params: the query, without `token`.
        token: the caller's, from the subprotocol or the query; None if there is none.
        subprotocol: the one to answer with; None to answer with none.
    """

    serializer: type[Serializer]
    params: Params
    token: str | None
    subprotocol: str | None = None


def examine(target: str, subprotocols: Sequence[str], path: str) -> Asked | ConnectRefused:
    """Read a handshake.

    Args:
        target: the request's target: path and query.
        subprotocols: those the client offers.
        path: where the socket is.
    """
    asked_path, _, query = target.partition("?")
    if asked_path != path:
        return ConnectRefused(404, reason="no such path")
    asked = examine_query(query)
    if isinstance(asked, ConnectRefused) or not subprotocols:
        return asked
    token = asked.token
    for name in subprotocols:
        if name.startswith(TOKEN_PREFIX):
            token = decode_token(name.removeprefix(TOKEN_PREFIX))
            if token is None:
                return ConnectRefused(reason="malformed token")
    if SUBPROTOCOL not in subprotocols:
        return ConnectRefused(reason="no known subprotocol")
    return replace(asked, token=token or None, subprotocol=SUBPROTOCOL)


def examine_query(query: str) -> Asked | ConnectRefused:
    """Read what a client asks for whose handshake is its query."""
    params = parse_query(query)
    serializer = _serializer(params.get("vsn", _DEFAULT_VERSION))
    if serializer is None:
        return _OTHER_VERSION
    token = params.pop("token", None)
    return Asked(serializer, params, token if isinstance(token, str) and token else None)


def parse_query(query: str) -> dict[str, Any]:
    """Read a query as Phoenix's client writes it: `a=1&&b[c]=d&`. Of equal names the last counts.

    Names nested deeper than the limit, and pairs beyond the limit, are left out.
    """
    params: dict[str, Any] = {}
    for pair in query.split("&")[: QUERY_PAIRS_MAX * 2]:
        if not pair or len(params) >= QUERY_PAIRS_MAX:
            continue
        name, _, value = pair.partition("=")
        if _SPELT.search(pair) is None:
            params[name] = value
            continue
        keys = _keys(unquote_plus(name))
        if len(keys) <= QUERY_DEPTH_MAX:
            _put(params, keys, unquote_plus(value))
    return params


def decode_token(encoded: str) -> str | None:
    """A token from base64 without padding, in either alphabet; None if it is none."""
    standard = encoded.replace("-", "+").replace("_", "/")
    try:
        return b64decode(standard + "=" * (-len(standard) % 4), validate=True).decode()
    except ValueError:  # not base64, not ASCII, or no UTF-8 within
        return None


def _serializer(version: object) -> type[Serializer] | None:
    if isinstance(version, str) and version in _USUAL:
        return _USUAL[version]
    match = _SEMVER.fullmatch(version) if isinstance(version, str) else None
    return _SERIALIZERS.get((match[1], match[2])) if match is not None else None


def _keys(name: str) -> list[str]:
    """`a[b][c]` as a, b, c; a name that is not spelt so is one key."""
    first, bracket, rest = name.partition("[")
    parts = _PART.findall(bracket + rest)
    if not first or "".join(f"[{part}]" for part in parts) != bracket + rest:
        return [name]
    return [first, *parts]


def _put(params: dict[str, Any], keys: Sequence[str], value: str) -> None:
    for key in keys[:-1]:
        inner = params.get(key)
        if not isinstance(inner, dict):
            inner = params[key] = {}
        params = inner
    params[keys[-1]] = value
