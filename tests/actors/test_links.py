"""Links: who shares whose crash."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    DynamicSupervisor,
    End,
    Intensity,
    LinkedActorDown,
    Registry,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    actor_child,
)
from tests.actors.company import (
    Social,
    Trapper,
    boom,
    company,
    down_of,
    heard,
    kill,
    stop_in_peace,
    tell,
    tie,
    untie,
    watch,
)
from tests.actors.doers import Doer, stop, wait_for
from tests.actors.support import Boom, Journal, running


@pytest.mark.parametrize("first", [0, 1])
async def test_a_crash_of_either_is_a_crash_of_both(first: int, journal: Journal) -> None:
    """Whoever linked, both end; the other's error names the first and has its crash as cause."""
    error = Boom("the first")
    async with company(Social, Social, told=journal) as refs:
        await tell(refs[0], tie(refs[1]))
        one, other = refs[first], refs[1 - first]
        one.cast(boom(error))
        down = await other.wait_down()
        await wait_all_tasks_blocked()
    assert isinstance(down.crash, LinkedActorDown)
    assert (End.CRASH, one.name, error) == (down.end, down.crash.name, down.crash.__cause__)
    assert [error, down.crash] == [told["error"] for told in journal.told("actor.crashed")]


async def test_an_imposed_crash_and_a_kill_reach_through_a_link(autojump_clock: MockClock) -> None:
    """It matters not whose error it was; a kill has none."""
    tree = DynamicSupervisor("dyn", max_children=4)
    async with running(tree):
        specs = [
            actor_child(name, Social, shutdown_s=1, restart=Restart.TEMPORARY) for name in "abcd"
        ]
        a, b, c, d = [await tree.start_child(spec) for spec in specs]
        await tell(a, tie(b))
        await tell(c, tie(d))
        b.crash(Boom("imposed"))
        assert "crash LinkedActorDown('b, which it is linked to, is down')" == await down_of(a)
        d.cast(wait_for(trio.Event()))
        await wait_all_tasks_blocked()
        await tree.terminate_child("d")
        down = await c.wait_down()
        assert down.crash is not None
        assert ("kill", None) == (await down_of(d), down.crash.__cause__)
    assert 1 == autojump_clock.current_time()


async def test_peace_and_shutdown_do_not_reach_through_a_link() -> None:
    """An end in order is no crash of others, and unties the link."""
    tree = DynamicSupervisor("dyn", max_children=3)
    async with running(tree):
        a, b, c = [await tree.start_child(actor_child(name, Social)) for name in "abc"]
        for ref in (b, c):
            await tell(a, tie(ref))
        await tree.terminate_child("b")
        c.cast(stop)
        await c.wait_down()
        await wait_all_tasks_blocked()
        assert (True, {}, {}) == (a.alive, a.links, a._watches)
        assert [] == await heard(a)


async def test_linking_the_dead_is_following_them() -> None:
    """One that crashed crashes whoever links it; one that ended in peace does not."""
    async with company(Social, Doer, Doer) as (a, b, c):
        await stop_in_peace(b)
        await kill(c)
        await tell(a, tie(b))
        await wait_all_tasks_blocked()
        assert a.alive
        a.cast(lambda social, _: social.link(c))
        assert "crash LinkedActorDown('c, which it is linked to, is down')" == await down_of(a)


async def test_linking_the_dead_during_a_start_fails_it() -> None:
    """An actor that depends on a dead one does not get ready, and says why."""
    async with company(Doer) as (b,):
        await kill(b)

        class Dependent(Social):
            async def started(self) -> None:
                self.link(b)
                await trio.lowlevel.checkpoint()

        tree = DynamicSupervisor("other", max_children=1)
        async with running(tree):
            with pytest.raises(StartFailed) as caught:
                await tree.start_child(actor_child("dependent", Dependent))
        assert isinstance(caught.value.__cause__, LinkedActorDown)


async def test_linking_again_changes_nothing_and_unlinking_undoes_it() -> None:
    """There is one link between two; either may undo it, and nothing is left of it."""
    async with company(Social, Social) as (a, b):
        for one, other in ((a, b), (a, b), (b, a)):
            await tell(one, tie(other))
        assert (1, 1) == (len(a._watches or ()), len(b._watches or ()))
        await tell(b, untie(a))
        await tell(a, untie(b))
        assert ({}, {}, {}, {}) == (a._watches, b._watches, a.links, b.links)
        await kill(b)
        await wait_all_tasks_blocked()
        assert a.alive


async def test_an_actor_does_not_link_itself() -> None:
    """That is a bug, found at once."""
    async with company(Social) as (a,):
        a.cast(lambda social, _: social.link(social.ref))
        assert "crash AssertionError('<Ref a [alive]> links itself')" == await down_of(a)


async def test_a_link_made_in_the_goodbye_of_a_crash_is_none(journal: Journal) -> None:
    """A crash that was before the link is not shared, and the goodbye goes well."""
    async with company(Doer) as (b,):

        class Late(Social):
            async def stopping(self) -> None:
                self.link(b)

        async with company(Late, told=journal) as (a,):
            a.cast(boom())
            await a.wait_down()
        assert (True, {}) == (b.alive, b.links)
    assert ["Boom('told to')"] == [repr(told["error"]) for told in journal.told("actor.crashed")]


async def test_a_cycle_of_links_ends_each_once(journal: Journal) -> None:
    """Three actors linked in a ring crash once each, and nobody goes round for ever."""
    async with company(Social, Social, Social, told=journal) as refs:
        for place, ref in enumerate(refs):
            await tell(ref, tie(refs[(place + 1) % 3]))
        refs[0].cast(boom())
        for ref in refs:
            await ref.wait_down()
            assert {} == ref.links
    names = [told["child"] for told in journal.told("actor.crashed")]
    assert ["a", "b", "c"] == sorted(names)


@pytest.mark.slow
@given(
    links=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    unlinked=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=3),
    first=st.integers(0, 5),
)
def test_a_crash_ends_all_that_hang_together(
    links: list[tuple[int, int]], unlinked: list[tuple[int, int]], first: int
) -> None:
    """However actors are linked, a crash ends those within reach, each once, and no other."""
    edges = {frozenset(link) for link in links if link[0] != link[1]}
    edges -= {frozenset(link) for link in unlinked}
    doomed = {first}
    while more := {each for edge in edges if edge & doomed for each in edge} - doomed:
        doomed |= more
    journal = Journal()

    async def play() -> None:
        async with company(*[Social] * 6, told=journal) as refs:
            for one, other in links:
                if one != other:
                    await tell(refs[one], tie(refs[other]))
            for one, other in unlinked:
                await tell(refs[one], untie(refs[other]))
            refs[first].cast(boom())
            await wait_all_tasks_blocked()
            assert doomed == {place for place, ref in enumerate(refs) if not ref.alive}
            assert [] == [ref for ref in refs if not ref.alive and (ref.links or ref._watches)]

    trio.run(play)
    names = [told["child"] for told in journal.told("actor.crashed")]
    assert sorted("abcdef"[place] for place in doomed) == sorted(names)


async def test_whoever_traps_links_hears_instead() -> None:
    """It is told of a crash, not of a peace; the other is crashed by its crash all the same."""
    async with company(Trapper, Social, Social) as (a, b, c):
        for ref in (b, c):
            await tell(a, tie(ref))
        await kill(b)
        await stop_in_peace(c)
        assert ["b crash"] == await heard(a)
        await tell(a, lambda social: social.link(b))  # dead already
        assert ["b crash", "b crash"] == await heard(a)
    async with company(Trapper, Social) as (a, b):
        await tell(a, tie(b))
        a.cast(boom())
        assert "crash LinkedActorDown('a, which it is linked to, is down')" == await down_of(b)


async def test_whoever_monitors_and_links_hears_twice() -> None:
    """A trapped link and a monitor are two wishes."""
    async with company(Trapper, Social) as (a, b):
        await tell(a, tie(b))
        await tell(a, watch(b))
        await kill(b)
        assert ["b crash", "b crash"] == await heard(a)


async def test_an_unlinked_death_that_waits_is_still_heard() -> None:
    """Unlinking the dead changes nothing; the news is in the mailbox."""
    go = trio.Event()
    async with company(Trapper, Social) as (a, b):
        await tell(a, tie(b))
        a.cast(wait_for(go))
        await wait_all_tasks_blocked()
        await kill(b)
        a.cast(lambda social, _: social.unlink(b))
        go.set()
        assert ["b crash"] == await heard(a)


async def test_a_link_interrupts_what_is_being_handled_and_the_goodbye() -> None:
    """The crash of another waits for nothing, and callers learn of both."""
    bye = trio.Event()

    class Slow(Social):
        async def stopping(self) -> None:
            await bye.wait()

    async with company(Social, Slow, Social) as (a, b, c):
        for ref in (a, b):
            await tell(ref, tie(c))
        a.cast(wait_for(trio.Event()))
        b.cast(stop)
        await wait_all_tasks_blocked()
        assert b.alive
        c.cast(boom())
        for ref in (a, b):
            assert "LinkedActorDown('c, which" in await down_of(ref)


class Dependent(Social):
    """One that cannot live without the actor registered as `base`."""

    registry: Registry

    async def started(self) -> None:
        """Find it, and share its fate."""
        base = await self.registry.wait_for("base")
        self.link(base)


@pytest.mark.parametrize(
    ("strategy", "failures"),
    [(Strategy.ONE_FOR_ONE, 2), (Strategy.ONE_FOR_ALL, 1), (Strategy.REST_FOR_ONE, 1)],
)
async def test_linked_siblings_restart_together(strategy: Strategy, failures: int) -> None:
    """Both come back, linked anew; alone they are two failures, in one group they are one."""
    registry = Registry()
    Here = type("Here", (Dependent,), {"registry": registry})  # noqa: N806 - a class
    specs = [
        actor_child("base", Social, registry=registry),
        actor_child("top", Here, registry=registry),
    ]
    tree = Supervisor("sup", specs, strategy=strategy, intensity=Intensity(4, 5))
    async with running(tree):
        for round_ in (1, 2):
            base, top = await registry.wait_for("base"), await registry.wait_for("top")
            base.cast(boom())
            await top.wait_down()
            await wait_all_tasks_blocked()
            assert round_ * failures == tree.statistics().restarts
        base, top = await registry.wait_for("base"), await registry.wait_for("top")
        assert (True, [base]) == (top.alive, list(top.links))


async def test_a_link_belongs_to_one_life_of_the_other() -> None:
    """Whoever restarts is linked to nobody until somebody links it again."""
    registry = Registry()
    specs = [actor_child(id, Trapper, registry=registry) for id in ("x", "y")]  # noqa: A001 - a spec's own word
    async with running(Supervisor("sup", specs)):
        x, y = await registry.wait_for("x"), await registry.wait_for("y")
        await tell(x, tie(y))
        await kill(y)
        again = await registry.wait_for("y")
        await kill(again)
        assert ["y crash"] == await heard(x)
