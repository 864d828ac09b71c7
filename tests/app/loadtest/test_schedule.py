"""When to publish: on time, in turn, and together as often as is asked for."""

import pytest

from app.loadtest.model import NS, Plan
from app.loadtest.schedule import Schedule

START = 5_000


@pytest.mark.parametrize(("rooms", "processes"), [(1, 1), (4, 1), (4, 2), (5, 3), (2, 3)])
def test_the_processes_together_send_at_the_rate(rooms: int, processes: int) -> None:
    """Message m is due m / rate seconds after the start, in room m % rooms, whoever sends it."""
    plan = Plan(connections=100, rooms=rooms, processes=processes)
    sent = []
    for worker in range(processes):
        ours = [room for room in plan.rooms_here(worker) if plan.publishes(room, worker)]
        if ours:
            schedule = Schedule(ours, rooms, 8.0, START)
            while schedule.due_ns < START + NS:
                index, due = schedule.take()
                sent.append((due, ours[index]))
    assert [(START + m * NS // 8, m % rooms) for m in range(8)] == sorted(sent)


def test_what_is_due_can_be_counted() -> None:
    """Sent or not, up to any moment."""
    schedule = Schedule([0, 2], 3, 10.0, START)
    dues = [START + m * NS // 10 for m in range(30) if m % 3 in {0, 2}]
    for moment in (START - 1, START, START + 1, START + NS // 10, START + NS, START + 2 * NS):
        assert sum(due < moment for due in dues) == schedule.due_before(moment)
