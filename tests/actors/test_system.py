"""What all parts of one tree share: above all, what nobody handled."""

import random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Lifeline,
    MailboxFull,
    Overflow,
    PartitionSupervisor,
    Ref,
    Supervisor,
    System,
    Tally,
    actor_child,
)
from tests.actors.company import boom, company, tell
from tests.actors.doers import Do, Doer, answer, stop, wait_for
from tests.actors.support import Boom, Journal, Part, running


class Choosy(Doer):
    """One with room for one."""

    capacity = 1


class Dropping(Choosy):
    """One that drops the oldest."""

    overflow = Overflow.DROP_OLDEST


class Latest(Choosy):
    """One to which every message is news of the same."""

    overflow = Overflow.KEEP_LATEST

    @classmethod
    def key_of(cls, message: Do) -> str:
        """Its class, which is that of all."""
        return type(message).__name__


class Stashing(Choosy):
    """One that tries once."""

    stash = True
    attempts = 1


async def fill(refs: list[Ref[Do]]) -> trio.Event:
    """Have each handle one message until the event is set, and one wait."""
    go = trio.Event()
    for ref in refs:
        ref.cast(wait_for(go))
    await wait_all_tasks_blocked()
    for ref in refs:
        ref.cast(answer(None))
    return go


async def test_every_loss_of_every_actor_is_counted_once() -> None:
    """In its own mailbox and in that of the whole tree, by why it was lost."""
    system = System()
    async with company(Choosy, Choosy, Dropping, Latest, Stashing, told=system) as refs:
        choosy, other, dropping, latest, stashing = refs
        assert Tally() == system.statistics()
        stashing.cast(boom())
        await wait_all_tasks_blocked()
        assert Tally(quarantined=1) == system.statistics()
        go = await fill([choosy, other, dropping, latest])
        for ref in (choosy, choosy, other):
            with pytest.raises(MailboxFull):
                ref.cast(answer(None))
        for _ in range(4):
            dropping.cast(answer(None))
        for _ in range(5):
            latest.cast(answer(None))
        expected = Tally(dropped=4, replaced=5, refused=3, quarantined=1)
        assert expected == system.statistics()
        each = [ref.statistics() for ref in refs]
        assert [2, 1, 0, 0, 0] == [told.refused for told in each]
        assert [0, 0, 4, 0, 0] == [told.dropped for told in each]
        assert [0, 0, 0, 5, 0] == [told.replaced for told in each]
        assert [0, 0, 0, 0, 1] == [told.quarantined for told in each]
        go.set()


async def test_the_dead_count_too() -> None:
    """What waited when an actor died, what comes later, and writers in line are all lost."""

    class Patient(Choosy):
        overflow = Overflow.BLOCK

    system = System()
    async with company(Patient, Choosy, told=system) as (patient, choosy):
        await fill([patient, choosy])
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.RaisesExc(Exception, match="a is down"):
                    await patient.send(answer(None))

            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            for ref in (patient, choosy):
                ref.crash(Boom("imposed"))
        assert Tally(lost=3) == system.statistics()
        for ref in (patient, choosy, choosy):
            ref.cast(answer(None))
        assert Tally(lost=6) == system.statistics()
        assert [3, 3] == [ref.statistics().lost for ref in (patient, choosy)]


async def test_what_came_just_before_a_stop_is_lost() -> None:
    """A stop is ahead of all that waits, also where the actor slept when both came."""
    system, seen = System(), list[int]()
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree, system):
        ref: Ref[Do] = await tree.start_child(actor_child("a", Doer))
        await wait_all_tasks_blocked()
        for _ in range(2):
            ref.cast(lambda _doer, _reply: seen.append(1))
        await tree.terminate_child("a")
        assert ([], Tally(lost=2)) == (seen, system.statistics())


async def test_the_sum_outlives_restarts_and_trees() -> None:
    """An actor that starts anew counts from nothing, the system goes on; it may run again."""
    system = System()
    for round_ in (1, 2):
        tree = Supervisor("sup", [actor_child("doer", Choosy)])
        async with running(tree, system):
            first: Ref[Do] = tree.value_of("doer")
            first.cast(stop)
            await first.wait_down()
            first.cast(answer(None))
            await wait_all_tasks_blocked()
            assert (1, 0) == (first.statistics().lost, tree.value_of("doer").statistics().lost)
        assert Tally(lost=round_) == system.statistics()


def test_statistics_are_a_copy() -> None:
    """Numbers of one moment: they do not change under who reads them, nor are they changed."""
    system = System()
    before = system.statistics()
    system.tally.lost += 1
    assert (Tally(), Tally(lost=1)) == (before, system.statistics())
    before.dropped += 1
    assert Tally(lost=1) == system.statistics()


async def test_two_trees_share_nothing() -> None:
    """Each has its own numbers, timers, quarantine and events."""
    journals = [Journal(), Journal()]
    systems = [System(journal.emit) for journal in journals]
    trees = [DynamicSupervisor(name, max_children=1) for name in ("one", "two")]
    async with running(trees[0], systems[0]), running(trees[1], systems[1]):
        refs: list[Ref[Do]] = [await tree.start_child(actor_child("a", Stashing)) for tree in trees]
        await tell(refs[0], lambda doer: doer.send_after(9, answer(None)))
        assert [1, 0] == [system.timers.statistics().started for system in systems]
        refs[0].cast(boom())
        await wait_all_tasks_blocked()
        assert [Tally(quarantined=1), Tally()] == [system.statistics() for system in systems]
        assert [1, 0] == [system.quarantine.statistics().kept for system in systems]
        assert [1, 0] == [len(journal.told("actor.crashed")) for journal in journals]
        looks = [system.tree() for system in systems]
        assert ["one", "two"] == [look.name for look in looks if look is not None]


async def test_everything_below_has_the_system_of_the_root() -> None:
    """It is handed from supervisor to child, of every kind, and to the parts of one."""
    lives: list[Lifeline] = []

    async def live(life: Lifeline) -> None:
        lives.extend([life, life.part("part")])
        life.ready()
        await life.stop_requested.wait()

    system, spec = System(), ChildSpec("task", live)
    some = DynamicSupervisor("dynamic", max_children=1)
    shards = PartitionSupervisor("shards", lambda _: spec, partitions=1)
    inner = Supervisor("static", [some.as_child(), shards.as_child()])
    async with running(Supervisor("root", [inner.as_child(), spec]), system):
        await some.start_child(spec)
    assert [system] * 6 == [life.system for life in lives]


async def test_chance_decides_the_jitter_of_a_backoff(autojump_clock: MockClock) -> None:
    """The system's own, of every kind of supervisor: the same seed gives the same delays."""

    async def delays(seed: int) -> list[float]:
        parts = [Part(Journal(), name) for name in ("static", "dynamic")]
        some = DynamicSupervisor("dyn", max_children=1)
        slow = Backoff(10, 10, jitter=0.5)
        tree = Supervisor("sup", [some.as_child(), parts[0].spec(backoff=slow)])
        async with running(tree, System(chance=random.Random(seed))):
            await some.start_child(parts[1].spec(backoff=slow))
            begun = trio.current_time()
            for part in parts:
                await part.crash()
            await trio.sleep(30)
        return [part.ready_at[1] - begun for part in parts]

    first, again, other = [await delays(seed) for seed in (1, 1, 2)]
    assert first == pytest.approx(again)
    assert other != pytest.approx(first)
    assert first[0] != pytest.approx(first[1])
    assert 90 == autojump_clock.current_time()
