"""The supervisor of children that come and go. Names follow Elixir's DynamicSupervisor suite."""

import contextvars

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorDown,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    Lifeline,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    TooManyChildren,
)
from tests.actors.support import Boom, Journal, Part, dynamic, end_of, running

STEADY = Backoff(1, 4, reset_after_s=60, jitter=0)
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


async def test_start_child_returns_the_ready_value(journal: Journal) -> None:
    """The caller waits until the child is ready and gets what it gave."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        assert a is await tree.start_child(a.spec())
        assert journal.take() == "+a a!"


async def test_start_child_with_a_crash_is_a_failed_start(journal: Journal) -> None:
    """The cause is carried, nothing is restarted, and the id is free."""
    a, tree = Part(journal, "a"), dynamic()
    a.faults = [Boom("no")]
    async with running(tree, journal):
        with pytest.raises(StartFailed) as caught:
            await tree.start_child(a.spec())
        assert "Boom('no')" == repr(caught.value.__cause__)
        assert (0, 0) == (tree.statistics().children, tree.statistics().restarts)
        await tree.start_child(a.spec())


async def test_start_child_that_returns_before_it_is_ready(journal: Journal) -> None:
    """An end without an error before the child is ready is a failed start without a cause."""

    async def live(_life: Lifeline) -> None:
        await trio.lowlevel.checkpoint()

    tree = dynamic()
    async with running(tree, journal):
        with pytest.raises(StartFailed) as caught:
            await tree.start_child(ChildSpec("a", live))
        assert caught.value.__cause__ is None


async def test_start_child_already_started(journal: Journal) -> None:
    """One child an id; the error carries the value of the child there is."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec())
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(a.spec())
        assert ("a", a) == (caught.value.child, caught.value.value)


async def test_start_child_with_max_children(journal: Journal) -> None:
    """A full supervisor refuses; one that became free accepts."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(max_children=1)
    async with running(tree, journal):
        await tree.start_child(a.spec())
        with pytest.raises(TooManyChildren, match="dyn has its 1 children"):
            await tree.start_child(b.spec())
        await tree.terminate_child("a")
        await tree.start_child(b.spec())


async def test_restarting_children_count_in_max_children(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child that waits for its restart keeps its place and its id."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(max_children=1)
    async with running(tree, journal):
        await tree.start_child(a.spec(backoff=STEADY))
        await a.crash()
        with pytest.raises(TooManyChildren):
            await tree.start_child(b.spec())
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(a.spec())
        assert caught.value.value is None
    assert (1, 0) == (a.lives, autojump_clock.current_time())


async def test_children_start_side_by_side(journal: Journal) -> None:
    """A slow start holds up nobody else."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic()
    a.hold = trio.Event()
    async with running(tree, journal), trio.open_nursery() as nursery:
        nursery.start_soon(tree.start_child, a.spec())
        await wait_all_tasks_blocked()
        await tree.start_child(b.spec())
        assert journal.take() == "+a +b b!"
        a.hold.set()


async def test_a_cancelled_caller_stops_the_child_it_waits_for(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A start that nobody waits for any more leaves no child behind."""
    a, tree = Part(journal, "a"), dynamic()
    a.hold = trio.Event()
    async with running(tree, journal):
        with trio.move_on_after(1):
            await tree.start_child(a.spec(shutdown_s=2))
        assert a.alive
        await trio.sleep(3)
        assert ("+a xa", 0) == (journal.take(), tree.statistics().children)
    assert 4 == autojump_clock.current_time()


async def test_a_caller_cancelled_at_once_starts_nothing(journal: Journal) -> None:
    """A child whose caller is gone before its first step never begins."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        with trio.CancelScope() as scope:
            scope.cancel()
            await tree.start_child(a.spec())
        await wait_all_tasks_blocked()
        assert (False, 0) == (a.alive, tree.statistics().children)


async def test_start_child_of_a_supervisor_that_does_not_run(journal: Journal) -> None:
    """Before it runs and after it ended, a supervisor is down."""
    a, tree = Part(journal, "a"), dynamic()
    with pytest.raises(ActorDown):
        await tree.start_child(a.spec())
    async with running(tree, journal):
        pass
    with pytest.raises(ActorDown):
        await tree.start_child(a.spec())


async def test_start_child_while_stopping(journal: Journal, autojump_clock: MockClock) -> None:
    """A supervisor that stops takes no more children."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic()
    a.stubborn = True
    async with running(tree, journal) as stop:
        await tree.start_child(a.spec())
        stop.set()
        await wait_all_tasks_blocked()
        with pytest.raises(ActorDown):
            await tree.start_child(b.spec())
    assert 5 == autojump_clock.current_time()


async def test_temporary_child_is_not_restarted(journal: Journal) -> None:
    """Neither after a return nor after a crash."""
    tree = dynamic()
    async with running(tree, journal):
        for error in (None, Boom()):
            a = Part(journal, "a")
            await tree.start_child(a.spec(Restart.TEMPORARY))
            await a.die(error)
            assert (1, 0) == (a.lives, tree.statistics().children)


async def test_transient_child_is_restarted_unless_it_returned(journal: Journal) -> None:
    """After a crash it comes back, after a return it is gone."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec(Restart.TRANSIENT))
        await a.crash()
        assert (2, 1) == (a.lives, tree.statistics().children)
        await a.die(None)
        assert (2, 0) == (a.lives, tree.statistics().children)


async def test_permanent_child_is_always_restarted(journal: Journal) -> None:
    """After a return and after a crash; each restart is told."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec())
        await a.die(None)
        await a.crash()
        assert (3, 1) == (a.lives, tree.statistics().children)
    expected = [{"supervisor": "dyn", "child": "a", "restarts": n} for n in (1, 2)]
    assert expected == journal.told("supervisor.restarted")


async def test_child_is_restarted_when_trying_again(journal: Journal) -> None:
    """A restart that fails to start is tried again within the intensity."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec())
        a.faults = [Boom(), Boom()]
        await a.crash()
        assert (True, 4, 3) == (a.alive, a.lives, tree.statistics().restarts)


@pytest.mark.parametrize("when", ["crashing", "trying_again"])
async def test_child_triggers_maximum_restarts(when: str, journal: Journal) -> None:
    """One failure too many, of whichever child, stops them all."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(restarts=1)

    async def script() -> None:
        await tree.start_child(a.spec())
        await tree.start_child(b.spec())
        if when == "trying_again":
            a.faults = [Boom("again")]
        await a.crash()
        await b.crash()

    end = await end_of(tree, script, journal)
    assert isinstance(end, RestartIntensityExceeded)
    assert (2, False, False) == (len(end.history), a.alive, b.alive)
    assert 1 == len(journal.told("supervisor.escalated"))


async def test_backoff_waits_alone(journal: Journal, autojump_clock: MockClock) -> None:
    """Each child has waits of its own."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(restarts=9)
    async with running(tree, journal):
        await tree.start_child(a.spec(backoff=STEADY))
        await tree.start_child(b.spec(backoff=STEADY))
        await a.crash()
        await trio.sleep(1.5)
        await a.crash()
        await b.crash()
        await trio.sleep(5)
    assert ([0, 1, 3.5], [0, 2.5]) == (a.ready_at, b.ready_at)
    assert 6.5 == autojump_clock.current_time()


async def test_a_child_does_not_inherit_its_callers_context(journal: Journal) -> None:
    """Every life of it has the context variables of the supervisor."""
    seen: list[str] = []
    crash = trio.Event()

    async def live(life: Lifeline) -> None:
        seen.append(request_id.get())
        life.ready()
        if len(seen) == 1:
            await crash.wait()
            raise Boom
        await life.stop_requested.wait()

    tree = dynamic()
    request_id.set("the supervisor's")
    async with running(tree, journal):
        request_id.set("a request's")
        await tree.start_child(ChildSpec("a", live))
        crash.set()
        await wait_all_tasks_blocked()
    assert ["the supervisor's"] * 2 == seen


async def test_statistics_count_children(journal: Journal) -> None:
    """What lives, what was started, the peak, the bound and the restarts."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec())
        await tree.start_child(b.spec())
        await a.crash()
        await tree.terminate_child("b")
        told = tree.statistics()
        assert (1, 2, 10) == (told.children, told.children_peak, told.max_children)
        assert (2, 1) == (told.started, told.restarts)
        assert "<DynamicSupervisor dyn [1 of 10]>" == repr(tree)
