"""One life of a child: what counts as a crash, what passes through, what the lifeline tells."""

from functools import partial

import pytest
import trio

from actors import ChildSpec, Lifeline, Supervisor, System, run_root
from actors.child import Child
from tests.actors.support import Boom, Journal, Part, running, system_of


def supervisor(*specs: ChildSpec) -> Supervisor:
    """A supervisor of these children."""
    return Supervisor("sup", specs)


async def start(nursery: trio.Nursery, journal: Journal, *specs: ChildSpec) -> None:
    """Run a supervisor of these children."""
    await nursery.start(partial(run_root, supervisor(*specs), system=system_of(journal)))


async def test_cancelled_from_outside_is_never_a_crash(journal: Journal) -> None:
    """Cancelling the supervisor cancels its children, and nothing crashed or restarted."""
    a, b = Part(journal, "a"), Part(journal, "b")
    async with trio.open_nursery() as nursery:
        await start(nursery, journal, a.spec(), b.spec())
        nursery.cancel_scope.cancel()
    assert (1, 1) == (a.lives, b.lives)
    assert [] == journal.told("actor.crashed")
    assert (False, False) == (a.alive, b.alive)


async def test_a_cancellation_from_outside_is_no_escalation(journal: Journal) -> None:
    """A life cancelled by a scope further out reports nothing and passes it on."""
    child = Child(
        Part(journal, "a").spec(),
        supervisor="sup",
        system=System(),
        legacy=None,
        tell=lambda _child: None,
    )
    with trio.CancelScope() as scope:
        scope.cancel()
        await child.run()
        raise AssertionError("the cancellation was kept")
    assert (True, None, None) == (child.ended, child.error, child.escalation)
    assert scope.cancelled_caught


async def test_an_error_beside_a_cancellation_is_told(journal: Journal) -> None:
    """What a child raises because it is cancelled from outside is told and goes no further."""
    a = Part(journal, "a")
    a.last_words = Boom("beside")
    async with trio.open_nursery() as nursery:
        await start(nursery, journal, a.spec())
        nursery.cancel_scope.cancel()
    assert ["Boom('beside')"] == [repr(told["error"]) for told in journal.told("actor.crashed")]


async def test_errors_of_several_tasks_beside_a_cancellation_are_told(journal: Journal) -> None:
    """A group of Cancelled and errors goes on as Cancelled alone."""

    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("late")

    async def live(life: Lifeline) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_late)
            nursery.start_soon(trio.sleep_forever)
            life.ready()

    async with trio.open_nursery() as nursery:
        await start(nursery, journal, ChildSpec("a", live))
        nursery.cancel_scope.cancel()
    assert 1 == len(journal.told("actor.crashed"))


async def test_an_exception_group_is_one_crash(journal: Journal) -> None:
    """However many tasks of a child fail, its supervisor restarts it once."""
    a = Part(journal, "a")
    tree = supervisor(a.spec())
    async with running(tree, journal):
        await a.die(ExceptionGroup("two", [Boom(), ValueError()]))
        assert (2, 1) == (a.lives, tree.statistics().restarts)


async def test_a_lifeline_tells_a_late_listener() -> None:
    """Who asks for `stop_requested`, or to be called, after the request is told at once."""
    life, told = Lifeline(), list[str]()
    life.request_stop()
    life.on_stop(lambda: told.append("asked"))
    life.request_stop()
    assert (["asked"], True) == (told, life.stop_requested.is_set())
    life.ready(1)
    with pytest.raises(AssertionError, match="ready once"):
        life.ready(2)
    assert 1 == life.value
