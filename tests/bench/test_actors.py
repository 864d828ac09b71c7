"""The comparisons of actors with bare tasks: each side does its work, however little of it."""

from collections.abc import Awaitable, Callable

import pytest
from trio.testing import MockClock

from bench.actors import ROWS, Row
from bench.actors_crowd import Stages, actors, tasks
from bench.actors_messages import BATCH, CALLERS

ALL_ROWS = [row for rows in ROWS.values() for row in rows]


@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.title)
async def test_both_sides_come_to_an_end(row: Row, autojump_clock: MockClock) -> None:
    """Every comparison runs, and its costs are above nothing."""
    count = BATCH if row.count > 10 * BATCH else CALLERS  # so that nothing is done by halves
    assert min([await side(count) for side in row.sides]) > 0
    assert autojump_clock.current_time() < 3600  # virtual, so that no timer is waited for


@pytest.mark.parametrize("crowd", [actors, tasks])
async def test_a_crowd_has_three_stages(crowd: Callable[[int], Awaitable[Stages]]) -> None:
    """Its memory comes first, then the seconds of start, casts and stop."""
    stages = await crowd(10)
    assert len(stages.costs) == 4
    assert min(stages.seconds) > 0
