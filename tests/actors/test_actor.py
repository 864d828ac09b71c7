"""Actors: messages and answers. What a GenServer does, done here."""

import contextvars

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Actor,
    ActorDown,
    CallTimeout,
    DynamicSupervisor,
    MailboxFull,
    Overflow,
    Ref,
    Reply,
    Restart,
    actor_child,
)
from tests.actors.doers import Do, Doer, answer, crash, down_cause, keep, one, wait_for
from tests.actors.support import Journal, running

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


async def test_call_gives_the_answer() -> None:
    """The value sent to the reply comes back."""
    async with one() as ref:
        assert 42 == await ref.call(answer(42), deadline_s=1)


async def test_cast_is_handled_in_order_and_wants_no_answer() -> None:
    """Casts are handled one by one; their reply is nobody's, and takes any number of answers."""
    seen: list[object] = []

    def note(number: int) -> Do:
        def act(_doer: Doer, reply: Reply) -> None:
            reply.send("ignored")
            reply.send("ignored too")
            seen.append((number, reply.wanted))

        return act

    async with one() as ref:
        for number in range(2):
            ref.cast(note(number))
        await ref.send(note(2))
        await ref.call(answer(None), deadline_s=1)
    assert [(number, False) for number in range(3)] == seen


async def test_reply_later_from_another_message() -> None:
    """A reply put aside is sent when its time comes; other messages are handled meanwhile."""

    def answer_kept(doer: Doer, _reply: Reply) -> None:
        assert doer.kept[0].wanted
        doer.kept[0].send("late")

    answers: list[object] = []
    async with one() as ref, trio.open_nursery() as nursery:

        async def ask() -> None:
            answers.append(await ref.call(keep, deadline_s=1))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert 1 == await ref.call(answer(1), deadline_s=1)
        ref.cast(answer_kept)
    assert ["late"] == answers


async def test_answering_twice_is_a_bug() -> None:
    """The second answer crashes whoever gives it."""

    def twice(_doer: Doer, reply: Reply) -> None:
        reply.send(1)
        reply.send(2)

    journal = Journal()
    async with one(journal=journal) as ref:
        assert 1 == await ref.call(twice, deadline_s=1)
        await ref.wait_down()
    assert isinstance(journal.told("actor.crashed")[0]["error"], AssertionError)


async def test_an_actor_does_not_call_itself() -> None:
    """It would wait for itself; that is a bug, found at once."""
    async with one() as ref:
        expected = "AssertionError('doer calls itself')"
        assert expected in await down_cause(ref, lambda d, _: d.ref.call(keep, deadline_s=1))


async def test_call_has_a_deadline(autojump_clock: MockClock) -> None:
    """An actor that lives and does not answer is given up; its late answer is ignored."""
    async with one() as ref:
        with pytest.raises(CallTimeout, match="doer did not answer within 3 s"):
            await ref.call(keep, deadline_s=3)
        assert 3 == autojump_clock.current_time()

        def answer_kept(doer: Doer, reply: Reply) -> None:
            assert not doer.kept[0].wanted
            doer.kept[0].send("too late")
            reply.send("fine")

        assert "fine" == await ref.call(answer_kept, deadline_s=1)


async def test_a_call_must_have_an_end() -> None:
    """An infinite deadline is a bug."""
    async with one() as ref:
        with pytest.raises(AssertionError, match="has inf s"):
            await ref.call(keep, deadline_s=float("inf"))


async def test_a_cancelled_caller_leaves_nothing_behind() -> None:
    """The callee goes on; it can see that nobody waits, and its answer is ignored."""

    def answer_kept(doer: Doer, reply: Reply) -> None:
        wanted = [kept.wanted for kept in doer.kept]
        doer.kept[0].send("nobody hears")
        reply.send(wanted)

    async with one() as ref:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: ref.call(keep, deadline_s=1))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert [False] == await ref.call(answer_kept, deadline_s=1)
        assert {} == ref._calls


@pytest.mark.parametrize(
    ("overflow", "cast_refused", "call_refused"),
    [
        (Overflow.BLOCK, True, False),
        (Overflow.REJECT, True, True),
        (Overflow.DROP_NEWEST, False, True),
        (Overflow.DROP_OLDEST, False, False),
    ],
)
async def test_a_full_mailbox_acts_by_its_policy(
    overflow: Overflow, *, cast_refused: bool, call_refused: bool, autojump_clock: MockClock
) -> None:
    """A cast is refused where its sender must know; a call is never dropped without a word."""

    class Small(Doer):
        capacity = 1

    Small.overflow = overflow
    go = trio.Event()

    async def ask() -> str:
        try:
            return str(await ref.call(answer("answered"), deadline_s=1))
        except MailboxFull:
            return "refused"

    async with one(Small()) as ref:
        ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        ref.cast(answer(0))
        if cast_refused:
            with pytest.raises(MailboxFull):
                ref.cast(answer(1))
        else:
            ref.cast(answer(1))
        async with trio.open_nursery() as nursery:
            results: list[str] = []

            async def note() -> None:
                results.append(await ask())

            nursery.start_soon(note)
            await wait_all_tasks_blocked()
            go.set()
        assert ["refused" if call_refused else "answered"] == results
    assert 0 == autojump_clock.current_time()


async def test_a_call_dropped_as_the_oldest_learns_it() -> None:
    """Under DROP_OLDEST, the caller whose message gave way gets MailboxFull."""

    class Small(Doer):
        capacity = 1
        overflow = Overflow.DROP_OLDEST

    go = trio.Event()

    async def ask() -> None:
        with pytest.raises(MailboxFull):
            await ref.call(answer(1), deadline_s=1)

    async with one(Small()) as ref:
        ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            ref.cast(answer(2))
        go.set()


async def test_waiting_for_room_is_part_of_the_deadline(autojump_clock: MockClock) -> None:
    """Under BLOCK, a call that gets no room in time is a timeout and is not handled."""

    class Small(Doer):
        capacity = 1
        overflow = Overflow.BLOCK

    go = trio.Event()
    async with one(Small()) as ref:
        ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        ref.cast(answer(0))
        with pytest.raises(CallTimeout):
            await ref.call(crash, deadline_s=2)
        go.set()
        assert "alive" == await ref.call(answer("alive"), deadline_s=1)
    assert 2 == autojump_clock.current_time()


async def test_an_actor_without_messages_tells_what_it_got() -> None:
    """An actor that handles nothing crashes on a message, with a message that teaches."""

    class Idle(Actor[str]):
        pass

    async with running(tree := DynamicSupervisor("dyn", max_children=1)):
        ref = await tree.start_child(actor_child("idle", Idle, restart=Restart.TEMPORARY))
        with pytest.raises(ActorDown) as caught:
            await ref.call("hello", deadline_s=1)
    assert "Idle takes no messages, and got 'hello'" in repr(caught.value.__cause__)


async def test_an_actor_does_not_inherit_its_starters_context() -> None:
    """An actor started while a request is handled knows nothing of that request."""

    def tell(_doer: Doer, reply: Reply) -> None:
        reply.send(request_id.get())

    async with running(tree := DynamicSupervisor("dyn", max_children=1)):
        request_id.set("of a request")
        ref: Ref[Do] = await tree.start_child(actor_child("doer", Doer))
        assert "none" == await ref.call(tell, deadline_s=1)


async def test_a_mailbox_is_drained_whole() -> None:
    """Casts made in one step are all handled in one step of the actor."""
    steps: list[int] = []
    async with one() as ref:
        for _ in range(4):
            ref.cast(lambda doer, _: steps.append(doer.ref.statistics().waiting))
        await wait_all_tasks_blocked()
    assert [0, 0, 0, 0] == steps
