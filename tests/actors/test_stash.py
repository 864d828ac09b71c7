"""Actors with a stash: their address outlives a crash, and poison does not come back for ever."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorDown,
    Backoff,
    CallTimeout,
    DynamicSupervisor,
    End,
    MessageQuarantined,
    Overflow,
    Ref,
    Registry,
    Reply,
    Restart,
    Strategy,
    Supervisor,
    System,
    actor_child,
)
from tests.actors.doers import Do, Doer, answer, crash, keep, stop, wait_for
from tests.actors.support import Boom, Journal, Part, running

PAUSE = Backoff(first_s=1, ceiling_s=1, reset_after_s=0, jitter=0)


class Stasher(Doer):
    """A doer with a stash. A message may crash three lives."""

    stash = True
    attempts = 3
    overflow = Overflow.BLOCK


class Cautious(Stasher):
    """One that tries nothing twice."""

    attempts = 1


class Note:
    """A message that notes who handles it, and crashes the first lives."""

    def __init__(self, lives: list[Doer], crashes: int = 0) -> None:
        self.lives = lives
        self.crashes = crashes

    def __call__(self, doer: Doer, reply: Reply) -> None:
        """Note this life; crash if that is still due, and else answer."""
        self.lives.append(doer)
        if len(self.lives) <= self.crashes:
            raise Boom(f"life {len(self.lives)}")
        reply.send(len(self.lives))


@asynccontextmanager
async def stasher(
    make: Callable[[], Doer] = Stasher,
    *,
    told: Journal | System | None = None,
    restart: Restart = Restart.PERMANENT,
    backoff: Backoff | None = None,
    registry: Registry | None = None,
) -> AsyncIterator[tuple[DynamicSupervisor, Ref[Do]]]:
    """One actor under a supervisor, as long as the block runs."""
    tree = DynamicSupervisor("dyn", max_children=1)
    spec = actor_child("doer", make, restart=restart, backoff=backoff, registry=registry)
    async with running(tree, told):
        yield tree, await tree.start_child(spec)


async def test_messages_wait_for_the_next_life(autojump_clock: MockClock) -> None:
    """While an actor waits for its restart its address takes messages, in order."""
    lives: list[Doer] = []
    async with stasher(backoff=PAUSE) as (_, ref):
        ref.cast(Note(lives, crashes=1))
        await wait_all_tasks_blocked()
        assert (1, True) == (len(lives), ref.alive)
        ref.cast(Note(lives))
        assert 4 == await ref.call(Note(lives), deadline_s=5)
    assert lives[1] is lives[2] is lives[3] is not lives[0]
    assert 1 == autojump_clock.current_time()


async def test_a_message_that_crashed_is_tried_again_first() -> None:
    """It comes before those that waited behind it, and a call of it is answered in the end."""
    lives: list[Doer] = []
    order: list[str] = []
    async with stasher() as (_, ref), trio.open_nursery() as nursery:

        async def ask() -> None:
            order.append(f"answer {await ref.call(Note(lives, crashes=2), deadline_s=5)}")

        nursery.start_soon(ask)
        nursery.start_soon(ref.send, lambda _doer, _reply: order.append("behind"))
    assert ["answer 3", "behind"] in (order, order[::-1])
    assert 3 == len(set(map(id, lives)))


async def test_poison_is_quarantined_and_reported(journal: Journal) -> None:
    """After three lives a message is set aside, and those behind it are handled."""
    lives: list[Doer] = []
    system = System(journal.emit)
    async with stasher(told=system) as (tree, ref):
        poison = Note(lives, crashes=99)
        ref.cast(poison)
        assert "fine" == await ref.call(answer("fine"), deadline_s=5)
        assert (3, 3) == (len(lives), tree.statistics().restarts)
        told = ref.statistics()
    assert (1, 0, 1) == (told.quarantined, told.waiting, system.statistics().quarantined)
    (case,) = system.quarantine.cases()
    assert (poison, "doer", 3, "Boom('life 3')") == (
        case.message,
        case.actor,
        case.attempts,
        repr(case.error),
    )
    (fields,) = journal.told("actor.quarantined")
    assert ("dyn", "doer", 3, "Note") == tuple(
        fields[name] for name in ("supervisor", "actor", "attempts", "message")
    )


async def test_a_caller_learns_of_the_quarantine() -> None:
    """Its error names the last crash as its cause."""
    async with stasher() as (_, ref):
        with pytest.raises(MessageQuarantined) as caught:
            await ref.call(Note([], crashes=99), deadline_s=5)
        assert "Boom('life 3')" == repr(caught.value.__cause__)
        assert ref.alive


async def test_one_attempt_retries_nothing() -> None:
    """What crashes is set aside at once; the rest waits for the next life."""
    lives: list[Doer] = []
    async with stasher(Cautious) as (_, ref):
        ref.cast(Note(lives, crashes=99))
        assert 2 == await ref.call(Note(lives), deadline_s=5)
        assert 1 == ref.statistics().quarantined
    assert 2 == len(lives)


async def test_equal_messages_are_counted_apart() -> None:
    """Attempts belong to one message, and not to all that are the same object."""
    crashes = iter([True, False, True, True, False])
    seen: list[bool] = []

    def sometimes(_doer: Doer, _reply: Reply) -> None:
        seen.append(next(crashes))
        if seen[-1]:
            raise Boom

    async with stasher() as (_, ref):
        for _ in range(2):
            ref.cast(sometimes)
        await wait_all_tasks_blocked()
        assert (0, 5) == (ref.statistics().quarantined, len(seen))


async def test_a_call_that_was_answered_is_not_tried_again() -> None:
    """It is over, though its handling crashed after the answer."""
    handled: list[Doer] = []

    def answer_and_crash(doer: Doer, reply: Reply) -> None:
        handled.append(doer)
        reply.send("yes")
        raise Boom

    async with stasher() as (_, ref):
        assert "yes" == await ref.call(answer_and_crash, deadline_s=5)
        await wait_all_tasks_blocked()
        assert (1, 0) == (len(handled), ref.statistics().waiting)


async def test_a_call_whose_caller_left_is_not_tried_again(autojump_clock: MockClock) -> None:
    """Nobody wants it any more."""
    lives: list[Doer] = []
    async with stasher(backoff=PAUSE) as (_, ref):
        with pytest.raises(CallTimeout):
            await ref.call(Note(lives, crashes=9), deadline_s=0.5)
        await trio.sleep(2)
        assert 2 == len(lives), "it was put back while the caller waited, and handled once more"
    assert autojump_clock.current_time() > 2


async def test_calls_put_aside_fail_with_their_life() -> None:
    """The next life knows nothing of them, so their callers do not wait for it."""
    ends: list[str] = []
    async with stasher() as (_, ref), trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.call(keep, deadline_s=5)
            ends.append(repr(caught.value.__cause__))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ref.cast(Note([], crashes=1))
        await wait_all_tasks_blocked()
        assert ["Boom('life 1')"] == ends


async def test_the_name_stays_through_a_restart(autojump_clock: MockClock) -> None:
    """Who looks for the actor while it restarts finds the address at which messages wait."""
    registry = Registry()
    async with stasher(backoff=PAUSE, registry=registry) as (_, ref):
        ref.cast(Note([], crashes=1))
        await wait_all_tasks_blocked()
        assert ref is registry.whereis("doer")
        assert 1 == await ref.call(Note([]), deadline_s=5)
        assert ref is registry.whereis("doer")
    assert registry.whereis("doer") is None
    assert 1 == autojump_clock.current_time()


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
async def test_the_end_for_good_is_the_end_of_the_address(
    restart: Restart, journal: Journal
) -> None:
    """Where no life follows, messages are lost and counted, and calls fail."""
    go_on = trio.Event()
    async with stasher(told=journal, restart=restart) as (_, ref), trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ActorDown):
                await ref.call(answer(1), deadline_s=5)

        ref.cast(wait_for(go_on))
        ref.cast(stop)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)
        ref.cast(keep)
        await wait_all_tasks_blocked()
        go_on.set()
        down = await ref.wait_down()
    assert (End.PEACE, None, 2) == (down.end, down.crash, ref.statistics().lost)
    assert [(1, 1)] == [
        (told["casts"], told["calls"]) for told in journal.told("actor.messages_lost")
    ]


async def test_a_temporary_one_that_crashes_loses_what_waits() -> None:
    """Its Ref says what ended it."""
    async with stasher(restart=Restart.TEMPORARY) as (_, ref):
        ref.cast(crash)
        ref.cast(answer(1))
        down = await ref.wait_down()
    assert (End.CRASH, "Boom('told to')") == (down.end, repr(down.crash))
    assert 2 == ref.statistics().lost, "the one in hand would have been tried again"


async def test_a_stop_of_the_supervisor_ends_the_address() -> None:
    """Those who wait for a restart learn that there is none."""
    tree = DynamicSupervisor("dyn", max_children=1)
    async with trio.open_nursery() as nursery, running(tree) as stopping:
        ref: Ref[Do] = await tree.start_child(actor_child("doer", Stasher, backoff=PAUSE))

        async def ask() -> None:
            with pytest.raises(ActorDown) as caught:
                await ref.call(answer(1), deadline_s=99)
            assert "Boom('life 1')" == repr(caught.value.__cause__)

        ref.cast(Note([], crashes=1))
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        stopping.set()
        assert End.CRASH is (await ref.wait_down()).end


@pytest.mark.parametrize("cut", ["stopped", "cancelled"])
async def test_a_static_supervisor_ends_the_address_too(cut: str) -> None:
    """However it ends, nobody is left waiting."""
    tree = Supervisor("sup", [actor_child("doer", Stasher, backoff=PAUSE)])
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with running(tree) as stopping:
                ref: Ref[Do] = tree.value_of("doer")
                ref.cast(Note([], crashes=1))
                await wait_all_tasks_blocked()
                ref.cast(answer(1))
                nursery.start_soon(ref.wait_down)
                if cut == "stopped":
                    stopping.set()
                else:
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
    assert (False, 2) == (ref.alive, ref.statistics().lost)


async def test_a_sibling_that_fails_takes_no_messages_with_it(journal: Journal) -> None:
    """An actor that is restarted for another's sake finds what waited for it."""
    part, lives = Part(journal, "part"), list[Doer]()
    go_on = trio.Event()
    tree = Supervisor(
        "sup", [part.spec(), actor_child("doer", Stasher)], strategy=Strategy.ONE_FOR_ALL
    )
    async with running(tree, journal):
        ref: Ref[Do] = tree.value_of("doer")
        ref.cast(wait_for(go_on))
        ref.cast(Note(lives))
        await wait_all_tasks_blocked()
        part.die_soon(Boom())
        await wait_all_tasks_blocked()
        go_on.set()
        await wait_all_tasks_blocked()
        assert (1, True, 0) == (len(lives), ref.alive, ref.statistics().lost)
    assert [] == journal.told("actor.quarantined")


async def test_a_killed_life_puts_back_what_it_had_in_hand(autojump_clock: MockClock) -> None:
    """One that does not end in time is cancelled; its message counts as tried."""
    lives: list[Doer] = []

    async def hang(doer: Doer) -> None:
        lives.append(doer)
        if len(lives) == 1:
            await trio.sleep_forever()

    tree = Supervisor("sup", [actor_child("doer", Stasher, shutdown_s=1)])
    async with running(tree):
        ref: Ref[Do] = tree.value_of("doer")
        ref.cast(lambda doer, _: hang(doer))
        await wait_all_tasks_blocked()
        ref.crash(Boom("from outside"))
        assert "yes" == await ref.call(answer("yes"), deadline_s=5)
    assert 2 == len(set(map(id, lives)))
    assert 0 == autojump_clock.current_time()


async def test_a_call_still_in_line_is_not_put_aside(autojump_clock: MockClock) -> None:
    """A caller that waits for room through a crash is answered by the next life."""

    class Narrow(Stasher):
        capacity = 1

    answers: list[object] = []
    async with stasher(Narrow, backoff=PAUSE) as (_, ref), trio.open_nursery() as nursery:

        async def ask(number: int) -> None:
            answers.append(await ref.call(answer(number), deadline_s=5))

        ref.cast(Note([], crashes=1))
        for number in range(3):
            nursery.start_soon(ask, number)
            await wait_all_tasks_blocked()
    assert ({0, 1, 2}, 1) == (set(answers), autojump_clock.current_time())
