"""Monitors: who hears of whose end, and when."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Belonging,
    DynamicSupervisor,
    End,
    Ref,
    Reply,
    StartFailed,
    actor_child,
)
from tests.actors.company import (
    Social,
    boom,
    company,
    down_of,
    heard,
    stop_in_peace,
    tell,
    tie,
    watch,
)
from tests.actors.doers import Do, Doer, answer, stop, wait_for
from tests.actors.support import Boom, Journal, running


async def test_a_monitor_tells_of_every_kind_of_end() -> None:
    """The watcher hears once whose end it was and how it came, with the very error."""
    error = Boom("of b")
    async with company(Social, Doer, Doer) as (watcher, b, c):
        for ref in (b, c):
            await tell(watcher, watch(ref))
        b.cast(boom(error))
        await b.wait_down()
        await stop_in_peace(c)
        assert ["b crash", "c peace"] == await heard(watcher)
        assert error is await tell(watcher, lambda social: social.downs[0].crash)
        assert None is await tell(watcher, lambda social: social.downs[1].crash)


async def test_a_monitor_tells_of_a_shutdown_and_of_a_kill(autojump_clock: MockClock) -> None:
    """One that is asked to end was shut down; one that does not end in time was killed."""
    tree = DynamicSupervisor("dyn", max_children=3)
    async with running(tree):
        refs: list[Ref[Do]] = [
            await tree.start_child(actor_child(name, Social, shutdown_s=2)) for name in "abc"
        ]
        for ref in refs[1:]:
            await tell(refs[0], watch(ref))
        refs[2].cast(wait_for(trio.Event()))
        await wait_all_tasks_blocked()
        await tree.terminate_child("b")
        await tree.terminate_child("c")
        assert ["b shutdown", "c kill"] == await heard(refs[0])
    assert 2 == autojump_clock.current_time()


async def test_the_dead_are_told_of_soon() -> None:
    """A monitor of a dead actor is told after the message being handled, not within it."""
    async with company(Social, Doer) as (watcher, b):
        await stop_in_peace(b)

        def act(social: Social) -> int:
            social.monitor(b)
            return len(social.downs)

        assert 0 == await tell(watcher, act)
        assert ["b peace"] == await heard(watcher)


async def test_each_monitor_is_told_by_itself() -> None:
    """Two monitors of one actor are two messages."""
    async with company(Social, Doer) as (watcher, b):
        await tell(watcher, lambda social: [social.monitor(b), social.monitor(b)])
        await stop_in_peace(b)
        assert ["b peace", "b peace"] == await heard(watcher)


async def test_an_end_is_heard_ahead_of_messages_that_wait() -> None:
    """The news of a death does not stand in line."""
    go = trio.Event()
    async with company(Social, Doer) as (watcher, b):
        await tell(watcher, watch(b))
        watcher.cast(wait_for(go))
        await wait_all_tasks_blocked()
        seen: list[int] = []

        def look(doer: Doer, _reply: Reply) -> None:
            assert isinstance(doer, Social)
            seen.append(len(doer.downs))

        for _ in range(2):
            watcher.cast(look)
        await stop_in_peace(b)
        go.set()
        await tell(watcher, lambda _: None)
    assert [1, 1] == seen


async def test_a_cancelled_monitor_hears_nothing_and_leaves_nothing() -> None:
    """The watched actor forgets a watcher that lost interest; cancelling twice is harmless."""
    async with company(Social, Doer) as (watcher, b):
        monitors: list[Belonging] = await tell(
            watcher, lambda social: [social.monitor(b) for _ in range(2)]
        )
        assert 2 == len(b._watches or ())
        monitors[0].cancel()
        monitors[0].cancel()
        assert 1 == len(b._watches or ())
        await stop_in_peace(b)
        assert ["b peace"] == await heard(watcher)
        monitors[1].cancel()  # it was told already


async def test_a_monitor_cancelled_after_the_death_may_still_be_told() -> None:
    """What waits in the mailbox already is delivered; so says `Belonging.cancel`."""
    go = trio.Event()
    async with company(Social, Doer) as (watcher, b):
        monitor: Belonging = await tell(watcher, lambda social: social.monitor(b))
        watcher.cast(wait_for(go))
        await wait_all_tasks_blocked()
        await stop_in_peace(b)
        monitor.cancel()
        assert 1 == watcher.statistics().signals_waiting
        go.set()
        assert ["b peace"] == await heard(watcher)


@pytest.mark.parametrize("end", [stop, boom()], ids=["peace", "crash"])
async def test_the_watched_forget_a_watcher_that_died(end: Do) -> None:
    """An actor that lives long is not filled with the wishes of the dead."""
    async with company(Social, Doer) as (watcher, b):
        await tell(watcher, lambda social: [social.monitor(b) for _ in range(3)])
        await tell(watcher, tie(b))
        watcher.cast(stop)
        await watcher.wait_down()
        await wait_all_tasks_blocked()
        assert (True, {}, {}) == (b.alive, b._watches, b.links)
        assert (None, {}) == (watcher._watches, watcher.links)
        b.cast(end)


async def test_the_watched_forget_a_watcher_that_crashed_or_was_killed() -> None:
    """However the watcher ended, also while its goodbye takes long."""
    bye = trio.Event()

    class Slow(Social):
        async def stopping(self) -> None:
            await bye.wait()

    async with company(Social, Social, Slow, Doer) as (one, two, slow, b):
        for ref in (one, two, slow):
            await tell(ref, watch(b))
        one.cast(boom())
        two.crash(Boom("imposed"))
        slow.cast(boom())
        await wait_all_tasks_blocked()
        assert 1 == len(b._watches or ())
        await stop_in_peace(b)  # a death that nobody is there to hear of
        bye.set()
    assert End.CRASH is slow.down.end


async def test_a_watcher_whose_start_fails_leaves_nothing() -> None:
    """What it monitored and linked in `started` is given back."""
    async with company(Doer) as (b,):

        class Hapless(Social):
            async def started(self) -> None:
                self.monitor(b)
                self.send_after(5, answer(None))
                raise Boom("cannot start")

        tree = DynamicSupervisor("other", max_children=1)
        async with running(tree):
            with pytest.raises(StartFailed):
                await tree.start_child(actor_child("hapless", Hapless))
        assert {} == b._watches


async def test_an_end_that_comes_while_the_watcher_stops_is_not_handled() -> None:
    """A watcher that says goodbye hears nothing more."""
    bye = trio.Event()
    watchers: list[Social] = []

    class Slow(Social):
        async def stopping(self) -> None:
            watchers.append(self)
            await bye.wait()

    async with company(Slow, Doer) as (watcher, b):
        await tell(watcher, watch(b))
        watcher.cast(stop)
        await wait_all_tasks_blocked()
        await stop_in_peace(b)
        bye.set()
        assert "peace" == await down_of(watcher)
    assert [[]] == [social.downs for social in watchers]


async def test_a_stop_among_several_ends_leaves_the_rest_unheard() -> None:
    """An actor that stops itself at the first news gets no second."""
    go = trio.Event()
    downs: list[str] = []

    class Brief(Social):
        async def handle_down(self, down: object) -> None:
            downs.append(repr(down))
            self.stop()

    async with company(Brief, Doer, Doer) as (watcher, b, c):
        for ref in (b, c):
            await tell(watcher, watch(ref))
        watcher.cast(wait_for(go))
        await wait_all_tasks_blocked()
        for ref in (b, c):
            await stop_in_peace(ref)
        go.set()
        assert "peace" == await down_of(watcher)
    assert 1 == len(downs)


async def test_an_actor_that_monitors_must_act_on_it(journal: Journal) -> None:
    """Without a `handle_down` the news crashes it, with a message that teaches."""
    async with company(Doer, Doer, told=journal) as (watcher, b):
        await tell(watcher, watch(b))
        await stop_in_peace(b)
        assert "Doer monitors, but does not act on Down(ref=<Ref b [down]>" in await down_of(
            watcher
        )


@pytest.mark.parametrize("end", [stop, boom()], ids=["peace", "crash"])
async def test_a_ref_that_is_kept_keeps_nothing_of_the_dead(end: Do) -> None:
    """Whoever holds it holds neither the actor nor the frames of its task."""
    async with company(Doer) as (ref,):
        assert ref._inhabitant is not None
        ref.cast(end)
        await ref.wait_down()
        assert None is ref._inhabitant


async def test_an_actor_may_monitor_itself_and_hears_nothing() -> None:
    """The dead read no mail."""
    async with company(Social) as (watcher,):
        await tell(watcher, lambda social: watch(social.ref)(social))
        await stop_in_peace(watcher)
        assert None is watcher._watches


async def test_a_life_keeps_nothing_of_what_is_over(autojump_clock: MockClock) -> None:
    """Timers that fired, monitors that told and all that was cancelled are not held any more."""
    async with company(Social, Doer) as (watcher, b):

        def hold(social: Social) -> list[Belonging]:
            cancelled = [social.monitor(b), social.send_after(9, answer(None))]
            cancelled.append(social.send_every(1, answer(None)))
            social.monitor(b)
            social.send_after(1, answer(None))
            social.send_every(7, answer(None))
            return cancelled

        cancelled = await tell(watcher, hold)
        await stop_in_peace(b)
        await tell(watcher, watch(b))  # dead already
        for belonging in cancelled:
            belonging.cancel()
        await trio.sleep(2)
        held = await tell(watcher, lambda social: len(social._host._belongings._all))
        assert 1 == held  # what comes every seven seconds
    assert 2 == autojump_clock.current_time()
