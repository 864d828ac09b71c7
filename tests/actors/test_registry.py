"""Names: waiting for one among others, and whom a name belongs to while its actor dies."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import End, NameTaken, Ref, Registry, RegistryStatistics
from tests.actors.company import boom, company
from tests.actors.doers import Do, Doer, one, stop


async def test_waiting_for_a_name_that_is_there_is_a_checkpoint() -> None:
    """It gives the actor at once, yet a cancelled task gets nothing."""
    registry = Registry()
    async with one(registry=registry) as ref:
        assert ref is await registry.wait_for("doer")
        with trio.CancelScope() as scope:
            scope.cancel()
            await registry.wait_for("doer")
        assert scope.cancelled_caught


async def test_all_who_wait_may_give_up_together() -> None:
    """Several waits cancelled in one moment leave nothing behind, and end as cancelled."""
    registry = Registry()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            for name in ("x", "x", "y"):
                nursery.start_soon(registry.wait_for, name)
            await wait_all_tasks_blocked()
            assert RegistryStatistics(names=0, names_awaited=2) == registry.statistics()
            scope.cancel()
    assert (True, 0) == (scope.cancelled_caught, registry.statistics().names_awaited)


async def test_who_gives_up_takes_nothing_from_who_begins_to_wait() -> None:
    """A wait that begins while others are being cancelled is answered, in whatever order."""
    async with company(*[Doer] * 30) as refs:
        for ref in refs:  # each time the loop may run them in another order
            await begin_to_wait_among_those_who_give_up(ref)


async def begin_to_wait_among_those_who_give_up(ref: Ref[Do]) -> None:
    """Cancel two waits in the very step in which a third begins."""
    registry, found = Registry(), list[Ref[Do]]()

    async def wait() -> None:
        found.append(await registry.wait_for("x"))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                for _ in range(2):
                    inner.start_soon(registry.wait_for, "x")
                await wait_all_tasks_blocked()
                nursery.start_soon(wait)
                await trio.lowlevel.checkpoint()
                scope.cancel()
        await wait_all_tasks_blocked()
        registry.register("x", ref)
        await wait_all_tasks_blocked()
        assert ([ref], 0) == (found, registry.statistics().names_awaited)


async def test_a_name_that_dies_before_the_wait_goes_on_is_waited_for_again() -> None:
    """Whoever waits gets a living actor, not one that had the name for a moment."""
    registry, found = Registry(), list[Ref[Do]]()

    async def wait() -> None:
        found.append(await registry.wait_for("x"))

    async with one() as ref, trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        brief: Ref[Do] = Ref("brief")
        registry.register("x", brief)
        brief.mark_down(End.PEACE)
        await wait_all_tasks_blocked()
        assert ([], 1) == (found, registry.statistics().names_awaited)
        registry.register("x", ref)
    assert [ref] == found


async def test_a_name_is_free_before_anybody_hears_of_the_end() -> None:
    """Whoever is told of a death may take the name for another, also within that moment."""
    registry = Registry()
    async with company(Doer, Doer) as (a, b):
        registry.register("x", a)
        a.watch(lambda _down: registry.register("x", b))
        a.cast(boom())
        await a.wait_down()
        assert b is registry.whereis("x")
        b.cast(stop)
        await b.wait_down()
        assert 0 == len(registry)


@pytest.mark.slow
@given(steps=st.lists(st.tuples(st.sampled_from(["name", "stop", "crash"]), st.integers(0, 8))))
def test_names_are_those_of_the_living(steps: list[tuple[str, int]]) -> None:
    """Whatever is named and dies, the registry holds what a plain dictionary would."""

    async def play() -> None:
        registry, model = Registry(), dict[str, Ref[Do]]()
        async with company(*[Doer] * 3) as refs:
            for what, number in steps:
                ref, name = refs[number % 3], "xyz"[number // 3]
                if not ref.alive:
                    continue
                if what != "name":
                    ref.cast(stop if what == "stop" else boom())
                    await ref.wait_down()
                    model = {name: other for name, other in model.items() if other is not ref}
                elif name in model:
                    try:
                        registry.register(name, ref)
                    except NameTaken:
                        continue
                    raise AssertionError("a name was given twice")
                else:
                    registry.register(name, ref)
                    model[name] = ref
                assert tuple(model) == registry.names()
                assert [*model.values()] == [registry.whereis(name) for name in model]
        assert () == registry.names()

    trio.run(play)
