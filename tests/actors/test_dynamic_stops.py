"""How children of a dynamic supervisor end. Names follow Elixir's DynamicSupervisor suite."""

from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Backoff,
    ChildSpec,
    Lifeline,
    StartFailed,
    run_root,
)
from tests.actors.support import Journal, Part, dynamic, running

STEADY = Backoff(1, 4, reset_after_s=60, jitter=0)


async def test_a_child_stopped_as_it_begins(journal: Journal) -> None:
    """Whichever of start and stop comes first, the caller gets an answer and nobody is left."""
    answers: list[object] = []
    tree = dynamic()

    async def start(part: Part) -> None:
        try:
            answers.append(await tree.start_child(part.spec()))
        except StartFailed as failure:
            answers.append(failure)

    async with running(tree, journal):
        for _ in range(20):  # trio runs the tasks of one pass in either order
            async with trio.open_nursery() as nursery:
                nursery.start_soon(start, Part(journal, "a"))
                await trio.lowlevel.checkpoint()
                await tree.terminate_child("a")
            await tree.terminate_child("a")
        assert (20, 0) == (len(answers), tree.statistics().children)


async def test_terminate_child_with_integer_shutdown(journal: Journal) -> None:
    """The child ends in peace, is not restarted, and is gone when the call returns."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec())
        journal.take()
        assert await tree.terminate_child("a")
        assert ("-a", 0) == (journal.take(), tree.statistics().children)


async def test_terminate_child_with_brutal_kill(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child with no time is cancelled without being asked."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec(shutdown_s=0))
        journal.take()
        await tree.terminate_child("a")
        assert journal.take() == "xa"
    assert 0 == autojump_clock.current_time()


async def test_terminate_child_with_infinity_shutdown(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child with all the time is waited for."""

    async def live(life: Lifeline) -> None:
        life.ready()
        await life.stop_requested.wait()
        await trio.sleep(1000)

    tree = dynamic()
    async with running(tree, journal):
        await tree.start_child(ChildSpec("a", live, shutdown_s=inf))
        await tree.terminate_child("a")
    assert 1000 == autojump_clock.current_time()


async def test_terminate_child_with_expired_integer_shutdown(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child that does not end in time is cancelled, and that is told."""
    a, tree = Part(journal, "a"), dynamic()
    a.stubborn = True
    async with running(tree, journal):
        await tree.start_child(a.spec(shutdown_s=2))
        await tree.terminate_child("a")
    assert 2 == autojump_clock.current_time()
    killed = {"supervisor": "dyn", "child": "a", "shutdown_s": 2}
    assert [killed] == journal.told("actor.killed")


async def test_terminate_restarting_child(journal: Journal, autojump_clock: MockClock) -> None:
    """A child that waits for its restart is gone at once."""
    a, tree = Part(journal, "a"), dynamic()
    async with running(tree, journal):
        await tree.start_child(a.spec(backoff=STEADY))
        await a.crash()
        assert await tree.terminate_child("a")
        assert (1, 0, 0) == (a.lives, tree.statistics().children, autojump_clock.current_time())


async def test_terminate_child_that_starts(journal: Journal, autojump_clock: MockClock) -> None:
    """Whoever waits for its start learns that it failed."""
    a, tree = Part(journal, "a"), dynamic()
    a.hold = trio.Event()

    async def start() -> None:
        with pytest.raises(StartFailed):
            await tree.start_child(a.spec())

    async with running(tree, journal), trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        await tree.terminate_child("a")
    assert 5 == autojump_clock.current_time()


async def test_terminate_unknown_child(journal: Journal) -> None:
    """There is nothing to do."""
    tree = dynamic()
    async with running(tree, journal):
        assert not await tree.terminate_child("a")


async def test_terminate_goes_on_without_its_caller(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """A child asked to stop is cancelled at its deadline although the caller went away."""
    a, tree = Part(journal, "a"), dynamic()
    a.stubborn = True
    async with running(tree, journal):
        await tree.start_child(a.spec(shutdown_s=3))
        with trio.move_on_after(1):
            await tree.terminate_child("a")
        await trio.sleep(3)
        assert not a.alive
    assert 4 == autojump_clock.current_time()


async def test_children_stop_side_by_side(journal: Journal, autojump_clock: MockClock) -> None:
    """Mixed shutdowns: all are asked together, so the longest time is the whole time."""
    parts, tree = [Part(journal, name) for name in "abcd"], dynamic()
    async with running(tree, journal):
        for part, shutdown_s in zip(parts, (0, 1, 4, 5), strict=True):
            part.stubborn = part.name != "d"
            await tree.start_child(part.spec(shutdown_s=shutdown_s))
        journal.take()
    assert 4 == autojump_clock.current_time()
    assert {"xa", "-b", "xb", "-c", "xc", "-d"} == set(journal.take().split())


async def test_cancelled_from_outside_is_never_a_crash(journal: Journal) -> None:
    """Cancelling the supervisor cancels all children, and nothing is restarted."""
    a, tree = Part(journal, "a"), dynamic()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_root, tree)
        await tree.start_child(a.spec())
        nursery.cancel_scope.cancel()
    assert (1, False, []) == (a.lives, a.alive, journal.told("actor.crashed"))
    assert 0 == tree.statistics().children
