"""Actors: how they end, and what others see of it: calls, names, monitors, goodbyes."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorDown,
    DynamicSupervisor,
    NameTaken,
    Overflow,
    Registry,
    Reply,
    StartFailed,
    Supervisor,
    actor_child,
)
from tests.actors.doers import Do, Doer, answer, crash, down_cause, keep, one, stop, wait_for
from tests.actors.support import Boom, Journal, end_of, running


async def test_call_fails_in_the_moment_the_callee_crashes(autojump_clock: MockClock) -> None:
    """While its message is handled; the cause is the crash, and no time passes."""
    async with one() as ref:
        assert "Boom('told to')" == await down_cause(ref, crash)
    assert 0 == autojump_clock.current_time()


async def test_calls_in_the_mailbox_fail_when_the_callee_crashes(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Calls waiting, calls put aside, and those drained and not come to: all fail at once."""
    go, causes = trio.Event(), []

    async def wait_and_crash() -> None:
        await go.wait()
        raise Boom("late")

    async def ask(message: Do) -> None:
        causes.append(await down_cause(ref, message))

    async with one(journal=journal) as ref, trio.open_nursery() as nursery:
        nursery.start_soon(ask, keep)
        await wait_all_tasks_blocked()
        ref.cast(lambda _doer, _reply: wait_and_crash())
        ref.cast(answer(0))  # drained together with the one before, and never handled
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, answer(1))
        nursery.start_soon(ask, answer(2))
        await wait_all_tasks_blocked()
        ref.cast(answer(3))
        go.set()
    assert ["Boom('late')"] * 3 == causes
    assert 0 == autojump_clock.current_time()
    lost = {"supervisor": "dyn", "actor": "doer", "casts": 2, "calls": 2}
    assert [lost] == journal.told("actor.messages_lost")
    told = ref.statistics()
    assert (4, 2, 0) == (told.lost, told.taken, told.waiting)


async def test_call_of_a_dead_actor_fails_at_once() -> None:
    """With the crash that ended it as the cause, or none after an end in peace."""
    async with one() as ref:
        ref.cast(crash)
        await ref.wait_down()
        assert "Boom('told to')" == await down_cause(ref, answer(1))
        assert not ref.alive
    async with one() as ref:
        ref.cast(stop)
        await ref.wait_down()
        assert "None" == await down_cause(ref, answer(1))


async def test_casts_to_a_dead_actor_are_lost_and_counted() -> None:
    """A cast never fails for that; a send, which may wait, does."""
    async with one() as ref:
        ref.cast(stop)
        await ref.wait_down()
        ref.cast(answer(1))
        assert 1 == ref.statistics().lost
        with pytest.raises(ActorDown):
            await ref.send(answer(1))


async def test_writers_in_line_learn_of_the_death() -> None:
    """Sends and calls that wait for room fail with ActorDown."""

    class Small(Doer):
        capacity = 1
        overflow = Overflow.BLOCK

    go = trio.Event()

    async def wait_and_crash() -> None:
        await go.wait()
        raise Boom("full")

    async def send() -> None:
        with pytest.raises(ActorDown):
            await ref.send(answer(1))

    async def call() -> None:
        assert "Boom('full')" == await down_cause(ref, answer(1))

    async with one(Small()) as ref, trio.open_nursery() as nursery:
        ref.cast(lambda _doer, _reply: wait_and_crash())
        await wait_all_tasks_blocked()
        ref.cast(answer(0))
        nursery.start_soon(send)
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        go.set()


async def test_stop_ends_after_the_message_being_handled(journal: Journal) -> None:
    """It says goodbye; messages that wait are lost and counted, and it is not a crash."""
    doer = Doer()
    async with one(doer, journal=journal) as ref:
        ref.cast(stop)
        ref.cast(crash)
        await ref.wait_down()
    assert ["stopping"] == doer.ended
    assert [] == journal.told("actor.crashed")
    assert [(1, 0)] == [(t["casts"], t["calls"]) for t in journal.told("actor.messages_lost")]


async def test_an_actor_asked_to_stop_finishes_its_message(journal: Journal) -> None:
    """The message being handled is handled to its end, and then it says goodbye."""
    doer, done = Doer(), []

    async def work() -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await wait_all_tasks_blocked()
        done.append("done")

    async with one(doer, journal=journal) as ref:
        ref.cast(lambda _doer, _reply: work())
    assert (["done"], ["stopping"]) == (done, doer.ended)
    assert 1 == len(journal.told("actor.stopped"))


async def test_an_actor_that_does_not_end_in_time_is_killed(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Calls to it fail, and it says no goodbye."""
    doer = Doer()
    async with one(doer, journal=journal, shutdown_s=2) as ref:
        ref.cast(wait_for(trio.Event()))
    assert (2, [], False) == (autojump_clock.current_time(), doer.ended, ref.alive)
    assert 1 == len(journal.told("actor.killed"))


async def test_goodbye_in_peace_answers_calls_put_aside() -> None:
    """In `stopping` an actor may still answer; calls it does not answer fail after it."""

    class Polite(Doer):
        async def stopping(self) -> None:
            self.kept[0].send("bye")

    answers: list[object] = []
    async with one(Polite()) as ref, trio.open_nursery() as nursery:

        async def ask() -> None:
            try:
                answers.append(await ref.call(keep, deadline_s=1))
            except ActorDown:
                answers.append("down")

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ref.cast(stop)
    assert ["bye", "down"] == sorted(map(str, answers))


async def test_goodbye_after_a_crash_comes_when_calls_have_failed(
    autojump_clock: MockClock,
) -> None:
    """Callers do not wait for the goodbye of an actor that crashed, and it is bounded."""

    class Slow(Doer):
        async def stopping(self) -> None:
            self.ended.append("begun")
            await trio.sleep_forever()

    slow = Slow()
    async with one(slow, shutdown_s=2) as ref:
        assert "Boom('told to')" == await down_cause(ref, crash)
        assert (0, False) == (autojump_clock.current_time(), ref.alive)
        await trio.sleep(3)
    assert (["begun"], 3) == (slow.ended, autojump_clock.current_time())


async def test_a_crash_is_told_although_the_goodbye_is_cancelled(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """An actor cancelled while it says goodbye after a crash still crashed."""

    class Slow(Doer):
        async def stopping(self) -> None:
            await trio.sleep_forever()

    async with one(Slow(), journal=journal, shutdown_s=2) as ref:
        ref.cast(crash)
        await trio.sleep(1)
    assert 2 == autojump_clock.current_time()
    assert ["told to"] == [str(t["error"]) for t in journal.told("actor.crashed")]
    async with trio.open_nursery() as nursery, one(Slow(), journal=journal) as ref:
        ref.cast(crash)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert "Boom('told to')" in repr(journal.told("actor.crashed")[-1]["error"])
    assert 2 == len(journal.told("actor.crashed"))


async def test_nobody_waits_for_a_goodbye_in_peace() -> None:
    """Calls fail from the moment the actor begins to say goodbye, and casts are lost."""
    go = trio.Event()

    class Slow(Doer):
        async def stopping(self) -> None:
            await go.wait()

    async with one(Slow()) as ref, trio.open_nursery() as nursery:
        ref.cast(stop)
        nursery.start_soon(down_cause, ref, answer(1))
        await wait_all_tasks_blocked()
        ref.cast(answer(2))
        assert "None" == await down_cause(ref, answer(3))
        assert ([], True) == (list(nursery.child_tasks), ref.alive)
        go.set()


async def test_a_crash_in_the_goodbye_joins_the_first(journal: Journal) -> None:
    """Both are told, as one crash."""

    class Clumsy(Doer):
        async def stopping(self) -> None:
            raise ValueError("again")

    async with one(Clumsy(), journal=journal) as ref:
        ref.cast(crash)
    (told,) = journal.told("actor.crashed")
    assert "[Boom('told to'), ValueError('again')]" in repr(told["error"])


async def test_a_crash_in_the_goodbye_in_peace_is_a_crash(journal: Journal) -> None:
    """An actor that fails to say goodbye crashed, and says it once."""

    class Clumsy(Doer):
        async def stopping(self) -> None:
            raise ValueError("once")

    async with one(Clumsy(), journal=journal) as ref:
        ref.cast(stop)
    assert ["ValueError('once')"] == [repr(t["error"]) for t in journal.told("actor.crashed")]


async def test_a_failed_start_says_no_goodbye() -> None:
    """`started` may crash: the start fails, messages sent meanwhile are lost."""

    class Broken(Doer):
        async def started(self) -> None:
            self.ref.cast(crash)
            raise Boom("no")

    broken, journal = Broken(), Journal()
    with pytest.raises(ExceptionGroup) as caught:
        async with one(broken, journal=journal):
            pass
    assert caught.group_contains(StartFailed)
    assert ([], False) == (broken.ended, broken.ref.alive)
    assert 1 == len(journal.told("actor.messages_lost"))


async def test_messages_wait_for_started() -> None:
    """What is cast during the start is handled after it."""

    class Early(Doer):
        async def started(self) -> None:
            self.ref.cast(lambda doer, _: doer.ended.append("cast"))
            await wait_all_tasks_blocked()
            self.ended.append("started")

    early = Early()
    async with one(early) as ref:
        await ref.call(answer(None), deadline_s=1)
        assert ["started", "cast"] == early.ended


async def test_a_ref_belongs_to_one_life() -> None:
    """After a restart the registry has the new one; the old stays down."""
    registry = Registry()
    async with running(Supervisor("sup", [actor_child("doer", Doer, registry=registry)])):
        first = registry.whereis("doer")
        assert first is not None
        first.cast(crash)
        await first.wait_down()
        assert registry.whereis("doer") is None
        await wait_all_tasks_blocked()
        second = registry.whereis("doer")
        assert second is not None
        assert ("<Ref doer [down]>", "<Ref doer [alive]>") == (repr(first), repr(second))
        assert 1 == await second.call(answer(1), deadline_s=1)
    assert ((), None) == (registry.names(), registry.whereis("doer"))


async def test_a_name_is_taken_once() -> None:
    """A second actor of a name fails to start, and the first keeps its name."""
    registry = Registry()
    specs = [actor_child(id, Doer, registry=registry) for id in ("x", "y")]  # noqa: A001 - a spec's own word
    async with running(tree := DynamicSupervisor("dyn", max_children=3)):
        x = await tree.start_child(specs[0])
        with pytest.raises(NameTaken, match="x is registered already"):
            registry.register("x", x)
        other = DynamicSupervisor("other", max_children=1)
        async with running(other):
            with pytest.raises(StartFailed) as caught:
                await other.start_child(specs[0])
        assert isinstance(caught.value.__cause__, NameTaken)
        assert registry.whereis("x") is x
        await tree.start_child(specs[1])
        assert (("x", "y"), 2, "<Registry [2 names]>") == (
            registry.names(),
            len(registry),
            repr(registry),
        )


async def test_an_actor_may_have_more_names() -> None:
    """All of them are free once it is dead, and the dead get none."""
    registry = Registry()
    async with one(registry=registry) as ref:
        registry.register("alias", ref)
        ref.cast(stop)
        await ref.wait_down()
        assert 0 == len(registry)
        with pytest.raises(AssertionError):
            registry.register("late", ref)


async def test_wait_down_wakes_all_who_wait() -> None:
    """Monitors are told when the actor is dead, not before."""
    async with one() as ref, trio.open_nursery() as nursery:
        nursery.start_soon(ref.wait_down)
        nursery.start_soon(ref.wait_down)
        await wait_all_tasks_blocked()
        assert 2 == len(nursery.child_tasks)
        ref.cast(crash)
    assert not ref.alive


async def test_interrupts_of_an_actor_escalate() -> None:
    """KeyboardInterrupt in a handler fails its calls and comes out at the top."""

    def interrupt(_doer: Doer, _reply: Reply) -> None:
        raise KeyboardInterrupt

    registry = Registry()

    async def script() -> None:
        ref = registry.whereis("doer")
        assert ref is not None
        with pytest.raises(ActorDown):
            await ref.call(interrupt, deadline_s=1)

    end = await end_of(Supervisor("sup", [actor_child("doer", Doer, registry=registry)]), script)
    assert isinstance(end, KeyboardInterrupt)
