"""Takes secrets out of what is about to be logged, and bounds it.

Nobody means to log a secret. They come inside other things: a driver's error repeats the URL it
was given, a traceback shows a header. So both names and texts are looked at, at the one place that
every line passes.
"""

import re
from collections.abc import Mapping
from typing import Final

REDACTED: Final = "[redacted]"

# A traceback through every layer is half of this; nothing longer is read by a person.
TEXT_CHARACTERS_MAX: Final = 16_384
# Fields are flat; a response's headers or a message's payload nest twice.
DEPTH_MAX: Final = 4
# Members of one list or mapping: enough to see what it is.
MEMBERS_MAX: Final = 100

_NAMES: Final = re.compile(
    r"token|secret|passw|authori[sz]ation|cookie|api_?key|credential|private_?key|signature",
    re.IGNORECASE,
)

_TEXTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # The password, and the name, in a URL.
        (r"\b([a-z][a-z0-9+.-]*://)[^\s/?#@'\"]*@", rf"\1{REDACTED}@"),
        # A JWT, wherever it stands; also as Phoenix puts it into a subprotocol.
        (r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*", REDACTED),
        (r"(base64url\.bearer\.phx\.)[\w=-]+", rf"\1{REDACTED}"),
        (r"\b(bearer|basic)\s+[\w.~+/=-]{16,}", rf"\1 {REDACTED}"),
        # `token=…` in a query or a connection string.
        (r"\b([\w-]*(?:token|secret|password|api_?key))=[^&\s'\";,]+", rf"\1={REDACTED}"),
        # Stripe's keys.
        (r"\b(?:sk|rk)_(?:live|test)_\w+|\bwhsec_[\w+/=]+", REDACTED),
    )
)


def redact(name: str, value: object, depth: int = 0) -> object:
    """`value` as it may be logged under `name`: no secrets, bounded, of JSON's types.

    Numbers stay even under a secret's name: `token_ttl_s` is no secret.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if _NAMES.search(name):
        return REDACTED
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        items = list(value.items())[:MEMBERS_MAX]
        return {str(key): redact(str(key), member, depth + 1) for key, member in items}
    if depth < DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
        return [redact("", member, depth + 1) for member in list(value)[:MEMBERS_MAX]]
    return redact_text(_spell(value))


def redact_text(text: str) -> str:
    """`text` without what looks like a secret, and not longer than a person reads."""
    if len(text) > TEXT_CHARACTERS_MAX:
        half = TEXT_CHARACTERS_MAX // 2
        text = f"{text[:half]} … {text[-half:]}"
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


def _spell(value: object) -> str:
    if isinstance(value, BaseExceptionGroup):
        # A nursery's wrapping tells nothing; what is inside does.
        return "; ".join(_spell(error) for error in value.exceptions)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value) if isinstance(value, str) else repr(value)
