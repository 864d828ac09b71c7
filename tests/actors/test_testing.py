"""What tests of actors are made of: probes, crashes by path and by plan, virtual time."""

import random
from typing import ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors import (
    Actor,
    ChildSpec,
    Down,
    DynamicSupervisor,
    End,
    Intensity,
    Lifeline,
    Reply,
    StartFailed,
    Supervisor,
    System,
    actor_child,
    running,
)
from actors.testing import (
    PATIENCE_S,
    CrashPlan,
    PlannedCrash,
    Probe,
    crash,
    life_at,
    probing,
    run_seeded,
    run_watched,
    virtual_clock,
)


class Counter(Actor[int]):
    """Adds up, and keeps what it has seen for the next life."""

    __slots__ = ("total",)

    stash: ClassVar[bool] = True
    attempts: ClassVar[int] = 5

    def __init__(self) -> None:
        self.total = 0

    async def started(self) -> None:
        """Go on where the last life ended."""
        self.total = self.inherited or 0

    async def handle(self, message: int, reply: Reply) -> None:
        """Add."""
        self.total += message
        reply.send(self.total)

    def hand_over(self) -> object:
        """The sum."""
        return self.total


class Recluse(Actor[int]):
    """Does nothing, and has no stash."""


class Patient(Counter):
    """Is never the worse for a message."""

    __slots__ = ()

    attempts: ClassVar[int] = 100


# Probes -------------------------------------------------------------------------------------------


async def test_a_probe_gives_what_it_was_sent_in_order() -> None:
    """Casts, sends and calls alike; what was read is still seen."""
    async with probing() as probe, trio.open_nursery() as nursery:
        probe.ref.cast("one")
        await probe.ref.send(2)
        assert await probe.receive() == "one"
        assert await probe.expect(int) == 2
        nursery.start_soon(probe.ref.send, "later")
        assert await probe.expect(str) == "later"
        await probe.expect_nothing()
        assert probe.seen == ["one", 2, "later"]


async def test_a_probe_answers_when_the_test_does() -> None:
    """A call waits for `reply`; what is no call cannot be answered, nor a call twice."""
    answers = []

    async with probing() as probe, trio.open_nursery() as nursery:

        async def ask() -> None:
            answers.append(await probe.ref.call("how many?", deadline_s=5))

        nursery.start_soon(ask)
        assert await probe.receive() == "how many?"
        probe.reply(3)
        with pytest.raises(AssertionError, match="answered"):
            probe.reply(4)
        probe.ref.cast("no call")
        await probe.receive()
        with pytest.raises(AssertionError, match="no call"):
            probe.reply(5)
    assert answers == [3]


async def test_a_probe_says_what_it_missed(autojump_clock: MockClock) -> None:
    """Nothing where something was to come; something else; something where nothing was."""
    async with probing() as probe:
        with pytest.raises(AssertionError, match="sent nothing"):
            await probe.receive()
        assert autojump_clock.current_time() == PATIENCE_S
        probe.ref.cast(1)
        with pytest.raises(AssertionError, match="sent 1, no"):
            await probe.expect(str)
        probe.ref.cast("late")
        with pytest.raises(AssertionError, match="sent 'late'"):
            await probe.expect_nothing()


async def test_a_probe_hears_of_ends() -> None:
    """Of what it monitors, and of what it is linked to, without dying of it."""
    probe = Probe()
    children = [probe.child(), *(actor_child(name, Counter) for name in "ab")]
    tree = Supervisor("tree", children)
    async with running(tree) as system:
        for name in "ab":
            ref = tree.value_of(name)
            probe.monitor(ref) if name == "a" else probe.link(ref)
            await tree.terminate_child(name) if name == "a" else None
        down = await probe.expect(Down)
        assert (down.ref.name, down.end) == ("a", End.SHUTDOWN)
        crash(system, "tree/b", PlannedCrash("b"))
        await probe.expect_nothing()
        assert probe.ref.alive


# Crashes ------------------------------------------------------------------------------------------


async def test_a_crash_ends_one_place_as_an_exception_would() -> None:
    """Its supervisor does about it what it does; the place is then another life."""
    probe, error = Probe(), PlannedCrash("on purpose")
    crowd = DynamicSupervisor("crowd", max_children=3)
    tree = Supervisor("tree", [probe.child(), crowd.as_child()])
    async with running(tree) as system:
        member = await crowd.start_child(actor_child("one", Counter))
        lone = await crowd.start_child(actor_child("two", Recluse))
        probe.monitor(lone)
        before = life_at(system, "tree/crowd/one")
        crash(system, "tree/crowd/one", error)
        crash(system, "tree/crowd/two", error)
        down = await probe.expect(Down)
        assert (down.ref, down.crash) == (lone, error)
        assert await member.call(1, deadline_s=1) == 1
        assert life_at(system, "tree/crowd/one") is not before


async def test_a_place_that_is_not_there_is_named() -> None:
    """With those that are; and so is a tree that does not run."""
    async with running(Supervisor("tree", [actor_child("a", Counter)])) as system:
        with pytest.raises(AssertionError, match="nothing lives at tree/b, but at: tree, tree/a"):
            crash(system, "tree/b", PlannedCrash())
        with pytest.raises(AssertionError, match="no supervisor"):
            crash(system, "tree", PlannedCrash())
    with pytest.raises(AssertionError, match="no tree runs"):
        life_at(System(), "tree")


async def test_parts_of_a_child_are_found_below_it() -> None:
    """What a child runs itself has a path as well, and so has what lives there."""
    crowd = DynamicSupervisor("crowd", max_children=1)

    async def whole(life: Lifeline) -> None:
        part = life.part("inside")
        life.on_stop(part.request_stop)
        part.on_ready(life.ready)
        await crowd.run(part)

    async with running(ChildSpec("whole", whole)) as system:
        one = await crowd.start_child(actor_child("one", Counter))
        paths = [path for path, _ in system.lives()]
        assert paths == ["root", "root/whole", "root/whole/inside", "root/whole/inside/one"]
        crash(system, "root/whole/inside/one", PlannedCrash())
        assert await one.call(2, deadline_s=1) == 2


async def test_a_plan_crashes_an_actor_at_its_messages() -> None:
    """Before the message, or after; with a stash the next life is given it again, and it counts."""
    plan = CrashPlan(messages=[2], handled=[4])
    tree = Supervisor("tree", [actor_child("sum", plan.actor(Counter))])
    async with running(tree):
        ref = tree.value_of("sum")
        ref.cast(1)
        ref.cast(10)  # the second message, and the third
        ref.cast(100)  # the fourth, after which it is given again
        assert await ref.call(1000, deadline_s=5) == 1211
    assert plan.crashes == ["message 2", "handled 4"]
    assert issubclass(plan.actor(Counter), Counter)


async def test_a_seed_is_a_plan() -> None:
    """The same seed is the same plan; other seeds are others. Each crash is planned once."""

    async def crashes_of(seed: int) -> list[str]:
        plan = CrashPlan.seeded(seed, crashes=4, messages=20)
        kind = plan.actor(Patient)
        tree = DynamicSupervisor("tree", max_children=1, intensity=Intensity(10, 60))
        async with running(tree):
            ref = await tree.start_child(actor_child("sum", kind))
            for number in range(20):
                ref.cast(number)
            await trio.testing.wait_all_tasks_blocked()
        return plan.crashes

    plans = [await crashes_of(seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert [4, 4, 4] == [len(set(plan)) for plan in plans]


async def test_a_plan_crashes_starts() -> None:
    """Of an actor or of any child; the first start of a tree fails with it."""
    plan = CrashPlan(starts=[2])
    tree = Supervisor("tree", [plan.child(actor_child("sum", Counter))])
    async with running(tree) as system:
        crash(system, "tree/sum", PlannedCrash("by hand"))
        await trio.testing.wait_all_tasks_blocked()
        assert await tree.value_of("sum").call(1, deadline_s=1) == 1
    assert plan.crashes == ["start 2"]
    with pytest.raises(ExceptionGroup) as caught:
        async with running(CrashPlan(starts=[1]).child(actor_child("sum", Counter))):
            pass
    (error,) = caught.value.exceptions
    assert isinstance(error, StartFailed)
    assert isinstance(error.__cause__, PlannedCrash)


# Time and order -----------------------------------------------------------------------------------


def test_an_hour_of_virtual_time_is_over_at_once() -> None:
    """Under any of the ways to run a test."""

    async def wait() -> float:
        async with probing() as probe:
            probe.send_after(3600, "an hour")
            with trio.move_on_after(3599):
                await trio.sleep_forever()
            await probe.expect_nothing()
            assert await probe.receive() == "an hour"
            return trio.current_time()

    async def wait_in_some_order(_chance: random.Random) -> float:
        return await wait()

    assert run_watched(wait, clock=virtual_clock()) >= 3600
    assert run_seeded(wait_in_some_order, seed=1) >= 3600
