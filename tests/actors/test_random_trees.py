"""Random trees under random kills: no orphan, order kept, intensity honoured.

Two kinds of chaos, each from a seed that the test's name shows. One kill at a time is compared with
a model of OTP's rules, exactly. Many kills at a time are held to what is true in any order.
"""

import random
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import Intensity, RestartIntensityExceeded, StartFailed, Supervisor, System, run_root
from tests.actors.random_trees import WINDOW_MAX_S, Branch, Leaf, fail, grow, start
from tests.actors.support import Boom, Journal

SEEDS = range(60)
KILLS = 40


async def run_until_end(
    tree: Supervisor, system: System, stop: trio.Event, *, task_status: trio.TaskStatus[object]
) -> None:
    """Run a tree that may give up."""
    try:
        await run_root(tree, system=system, stop=stop, task_status=task_status)
    except RestartIntensityExceeded:
        stop.set()


def assert_no_bug_was_told(journal: Journal) -> None:
    """No leaf found an order broken, and whoever gave up had failures within its window."""
    errors = [told["error"] for told in journal.told("actor.crashed")]
    assert [] == [error for error in errors if isinstance(error, AssertionError)]
    for told in journal.told("supervisor.escalated"):
        error = told["error"]
        while isinstance(error, StartFailed):  # a supervisor that gave up before it was ready
            error = error.__cause__
        assert isinstance(error, RestartIntensityExceeded)
        times = [failure.at for failure in error.history]
        assert times == sorted(times)
        assert times[-1] - times[0] <= WINDOW_MAX_S


def assert_as_the_model_says(root: Branch) -> None:
    """Who lives, and how many lives everybody had."""
    expected = [(leaf.name, leaf.expected_alive, leaf.expected_lives) for leaf in root.leaves()]
    assert expected == [(leaf.name, leaf.alive, leaf.lives) for leaf in root.leaves()]


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_kill_at_a_time_is_as_the_model_says(
    seed: int, journal: Journal, autojump_clock: MockClock
) -> None:
    """After each kill, exactly those live that OTP's rules say, after as many lives."""
    chance = random.Random(seed)
    root, stop = grow(chance, backoffs=False), trio.Event()
    tree, system = root.supervisor(), System(journal.emit, chance=chance)
    start(root)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_until_end, tree, system, stop))
        for _ in range(KILLS):
            living = [leaf for leaf in root.leaves() if leaf.alive]
            if not living:
                break
            await trio.sleep(chance.choice([0, 0, 0.5, 3]))
            victim, error = chance.choice(living), chance.choice([None, Boom(), Boom()])
            parent = root.parent_of(victim)
            fail(parent, victim, autojump_clock.current_time(), crashed=error is not None)
            victim.kill(error)
            await wait_all_tasks_blocked()
            assert_as_the_model_says(root)
        living = [leaf for leaf in root.leaves() if leaf.alive]
        stops = len(living[0].stops) if living else 0
        stop.set()
    if living:
        expected = [leaf.name for leaf in reversed(living)]
        assert expected == living[0].stops[stops:]
    assert [] == [leaf.name for leaf in root.leaves() if leaf.alive]
    assert_no_bug_was_told(journal)


async def kill_some(living: list[Leaf], chance: random.Random) -> None:
    """End several lives in one step, and perhaps let some time pass."""
    for victim in chance.sample(living, min(len(living), chance.randint(1, 4))):
        victim.kill(chance.choice([None, Boom(), ExceptionGroup("two", [Boom(), Boom()])]))
    for _ in range(chance.randint(0, 3)):
        await trio.lowlevel.checkpoint()
    if chance.random() < 0.5:
        await trio.sleep(chance.uniform(0, 3))


@pytest.mark.parametrize("ending", ["stopped", "cancelled"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_many_kills_at_a_time_leave_no_orphan(
    seed: int, ending: str, journal: Journal, autojump_clock: MockClock
) -> None:
    """Kills during starts, stops and waits break no order, and the end is the end of all."""
    chance = random.Random(seed)
    root, stop = grow(chance, backoffs=True), trio.Event()
    root.intensity = Intensity(1000, 1)
    tree, system = root.supervisor(), System(journal.emit, chance=chance)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_until_end, tree, system, stop))
        for _ in range(KILLS):
            await kill_some([leaf for leaf in root.leaves() if leaf.alive], chance)
        if ending == "stopped":
            stop.set()
        else:
            nursery.cancel_scope.cancel()
    assert [] == [leaf.name for leaf in root.leaves() if leaf.alive]
    assert_no_bug_was_told(journal)
    assert autojump_clock.current_time() > 0
