"""A cursor is a place in the event log, and the one thing every edge of Agio hands out.

On the wire it is an opaque string, `<epoch>-<position>`. The *position* counts events in commit
order, from 1, without gaps. The *epoch* names the log itself: a database that was made anew, or
put back to an old backup, has another epoch, so a cursor from before is told apart from one that
is merely old, and its holder is given a fresh snapshot instead of a silent gap.
"""

import re
from dataclasses import dataclass
from typing import Final

_WIRE: Final = re.compile(r"([0-9a-z]{1,16})-([0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one event log.

    Attributes:
        epoch: which log, 1 to 16 lower-case letters and digits.
        position: how many events precede and include this place; 0 is the log's beginning.
    """

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def parse_cursor(wire: object) -> Cursor | None:
    """The cursor that `wire` spells, or None where it spells none."""
    match = _WIRE.fullmatch(wire) if isinstance(wire, str) else None
    return Cursor(match[1], int(match[2])) if match else None
