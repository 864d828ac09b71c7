"""Crashes imposed from outside: a life ends as if that error had left it."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    BRUTAL,
    ActorDown,
    ChildSpec,
    DynamicSupervisor,
    End,
    Intensity,
    Lifeline,
    Ref,
    Registry,
    RestartIntensityExceeded,
    StartFailed,
    Supervisor,
    actor_child,
)
from tests.actors.company import Social, Trapper, company, down_of, tell
from tests.actors.doers import Do, Doer, answer, stop, wait_for
from tests.actors.support import Boom, Journal, end_of, running


class Task:
    """A child that is no actor, and hands out its lifelines."""

    def __init__(self) -> None:
        self.lives: list[Lifeline] = []
        self.lines: list[str] = []
        self.bye = trio.Event()

    async def run(self, life: Lifeline) -> None:
        """Live until asked to stop, and then until the goodbye is over."""
        self.lives.append(life)
        life.ready()
        try:
            await life.stop_requested.wait()
            self.lines.append("stopping")
            await self.bye.wait()
        except trio.Cancelled:
            self.lines.append("cancelled")
            raise

    @property
    def life(self) -> Lifeline:
        """Of the last life."""
        return self.lives[-1]


def errors(journal: Journal) -> list[object]:
    """What crashed whatever crashed."""
    return [told["error"] for told in journal.told("actor.crashed")]


async def test_the_imposed_error_is_the_crash_and_a_restart_follows(journal: Journal) -> None:
    """It is told and kept with its cause, as any crash; the next life is another."""
    task, error = Task(), Boom("imposed")
    error.__cause__ = ValueError("the cause")
    tree = Supervisor("sup", [ChildSpec("task", task.run)])
    async with running(tree, journal):
        task.life.crash(error)
        await wait_all_tasks_blocked()
        assert ([error], 2, 1) == (errors(journal), len(task.lives), tree.statistics().restarts)
        assert "the cause" == str(error.__cause__)
        assert [] == journal.told("actor.killed") + journal.told("actor.stopped")
        assert ["ended", "running"] == [life.state for life in task.lives]
        task.bye.set()


async def test_it_counts_against_the_intensity() -> None:
    """A supervisor whose child is crashed again and again gives up, with that error as cause."""
    task, error = Task(), Boom("imposed")

    async def script() -> None:
        for _ in range(2):
            task.life.crash(error)
            await wait_all_tasks_blocked()

    tree = Supervisor("sup", [ChildSpec("task", task.run)], intensity=Intensity(1, 5))
    end = await end_of(tree, script)
    assert isinstance(end, RestartIntensityExceeded)
    assert (error, [error, error]) == (end.__cause__, [failure.error for failure in end.history])


async def test_the_first_of_several_counts(journal: Journal) -> None:
    """Those after it change nothing, nor do they crash the next life."""
    task, first = Task(), Boom("first")
    async with running(Supervisor("sup", [ChildSpec("task", task.run)]), journal):
        life = task.life
        life.crash(first)
        life.crash(Boom("second"))
        await wait_all_tasks_blocked()
        life.crash(Boom("of one that ended"))
        await wait_all_tasks_blocked()
        assert ([first], 2) == (errors(journal), len(task.lives))
        task.bye.set()


async def test_one_that_ended_stays_so(journal: Journal) -> None:
    """Also where nothing follows: it ended in peace, and that is what was told."""
    task = Task()
    tree = Supervisor("sup", [ChildSpec("task", task.run)])
    task.bye.set()
    async with running(tree, journal):
        await tree.terminate_child("task")
        task.life.crash(Boom("late"))
        await wait_all_tasks_blocked()
        assert ([], None, "ended") == (errors(journal), task.life.imposed, task.life.state)
        assert 1 == len(journal.told("actor.stopped"))


async def test_one_that_is_stopping_ends_at_once(
    autojump_clock: MockClock, journal: Journal
) -> None:
    """The goodbye is cut off, the crash is told, and whoever stops it goes on; none follows."""
    task, error = Task(), Boom("imposed")
    tree = Supervisor("sup", [ChildSpec("task", task.run)])
    async with running(tree, journal), trio.open_nursery() as nursery:
        nursery.start_soon(tree.terminate_child, "task")
        await wait_all_tasks_blocked()
        assert "stopping" == task.life.state
        task.life.crash(error)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
        assert ([error], 1) == (errors(journal), len(task.lives))
        assert ["stopping", "cancelled"] == task.lines
    assert (0, 0) == (autojump_clock.current_time(), tree.statistics().restarts)


async def test_a_start_is_crashed_too() -> None:
    """It fails with that error as cause; later it is one more failure of a restart."""
    lives: list[Lifeline] = []

    async def hang(life: Lifeline) -> None:
        lives.append(life)
        await trio.sleep_forever()

    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree), trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(StartFailed) as caught:
                await tree.start_child(ChildSpec("hang", hang))
            assert "imposed" == str(caught.value.__cause__)

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        lives[0].crash(Boom("imposed"))


async def test_an_error_of_its_own_comes_before_the_imposed_one(journal: Journal) -> None:
    """What left the child in the same moment is what ended it."""

    async def crash_both(life: Lifeline) -> None:
        life.ready()
        life.crash(Boom("imposed"))
        raise Boom("its own")

    tree = DynamicSupervisor("dyn", max_children=1, intensity=Intensity(0, 5))
    end = await end_of(tree, lambda: tree.start_child(ChildSpec("task", crash_both)), journal)
    assert ("its own", ["its own"]) == (str(end.__cause__), [str(e) for e in errors(journal)])


async def test_roots_and_parts_have_nobody_to_crash_under() -> None:
    """Crashing those is a bug of whoever tries."""
    life = Lifeline("root")
    part = life.part("part")
    for each in (life, part):
        with pytest.raises(AssertionError, match=f"{each.name} has no supervisor to crash under"):
            each.crash(Boom())


# Actors.


async def test_an_actor_is_crashed_in_the_midst_of_a_message() -> None:
    """Its callers, waiting or put aside, learn of that very error, and its name is free."""
    registry, error = Registry(), Boom("imposed")
    tree = Supervisor("sup", [actor_child("doer", Social, registry=registry)])
    causes: list[object] = []

    async def ask(message: Do) -> None:
        with pytest.raises(ActorDown) as caught:
            await ref.call(message, deadline_s=9)
        causes.append(caught.value.__cause__)

    async with running(tree), trio.open_nursery() as nursery:
        ref = await registry.wait_for("doer")
        for message in (lambda d, r: d.kept.append(r), wait_for(trio.Event()), answer(1)):
            nursery.start_soon(ask, message)
            await wait_all_tasks_blocked()
        ref.crash(error)
        assert (True, ref) == (ref.alive, registry.whereis("doer"))  # it had no time to end yet
        await wait_all_tasks_blocked()
        again = registry.whereis("doer")
        assert ([error] * 3, End.CRASH, error) == (causes, ref.down.end, ref.down.crash)
        assert (again is ref, 1) == (False, tree.statistics().restarts)
        ref.crash(Boom("of the dead"))
        await wait_all_tasks_blocked()
        assert again is registry.whereis("doer")


async def test_an_actor_that_is_crashed_says_no_goodbye() -> None:
    """There is no time for it, and the actor does not hear what ended it."""
    doer = Doer()
    async with company(lambda: doer) as (ref,):
        ref.crash(Boom("imposed"))
        assert "crash Boom('imposed')" == await down_of(ref)
        await wait_all_tasks_blocked()
    assert [] == doer.ended


async def test_a_goodbye_is_cut_off_by_a_crash(journal: Journal) -> None:
    """An actor that was ending in peace crashed after all."""

    class Slow(Doer):
        async def stopping(self) -> None:
            await trio.sleep_forever()

    async with company(Slow, told=journal) as (ref,):
        ref.cast(stop)
        await wait_all_tasks_blocked()
        ref.crash(Boom("imposed"))
        assert "crash Boom('imposed')" == await down_of(ref)
        await wait_all_tasks_blocked()
        assert ["imposed"] == [str(error) for error in errors(journal)]


@pytest.mark.parametrize("ends_itself", [False, True])
async def test_an_actor_that_crashes_itself_handles_nothing_more(
    *, ends_itself: bool, journal: Journal
) -> None:
    """Not the messages it took already, nor does it end in peace if it asked for that, too."""
    seen: list[str] = []
    error = Boom("imposed")

    def crash_self(doer: Doer, _reply: object) -> None:
        doer.ref.crash(error)
        if ends_itself:
            doer.stop()
        seen.append("first")

    async with company(Doer, told=journal) as (ref,):
        ref.cast(crash_self)
        ref.cast(lambda _doer, _reply: seen.append("second"))
        down = await ref.wait_down()
        await wait_all_tasks_blocked()
        assert (["first"], End.CRASH, error) == (seen, down.end, down.crash)
        assert ([error], 1) == (errors(journal), journal.told("actor.messages_lost")[0]["casts"])


async def test_an_actor_may_crash_itself_in_its_goodbye(journal: Journal) -> None:
    """By linking one that crashed, say: it does not end in peace then, and hands nothing over."""

    class Late(Doer):
        async def stopping(self) -> None:
            self.link(dead)

        def hand_over(self) -> object:
            raise AssertionError("a crashed actor was asked for its state")

    async with company(Doer) as (dead,):
        dead.crash(Boom("imposed"))
        await dead.wait_down()
        async with company(Late, told=journal) as (ref,):
            ref.cast(stop)
            assert "crash LinkedActorDown" in await down_of(ref)
            await wait_all_tasks_blocked()
            assert ["LinkedActorDown"] == [type(error).__name__ for error in errors(journal)]


async def test_linking_the_dead_stops_the_message_after_it() -> None:
    """What follows a crashed one handles no more messages, nor news it has already."""
    seen: list[str] = []

    def link_and_go_on(doer: Doer, _reply: object) -> None:
        doer.link(dead)
        doer.monitor(dead)

    class Noting(Social):
        async def handle_down(self, down: object) -> None:
            seen.append(repr(down))

    async with company(Noting, Doer) as (ref, dead):
        dead.crash(Boom("imposed"))
        await dead.wait_down()
        ref.cast(link_and_go_on)
        ref.cast(lambda _doer, _reply: seen.append("second"))
        assert "LinkedActorDown" in await down_of(ref)
    assert [] == seen


async def test_a_crash_does_not_wait_for_a_message_that_comes_to_its_end() -> None:
    """One whose wait is over in that moment finishes its message, and begins no other."""
    seen: list[str] = []
    go = trio.Event()

    async def wait_then_note(_doer: Doer, _reply: object) -> None:
        await go.wait()
        seen.append("first")

    async with company(Doer) as (ref,):
        ref.cast(wait_then_note)
        ref.cast(lambda _doer, _reply: seen.append("second"))
        await wait_all_tasks_blocked()
        go.set()
        ref.crash(Boom("imposed"))
        assert "crash Boom('imposed')" == await down_of(ref)
    assert ["first"] == seen


async def test_a_trapper_is_crashed_by_name_all_the_same() -> None:
    """Trapping is for links; whoever is told to crash does."""
    async with company(Trapper) as (ref,):
        await tell(ref, lambda _: None)
        ref.crash(Boom("imposed"))
        assert "crash Boom('imposed')" == await down_of(ref)


async def test_a_crash_before_the_first_step_is_the_end_of_it(journal: Journal) -> None:
    """A child that is given no time, and one that is asked to stop in that moment, crashed."""
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree, journal):
        ref: Ref[Do] = await tree.start_child(actor_child("a", Doer, shutdown_s=BRUTAL))
        async with trio.open_nursery() as nursery:
            ref.crash(Boom("imposed"))
            nursery.start_soon(tree.terminate_child, "a")
        assert "crash Boom('imposed')" == await down_of(ref)
        assert (["imposed"], 0) == ([str(e) for e in errors(journal)], tree.statistics().children)
