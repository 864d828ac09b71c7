"""Which of the media types that we can answer in a client would rather have (RFC 9110, 12.5.1)."""

import re
from collections.abc import Sequence
from typing import Final

# As RFC 9110 spells a weight: three decimals at most, and none above one.
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
# Media ranges that are looked at: a browser names eight.
_RANGES_MAX: Final = 32


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered media type that the header prefers.

    Args:
        accept: the header's value; empty where there is none.
        offered: in our own order, which decides where the header does not. The first is the answer
            also where none is acceptable: it is of more use than a refusal.
    """
    weights = _weights(accept)
    return max(offered, key=lambda media: _weight_of(media, weights))


def _weights(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in accept.split(",", _RANGES_MAX)[:_RANGES_MAX]:
        media, *parameters = (part.strip() for part in each.split(";"))
        matches = [match for part in parameters if (match := _WEIGHT.fullmatch(part))]
        found[media.lower()] = float(matches[0][1]) if matches else 1.0
    return found


def _weight_of(media: str, weights: dict[str, float]) -> float:
    """The weight of the most exact range that the type is in."""
    group = media.partition("/")[0] + "/*"
    ranges = (each for each in (media, group, "*/*") if each in weights)
    return weights[named] if (named := next(ranges, None)) else 0.0
