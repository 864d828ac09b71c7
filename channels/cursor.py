"""A cursor is a place in one history, and what a client keeps to go on from there. Pure.

On the wire it is an opaque string, `<epoch>-<position>`. The *position* counts from 1, without
gaps. The *epoch* names the history itself: one that was begun anew has another epoch, so a cursor
from before is told apart from one that is merely old, and its holder is told to reload instead of
being left with a silent gap.
"""

import re
from dataclasses import dataclass
from typing import Final

_WIRE: Final = re.compile(r"([0-9a-z]{1,16})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one history.

    Attributes:
        epoch: which history, 1 to 16 lower-case letters and digits.
        position: how many messages precede and include this place; 0 is the history's beginning.
    """

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def parse_cursor(wire: object) -> Cursor | None:
    """The cursor that `wire` spells, or None where it spells none."""
    match = _WIRE.fullmatch(wire) if isinstance(wire, str) else None
    return Cursor(match[1], int(match[2])) if match else None
