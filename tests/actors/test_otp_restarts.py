"""Who restarts whom, and when a supervisor gives up: cases of OTP's supervisor_SUITE.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    AlreadyStarted,
    ChildRuns,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    Ref,
    Registry,
    Restart,
    RestartIntensityExceeded,
    Strategy,
    Supervisor,
    actor_child,
)
from tests.actors.doers import Do, Doer, answer, crash, stop
from tests.actors.looks import children, states
from tests.actors.support import Boom, Journal, Part, end_of, running

HOUR_S = 3600
ONE, ALL, REST = Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def supervisor(*parts: Part, strategy: Strategy, restarts: int) -> Supervisor:
    """A supervisor of permanent children."""
    intensity = Intensity(restarts, HOUR_S)
    return Supervisor("sup", [p.spec() for p in parts], strategy=strategy, intensity=intensity)


# Strategies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(ONE, "+b b!"), (ALL, "-c -a +a a! +b b! +c c!"), (REST, "-c +b b! +c c!")],
)
async def test_one_for_one(strategy: Strategy, expected: str, journal: Journal) -> None:
    """OTP supervisor_SUITE: one_for_one, one_for_all, rest_for_one. Who restarts, and how often."""
    # After two failures that are answered, the third ends the supervisor and all its children.
    a, b, c = (Part(journal, name) for name in "abc")

    async def script() -> None:
        journal.take()
        await b.crash()
        assert expected == journal.take()
        await c.crash()
        assert (True, True, True) == (a.alive, b.alive, c.alive)
        await b.crash()
        assert (False, False, False) == (a.alive, b.alive, c.alive)

    tree = supervisor(a, b, c, strategy=strategy, restarts=2)
    end = await end_of(tree, script)
    assert isinstance(end, RestartIntensityExceeded)
    assert ["b", "c", "b"] == [failure.child for failure in end.history]


@pytest.mark.parametrize(
    ("strategy", "first", "lives"), [(ONE, "b", (1, 5)), (ALL, "a", (5, 5)), (REST, "a", (2, 5))]
)
async def test_one_for_one_escalation(
    strategy: Strategy, first: str, lives: tuple[int, int], journal: Journal
) -> None:
    """OTP supervisor_SUITE: one_for_one_escalation. Who gives up when a restart fails."""
    # Also one_for_all_escalation and rest_for_one_escalation: a child that cannot restart, after
    # its own failure or another's, ends the supervisor.
    parts = {name: Part(journal, name) for name in "ab"}
    a, b = parts.values()

    async def script() -> None:
        b.faults = [Boom() for _ in range(9)]
        await parts[first].crash()
        assert (False, False) == (a.alive, b.alive)

    end = await end_of(supervisor(a, b, strategy=strategy, restarts=4), script)
    assert isinstance(end, RestartIntensityExceeded)
    assert [first, "b", "b", "b", "b"] == [failure.child for failure in end.history]
    assert lives == (a.lives, b.lives)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(ALL, "-b +a a! +b -a +a a! +b b!"), (REST, "-b +a a! +b +b b!")],
)
async def test_one_for_all_other_child_fails_restart(
    strategy: Strategy, expected: str, journal: Journal
) -> None:
    """OTP supervisor_SUITE: one_for_all_other_child_fails_restart. Who is started again."""
    # Also rest_for_one_other_child_fails_restart. Where a later child fails to come back,
    # one_for_all stops the earlier one that did come back, and rest_for_one leaves it.
    a, b = (Part(journal, name) for name in "ab")
    async with running(supervisor(a, b, strategy=strategy, restarts=3)):
        journal.take()
        b.faults = [Boom()]
        await a.crash()
        assert expected == journal.take()


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.PERMANENT])
async def test_restart_ignore(restart: Restart) -> None:
    """OTP supervisor_SUITE: simple_one_for_one_restart_ignore. A restart may come to nothing."""
    # A transient child that returns before it is ready again is gone; a permanent one is not.
    lives, failing = [], trio.Event()

    async def live(life: Lifeline) -> None:
        lives.append(life)
        await trio.lowlevel.checkpoint()
        if len(lives) == 2:
            return
        life.ready()
        if len(lives) == 1:
            await failing.wait()
            raise Boom
        await life.stop_requested.wait()

    tree = Supervisor("sup", [ChildSpec("a", live, restart)])
    async with running(tree):
        failing.set()
        await wait_all_tasks_blocked()
        transient = restart is Restart.TRANSIENT
        assert (2 if transient else 3, "a ended" if transient else "a running") == (
            len(lives),
            states(tree),
        )


# Trees --------------------------------------------------------------------------------------------


async def test_tree(journal: Journal) -> None:
    """OTP supervisor_SUITE: tree. Escalation restarts the tree, without what was added to it."""
    # Unlike OTP, a child that was terminated by hand stays so, whatever happens around it.
    a, b, c, d = (Part(journal, name) for name in "abcd")
    intensity = Intensity(4, HOUR_S)
    one = Supervisor("one", [a.spec(), b.spec()], intensity=intensity)
    two, three = (Supervisor(name, [], intensity=intensity) for name in ("two", "three"))
    top = Supervisor("top", [], strategy=ALL, intensity=intensity)
    async with running(top):
        for each in (one, two, three):
            assert each is await top.start_child(each.as_child())
        await top.terminate_child("three")
        assert states(top) == "one running, two running, three ended"
        for part in (c, d):
            await two.start_child(part.spec())
        await d.crash()
        assert [1, 1, 1, 2] == [part.lives for part in (a, b, c, d)]
        c.faults = [Boom() for _ in range(9)]
        await c.crash()
        assert states(top) == "one running, two running, three ended"
        assert ("a running, b running", "") == (states(one), states(two))
        assert [2, 2] == [part.lives for part in (a, b)]
        assert (1, False) == (top.statistics().restarts, d.alive)


@asynccontextmanager
async def named_worker(
    registry: Registry,
) -> AsyncIterator[tuple[Ref[Do], Supervisor, list[Lifeline]]]:
    """A registered worker below two supervisors. Gives it, the lower one, and that one's lives."""
    lives: list[Lifeline] = []
    middle = Supervisor("middle", [actor_child("server", Doer, registry=registry)], strategy=ALL)

    async def live(life: Lifeline) -> None:
        lives.append(life)
        await middle.run(life)

    async with running(Supervisor("top", [ChildSpec("middle", live)], strategy=ALL)):
        server = registry.whereis("server")
        assert server is not None
        yield server, middle, lives


async def kill_supervisor(_server: Ref[Do], _middle: Supervisor, life: Lifeline) -> None:
    """End the lower supervisor at once."""
    life.crash(Boom())


async def kill_worker(server: Ref[Do], _middle: Supervisor, _life: Lifeline) -> None:
    """End the worker at once."""
    server.crash(Boom())


async def exit_worker(server: Ref[Do], _middle: Supervisor, _life: Lifeline) -> None:
    """Have it end by itself."""
    server.cast(stop)


async def crash_worker(server: Ref[Do], _middle: Supervisor, _life: Lifeline) -> None:
    """Have it crash."""
    server.cast(crash)


async def restart_worker(_server: Ref[Do], middle: Supervisor, _life: Lifeline) -> None:
    """Terminate it and start it again."""
    await middle.terminate_child("server")
    await middle.restart_child("server")


@pytest.mark.parametrize(
    "end", [kill_supervisor, kill_worker, exit_worker, crash_worker, restart_worker]
)
async def test_simple_global_supervisor(
    end: Callable[[Ref[Do], Supervisor, Lifeline], Awaitable[None]],
) -> None:
    """OTP supervisor_SUITE: simple_global_supervisor. Whoever dies, its name finds the next one."""
    registry = Registry()
    async with named_worker(registry) as (first, middle, lives):
        await end(first, middle, lives[0])
        await wait_all_tasks_blocked()
        second = registry.whereis("server")
        assert second is not None
        assert (False, True) == (first.alive, second.alive)
        assert 1 == await second.call(answer(1), deadline_s=1)
    assert registry.names() == ()


# Restarts that fail again and again ---------------------------------------------------------------


class Deadlock(Part):
    """A child whose start takes two seconds and fails, while it is told to."""

    failing = False

    async def run(self, life: Lifeline) -> None:
        """One life."""
        if self.failing:
            await trio.sleep(2)
            raise Boom
        await super().run(life)

    async def fail_for_ever(self) -> None:
        """Crash, and be in the midst of the restarts that fail."""
        self.failing = True
        await self.crash()
        await trio.sleep(3)


LOOP = Intensity(8, 10)


async def assert_refuses(tree: Supervisor, part: Part) -> None:
    """What is not done to a child that restarts is refused."""
    with pytest.raises(AlreadyStarted) as caught:
        await tree.start_child(part.spec())
    assert caught.value.value is None
    for refused in (tree.restart_child, tree.delete_child):
        with pytest.raises(ChildRuns):
            await refused(part.name)


async def test_hanging_restart_loop(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: hanging_restart_loop. Child and supervisor can be stopped in it."""
    a = Deadlock(journal, "a")
    tree = Supervisor("sup", [a.spec(shutdown_s=0)], intensity=LOOP)
    async with running(tree):
        for _ in range(2):
            await a.fail_for_ever()
            with trio.fail_after(10):
                await assert_refuses(tree, a)
                await tree.terminate_child("a")
            assert states(tree) == "a ended"
            a.failing = False
            await tree.restart_child("a")
        await a.fail_for_ever()
        before = autojump_clock.current_time()
    assert before == autojump_clock.current_time()


async def test_hanging_restart_loop_rest_for_one(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """OTP supervisor_SUITE: hanging_restart_loop_rest_for_one. The same, with siblings."""
    # Unlike OTP, those that waited for the child that is terminated do come back.
    a, b, c = Part(journal, "a"), Deadlock(journal, "b"), Part(journal, "c")
    specs = [a.spec(), b.spec(shutdown_s=0), c.spec()]
    tree = Supervisor("sup", specs, strategy=REST, intensity=LOOP)
    async with running(tree):
        await b.fail_for_ever()
        with trio.fail_after(10):
            await assert_refuses(tree, b)
            assert ["running", "waiting"] == [children(tree)[n].state for n in (0, 2)]
            await tree.terminate_child("b")
        await wait_all_tasks_blocked()
        assert (states(tree), a.lives, c.lives) == ("a running, b ended, c running", 1, 2)
        b.failing = False
        await tree.restart_child("b")
        await b.fail_for_ever()
        before = autojump_clock.current_time()
    assert before == autojump_clock.current_time()
    assert (1, 2) == (a.lives, c.lives)


async def test_hanging_restart_loop_simple(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: hanging_restart_loop_simple. The same in a dynamic supervisor."""
    a, tree = Deadlock(journal, "a"), DynamicSupervisor("dyn", max_children=1, intensity=LOOP)
    async with running(tree):
        await tree.start_child(a.spec(shutdown_s=0))
        await a.fail_for_ever()
        before = autojump_clock.current_time()
        assert await tree.terminate_child("a")
        a.failing = False
        await tree.start_child(a.spec(shutdown_s=0))
        assert before == autojump_clock.current_time()
        await a.fail_for_ever()
        before = autojump_clock.current_time()
    assert before == autojump_clock.current_time()
