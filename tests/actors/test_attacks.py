"""What attacks on this layer found: each as the least that shows it."""

import random
from contextlib import suppress
from typing import ClassVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors import (
    Actor,
    ActorDown,
    Backoff,
    ChildSpec,
    Down,
    DynamicSupervisor,
    End,
    Intensity,
    Lifeline,
    Lives,
    MailboxFull,
    MessageQuarantined,
    Overflow,
    Ref,
    Reply,
    Restart,
    RestartIntensityExceeded,
    Supervisor,
    System,
    VirtualActors,
    actor_child,
    run_root,
    running,
)
from actors.seeded import under_seeds
from tests.actors.support import Boom, Journal


class Fragile(Actor[str]):
    """Crashes when told to."""

    async def handle(self, message: str, reply: Reply) -> None:
        """Crash, or answer with the message."""
        if message == "crash":
            raise Boom(message)
        reply.send(message)


@under_seeds()
async def test_a_child_stopped_in_the_moment_of_its_crash_waits_for_no_backoff(
    chance: random.Random,
) -> None:
    """Its pause may be ahead of it, or begun."""
    shop = DynamicSupervisor("shop", max_children=1)
    async with running(shop):
        slow = Backoff(first_s=30.0, jitter=0)
        ref = await shop.start_child(actor_child("till", Fragile, backoff=slow))
        ref.cast("crash")
        for _ in range(chance.randrange(8)):
            await trio.lowlevel.checkpoint()
        await shop.terminate_child("till")
        assert trio.current_time() == 0


async def crash_in_a_tree() -> None:
    """Be told in the block, by an error, of a crash that the tree does not survive."""
    shop = DynamicSupervisor("shop", max_children=1, intensity=Intensity(restarts=0))
    async with running(shop):
        ref = await shop.start_child(actor_child("till", Fragile))
        await ref.call("crash", deadline_s=1)


async def test_why_a_tree_gave_up_comes_out_beside_what_left_the_block() -> None:
    """The block is left because the tree gives up, which is cancelled in the middle of it."""
    with pytest.raises(ExceptionGroup) as group:
        await crash_in_a_tree()
    assert {type(error) for error in group.value.exceptions} == {
        ActorDown,
        RestartIntensityExceeded,
    }


class Unlucky(Actor[int]):
    """Crashes with each message, after a while in which others come."""

    stash = True
    attempts = 3
    capacity = 4

    async def handle(self, message: int, reply: Reply) -> None:
        """Crash."""
        await trio.sleep(1)
        raise Boom(str(message))


class UnluckyWithNews(Unlucky):
    """The same for news, each of a key of its own."""

    overflow = Overflow.KEEP_LATEST

    @classmethod
    def key_of(cls, message: int) -> int:
        """Its own."""
        return message


@pytest.mark.parametrize("kind", [Unlucky, UnluckyWithNews])
async def test_a_mailbox_that_outlives_many_crashes_keeps_its_bound(
    autojump_clock: MockClock, kind: type[Unlucky]
) -> None:
    """What a life took is given back, and what came meanwhile waits: twice the capacity."""
    shop = DynamicSupervisor("shop", max_children=1, intensity=Intensity(1_000))
    async with running(shop):
        ref = await shop.start_child(actor_child("till", kind))
        for number in range(200):
            with suppress(MailboxFull):
                ref.cast(number)
            await trio.sleep(0.1)
        assert autojump_clock.current_time() > 19
        now = ref.statistics()
        assert now.quarantined == 6  # after three seconds each
        assert now.peak <= 2 * kind.capacity
        told = (now.waiting, now.taken, now.dropped, now.replaced, now.refused, now.quarantined)
        assert sum(told) == 200


async def test_a_start_that_was_too_late_is_a_crash_though_it_came_to_its_end(
    autojump_clock: MockClock,
) -> None:
    """A start may not be cancelled everywhere; a transient child would never have come back."""
    lives: list[Lifeline] = []

    async def live(life: Lifeline) -> None:
        lives.append(life)
        soon = trio.current_time() + 60
        with trio.CancelScope(deadline=soon, shield=len(lives) == 2):
            await trio.sleep(5 if len(lives) == 2 else 0)
        life.ready()
        if len(lives) == 1:
            raise Boom
        await life.stop_requested.wait()

    async with running(ChildSpec("late", live, Restart.TRANSIENT, start_s=1)):
        await trio.sleep(10)
        assert len(lives) == 3
    assert autojump_clock.current_time() == 15


async def test_lives_may_be_ended_one_after_the_other_while_one_goes_through_them() -> None:
    """That changes the tree that is gone through."""
    shop, system = DynamicSupervisor("shop", max_children=5), System()
    async with running(shop, system):
        for name in "abcde":
            await shop.start_child(actor_child(name, Fragile, restart=Restart.TEMPORARY))
        for _, life in system.lives():
            if life.name != "shop":
                life.crash(Boom())
                await trio.testing.wait_all_tasks_blocked()
        assert shop.statistics().children == 0


class Brief(Actor[object]):
    """Ends in peace after each message, and takes its time for that."""

    stash = True
    attempts = 3

    async def handle(self, message: object, reply: Reply) -> None:
        """End."""
        self.stop()

    async def stopping(self) -> None:
        """Take time."""
        await trio.sleep(1)


async def interrupt_the_second_life(downs: list[Down], made: list[str]) -> None:
    """Have a virtual actor's second life, at the same address, interrupted as it is made."""

    def make(key: str) -> Brief:
        made.append(key)
        if len(made) > 1:
            raise KeyboardInterrupt
        return Brief()

    actors = VirtualActors("actors", Brief, make, Lives(idle_s=10, max_live=1))
    async with running(actors):
        actors.cast("key", 1)
        ref = actors.whereis("key")
        assert ref is not None
        ref.watch(downs.append)
        await trio.sleep(0.5)
        actors.cast("key", 2)
        await trio.sleep_forever()


async def test_how_one_life_ended_says_nothing_of_the_next(autojump_clock: MockClock) -> None:
    """It began to be made, and made again, since the first one had ended in peace."""
    downs: list[Down] = []
    made: list[str] = []
    with pytest.raises(BaseExceptionGroup) as group:
        await interrupt_the_second_life(downs, made)
    assert group.value.subgroup(KeyboardInterrupt) is not None
    assert made == ["key", "key"]
    assert [down.end for down in downs] == [End.KILL]
    assert autojump_clock.current_time() < 3


async def test_a_quarantined_message_says_so() -> None:
    """And not that its actor is down, which it may not be."""
    told = "till crashed on it too often, so it is not tried again"
    assert str(MessageQuarantined("till")) == told


class Stashing(Fragile):
    """The same, with a stash."""

    stash = True
    attempts = 3


@pytest.mark.parametrize("kind", [Fragile, Stashing])
async def test_a_watch_that_raises_costs_nobody_the_news(
    journal: Journal, kind: type[Fragile]
) -> None:
    """Neither others who watch, nor callers, nor the siblings; and it is told."""
    downs: list[Down] = []
    error = Boom("watching")

    def fail(_down: Down) -> None:
        raise error

    shop = DynamicSupervisor("shop", max_children=2)
    async with running(shop, System(journal.emit)):
        till: Ref[str] = await shop.start_child(actor_child("till", kind))
        other: Ref[str] = await shop.start_child(actor_child("other", Fragile))
        till.watch(fail)
        till.watch(downs.append)
        await shop.terminate_child("till")
        assert downs == [await till.wait_down()]
        assert await other.call("hello", deadline_s=1) == "hello"
    assert journal.told("watch.crashed") == [
        {"supervisor": "shop", "actor": "till", "error": error}
    ]


async def test_a_watch_that_is_cancelled_in_the_moment_of_the_end_is_not_told() -> None:
    """By another one, which is told before it."""
    downs: list[Down] = []
    shop = DynamicSupervisor("shop", max_children=1)
    async with running(shop):
        till: Ref[str] = await shop.start_child(actor_child("till", Fragile))
        till.watch(lambda _: later.cancel())
        later = till.watch(downs.append)
        await shop.terminate_child("till")
    assert not till.alive
    assert downs == []


class Haunted(Actor[str]):
    """Has a task that sets a timer when it is cancelled, after the actor has ended."""

    stash = True
    attempts = 3
    runs_tasks = True
    heard: ClassVar[list[str]] = []

    async def handle(self, message: str, reply: Reply) -> None:
        """Note it."""
        self.heard.append(message)
        if message == "crash":
            self.start_soon(self.haunt)
            await trio.testing.wait_all_tasks_blocked()
            raise Boom

    async def haunt(self) -> None:
        """Set it."""
        try:
            await trio.sleep_forever()
        finally:
            self.send_after(1, "a dead one's")


async def test_no_timer_of_a_dead_life_comes_to_the_next(autojump_clock: MockClock) -> None:
    """They have the mailbox in common."""
    shop, system = DynamicSupervisor("shop", max_children=1), System()
    async with running(shop, system):
        till = await shop.start_child(actor_child("till", Haunted))
        till.cast("crash")
        await trio.sleep(10)
    assert Haunted.heard == ["crash"] * 3
    assert system.timers.statistics().waiting == 0
    assert autojump_clock.current_time() == 10


async def test_a_dynamic_supervisor_does_not_run_twice_at_a_time() -> None:
    """Not even without children: the second run would take what the first one starts."""
    shop = DynamicSupervisor("shop", max_children=1)
    async with running(shop):
        with pytest.raises(AssertionError, match="shop is running"):
            await run_root(shop)
        assert (await shop.start_child(actor_child("till", Fragile))).alive


async def test_a_child_that_swallows_its_crash_has_crashed_all_the_same(journal: Journal) -> None:
    """A transient one would have been gone for good."""
    lives: list[Lifeline] = []

    async def live(life: Lifeline) -> None:
        lives.append(life)
        life.ready()
        with suppress(trio.Cancelled):
            await life.stop_requested.wait()

    error = Boom()
    async with running(ChildSpec("deaf", live, Restart.TRANSIENT), System(journal.emit)):
        lives[0].crash(error)
        await trio.testing.wait_all_tasks_blocked()
        assert len(lives) == 2
    (crashed,) = journal.told("actor.crashed")
    assert crashed["error"] is error


class Bequest:
    """A legacy that cannot be dissolved, against the contract."""

    def dissolve(self) -> None:
        """Raise."""
        raise Boom("dissolved")


async def test_who_asked_is_told_though_a_legacy_cannot_be_dissolved() -> None:
    """The fault comes out of the run, and nobody waits for what it would have done."""
    go_on, told = trio.Event(), list[str]()

    async def leave(life: Lifeline) -> None:
        life.legacy = Bequest()
        life.ready()
        await life.stop_requested.wait()
        await go_on.wait()

    tree, life = Supervisor("sup", [ChildSpec("a", leave)]), Lifeline()

    async def run() -> None:
        with pytest.raises(Boom, match="dissolved"):
            await tree.run(life)

    async def ask() -> None:
        with pytest.raises(ActorDown):
            await tree.terminate_child("a")
        told.append("down")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        life.request_stop()
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        with trio.fail_after(5):
            await trio.testing.wait_all_tasks_blocked()
        assert told == ["down"]
