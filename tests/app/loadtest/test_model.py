"""A plan: shared by processes so that all of it is done, once."""

import pytest

from app.loadtest.errors import LoadTestError
from app.loadtest.model import Plan

SHARES = [(1, 1, 1), (10, 3, 1), (10, 3, 2), (100, 1, 4), (101, 2, 8), (7, 7, 3), (1_000, 100, 3)]


@pytest.mark.parametrize(("connections", "rooms", "processes"), SHARES)
def test_all_members_are_somewhere(connections: int, rooms: int, processes: int) -> None:
    """Each room's members add up over the processes, and the rooms to all connections."""
    plan = Plan(connections=connections, rooms=rooms, processes=processes)
    plan.check()
    workers = range(processes)
    for room in range(rooms):
        here = [plan.members_here(room, worker) for worker in workers]
        assert plan.members(room) == sum(here)
        assert [bool(count) for count in here] == [room in plan.rooms_here(w) for w in workers]
        (publisher,) = [worker for worker in workers if plan.publishes(room, worker)]
        assert here[publisher] > 0
    assert connections == sum(plan.connections_here(worker) for worker in workers)
    assert connections == sum(map(plan.members, range(rooms)))


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(rate=1.0), "either a --rate or a --window"),
        (Plan(window=None), "either a --rate or a --window"),
        (Plan(sources=("127.0.0.2",) * 65), "not more than 64 times --source"),
        (Plan(connections=1, rooms=2), "2 rooms need as many --connections at least"),
        (Plan(rooms=2, topic="room"), "is to have {room} in it"),
        (
            Plan(connections=3, processes=4),
            "4 processes that share each room need 4 --connections at least",
        ),
        (Plan(connections=5, rooms=2, processes=3), "need 6 --connections at least"),
    ],
)
def test_what_cannot_be_run_is_told(plan: Plan, reason: str) -> None:
    """Before anything is begun."""
    with pytest.raises(LoadTestError, match=reason):
        plan.check()


def test_the_plot_has_a_bounded_number_of_points() -> None:
    """A tenth of a second each, or more where a run is long."""
    assert 100_000_000 == Plan(duration_s=10.0).slot_ns
    assert 288_000_000_000 == Plan(duration_s=86_400.0).slot_ns
