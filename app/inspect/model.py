"""The tree of a node, found in, cut to size, counted, and compared with an earlier one. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

from actors.tree import Vitals


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a node answered.

    Attributes:
        url: where it was asked, such as `http://127.0.0.1:4000`.
        path: of the place at the top of `tree`.
        uptime_s: seconds since the node's root was ready.
        tree: what was asked for.
    """

    url: str
    path: str
    uptime_s: float
    tree: Vitals


@dataclass(frozen=True, slots=True)
class Totals:
    """A tree in numbers, of the places that are listed in it.

    Attributes:
        supervisors: supervisors listed.
        actors: actors listed.
        tasks: other children listed.
        restarts: times that what is listed was started again.
        waiting: messages that wait in the mailboxes listed.
        hidden: children that are not listed, because there are too many.
    """

    supervisors: int
    actors: int
    tasks: int
    restarts: int
    waiting: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of a tree between two looks at it.

    Attributes:
        new: paths of places that began meanwhile.
        restarted: paths of places that were started again meanwhile.
        gone: how many places of the earlier look are not in the later one.
    """

    new: frozenset[str] = frozenset()
    restarted: frozenset[str] = frozenset()
    gone: int = 0


def find(root: Vitals, path: str) -> Vitals | None:
    """The place with this path, as `Vitals.walk` spells it. A name may have slashes of its own."""
    if path == root.name:
        return root
    if not path.startswith(f"{root.name}/"):
        return None
    rest = path[len(root.name) + 1 :]
    return next((found for each in root.children if (found := find(each, rest))), None)


def trimmed(root: Vitals, *, places: int, children: int) -> Vitals:
    """The tree with at most so many places in all, and so many children listed of each.

    Kept first is what is near the root, and then what comes first among its siblings, so that no
    crowd takes the room of another. What is left out is counted as hidden.
    """
    kept, level = {id(root)}, [root]
    while level:
        level = list(islice(_below(level, children), places - len(kept)))
        kept.update(id(place) for place in level)
    return _only(root, kept)


def _below(level: Sequence[Vitals], children: int) -> Iterator[Vitals]:
    """The first child of each place, then the second of each, and so on."""
    rounds = zip_longest(*(place.children[:children] for place in level))
    return (place for each in rounds for place in each if place is not None)


def _only(place: Vitals, kept: set[int]) -> Vitals:
    children = tuple(_only(child, kept) for child in place.children if id(child) in kept)
    hidden = place.hidden + len(place.children) - len(children)
    return replace(place, children=children, hidden=hidden)


def totals(root: Vitals | None) -> Totals:
    """The tree in numbers; None is a tree of nothing."""
    places = [] if root is None else [place for _, place in root.walk()]
    kinds = [place.kind for place in places]
    supervisors, actors = kinds.count("supervisor"), kinds.count("actor")
    return Totals(
        supervisors=supervisors,
        actors=actors,
        tasks=len(places) - supervisors - actors,
        restarts=sum(place.restarts for place in places),
        waiting=sum(place.mailbox.waiting for place in places if place.mailbox is not None),
        hidden=sum(place.hidden for place in places),
    )


def compare(before: Snapshot, now: Snapshot) -> Changes:
    """What became of the tree since `before`.

    A place that moved up into a bounded list is older than that look, and so not new.
    """
    then, here = dict(before.tree.walk()), dict(now.tree.walk())
    passed_s = now.uptime_s - before.uptime_s
    return Changes(
        new=frozenset(p for p in here.keys() - then.keys() if here[p].age_s <= max(passed_s, 0.0)),
        restarted=frozenset(p for p in here.keys() & then.keys() if _again(then[p], here[p])),
        gone=len(then.keys() - here.keys()),
    )


def _again(then: Vitals, now: Vitals) -> bool:
    """Whether this is a later life than `then`. A new supervisor counts restarts from zero."""
    return now.restarts > then.restarts or 0.0 < now.age_s < then.age_s
