"""An actor's own tasks: what they may do, and how they end with it and it with them."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorDown,
    Belonging,
    DynamicSupervisor,
    End,
    Ref,
    Reply,
    StartFailed,
    Supervisor,
    actor_child,
)
from tests.actors.company import Social, Tasked, boom, company, down_of, tell
from tests.actors.doers import Do, Doer, answer, crash, one, stop, wait_for
from tests.actors.support import Boom, Journal, end_of, running


async def fail(error: Exception) -> None:
    """Raise this very error."""
    raise error


async def until_cancelled(lines: list[str], name: str = "task") -> None:
    """Wait, and say how the wait ended."""
    try:
        await trio.sleep_forever()
    finally:
        lines.append(f"x{name}")


def begin(work: Callable[..., Awaitable[object]], *args: object) -> Callable[[Doer], None]:
    """Start a task."""
    return lambda actor: actor.start_soon(work, *args)


class Farewell(Tasked):
    """One that says when it stops, and may be held up there."""

    def __init__(self, lines: list[str], hold: trio.Event | None = None) -> None:
        super().__init__()
        self.lines = lines
        self.hold = hold

    async def stopping(self) -> None:
        """Say so."""
        self.lines.append("stopping")
        if self.hold is not None:
            await self.hold.wait()


async def test_a_task_runs_beside_the_messages() -> None:
    """It shares the actor's state and address; messages are handled meanwhile."""
    go = trio.Event()
    async with company(Tasked) as (ref,):

        async def work(tasked: Tasked, value: int) -> None:
            await go.wait()
            tasked.ended.append(f"worked on {value}")
            # A task is not the one that handles messages, so it may call its own actor.
            assert "called" == await tasked.ref.call(answer("called"), deadline_s=1)
            tasked.ended.append("was answered")

        await tell(ref, lambda tasked: tasked.start_soon(work, tasked, 7))
        assert [] == await tell(ref, lambda tasked: tasked.ended)
        go.set()
        await wait_all_tasks_blocked()
        assert ["worked on 7", "was answered"] == await tell(ref, lambda tasked: tasked.ended)


async def test_a_task_may_answer_what_was_put_aside() -> None:
    """And may ask for all that a handler may: a timer, a monitor, another task, an end."""
    async with company(Tasked, Doer) as (ref, other):
        nested: list[Belonging] = []

        async def answer_later(tasked: Tasked) -> None:
            nested.append(tasked.monitor(other))
            tasked.start_soon(answer_now, tasked)

        async def answer_now(tasked: Tasked) -> None:
            await trio.lowlevel.checkpoint()
            tasked.kept[0].send("late")
            tasked.stop()

        def put_aside(tasked: Doer, reply: Reply) -> None:
            tasked.kept.append(reply)
            tasked.start_soon(answer_later, tasked)

        assert "late" == await ref.call(put_aside, deadline_s=1)
        assert ("peace", 1, {}) == (await down_of(ref), len(nested), other._watches)


async def test_a_crash_of_a_task_is_the_crash_of_the_actor(journal: Journal) -> None:
    """With that very error: its callers, its watchers and its supervisor see the same one."""
    error = Boom("of a task")
    error.__cause__ = cause = ValueError("the cause")
    go = trio.Event()

    async def wait_and_fail() -> None:
        await go.wait()
        await fail(error)

    async with company(Tasked, Social, told=journal) as (ref, watcher):
        await tell(watcher, lambda social: social.monitor(ref))
        await tell(ref, begin(wait_and_fail))

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.call(wait_for(trio.Event()), deadline_s=9)
            assert error is caught.value.__cause__

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            go.set()
        assert error is await tell(watcher, lambda social: social.downs[0].crash)
    assert ([error], cause) == (
        [told["error"] for told in journal.told("actor.crashed")],
        error.__cause__,
    )


async def test_a_task_that_crashed_leaves_no_time_for_a_goodbye() -> None:
    """Its fellows are cancelled, `stopping` is not called, as when anybody else imposes a crash."""
    lines: list[str] = []
    async with company(lambda: Farewell(lines)) as (ref,):
        await tell(ref, begin(until_cancelled, lines))
        await wait_all_tasks_blocked()
        await tell(ref, begin(fail, Boom("of a task")))
        assert "crash Boom('of a task')" == await down_of(ref)
    assert ["xtask"] == lines


async def test_the_first_of_two_crashing_tasks_counts(journal: Journal) -> None:
    """The other's error is one of a life that is over."""
    first = Boom("first")
    async with company(Tasked, told=journal) as (ref,):

        def both(tasked: Tasked) -> None:
            go = trio.Event()
            tasked.start_soon(fail_after, go, Boom("second"))
            tasked.start_soon(fail_and_set, go, first)

        await tell(ref, both)
        assert first is (await ref.wait_down()).crash
    assert [first] == [told["error"] for told in journal.told("actor.crashed")]


async def fail_after(go: trio.Event, error: Exception) -> None:
    """Fail when somebody else did."""
    try:
        await go.wait()
    finally:
        raise error


async def fail_and_set(go: trio.Event, error: Exception) -> None:
    """Fail, and let others fail too."""
    go.set()
    await fail(error)


@pytest.mark.parametrize("end", [stop, boom()], ids=["peace", "crash"])
async def test_tasks_are_cancelled_when_the_goodbye_is_over(end: Do) -> None:
    """They work on while the actor says goodbye, and have ended before its supervisor hears."""
    lines: list[str] = []
    hold = trio.Event()
    journal = Journal()
    async with company(lambda: Farewell(lines, hold), told=journal) as (ref,):
        await tell(ref, begin(until_cancelled, lines))
        ref.cast(end)
        await wait_all_tasks_blocked()
        assert ["stopping"] == lines
        assert [] == journal.told("actor.stopped") + journal.told("actor.crashed")
        hold.set()
        await wait_all_tasks_blocked()
        assert ["stopping", "xtask"] == lines
        assert 1 == len(journal.told("actor.stopped") + journal.told("actor.crashed"))


async def test_a_supervisor_stops_an_actor_with_tasks(autojump_clock: MockClock) -> None:
    """In order, at once: a task that waits for the stop sees it; one that does not is cancelled."""
    lines: list[str] = []

    async def heed(tasked: Tasked) -> None:
        await tasked.stop_requested.wait()
        lines.append("heeded")

    async with company(lambda: Farewell(lines)) as (ref,):
        await tell(ref, lambda tasked: tasked.start_soon(heed, tasked))
        await tell(ref, begin(until_cancelled, lines))
    assert (["stopping", "xtask"], End.SHUTDOWN) == (sorted(lines)[-2:], ref.down.end)
    assert ("heeded" in lines, 0) == (True, autojump_clock.current_time())


async def test_a_task_that_does_not_end_is_killed_with_its_actor(
    autojump_clock: MockClock, journal: Journal
) -> None:
    """The time to shut down is for all of it; a goodbye that takes too long is cut off."""
    lines: list[str] = []
    forever = trio.Event()
    async with company(lambda: Farewell(lines, forever), told=journal, shutdown_s=3) as (ref,):
        await tell(ref, begin(until_cancelled, lines))
    assert (["stopping", "xtask"], End.KILL) == (lines, ref.down.end)
    assert (1, 3) == (len(journal.told("actor.killed")), autojump_clock.current_time())


async def test_a_crash_is_told_although_the_goodbye_with_tasks_is_cancelled(
    autojump_clock: MockClock, journal: Journal
) -> None:
    """A crash is never lost, though the time of a stop is over before the goodbye is."""
    lines: list[str] = []

    async def crash_later(_doer: Doer, _reply: Reply) -> None:
        await trio.sleep(1)
        raise Boom("told to")

    async with company(lambda: Farewell(lines, trio.Event()), told=journal, shutdown_s=3) as (ref,):
        await tell(ref, begin(until_cancelled, lines))
        ref.cast(crash_later)
        await wait_all_tasks_blocked()
    (told,) = journal.told("actor.crashed")
    assert "Boom('told to')" in repr(told["error"])
    assert ("crash Boom('told to')", 3) == (await down_of(ref), autojump_clock.current_time())


async def test_trouble_of_a_task_that_is_cancelled_at_the_end_is_told(journal: Journal) -> None:
    """The actor ended in peace, but its supervisor hears of what its clean-up raised."""
    error = Boom("in the clean-up")
    async with company(Tasked, told=journal) as (ref,):
        await tell(ref, begin(fail_after, trio.Event(), error))
        await wait_all_tasks_blocked()
        ref.cast(stop)
        assert "peace" == await down_of(ref)
        await wait_all_tasks_blocked()
        assert [error] == [told["error"] for told in journal.told("actor.crashed")]
        assert [] == journal.told("actor.stopped")


async def test_trouble_of_a_task_does_not_hide_a_crash(journal: Journal) -> None:
    """What crashed the actor comes first."""
    async with company(Tasked, told=journal) as (ref,):
        await tell(ref, begin(fail_after, trio.Event(), Boom("in the clean-up")))
        await wait_all_tasks_blocked()
        ref.cast(boom())
        assert "crash Boom('told to')" == await down_of(ref)
        await wait_all_tasks_blocked()
        assert ["Boom('told to')"] == [
            repr(told["error"]) for told in journal.told("actor.crashed")
        ]


async def test_an_interrupt_in_a_task_escalates() -> None:
    """As it does from a handler: it comes out at the top as it was raised."""

    async def interrupt() -> None:
        raise KeyboardInterrupt

    class Interrupted(Tasked):
        async def started(self) -> None:
            self.start_soon(interrupt)

    async def script() -> None:
        await wait_all_tasks_blocked()

    tree = Supervisor("sup", [actor_child("doer", Interrupted)])
    assert isinstance(await end_of(tree, script), KeyboardInterrupt)


async def test_a_start_that_fails_ends_its_tasks(journal: Journal) -> None:
    """What failed is the start, and nothing of it goes on."""
    lines: list[str] = []

    class Hapless(Tasked):
        async def started(self) -> None:
            self.start_soon(until_cancelled, lines)
            await trio.lowlevel.checkpoint()
            raise Boom("cannot start")

    with pytest.RaisesGroup(pytest.RaisesExc(StartFailed), flatten_subgroups=True):
        async with company(Hapless, told=journal):
            raise AssertionError("it started")
    assert ["xtask"] == lines
    assert ["Boom('cannot start')"] == [
        repr(told["error"]) for told in journal.told("actor.crashed")
    ]


async def test_a_task_that_crashes_during_the_start_fails_it() -> None:
    """An actor is not ready with a part of it gone."""

    class Hapless(Tasked):
        async def started(self) -> None:
            self.start_soon(fail, Boom("of a task"))
            await trio.sleep_forever()

    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree):
        with pytest.raises(StartFailed) as caught:
            await tree.start_child(actor_child("hapless", Hapless))
    assert "Boom('of a task')" == repr(caught.value.__cause__)


async def test_each_life_has_tasks_of_its_own() -> None:
    """After a restart the tasks of the life before are gone, and new ones may start."""
    lines: list[str] = []
    refs: list[Ref[Do]] = []

    class Lasting(Tasked):
        async def started(self) -> None:
            refs.append(self.ref)
            self.start_soon(until_cancelled, lines, f"life {len(refs)}")

    async with running(Supervisor("sup", [actor_child("doer", Lasting)])):
        await wait_all_tasks_blocked()
        refs[0].cast(crash)
        await wait_all_tasks_blocked()
        assert (2, ["xlife 1"], True) == (len(refs), lines, refs[1].alive)
    assert ["xlife 1", "xlife 2"] == lines


async def test_an_actor_without_tasks_starts_none() -> None:
    """It says which class lacks the word."""
    async with one() as ref:
        ref.cast(lambda doer, _: doer.start_soon(trio.sleep_forever))
        assert "crash AssertionError('Doer has runs_tasks = False')" == await down_of(ref)
