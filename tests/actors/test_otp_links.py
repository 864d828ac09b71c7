"""Monitors and links: cases of OTP's monitor_SUITE and erl_link_SUITE.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from functools import partial

from trio.testing import wait_all_tasks_blocked

from actors import (
    Belonging,
    Down,
    End,
    LinkedActorDown,
    Ref,
    Registry,
    Supervisor,
    actor_child,
)
from tests.actors.company import Social, Trapper, boom, company, down_of, tell
from tests.actors.doers import Do, Doer, stop
from tests.actors.support import Boom, running


def monitor(ref: Ref[Do], social: Social) -> Belonging:
    """Have an actor monitor another."""
    return social.monitor(ref)


def link(ref: Ref[Do], social: Social) -> None:
    """Have an actor link another."""
    social.link(ref)


def heard(social: Social) -> list[Down]:
    """What an actor heard."""
    return list(social.downs)


async def downs(ref: Ref[Do]) -> list[Down]:
    """What an actor heard."""
    told: list[Down] = await tell(ref, heard)
    return told


# Monitors -----------------------------------------------------------------------------------------


async def test_case_1() -> None:
    """OTP monitor_SUITE: case_1, case_1a. The one that is monitored ends both."""
    async with company(Social, Doer) as (a, b):
        await tell(a, partial(monitor, b))

        def end_both(doer: Doer, _reply: object) -> None:
            a.crash(Boom("foo"))
            doer.stop()

        b.cast(end_both)
        assert ("crash Boom('foo')", "peace") == (await down_of(a), await down_of(b))


async def test_local_remove_monitor() -> None:
    """OTP monitor_SUITE: local_remove_monitor. Cancelled in time it is never told, else once."""
    count = 20
    async with company(Social, *[Doer] * count) as (a, *others):
        held = [await tell(a, partial(monitor, ref)) for ref in others]
        for number, (ref, watch) in enumerate(zip(others, held, strict=True)):
            if number % 2:
                ref.cast(stop)
                await ref.wait_down()
            watch.cancel()
            ref.cast(stop)
            await ref.wait_down()
        assert others[1::2] == [down.ref for down in await downs(a)]


async def test_demonitor_in_the_same_step() -> None:
    """OTP erl_link_SUITE: otp_5772_monitor, otp_5772_link. What is undone is undone."""
    async with company(Social, Doer, Doer) as (a, b, c):

        def act(social: Social) -> None:
            watch = social.monitor(b)
            social.link(c)
            for ref in (b, c):
                ref.crash(Boom("bang"))  # it ends when its task runs next
            watch.cancel()
            social.unlink(c)

        await tell(a, act)
        for ref in (b, c):
            assert End.CRASH is (await ref.wait_down()).end
        assert ([], True) == (await downs(a), a.alive)


async def test_mixer() -> None:
    """OTP monitor_SUITE: mixer. Many monitors both ways; each is told of each, and all is left."""
    async with company(*[Social] * 6) as refs:
        for ref in refs:
            for other in refs:
                if other is not ref:
                    await tell(ref, partial(monitor, other))
        for dying, ref in enumerate(refs[:-1]):
            ref.cast(stop)
            await ref.wait_down()
            for other in refs[dying + 1 :]:
                assert refs[: dying + 1] == [down.ref for down in await downs(other)]
        assert not refs[-1]._watches


async def test_named_down() -> None:
    """OTP monitor_SUITE: named_down. Whoever hears of an end finds its names free."""
    registry, seen = Registry(), list[object]()

    class Heir(Social):
        async def handle_down(self, down: Down) -> None:
            seen.append([registry.whereis(name) for name in ("doer", "alias")])
            registry.register("alias", self.ref)

    async with company(Heir, Doer) as (a, b):
        await tell(a, partial(monitor, b))
        for name in ("doer", "alias"):  # although they came after the monitor
            registry.register(name, b)
        b.cast(boom())
        await b.wait_down()
        await wait_all_tasks_blocked()
        assert ([[None, None]], a) == (seen, registry.whereis("alias"))


async def test_otp_5827() -> None:
    """OTP monitor_SUITE: otp_5827. To monitor an earlier life of an actor is to be told at once."""
    tree = Supervisor("sup", [actor_child("b", Doer)])
    async with running(tree), company(Social) as (a,):
        first: Ref[Do] = tree.value_of("b")
        first.cast(boom())
        await first.wait_down()
        await wait_all_tasks_blocked()
        assert tree.value_of("b").alive
        await tell(a, partial(monitor, first))
        assert [(first, End.CRASH)] == [(down.ref, down.end) for down in await downs(a)]


async def test_process_monitors() -> None:
    """OTP erl_link_SUITE: process_monitors. A monitor goes one way."""
    async with company(Social, Social) as (a, b):
        await tell(a, partial(monitor, b))
        a.cast(boom())
        await a.wait_down()
        await wait_all_tasks_blocked()
        assert ([], {}) == (await downs(b), b._watches)


# Links --------------------------------------------------------------------------------------------


async def test_links() -> None:
    """OTP erl_link_SUITE: links. Undone by the other side, made anew, trapped; and not trapped."""
    async with company(Social, Trapper, Social) as (a, b, c):
        await tell(a, partial(link, b))
        await tell(b, lambda social: social.unlink(a))
        assert ({}, {}) == (a.links, b.links)
        await tell(b, partial(link, a))
        error = Boom("died")
        a.cast(boom(error))
        await a.wait_down()
        assert [Down(a, End.CRASH, error)] == await downs(b)
        assert ({}, {}, None) == (a.links, b.links, a._watches)
        await tell(b, partial(link, c))
        b.cast(boom(error))
        assert "crash LinkedActorDown('b, which it is linked to, is down')" == await down_of(c)


async def test_exit_signals_travel() -> None:
    """OTP reference manual, links: an exit travels through linked actors, up to one that traps."""
    async with company(Social, Social, Trapper, Social) as (a, b, c, d):
        for one, other in ((a, b), (b, c), (c, d)):
            await tell(one, partial(link, other))
        error = Boom("first")
        a.cast(boom(error))
        down = await b.wait_down()
        assert isinstance(down.crash, LinkedActorDown)
        assert down.crash.__cause__ is error
        assert [down] == await downs(c)
        assert (True, True, {c}) == (c.alive, d.alive, set(d.links))
