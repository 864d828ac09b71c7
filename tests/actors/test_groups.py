"""Groups: members come, leave and die in any order, and nothing is left of them."""

from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import Groups, GroupsStatistics, Overflow, Ref
from tests.actors.company import boom, company, stop_in_peace
from tests.actors.doers import Do, Doer, answer, wait_for

STEPS = ["join", "join", "leave", "stop", "crash"]


@pytest.mark.slow
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2), st.integers(0, 3))))
def test_groups_are_what_a_dictionary_of_lists_would_be(steps: list[tuple[str, int, int]]) -> None:
    """Whatever joins, leaves and dies: the same members, in order, and as many watches."""

    async def play() -> None:
        groups: Groups[int, Do] = Groups()
        model: dict[int, list[Ref[Do]]] = {}
        async with company(*[Doer] * 4) as refs:
            for what, key, number in steps:
                ref = refs[number]
                if ref.alive:
                    await step(groups, model, what, key, ref)
                model = {key: members for key, members in model.items() if members}
                assert set(model) == set(groups.keys())
                assert model == {key: [*groups.members(key)] for key in groups.keys()}  # noqa: SIM118 - it is no dict
                joined = sum(map(len, model.values()))
                assert GroupsStatistics(len(model), joined) == groups.statistics()
                assert joined == sum(len(ref._watches or ()) for ref in refs)
        assert GroupsStatistics(0, 0) == groups.statistics()

    async def step(
        groups: Groups[int, Do], model: dict[int, list[Ref[Do]]], what: str, key: int, ref: Ref[Do]
    ) -> None:
        members = model.setdefault(key, [])
        if what == "join":
            groups.join(key, ref)
            members += [] if ref in members else [ref]
        elif what == "leave":
            assert (ref in members) is groups.leave(key, ref)
            members[:] = [member for member in members if member is not ref]
        else:
            ref.cast(boom()) if what == "crash" else await stop_in_peace(ref)
            await ref.wait_down()
            for others in model.values():
                others[:] = [member for member in others if member is not ref]

    trio.run(play)


async def test_the_dead_are_no_members_when_others_hear_of_them() -> None:
    """Whoever is told of a death casts to the survivors only, and may join one in its place."""
    groups: Groups[str, Do] = Groups()
    seen: list[tuple[Ref[Do], ...]] = []

    def told(_down: object) -> None:
        seen.append(groups.members("x"))
        groups.join("x", c)

    async with company(Doer, Doer, Doer) as (a, b, c):
        for ref in (a, b):
            groups.join("x", ref)
        a.watch(told)
        await stop_in_peace(a)
        assert ([(b,)], (b, c)) == (seen, groups.members("x"))
        assert "<Groups [1 keys]>" == repr(groups)


async def test_members_are_those_of_the_moment() -> None:
    """Who walks through the members is not disturbed by one that leaves meanwhile."""
    groups: Groups[str, Do] = Groups()
    async with company(Doer, Doer, Doer) as refs:
        for ref in refs:
            groups.join("x", ref)
        left = [ref for ref in groups.members("x") if groups.leave("x", ref)]
        assert (refs, ()) == (left, groups.members("x"))


async def test_a_cast_counts_who_did_not_refuse() -> None:
    """Whoever drops by its own policy did not; a full mailbox that rejects did."""
    go = trio.Event()

    def small(policy: Overflow) -> Callable[[], Doer]:
        return type("Small", (Doer,), {"capacity": 1, "overflow": policy})

    policies = (Overflow.REJECT, Overflow.BLOCK, Overflow.DROP_NEWEST, Overflow.DROP_OLDEST)
    groups: Groups[str, Do] = Groups()
    async with company(*map(small, policies)) as refs:
        for ref in refs:
            groups.join("x", ref)
            ref.cast(wait_for(go))
        await wait_all_tasks_blocked()
        assert [4, 2] == [groups.cast("x", answer(None)) for _ in range(2)]
        assert [1, 1, 0, 0] == [ref.statistics().refused for ref in refs]
        assert [0, 0, 1, 1] == [ref.statistics().dropped for ref in refs]
        go.set()
