"""When supervisors wait before a restart, and when they give up: intensity, backoff, escalation."""

import random
import sys
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Strategy,
    Supervisor,
    System,
    run_root,
)
from tests.actors.support import Boom, Journal, Part, end_of, running

STEADY = Backoff(1, 4, reset_after_s=60, jitter=0)


async def crash_all(*parts: Part, every_s: float = 0) -> None:
    """Crash one after the other."""
    for part in parts:
        await trio.sleep(every_s)
        await part.crash()


async def test_intensity_counts_all_children_of_a_supervisor(journal: Journal) -> None:
    """The failure after the last one allowed stops the rest in reverse order and ends it."""
    a, b, c = (Part(journal, name) for name in "abc")
    tree = Supervisor("sup", [a.spec(), b.spec(), c.spec()], intensity=Intensity(2, 5))

    async def script() -> None:
        journal.take()
        await crash_all(a, b, c)

    end = await end_of(tree, script, journal)
    assert isinstance(end, RestartIntensityExceeded)
    assert journal.take() == "+a a! +b b! -b -a"
    told = [(failure.child, repr(failure.error)) for failure in end.history]
    assert [("a", "Boom('a')"), ("b", "Boom('b')"), ("c", "Boom('c')")] == told
    assert end.__cause__ is end.history[-1].error
    assert "sup gave up after 3 failures" in str(end)
    assert [{"supervisor": "sup", "error": end}] == journal.told("supervisor.escalated")


async def test_intensity_forgets_what_lies_before_its_window(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Failures further apart than the window allows are restarted for ever."""
    a = Part(journal, "a")
    async with running(Supervisor("sup", [a.spec()], intensity=Intensity(1, 5)), journal):
        await crash_all(*[a] * 20, every_s=6)
    assert (21, 120) == (a.lives, autojump_clock.current_time())


async def test_a_permanent_child_that_returns_counts(journal: Journal) -> None:
    """Its failure in the history has no error."""
    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec()], intensity=Intensity(0, 5))

    async def script() -> None:
        await a.die(None)

    end = await end_of(tree, script, journal)
    assert isinstance(end, RestartIntensityExceeded)
    assert [None] == [failure.error for failure in end.history]


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_a_restart_that_fails_to_start_is_tried_again(
    strategy: Strategy, journal: Journal
) -> None:
    """Each try counts as a failure; the other children are there in the end."""
    a, b = Part(journal, "a"), Part(journal, "b")
    tree = Supervisor("sup", [a.spec(), b.spec()], strategy=strategy)
    async with running(tree, journal):
        a.faults = [Boom(), Boom()]
        await a.crash()
        assert (True, True, 4, 3) == (a.alive, b.alive, a.lives, tree.statistics().restarts)


async def test_a_child_triggers_maximum_restarts_when_trying_again(journal: Journal) -> None:
    """A restart that keeps failing to start ends the supervisor."""
    a, b = Part(journal, "a"), Part(journal, "b")
    tree = Supervisor("sup", [a.spec(), b.spec()], strategy=Strategy.REST_FOR_ONE)

    async def script() -> None:
        a.faults = [Boom() for _ in range(9)]
        await a.crash()

    end = await end_of(tree, script, journal)
    assert isinstance(end, RestartIntensityExceeded)
    assert (4, 4, False) == (len(end.history), a.lives, b.alive)


async def test_backoff_doubles_and_resets_after_health(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Waits grow up to the ceiling; a child that lived long enough begins again at the first."""
    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec(backoff=STEADY)], intensity=Intensity(99, 5))
    async with running(tree, journal):
        for _ in range(4):
            await a.crash()
            await trio.sleep(10)
        await trio.sleep(60)
        await a.crash()
        await trio.sleep(10)
    waits = [
        ready - crash for ready, crash in zip(a.ready_at[1:], (0, 10, 20, 30, 100), strict=True)
    ]
    assert [1, 2, 4, 4, 1] == waits
    assert 110 == autojump_clock.current_time()


async def test_backoff_jitter_is_drawn_from_the_given_chance(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """The same seed gives the same waits."""
    expected = 1 - 0.5 * random.Random(7).random()
    backoff = Backoff(1, 4, reset_after_s=60, jitter=0.5)
    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec(backoff=backoff)])
    async with running(tree, System(chance=random.Random(7))):
        await a.crash()
        await trio.sleep(2)
    assert pytest.approx(expected) == a.ready_at[1]
    assert 2 == autojump_clock.current_time()


async def test_siblings_go_on_while_one_waits(journal: Journal, autojump_clock: MockClock) -> None:
    """In one_for_one, a child restarts at once although an earlier one waits."""
    a, b = Part(journal, "a"), Part(journal, "b")
    tree = Supervisor("sup", [a.spec(backoff=STEADY), b.spec()])
    async with running(tree, journal):
        await a.crash()
        assert "waiting" == tree.census(9)[0][0].state
        await b.crash()
        await trio.sleep(2)
    assert ([0, 1], [0, 0]) == (a.ready_at, b.ready_at)
    assert 2 == autojump_clock.current_time()


async def test_the_group_waits_with_its_failed_child(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """In rest_for_one, later children stop at once and come back after the failed one."""
    a, b, c = (Part(journal, name) for name in "abc")
    specs = [a.spec(), b.spec(backoff=STEADY), c.spec()]
    async with running(Supervisor("sup", specs, strategy=Strategy.REST_FOR_ONE), journal):
        journal.take()
        await b.crash()
        assert journal.take() == "-c"
        await trio.sleep(0.5)
        await a.crash()
        assert journal.take() == "+a a!"
        await trio.sleep(0.4)
        assert journal.take() == ""
        await trio.sleep(0.2)
        assert journal.take() == "+b b! +c c!"
    assert pytest.approx(1.1) == autojump_clock.current_time()


async def test_the_first_start_keeps_its_order_through_a_wait(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Until all have started once, later children wait for an earlier one that failed."""
    a, b, c = (Part(journal, name) for name in "abc")
    b.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        tree = Supervisor("sup", [a.spec(backoff=STEADY), b.spec(), c.spec()])
        life = Lifeline()
        nursery.start_soon(tree.run, life)
        await wait_all_tasks_blocked()
        await a.crash()
        b.hold.set()
        await trio.sleep(2)
        assert journal.take() == "+a a! +b b! +a a! +c c!"
        life.request_stop()
    assert ([0, 1], [1]) == (a.ready_at, c.ready_at)
    assert 2 == autojump_clock.current_time()


async def test_a_life_ends_for_the_backoff_when_it_ended(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Time that the supervisor spent on others does not count as health."""
    a, b = Part(journal, "a"), Part(journal, "b")
    backoff = Backoff(1, 4, reset_after_s=10, jitter=0)
    async with running(Supervisor("sup", [a.spec(backoff=backoff), b.spec()]), journal):
        await a.crash()
        await trio.sleep(2)
        b.hold = trio.Event()
        await b.crash()
        await a.crash()
        await trio.sleep(20)
        b.hold.set()
        await trio.sleep(10)
    assert [0, 1, 24] == a.ready_at
    assert 32 == autojump_clock.current_time()


async def test_a_stop_ends_a_wait_at_once(journal: Journal, autojump_clock: MockClock) -> None:
    """A supervisor asked to stop while a child waits for its restart does not start it."""
    a = Part(journal, "a")
    async with running(Supervisor("sup", [a.spec(backoff=STEADY)]), journal):
        await a.crash()
    assert (1, 0) == (a.lives, autojump_clock.current_time())


async def test_escalation_restarts_the_nested_supervisor(journal: Journal) -> None:
    """Its parent treats it as any child that crashed, and it begins afresh."""
    a, b = Part(journal, "a"), Part(journal, "b")
    inner = Supervisor("inner", [b.spec()], intensity=Intensity(1, 5))
    async with running(Supervisor("outer", [a.spec(), inner.as_child()]), journal):
        await crash_all(b, b)
        assert (1, 3, True) == (a.lives, b.lives, b.alive)
        assert 0 == inner.statistics().restarts
        await crash_all(b, b)
        assert (1, 5, True) == (a.lives, b.lives, b.alive)


async def test_escalation_carries_the_history_of_every_level(journal: Journal) -> None:
    """The root's error leads to the failures of the children further down."""
    b = Part(journal, "b")
    inner = Supervisor("inner", [b.spec()], intensity=Intensity(0, 5))
    outer = Supervisor("outer", [inner.as_child()], intensity=Intensity(0, 5))

    async def script() -> None:
        await b.crash()

    end = await end_of(outer, script, journal)
    assert isinstance(end, RestartIntensityExceeded)
    (failure,) = end.history
    assert isinstance(failure.error, RestartIntensityExceeded)
    assert ["b"] == [inner_failure.child for inner_failure in failure.error.history]


async def test_a_nested_supervisor_that_cannot_start_unwinds_the_tree(journal: Journal) -> None:
    """The cause is found at the end of the chain."""
    a, b = Part(journal, "a"), Part(journal, "b")
    b.faults = [Boom("deep")]
    inner = Supervisor("inner", [b.spec()])
    with pytest.raises(StartFailed) as caught:
        await run_root(Supervisor("outer", [a.spec(), inner.as_child()]))
    assert journal.take() == "+a a! +b -a"
    inner_error = caught.value.__cause__
    assert isinstance(inner_error, StartFailed)
    assert "Boom('deep')" == repr(inner_error.__cause__)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("restart", list(Restart))
async def test_interrupts_escalate_after_an_orderly_stop(
    error: BaseException, restart: Restart, journal: Journal
) -> None:
    """KeyboardInterrupt and SystemExit stop the tree in reverse order and come out at the top."""
    a, b, c, d = (Part(journal, name) for name in "abcd")
    inner = Supervisor("inner", [b.spec(), c.spec(restart)])
    outer = Supervisor("outer", [a.spec(), inner.as_child(), d.spec()])

    async def script() -> None:
        journal.take()
        c.die_soon(error)

    end = await end_of(outer, script, journal)
    assert journal.take() == "-b -d -a"
    assert end is error
    assert [] == journal.told("actor.crashed")


async def test_an_interrupt_beside_a_crash_escalates(journal: Journal) -> None:
    """Of a group, the crash is told and the interrupt comes out."""
    a = Part(journal, "a")
    both = BaseExceptionGroup("both", [KeyboardInterrupt(), Boom()])
    stopped: list[BaseException] = []
    try:
        async with trio.open_nursery() as nursery:
            tree = Supervisor("sup", [a.spec()])
            await nursery.start(partial(run_root, tree, system=System(journal.emit)))
            a.die_soon(both)
    except* KeyboardInterrupt as interrupts:
        stopped += interrupts.exceptions
    assert 1 == len(stopped)
    assert 1 == len(journal.told("actor.crashed"))


async def test_an_interrupt_while_others_stop_is_not_lost(journal: Journal) -> None:
    """A child that answers the request to stop with SystemExit is heard."""

    async def exit_when_asked(life: Lifeline) -> None:
        life.ready()
        await life.stop_requested.wait()
        sys.exit(3)

    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec(), ChildSpec("b", exit_when_asked)])
    stop = trio.Event()

    async def script() -> None:
        journal.take()
        stop.set()
        await trio.lowlevel.checkpoint()

    end = await end_of(tree, script, journal, stop=stop)
    assert isinstance(end, SystemExit)
    assert journal.take() == "-a"


async def test_an_interrupt_of_a_dynamic_child_stops_its_siblings(journal: Journal) -> None:
    """The dynamic supervisor stops all others, then raises it."""
    a, b = Part(journal, "a"), Part(journal, "b")
    dynamic = DynamicSupervisor("dyn", max_children=2)

    async def script() -> None:
        await dynamic.start_child(a.spec())
        await dynamic.start_child(b.spec())
        journal.take()
        b.die_soon(SystemExit(1))
        await wait_all_tasks_blocked()

    end = await end_of(dynamic, script, journal)
    assert isinstance(end, SystemExit)
    assert journal.take() == "-a"
