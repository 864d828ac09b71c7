"""The seeded scheduler: a seed decides the order, finds a race, and finds it again."""

import gc
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio._core import _run

from actors.seeded import (
    SEED_VARIABLE,
    SEEDS,
    SEEDS_VARIABLE,
    STEPS_SHOWN,
    ScheduleTrace,
    asked_for,
    explore,
    run_seeded,
    under_seeds,
)
from actors.step_watch import LoopBlocked

Body = Callable[[random.Random], Awaitable[object]]


class Aborted:
    """A task that waits until it is cancelled, and notes that at once, as a lock would."""

    def __init__(self, order: list[int], number: int) -> None:
        self.order, self.number = order, number

    async def wait(self) -> None:
        """Wait."""
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    async def wait_within(self, scope: trio.CancelScope) -> None:
        """Wait within a scope of its own."""
        with scope:
            await self.wait()

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self.order.append(self.number)
        return trio.lowlevel.Abort.SUCCEEDED


async def cancel_many(_chance: random.Random) -> list[int]:
    """In what order the tasks of a cancelled nursery, and of scopes within it, hear of it."""
    order: list[int] = []
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(Aborted(order, number).wait)
            nursery.start_soon(Aborted(order, 100 + number).wait_within, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return order


async def expire_many(_chance: random.Random) -> list[int]:
    """In what order the scopes of one deadline are cancelled."""
    order: list[int] = []
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(Aborted(order, number).wait_within, trio.move_on_at(5))
    return order


async def meet(chance: random.Random) -> list[int]:
    """Tasks that sleep, hand things over and wait for each other."""
    order: list[int] = []
    sender, receiver = trio.open_memory_channel[int](2)
    done = trio.Event()

    async def send(number: int) -> None:
        await trio.sleep(chance.choice([0, 1, 2]))
        with trio.move_on_after(3):
            await sender.send(number)
        await done.wait()

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(send, number)
        for _ in range(10):
            order.append(await receiver.receive())
            await trio.lowlevel.checkpoint()
        done.set()
    return order


async def wait_an_hour(_chance: random.Random) -> float:
    """The time when it is over."""
    await trio.sleep(3600)
    return trio.current_time()


BODIES: list[Body] = [cancel_many, expire_many, meet]


def play(body: Body, seed: int) -> tuple[object, str]:
    """What came of it, and the digest of its schedule."""
    trace = ScheduleTrace()
    return run_seeded(body, seed, instruments=[trace]), trace.digest


async def lose_an_update(_chance: random.Random) -> None:
    """Three counts of one, each read and written between checkpoints, meet at times only."""
    count = 0

    async def add(checkpoints: int) -> None:
        nonlocal count
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        seen = count
        await trio.lowlevel.checkpoint()
        count = seen + 1

    async with trio.open_nursery() as nursery:
        for checkpoints in (0, 4, 8):
            nursery.start_soon(add, checkpoints)
    assert count == 3, "an update is lost"


@pytest.mark.parametrize("body", BODIES)
def test_a_seed_decides_the_interleaving(body: Body) -> None:
    """The same seed gives the same schedule and result, whatever ran before; others give others."""
    first = [play(body, seed) for seed in range(8)]
    assert [play(body, seed) for seed in reversed(range(8))] == first[::-1]
    assert len({digest for _, digest in first}) == 8


@pytest.mark.slow
def test_a_seed_decides_it_in_any_process() -> None:
    """Neither addresses nor the hashes of strings have a part in it."""
    code = f"from {__name__} import *; print([play(body, 7) for body in BODIES])"
    told = [
        subprocess.run(  # noqa: S603 - ours
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert told == [f"{[play(body, 7) for body in BODIES]}\n"] * 2


def test_equal_deadlines_pass_in_any_order() -> None:
    """The seed decides which is first, since trio promises nothing."""
    orders = [run_seeded(expire_many, seed) for seed in range(4)]
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(20))}
    assert len({tuple(order) for order in orders}) == 4


def test_a_task_can_fall_behind_by_many_steps() -> None:
    """Not only the order within a round is drawn: one task overtakes another again and again."""

    async def race(_chance: random.Random) -> int:
        steps = [0, 0]
        lead = 0

        async def step(number: int) -> None:
            nonlocal lead
            for _ in range(30):
                await trio.lowlevel.checkpoint()
                steps[number] += 1
                lead = max(lead, steps[0] - steps[1])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(step, 0)
            nursery.start_soon(step, 1)
        return lead

    leads = [run_seeded(race, seed) for seed in range(20)]
    assert min(leads) < 3
    assert max(leads) > 6


def test_a_known_race_is_found_and_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the usual number of seeds; the failure names the one, with which it comes again."""
    with pytest.raises(AssertionError, match="lost") as caught:
        explore(lose_an_update)
    (note,) = caught.value.__notes__
    seed = int(note.split()[3].rstrip("."))
    assert seed in SEEDS
    again = f"{SEED_VARIABLE}={seed} python -m pytest '{__file__}::"
    assert again.replace(__file__, os.path.relpath(__file__)) in note
    assert len(note.splitlines()) == 3 + STEPS_SHOWN
    monkeypatch.setenv(SEED_VARIABLE, str(seed))
    with pytest.raises(AssertionError, match="lost") as replayed:
        explore(lose_an_update)
    assert replayed.value.__notes__ == [note]


def test_a_race_is_rare_enough_to_need_the_search() -> None:
    """What the test before finds is not there at every seed."""

    def fails(seed: int) -> bool:
        try:
            run_seeded(lose_an_update, seed)
        except AssertionError:
            return True
        return False

    assert 0 < sum(map(fails, SEEDS)) < len(SEEDS) / 4


def test_time_is_virtual() -> None:
    """An hour passes as soon as nothing else can happen."""
    assert run_seeded(wait_an_hour, 0) == 3600


def test_the_body_draws_from_the_seed() -> None:
    """Its chance is its own: drawing from it moves no task."""

    async def draw(chance: random.Random) -> float:
        await trio.lowlevel.checkpoint()
        return chance.random()

    drawn = [run_seeded(draw, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("environment", "seeds"),
    [
        ({}, [3, 4]),
        ({SEEDS_VARIABLE: "3"}, [0, 1, 2]),
        ({SEEDS_VARIABLE: "1000:1002"}, [1000, 1001]),
        ({SEEDS_VARIABLE: "3", SEED_VARIABLE: "-17"}, [-17]),
    ],
)
def test_the_environment_asks_for_seeds(environment: dict[str, str], seeds: list[int]) -> None:
    """One to replay, or how many and from where; else those of the test."""
    assert list(asked_for(environment, [3, 4])) == seeds


SEEN: dict[str, list[float]] = {}


@pytest.mark.parametrize("name", ["a", "b"])
@under_seeds(range(3))
async def test_a_test_runs_under_seeds(chance: random.Random, name: str) -> None:
    """Once for each, with parameters as any test has."""
    SEEN.setdefault(name, []).append(chance.random())
    await trio.lowlevel.checkpoint()


def test_it_ran_for_each_seed() -> None:
    """The test above, with another chance each time, and the same for each of its parameters."""
    ran = [seen[-3:] for seen in SEEN.values()]
    assert [len(set(seen)) for seen in ran] == [3] * len(ran)
    assert all(seen == ran[0] for seen in ran)


def parts() -> list[object]:
    """What a seeded run replaces, and turns off."""
    return [
        _run._r,
        _run._ALLOW_DETERMINISTIC_SCHEDULING,
        _run.CancelStatus.__attrs_post_init__,
        _run.Deadlines.add,
        gc.isenabled(),
    ]


async def fail(_chance: random.Random) -> None:
    """Fail with something that is no Exception, too."""
    raise KeyboardInterrupt


def test_trio_is_as_before() -> None:
    """However the run ended."""
    before = parts()
    run_seeded(meet, 1)
    with pytest.raises(KeyboardInterrupt):
        run_seeded(fail, 1)
    assert parts() == before


def test_no_garbage_is_collected_meanwhile() -> None:
    """It would call finalizers at a step that no seed decides."""

    async def is_collected(_chance: random.Random) -> bool:
        return gc.isenabled()

    assert not run_seeded(is_collected, 1)


def test_another_trio_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that schedules otherwise, by the name of what it lacks."""
    monkeypatch.delattr(_run.Deadlines, "add")
    with pytest.raises(AssertionError, match=r"this trio has no \['Deadlines.add'\]"):
        run_seeded(meet, 1)


async def test_a_seeded_run_within_a_run_is_refused() -> None:
    """What it would replace is in use."""
    await trio.lowlevel.checkpoint()
    before = parts()
    with pytest.raises(AssertionError, match="cannot begin within a run"):
        run_seeded(meet, 1)
    assert parts() == before


def test_one_seeded_run_at_a_time() -> None:
    """Another thread's would draw from the same chance."""

    async def run_another(_chance: random.Random) -> None:
        with pytest.raises(AssertionError, match="one at a time"):
            await trio.to_thread.run_sync(partial(run_seeded, meet, 1))

    clock = trio.testing.MockClock(rate=1)  # it does not jump: another thread answers
    run_seeded(run_another, 1, clock=clock)
    assert play(meet, 1) == play(meet, 1)


def test_a_seeded_run_is_watched() -> None:
    """A step that blocks the loop fails it, at the first seed."""

    async def block(_chance: random.Random) -> None:
        sum(range(10_000_000))
        await trio.lowlevel.checkpoint()

    with pytest.raises(LoopBlocked, match="block blocked the loop") as caught:
        explore(block)
    assert "This is seed 0." in caught.value.__notes__[0]
