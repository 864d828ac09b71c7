"""Partitions, names and groups: cases of Elixir's PartitionSupervisor and Registry.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorDown,
    ChildSpec,
    DynamicSupervisor,
    Groups,
    Intensity,
    Lifeline,
    NameTaken,
    PartitionSupervisor,
    Ref,
    Registry,
    Restart,
    StartFailed,
    Supervisor,
    actor_child,
)
from actors.limits import PARTITIONS_MAX
from tests.actors.doers import Do, Doer, answer, crash, one, stop, wait_for
from tests.actors.looks import children, states
from tests.actors.support import Journal, Part, running

KEYS = [f"key {number}" for number in range(100)]


def numbered(number: int) -> ChildSpec:
    """A child that gives its partition's number to `ready`."""

    async def live(life: Lifeline) -> None:
        life.ready(number)
        await life.stop_requested.wait()

    return ChildSpec("child", live)


def of_supervisors(number: int) -> ChildSpec:
    """A partition that is a supervisor itself."""
    return DynamicSupervisor(f"dyn{number}", max_children=len(KEYS)).as_child()


# Partitions ---------------------------------------------------------------------------------------


def test_partition_child_spec() -> None:
    """Elixir PartitionSupervisor: uses the atom name as id. As any supervisor's."""
    parts = PartitionSupervisor("parts", numbered, partitions=3)
    plain = Supervisor("parts", []).as_child()
    spec = parts.as_child()
    assert (plain.id, plain.restart, plain.shutdown_s) == (spec.id, spec.restart, spec.shutdown_s)


async def test_partition_on_success() -> None:
    """Elixir PartitionSupervisor: on success with atom name. Each key has a home, and only one."""
    parts = PartitionSupervisor("parts", of_supervisors, partitions=4)
    async with running(parts):
        for key in KEYS:
            await parts.of(key).start_child(replace(numbered(0), id=key))
        homes = {child.name: home for home in parts.all() for child in children(home)}
        assert {key: parts.of(key) for key in KEYS} == homes
        assert set(parts.all()) == set(homes.values()), "a hundred keys leave none of four empty"


async def test_partition_with_arguments() -> None:
    """Elixir PartitionSupervisor: with_arguments. Each partition is made with its number."""
    parts = PartitionSupervisor("parts", numbered, partitions=3)
    async with running(parts):
        assert ((0, 1, 2), 3) == (parts.all(), parts.partitions)
        assert {parts.partition_of(key) for key in KEYS} == {0, 1, 2}
        assert [parts.partition_of(key) for key in KEYS] == [parts.of(key) for key in KEYS]


async def test_partition_of_a_key_is_always_the_same() -> None:
    """A key's partition is no accident of a process: these are what they were, and must remain."""
    parts = PartitionSupervisor("parts", numbered, partitions=1000)
    assert [0, 907, 494] == [parts.partition_of(key) for key in ("", "a", "key 42")]


@pytest.mark.parametrize("partitions", [0, -1, PARTITIONS_MAX + 1])
def test_partition_raises_on_bad_partitions(partitions: int) -> None:
    """Elixir PartitionSupervisor: raises on bad partitions. There is at least one."""
    with pytest.raises(AssertionError, match=f"parts has {partitions} partitions"):
        PartitionSupervisor("parts", numbered, partitions=partitions)


async def test_partition_stop_is_synchronous(journal: Journal) -> None:
    """Elixir PartitionSupervisor: stop/1 is synchronous. Then nobody is there, as before it ran."""
    parts = [Part(journal, str(number)) for number in range(3)]
    tree = PartitionSupervisor("parts", lambda number: parts[number].spec(), partitions=3)
    for _ in range(2):
        with pytest.raises(ActorDown, match="parts is down"):
            tree.of("key")
        async with running(tree):
            assert [True] * 3 == [part.alive for part in parts]
        assert ([False] * 3, ()) == ([part.alive for part in parts], tree.all())


async def test_partition_fails_alone(journal: Journal) -> None:
    """Elixir PartitionSupervisor: a partition that restarts is not there, and the others are."""
    parts = [Part(journal, str(number)) for number in range(3)]
    tree = PartitionSupervisor(
        "parts", lambda number: parts[number].spec(), partitions=3, intensity=Intensity(9, 5)
    )
    async with running(tree):
        go = parts[1].hold = trio.Event()
        await parts[1].crash()
        assert (parts[0], parts[2]) == tree.all()
        with pytest.raises(ActorDown, match="parts/1 is down"):
            tree.of(next(key for key in KEYS if tree.partition_of(key) == 1))
        go.set()
        await wait_all_tasks_blocked()
        assert [1, 2, 1] == [part.lives for part in parts]
        assert 1 == tree.statistics().restarts


@pytest.mark.parametrize("kind", ["task", "supervisor"])
async def test_partition_which_children(kind: str) -> None:
    """Elixir PartitionSupervisor: which_children/1, count_children/1. Workers or supervisors."""
    make = of_supervisors if kind == "supervisor" else numbered
    tree = Supervisor("sup", [PartitionSupervisor("parts", make, partitions=3).as_child()])
    async with running(tree):
        (parts,) = children(tree)
        assert [("0", kind), ("1", kind), ("2", kind)] == [
            (child.name, child.kind) for child in parts.children
        ]
        assert ("parts", "supervisor", "running") == (parts.name, parts.kind, parts.state)


# Names --------------------------------------------------------------------------------------------


async def test_registry_counts_keys() -> None:
    """Elixir Registry: counts 0 keys in an empty registry, counts the number of keys."""
    registry = Registry()
    assert (0, None) == (len(registry), registry.whereis("hello"))
    async with one() as ref:
        for name in ("hello", "world"):
            registry.register(name, ref)
        assert (2, 2) == (len(registry), registry.statistics().names)
    assert 0 == len(registry)


async def test_registry_has_unique_registrations() -> None:
    """Elixir Registry: has unique registrations. Not even for the same actor a second time."""
    registry = Registry()
    async with one() as ref:
        registry.register("hello", ref)
        with pytest.raises(NameTaken, match="hello is registered already"):
            registry.register("hello", ref)
        registry.register("world", ref)
        assert ("hello", "world") == registry.names()


async def test_registry_already_registered_leaves_nothing() -> None:
    """Elixir Registry: doesn't grow ets on already_registered. The loser's end frees nothing."""
    registry = Registry()
    async with one() as winner:
        registry.register("hello", winner)
        async with one() as loser:
            for _ in range(3):
                with pytest.raises(NameTaken):
                    registry.register("hello", loser)
            assert not loser._watches
        assert (winner, False) == (registry.whereis("hello"), loser.alive)


async def test_registry_delayed() -> None:
    """Elixir Registry: has unique registrations even if partition is delayed. No gap at a death."""
    registry, seen = Registry(), list[object]()
    async with one() as first, one() as second:
        registry.register("hello", first)
        first.watch(lambda _down: seen.append(registry.whereis("hello")))
        first.watch(lambda _down: registry.register("hello", second))
        first.cast(stop)
        await first.wait_down()
        assert ([None], second) == (seen, registry.whereis("hello"))


async def test_registry_clean_up_on_crash() -> None:
    """Elixir Registry: clean up registry on process crash. Nothing of the dead is left."""
    registry = Registry()
    async with one() as ref:
        for name in ("hello", "world"):
            registry.register(name, ref)
        ref.cast(crash)
        await ref.wait_down()
        assert ((), None, not ref._watches) == (registry.names(), registry.whereis("hello"), True)


async def test_registry_restart_finds_its_name(journal: Journal) -> None:
    """Elixir Registry: via callbacks. A start under a taken name fails, no restart does."""
    registry = Registry()
    specs = [actor_child("hello", Doer, registry=registry)]
    async with running(Supervisor("sup", specs), journal):
        for _ in range(3):
            ref = registry.whereis("hello")
            assert ref is not None
            assert 1 == await ref.call(answer(1), deadline_s=1)
            ref.cast(crash)
            await wait_all_tasks_blocked()
        other = DynamicSupervisor("other", max_children=1)
        async with running(other):
            with pytest.raises(StartFailed) as caught:
                await other.start_child(specs[0])
            assert isinstance(caught.value.__cause__, NameTaken)
    assert 3 == len(journal.told("actor.crashed"))


async def test_registry_wait_for(autojump_clock: MockClock) -> None:
    """A name is waited for until there is one; who stops waiting leaves nothing behind."""
    registry, found = Registry(), list[object]()

    async def wait() -> None:
        found.append(await registry.wait_for("hello"))

    async with one() as ref, trio.open_nursery() as nursery:
        with trio.move_on_after(1):
            await registry.wait_for("never")
        for _ in range(2):
            nursery.start_soon(wait)
        with trio.move_on_after(1):
            await registry.wait_for("hello")
        assert 1 == registry.statistics().names_awaited
        registry.register("hello", ref)
    assert ([ref, ref], 0) == (found, registry.statistics().names_awaited)
    assert 2 == autojump_clock.current_time()


# Groups -------------------------------------------------------------------------------------------


async def test_groups_duplicate_registrations() -> None:
    """Elixir Registry, duplicate keys: has duplicate registrations. Any number under one key."""
    # Unlike Elixir, an actor is a member once, however often it joins.
    groups: Groups[object, Do] = Groups()
    async with one() as a, one() as b:
        for _ in range(2):
            groups.join("hello", a)
        groups.join("hello", b)
        groups.join("world", b)
        assert ((a, b), (b,), ()) == tuple(
            groups.members(key) for key in ("hello", "world", "nobody")
        )
        assert (("hello", "world"), 2, 3) == (
            groups.keys(),
            groups.statistics().groups,
            groups.statistics().members,
        )
    assert ((), 0) == (groups.keys(), groups.statistics().members)


async def test_groups_dispatch() -> None:
    """Elixir Registry, duplicate keys: dispatches to multiple keys in serial. To its own."""
    groups: Groups[str, Do] = Groups()
    heard: list[int] = []
    async with one() as a, one() as b, one() as c:
        for ref in (a, b):
            groups.join("hello", ref)
        groups.join("world", c)
        assert 0 == groups.cast("nobody", answer(1))
        assert 2 == groups.cast("hello", lambda _doer, _reply: heard.append(1))
        assert 1 == groups.cast("world", lambda _doer, _reply: heard.append(2))
        await wait_all_tasks_blocked()
    assert [1, 1, 2] == sorted(heard)


async def test_groups_dispatch_passes_over_who_has_no_room() -> None:
    """Elixir Registry: dispatch. One member that is slow costs the others nothing."""
    groups: Groups[str, Do] = Groups()
    go, heard = trio.Event(), list[int]()
    async with one() as slow, one() as b:
        for ref in (slow, b):
            groups.join("hello", ref)
        slow.cast(wait_for(go))
        await wait_all_tasks_blocked()
        for _ in range(Doer.capacity):
            slow.cast(answer(1))
        assert 1 == groups.cast("hello", lambda _doer, _reply: heard.append(1))
        go.set()
        await wait_all_tasks_blocked()
    assert [1] == heard


async def test_groups_unregister() -> None:
    """Elixir Registry, duplicate keys: unregisters by key, unregisters with no entries."""
    groups: Groups[str, Do] = Groups()
    async with one() as a, one() as b:
        assert not groups.leave("hello", a)
        for ref in (a, b):
            groups.join("hello", ref)
        assert groups.leave("hello", a)
        assert not groups.leave("hello", a)
        assert ((b,), not a._watches) == (groups.members("hello"), True)
        a.cast(crash)
        await a.wait_down()
        assert (b,) == groups.members("hello")
        assert groups.leave("hello", b)
        assert () == groups.keys()


async def test_groups_clean_up_on_crash() -> None:
    """Elixir Registry: clean up registry on process crash. The dead are in no group."""
    groups: Groups[str, Do] = Groups()
    tree = DynamicSupervisor("dyn", max_children=2)
    async with running(tree):
        refs: list[Ref[Do]] = [
            await tree.start_child(actor_child(name, Doer, restart=Restart.TEMPORARY))
            for name in "ab"
        ]
        for ref in refs:
            for key in ("hello", "world"):
                groups.join(key, ref)
        refs[0].cast(crash)
        await refs[0].wait_down()
        assert [(refs[1],)] * 2 == [groups.members(key) for key in ("hello", "world")]
        with pytest.raises(AssertionError, match="is dead and joins no group"):
            groups.join("hello", refs[0])
        await tree.terminate_child("b")
        assert ((), "") == (groups.keys(), states(tree))
