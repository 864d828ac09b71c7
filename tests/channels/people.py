"""People of a topic, and a client's view of them, for tests of presence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from channels.presence_room_state import COUNT, DIFF, STATE, Meta, Told

TOPIC: Final = "room:1"


def meta(ref: str, key: str, topic: str = TOPIC) -> Meta:
    """A meta as `Presence` makes them."""
    return Meta(ref, topic, key, msgspec.Raw(json.dumps({"phx_ref": ref}).encode()))


def refs(listing: Mapping[str, Any]) -> dict[str, list[str]]:
    """Refs by key, of a list as it is told."""
    read = json.loads(msgspec.json.encode(listing))
    return {key: [m["phx_ref"] for m in entry["metas"]] for key, entry in read.items()}


def told(event: Told | None) -> Any:
    """What members are told, metas as their refs."""
    if event is None:
        return None
    name, payload = event
    if name == DIFF:
        assert payload.keys() == {"joins", "leaves"}
        return name, refs(payload["joins"]), refs(payload["leaves"])
    return (name, payload["count"]) if name == COUNT else (name, refs(payload))


@dataclass
class Viewer:
    """A client's copy of a list, kept as the client library keeps it.

    Attributes:
        people: refs by key.
        seen: refs that ever came.
    """

    people: dict[str, list[str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def take(self, event: Told | None) -> None:
        """`syncState` and `syncDiff`: joins before leaves, by ref."""
        if event is None or event[0] == COUNT:
            return
        if event[0] == STATE:
            self.people = refs(event[1])
            return
        for key, joined in refs(event[1]["joins"]).items():
            old = [ref for ref in self.people.get(key, []) if ref not in joined]
            self.people[key] = old + joined
            self.seen += joined
        for key, left in refs(event[1]["leaves"]).items():
            rest = [ref for ref in self.people.get(key, []) if ref not in left]
            self.people[key] = rest
            if not rest:
                del self.people[key]
