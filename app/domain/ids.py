"""Identifiers: a prefix that says what a thing is, then 26 characters that sort by time.

The 26 characters are a UUIDv7 in Crockford's base 32, lower case: 48 bits of milliseconds, then
74 random bits. Ids made later sort later, so a B-tree on them grows at its right edge.
"""

import secrets
import time
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 26


def new_id(prefix: str, *, now_ms: int | None = None) -> str:
    """A fresh id such as `txn_01jd…`.

    Args:
        prefix: what the id names, two to four lower-case letters.
        now_ms: milliseconds since the epoch, for tests; the clock's otherwise.
    """
    assert prefix.isalpha(), f"{prefix!r} is no prefix"
    moment = int(time.time() * 1000) if now_ms is None else now_ms
    value = (moment << 80) | (7 << 76) | (secrets.randbits(12) << 64)
    value |= (2 << 62) | secrets.randbits(62)
    return f"{prefix}_{_crockford(value)}"


def _crockford(value: int) -> str:
    """The low 130 bits of `value`, five bits a character, most significant first."""
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
