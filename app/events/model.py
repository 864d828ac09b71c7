"""What an event is: a fact about to be written, and one that stands in the log.

On the wire, and so on every topic that carries it, an event's payload is its data together with
the cursor of its place: a client that kept the last cursor it saw can say from where to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.domain.cursor import Cursor

# The payload's member that carries the cursor; no event's data may use this name.
CURSOR: Final = "cursor"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to be written with the change it tells of.

    Attributes:
        type: what happened, a past participle in lower-case letters and underscores.
        topics: the topics whose members are told, at least one, each once.
        data: what they are told: JSON values.
    """

    type: str
    topics: tuple[str, ...]
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        assert self.topics, f"{self.type} tells nobody"
        assert len(set(self.topics)) == len(self.topics), f"{self.type} names a topic twice"
        assert CURSOR not in self.data, f"{self.type} uses the name that its cursor has"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A fact in the log.

    Attributes:
        position: its place, from 1, without gaps.
        type: what happened.
        topics: the topics whose members are told.
        data: what they are told.
    """

    position: int
    type: str
    topics: tuple[str, ...]
    data: Mapping[str, Any]

    def payload(self, epoch: str) -> dict[str, Any]:
        """What a member of its topics gets: the data and the cursor on the wire."""
        return {**self.data, CURSOR: str(Cursor(epoch, self.position))}
