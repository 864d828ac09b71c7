"""Finding in a tree, cutting it to size, counting it, comparing it with an earlier one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tree import Vitals
from app.inspect.model import Changes, Totals, compare, find, totals, trimmed
from tests.app.inspect.trees import actor, paths, place, snapshot, supervisor

TREE = supervisor(
    "agio",
    "rest_for_one",
    supervisor("node", "rest_for_one", place("hub"), actor("a/b"), supervisor("a", "dynamic")),
    supervisor("pool", "dynamic", *(place(f"p{number}") for number in range(5)), hidden=100),
)
TREES = st.recursive(
    st.builds(place, st.just("leaf"), hidden=st.integers(0, 3)),
    lambda below: st.builds(
        lambda children, hidden: supervisor("s", "dynamic", *children, hidden=hidden),
        st.lists(below, max_size=4),
        st.integers(0, 3),
    ),
)


@pytest.mark.parametrize("path", paths(TREE))
def test_every_place_is_found_by_its_path(path: str) -> None:
    """Also one whose name has a slash in it, beside another that its path might lead into."""
    found = find(TREE, path)
    assert found is not None
    assert path.endswith(found.name)
    assert found is dict(TREE.walk())[path]


@pytest.mark.parametrize("path", ["node", "agio/", "agio/nod", "agio/node/", "agio/hub", "x", "/"])
def test_a_path_of_no_place_finds_nothing(path: str) -> None:
    """A path begins at the root and names each place whole."""
    assert find(TREE, path) is None


def test_what_is_near_the_root_is_kept_first() -> None:
    """Of equally near places the first of each parent come first, and the rest is counted."""
    kept = trimmed(TREE, places=5, children=9)
    assert paths(kept) == ["agio", "agio/node", "agio/node/hub", "agio/pool", "agio/pool/p0"]
    assert [place.hidden for _, place in kept.walk()] == [0, 2, 0, 104, 0]


def test_no_place_lists_more_children_than_asked_for() -> None:
    """And the room that this leaves is others'."""
    kept = trimmed(TREE, places=6, children=2)
    assert paths(kept) == [
        "agio",
        "agio/node",
        "agio/node/hub",
        "agio/node/a/b",
        "agio/pool",
        "agio/pool/p0",
    ]


@given(TREES, st.integers(1, 20), st.integers(0, 5))
def test_cutting_to_size_loses_count_of_no_child(tree: Vitals, places: int, children: int) -> None:
    """What is listed and what is hidden of a place that is kept is as many as before."""
    kept = trimmed(tree, places=places, children=children)
    assert len(paths(kept)) <= places
    assert trimmed(kept, places=places, children=children) == kept
    _same_counts(tree, kept)


def _same_counts(whole: Vitals, kept: Vitals) -> None:
    assert kept.hidden + len(kept.children) == whole.hidden + len(whole.children)
    for before, after in zip(whole.children, kept.children, strict=False):
        _same_counts(before, after)


def test_a_tree_in_numbers() -> None:
    """Kinds, restarts, messages that wait, and how many children are not listed."""
    tree = supervisor(
        "agio",
        "one_for_one",
        actor("a", mailbox={"waiting": 3}, restarts=2),
        actor("b", mailbox={"waiting": 4}),
        place("t", restarts=1),
        hidden=7,
    )
    assert totals(tree) == Totals(supervisors=1, actors=2, tasks=1, restarts=3, waiting=7, hidden=7)


def test_no_tree_is_a_tree_of_nothing() -> None:
    """For metrics, which are read also where none runs."""
    assert totals(None) == Totals(0, 0, 0, 0, 0, 0)


def _changes(before: Vitals, now: Vitals, *, passed_s: float = 5.0) -> Changes:
    return compare(snapshot(before), snapshot(now, uptime_s=300.0 + passed_s))


def test_nothing_changes_where_everything_grows_older() -> None:
    """Time alone is no change."""
    now = supervisor("agio", "dynamic", actor("a", age_s=305.0), age_s=305.0)
    assert _changes(supervisor("agio", "dynamic", actor("a")), now) == Changes()


def test_what_began_is_new_and_what_ended_is_gone() -> None:
    """A place is new where its path was not there, and gone where it is not any more."""
    before = supervisor("agio", "dynamic", actor("a"), actor("b"))
    now = supervisor("agio", "dynamic", actor("b"), actor("c", age_s=4.0), actor("d", age_s=0.0))
    assert _changes(before, now) == Changes(frozenset({"agio/c", "agio/d"}), frozenset(), 1)


def test_what_moves_up_into_a_bounded_list_is_not_new() -> None:
    """It was there before, and was not listed."""
    before = supervisor("agio", "dynamic", actor("a"), hidden=1)
    assert _changes(before, supervisor("agio", "dynamic", actor("b"))).new == frozenset()


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (actor("a"), actor("a", restarts=1, age_s=2.0)),
        (actor("a", restarts=1), actor("a", restarts=2, age_s=0.0, state="waiting")),
        (actor("a", restarts=3), actor("a", restarts=0, age_s=2.0)),
    ],
    ids=["once", "and waits", "its supervisor, too"],
)
def test_what_was_started_again_is_told(then: Vitals, now: Vitals) -> None:
    """By its count of restarts, or by its age where its supervisor is new and counts from zero."""
    assert _changes(then, now).restarted == {"a"}


def test_what_ended_for_a_restart_is_not_yet_restarted() -> None:
    """It does not live, so it has no age."""
    assert _changes(actor("a"), actor("a", age_s=0.0, state="waiting")).restarted == frozenset()


def test_a_node_that_began_anew_is_restarted_throughout() -> None:
    """Its uptime fell, so no age says when a place that was not there before began."""
    before = supervisor("agio", "dynamic", actor("a"))
    now = supervisor("agio", "dynamic", actor("a", age_s=2.0), actor("b", age_s=1.0), age_s=2.0)
    assert _changes(before, now, passed_s=-298.0) == Changes(
        frozenset(), frozenset({"agio", "agio/a"}), 0
    )
