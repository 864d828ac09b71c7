"""The supervisor of children known from the start: order, strategies, stops."""

from dataclasses import replace
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ChildSpec,
    Intensity,
    Lifeline,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    run_root,
)
from tests.actors.support import Boom, Journal, Part, running

MANY = Intensity(100, 5)


def three(journal: Journal) -> tuple[Part, Part, Part]:
    """Children a, b and c."""
    return Part(journal, "a"), Part(journal, "b"), Part(journal, "c")


def supervisor(*parts: Part | ChildSpec, strategy: Strategy = Strategy.ONE_FOR_ONE) -> Supervisor:
    """A supervisor of permanent children that allows many restarts."""
    specs = [part.spec() if isinstance(part, Part) else part for part in parts]
    return Supervisor("sup", specs, strategy=strategy, intensity=MANY)


async def test_children_start_in_order_and_stop_in_reverse(journal: Journal) -> None:
    """Each child starts after the one before it is ready, and stops before it."""
    async with running(supervisor(*three(journal)), journal):
        assert journal.take() == "+a a! +b b! +c c!"
    assert journal.take() == "-c -b -a"


async def test_start_is_synchronous(journal: Journal) -> None:
    """While one child is not ready, the next does not start and the supervisor is not ready."""
    a, b, c = three(journal)
    b.hold = trio.Event()
    life = Lifeline()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor(a, b, c).run, life)
        await wait_all_tasks_blocked()
        assert ("+a a! +b", False) == (journal.take(), life.is_ready)
        b.hold.set()
        await wait_all_tasks_blocked()
        assert ("b! +c c!", True) == (journal.take(), life.is_ready)
        life.request_stop()


async def test_a_failed_start_unwinds_what_was_started(journal: Journal) -> None:
    """The children before it stop in reverse order, and the error names child and cause."""
    a, b, c = three(journal)
    c.faults = [Boom("no")]
    with pytest.raises(StartFailed) as caught:
        await run_root(supervisor(a, b, c))
    assert journal.take() == "+a a! +b b! +c -b -a"
    assert ("c", "Boom('no')") == (caught.value.child, repr(caught.value.__cause__))


async def test_a_child_that_returns_before_it_is_ready_failed_to_start() -> None:
    """An end without an error during the start is a failed start without a cause."""

    async def never_ready(_life: Lifeline) -> None:
        await trio.lowlevel.checkpoint()

    with pytest.raises(StartFailed) as caught:
        await run_root(supervisor(ChildSpec("b", never_ready)))
    assert caught.value.__cause__ is None


async def test_a_stop_during_the_start_ends_what_was_started(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """The child that starts is stopped within its time, then those before it; nobody is ready."""
    a, b, c = three(journal)
    b.hold = trio.Event()
    life = Lifeline()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor(a, b, c).run, life)
        await wait_all_tasks_blocked()
        life.request_stop()
    assert ("+a a! +b xb -a", False) == (journal.take(), life.is_ready)
    assert 5 == autojump_clock.current_time()


async def test_one_for_one_restarts_the_failed_child_alone(journal: Journal) -> None:
    """The others do not notice."""
    a, b, c = three(journal)
    async with running(supervisor(a, b, c), journal):
        journal.take()
        await b.crash()
        assert journal.take() == "+b b!"


async def test_one_for_all_restarts_every_child(journal: Journal) -> None:
    """The others stop in reverse order, then all start in order."""
    a, b, c = three(journal)
    async with running(supervisor(a, b, c, strategy=Strategy.ONE_FOR_ALL), journal):
        journal.take()
        await b.crash()
        assert journal.take() == "-c -a +a a! +b b! +c c!"


async def test_rest_for_one_restarts_those_started_later(journal: Journal) -> None:
    """Those started before the failed child go on."""
    a, b, c = three(journal)
    async with running(supervisor(a, b, c, strategy=Strategy.REST_FOR_ONE), journal):
        journal.take()
        await b.crash()
        assert journal.take() == "-c +b b! +c c!"
        await c.crash()
        assert journal.take() == "+c c!"
        await a.crash()
        assert journal.take() == "-c -b +a a! +b b! +c c!"


@pytest.mark.parametrize(
    ("restart", "after_return", "after_crash"),
    [
        (Restart.PERMANENT, "+a a!", "+a a!"),
        (Restart.TRANSIENT, "", "+a a!"),
        (Restart.TEMPORARY, "", ""),
    ],
)
async def test_restart_of_each_kind(
    restart: Restart, after_return: str, after_crash: str, journal: Journal
) -> None:
    """Permanent always restarts, transient after a crash, temporary never."""
    for error, expected in ((None, after_return), (Boom(), after_crash)):
        a = Part(journal, "a")
        async with running(supervisor(a.spec(restart)), journal):
            journal.take()
            await a.die(error)
            assert expected == journal.take()
        journal.take()


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_a_temporary_sibling_is_stopped_and_not_restarted(
    strategy: Strategy, journal: Journal
) -> None:
    """When others make it stop, a temporary child is gone for good."""
    a, b, c = three(journal)
    tree = supervisor(a, b.spec(Restart.TEMPORARY), c, strategy=strategy)
    async with running(tree, journal):
        journal.take()
        await a.crash()
        assert journal.take() == "-c -b +a a! +c c!"
        assert ["a", "c"] == [child.name for child in tree.census(9)[0]]


async def test_a_finished_transient_sibling_comes_back_with_the_others(journal: Journal) -> None:
    """As in OTP, a group restart starts transient children that had returned."""
    a, b, c = three(journal)
    specs = (a, b.spec(Restart.TRANSIENT), c)
    async with running(supervisor(*specs, strategy=Strategy.ONE_FOR_ALL), journal):
        await b.die(None)
        journal.take()
        await a.crash()
        assert journal.take() == "-c +a a! +b b! +c c!"


async def test_a_temporary_crash_touches_nobody(journal: Journal) -> None:
    """Whatever the strategy, a temporary child's end restarts nothing."""
    a, b, c = three(journal)
    specs = (a, b.spec(Restart.TEMPORARY), c)
    async with running(supervisor(*specs, strategy=Strategy.ONE_FOR_ALL), journal):
        journal.take()
        await b.crash()
        assert journal.take() == ""


async def test_siblings_that_crash_together_are_one_restart(journal: Journal) -> None:
    """An end that a group restart has overtaken means nothing any more."""
    a, b, c = three(journal)
    tree = supervisor(a, b, c, strategy=Strategy.ONE_FOR_ALL)
    async with running(tree, journal):
        journal.take()
        for part in (a, b, c):
            part.die_soon(Boom())
        await wait_all_tasks_blocked()
        assert journal.take() == "+a a! +b b! +c c!"
        assert 1 == tree.statistics().restarts


async def test_a_crash_before_the_later_ones_started(journal: Journal) -> None:
    """A child that fails during the first start restarts before the next one begins."""
    a, b, c = three(journal)
    b.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        life = Lifeline()
        nursery.start_soon(supervisor(a, b, c).run, life)
        await wait_all_tasks_blocked()
        await a.crash()
        b.hold.set()
        await wait_all_tasks_blocked()
        assert journal.take() == "+a a! +b b! +a a! +c c!"
        life.request_stop()


async def test_each_child_stops_within_its_own_time(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child that does not end when asked is cancelled at its deadline; only then the next."""
    a, b, c = three(journal)
    b.stubborn = c.stubborn = True
    specs = (a, b.spec(shutdown_s=2), c.spec(shutdown_s=3))
    async with running(supervisor(*specs), journal):
        journal.take()
    assert journal.take() == "-c xc -b xb -a"
    assert 5 == autojump_clock.current_time()
    assert [("c", 3), ("b", 2)] == [
        (told["child"], told["shutdown_s"]) for told in journal.told("actor.killed")
    ]


async def test_shutdown_of_zero_is_brutal(journal: Journal, autojump_clock: MockClock) -> None:
    """A child with no time to shut down is cancelled without being asked."""
    a = Part(journal, "a")
    async with running(supervisor(a.spec(shutdown_s=0)), journal):
        journal.take()
    assert journal.take() == "xa"
    assert 0 == autojump_clock.current_time()
    assert [] == journal.told("actor.killed"), "that is how it was to end"


async def test_a_nested_supervisor_has_all_the_time_its_children_need(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Slow children of a nested supervisor end in order, one after the other."""
    a, b, c = three(journal)
    a.stubborn = b.stubborn = c.stubborn = True
    inner = Supervisor("inner", [b.spec(), c.spec()])
    async with running(supervisor(a, inner.as_child()), journal):
        journal.take()
    assert journal.take() == "-c xc -b xb -a xa"
    assert 15 == autojump_clock.current_time()


async def test_a_crash_while_stopping_restarts_nothing(journal: Journal) -> None:
    """It is told, and the stop goes on."""
    a, b, c = three(journal)
    b.last_words = Boom("last")
    async with running(supervisor(a, b, c), journal):
        journal.take()
    assert journal.take() == "-c -b -a"
    assert ["b"] == [told["child"] for told in journal.told("actor.crashed")]


async def test_statistics_tell_every_childs_state(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Children are listed in order with state, restarts and age."""
    a, b, c = three(journal)
    tree = supervisor(a, b.spec(Restart.TRANSIENT), c)
    async with running(tree, journal):
        await trio.sleep(10)
        await a.crash()
        await b.die(None)
        await trio.sleep(1)
        states = [(s.name, s.state, s.restarts, s.age_s) for s in tree.census(9)[0]]
        assert [("a", "running", 1, 1), ("b", "ended", 0, 0), ("c", "running", 0, 11)] == states
        assert 11 == autojump_clock.current_time()
        assert "<Supervisor sup [2 of 3 children live]>" == repr(tree)


async def test_statistics_tell_starting_and_stopping(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child not ready is starting; one that was asked to end is stopping."""
    a, b, _ = three(journal)
    a.stubborn, b.hold = True, trio.Event()
    tree = supervisor(a, b)
    async with trio.open_nursery() as nursery:
        life = Lifeline()
        nursery.start_soon(tree.run, life)
        await wait_all_tasks_blocked()
        assert ["running", "starting"] == [s.state for s in tree.census(9)[0]]
        life.request_stop()
        b.hold.set()
        await wait_all_tasks_blocked()
        assert ["stopping", "ended"] == [s.state for s in tree.census(9)[0]]
    assert 5 == autojump_clock.current_time()


async def test_events_tell_a_childs_life(journal: Journal) -> None:
    """Start, crash, restart and stop are told with names and fields."""
    a = Part(journal, "a")
    async with running(supervisor(a), journal):
        boom = Boom()
        await a.die(boom)
    child = {"supervisor": "sup", "child": "a"}
    assert [
        ("actor.started", child),
        ("actor.crashed", {**child, "error": boom, "ready": True}),
        ("actor.started", child),
        ("supervisor.restarted", {**child, "restarts": 1}),
        ("actor.stopped", child),
    ] == journal.events


async def test_two_children_of_one_id_are_a_bug(journal: Journal) -> None:
    """Ids are unique among siblings."""
    a = Part(journal, "a")
    with pytest.raises(AssertionError, match="two children of one id"):
        supervisor(a, a)


async def test_a_supervisor_runs_once_at_a_time(journal: Journal) -> None:
    """Running it twice is a bug, running it again after its end is not."""
    a = Part(journal, "a")
    tree = supervisor(a)
    async with running(tree, journal):
        with pytest.raises(AssertionError, match="sup is running"):
            await tree.run(Lifeline())
    async with running(tree, journal):
        assert 2 == a.lives


async def test_run_root_gives_the_ready_value(journal: Journal) -> None:
    """Under `nursery.start`, the root's ready value comes back once the tree is ready."""
    tree, stop = supervisor(Part(journal, "a")), trio.Event()
    async with trio.open_nursery() as nursery:
        assert tree is await nursery.start(partial(run_root, tree, stop=stop))
        stop.set()


async def test_a_start_that_hangs_is_a_crash(journal: Journal, autojump_clock: MockClock) -> None:
    """It holds up its siblings for its own time to start, and no longer."""
    a, b, c = three(journal)
    tree = supervisor(a, replace(b.spec(), start_s=5), c)
    async with running(tree, journal):
        journal.take()
        b.hold = trio.Event()
        await b.crash()
        await trio.sleep(5)
        b.hold.set()
        await wait_all_tasks_blocked()
        assert "+b xb +b b!" == journal.take()
    errors = [repr(told["error"]) for told in journal.told("actor.crashed")]
    assert ["Boom('b')", "StartTimeout('b was not ready within 5 s')"] == errors
    assert 5 == autojump_clock.current_time()


async def test_a_child_that_is_ready_has_all_the_time(autojump_clock: MockClock) -> None:
    """The time to start says nothing of how long it may live."""
    a = Part(Journal(), "a")
    async with running(supervisor(replace(a.spec(), start_s=5))):
        await trio.sleep(1000)
        assert (True, 1) == (a.alive, a.lives)
    assert 1000 == autojump_clock.current_time()


async def test_a_stop_during_the_start_goes_by_the_time_to_stop(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Whoever is asked to end while it starts is cancelled when that time has passed."""
    a, b, _ = three(journal)
    b.hold = trio.Event()
    life = Lifeline()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor(a, replace(b.spec(shutdown_s=3), start_s=50)).run, life)
        await wait_all_tasks_blocked()
        life.request_stop()
    assert ("+a a! +b xb -a", 3) == (journal.take(), autojump_clock.current_time())
