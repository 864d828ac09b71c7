"""Children that come and go: cases of OTP's supervisor_SUITE and of Elixir's DynamicSupervisor.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    BRUTAL,
    INFINITE,
    AlreadyStarted,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Supervisor,
    TooManyChildren,
)
from actors.limits import RESTART_WINDOW_S, RESTARTS_MAX
from tests.actors.looks import children, states
from tests.actors.support import Boom, Journal, Part, dynamic, end_of, running

STEADY = Backoff(1, 4, reset_after_s=60, jitter=0)
TEMPORARY, TRANSIENT, PERMANENT = Restart.TEMPORARY, Restart.TRANSIENT, Restart.PERMANENT
MANY = 1000


async def live(life: Lifeline) -> None:
    """A life that ends when asked to."""
    life.ready(life.name)
    await life.stop_requested.wait()


# What a dynamic supervisor is ---------------------------------------------------------------------


async def test_can_be_supervised_directly() -> None:
    """Elixir DynamicSupervisor: can be supervised directly. It is a child like any other."""
    dyn = DynamicSupervisor("dyn", max_children=1)
    tree = Supervisor("sup", [dyn.as_child()])
    async with running(tree):
        assert (dyn, "dyn running", "") == (tree.value_of("dyn"), states(tree), states(dyn))
        assert ("supervisor", "dynamic") == (children(tree)[0].kind, children(tree)[0].detail)
    spec = dyn.as_child()
    assert ("dyn", PERMANENT, inf) == (spec.id, spec.restart, spec.shutdown_s)


async def test_multiple_supervisors_can_be_supervised() -> None:
    """Elixir DynamicSupervisor: multiple supervisors can be supervised and identified."""
    several = [DynamicSupervisor(name, max_children=1) for name in "abc"]
    tree = Supervisor("sup", [each.as_child() for each in several])
    async with running(tree):
        assert several == [tree.value_of(name) for name in "abc"]
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(DynamicSupervisor("a", max_children=9).as_child())
        assert caught.value.value is several[0]


def test_set_default_options() -> None:
    """Elixir DynamicSupervisor: set default options. Three restarts in five seconds."""
    told = Intensity()
    assert (3, 5, RESTARTS_MAX, RESTART_WINDOW_S) == (told.restarts, told.window_s, 3, 5)


@pytest.mark.parametrize("max_children", [0, -1])
def test_with_non_ok_init(max_children: int) -> None:
    """Elixir DynamicSupervisor: with non-ok init. Options that mean nothing are refused."""
    # Also start_child with max_children 0, which there is a supervisor that refuses everything.
    with pytest.raises(AssertionError):
        DynamicSupervisor("dyn", max_children=max_children)


async def test_with_invalid_child_spec() -> None:
    """Elixir DynamicSupervisor: start_child with invalid child spec, with invalid shutdown."""
    spec, tree = ChildSpec("a", live, TEMPORARY), dynamic()
    with pytest.raises(AssertionError, match="-1 s to shut down"):
        replace(spec, shutdown_s=-1)
    async with running(tree):
        with pytest.raises(AssertionError, match="none of its children is significant"):
            await tree.start_child(replace(spec, significant=True))
        assert 0 == tree.statistics().started


# Lists and counts ---------------------------------------------------------------------------------


async def test_child_adm_simple() -> None:
    """OTP supervisor_SUITE: child_adm_simple. Start, terminate, again, and one that is unknown."""
    tree = dynamic()
    async with running(tree):
        for name in "ab":
            assert name == await tree.start_child(ChildSpec(name, live))
        assert states(tree) == "a running, b running"
        assert await tree.terminate_child("a")
        assert not await tree.terminate_child("a")
        assert states(tree) == "b running"


async def test_which_children_simple_one_for_one() -> None:
    """OTP supervisor_SUITE: which_children_simple_one_for_one. The list follows what happens."""
    tree = dynamic()
    async with running(tree):
        assert children(tree) == ()
        await tree.start_child(ChildSpec("a", live))
        await tree.start_child(ChildSpec("b", live))
        assert [("a", "running", 0), ("b", "running", 0)] == [
            (child.name, child.state, child.restarts) for child in children(tree)
        ]
        await tree.terminate_child("a")
        assert states(tree) == "b running"


@pytest.mark.parametrize("kind", ["task", "supervisor"])
async def test_count_children(kind: str) -> None:
    """OTP supervisor_SUITE: count_children, count_children_supervisor. A thousand, then two."""

    def specs() -> Iterator[ChildSpec]:
        for number in range(2 * MANY):
            inner = DynamicSupervisor(str(number), max_children=1).as_child(restart=TEMPORARY)
            yield inner if kind == "supervisor" else ChildSpec(str(number), live, TEMPORARY)

    tree, source = DynamicSupervisor("dyn", max_children=2 * MANY), specs()
    async with running(tree):
        for count in (MANY, 2 * MANY):
            for _ in range(MANY):
                tree.start_child_nowait(next(source))
            await wait_all_tasks_blocked()
            assert count == tree.statistics().children
        assert {kind} == {child.kind for child in children(tree)}
        for number in range(2 * MANY):
            await tree.terminate_child(str(number))
        assert 0 == tree.statistics().children


async def test_count_restarting_children(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: count_restarting_children. One that waits for its restart counts."""
    parts, tree = [Part(journal, name) for name in "abc"], dynamic(restarts=99)
    async with running(tree):
        for part in parts:
            await tree.start_child(part.spec(backoff=STEADY))
        for part in parts[:2]:
            part.faults = [Boom()]
            await part.crash()
        assert states(tree) == "a waiting, b waiting, c running"
        await trio.sleep(2)
        assert (states(tree), tree.statistics().children) == (
            "a waiting, b waiting, c running",
            3,
        )
        await trio.sleep(2)
        assert states(tree) == "a running, b running, c running"
        for left, part in zip((2, 1, 0), reversed(parts), strict=True):
            assert await tree.terminate_child(part.name)
            assert left == tree.statistics().children
    assert 4 == autojump_clock.current_time()


# Starts and restarts ------------------------------------------------------------------------------


async def test_child_is_restarted_with_different_values() -> None:
    """Elixir DynamicSupervisor: child is restarted with different values."""
    # Also OTP supervisor_SUITE: simple_one_for_one_extra. A life's value is that life's.
    lives, crash = [], trio.Event()

    async def live_anew(life: Lifeline) -> None:
        lives.append(life)
        life.ready(len(lives))
        if len(lives) == 1:
            await crash.wait()
            raise Boom
        await life.stop_requested.wait()

    tree, spec = dynamic(), ChildSpec("a", live_anew)
    async with running(tree):
        assert 1 == await tree.start_child(spec)
        crash.set()
        await wait_all_tasks_blocked()
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(spec)
        assert (2, 1) == (caught.value.value, children(tree)[0].restarts)


@pytest.mark.parametrize("restart", [TRANSIENT, PERMANENT])
async def test_child_is_restarted_to_nothing(restart: Restart) -> None:
    """Elixir DynamicSupervisor: child is restarted with different values, here with none."""
    # Also OTP supervisor_SUITE: simple_one_for_one_restart_ignore. A transient child that returns
    # before it is ready again is gone; a permanent one is tried again.
    lives, failing = [], trio.Event()

    async def live_anew(life: Lifeline) -> None:
        lives.append(life)
        if len(lives) != 2:
            life.ready()
            await (failing if len(lives) == 1 else life.stop_requested).wait()
        if len(lives) == 1:
            raise Boom

    tree = dynamic()
    async with running(tree):
        await tree.start_child(ChildSpec("a", live_anew, restart))
        failing.set()
        await wait_all_tasks_blocked()
        expected = (2, "") if restart is TRANSIENT else (3, "a running")
        assert expected == (len(lives), states(tree))


async def test_restarting_on_init_children_counted_in_max_children(
    journal: Journal, autojump_clock: MockClock
) -> None:
    """Elixir DynamicSupervisor: restarting on init children counted in max_children."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(max_children=1, restarts=99)
    async with running(tree):
        await tree.start_child(a.spec(backoff=STEADY))
        a.faults = [Boom() for _ in range(99)]
        await a.crash()
        await trio.sleep(2)
        assert (2, "a waiting") == (a.lives, states(tree))
        with pytest.raises(TooManyChildren):
            await tree.start_child(b.spec())
    assert 2 == autojump_clock.current_time()


async def test_simple_one_for_one_escalation(journal: Journal) -> None:
    """OTP supervisor_SUITE: simple_one_for_one_escalation. One that cannot restart ends all."""
    # Also simple_one_for_one: until then, nobody but the failed one is touched.
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic(restarts=4)

    async def script() -> None:
        for part in (a, b):
            await tree.start_child(part.spec())
        await a.crash()
        assert ((2, 1), (True, True)) == ((a.lives, b.lives), (a.alive, b.alive))
        a.faults = [Boom() for _ in range(9)]
        await a.crash()

    end = await end_of(tree, script)
    assert isinstance(end, RestartIntensityExceeded)
    assert ((False, False), 1) == ((a.alive, b.alive), b.lives)


async def test_init_timeout(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP gen_server_SUITE: start. Whoever gives up on a slow start leaves nothing behind."""
    a, tree = Part(journal, "a"), dynamic()
    a.hold = trio.Event()
    async with running(tree):
        with trio.move_on_after(1) as scope:
            await tree.start_child(a.spec(shutdown_s=BRUTAL))
        await wait_all_tasks_blocked()
        assert (True, "", 1) == (scope.cancelled_caught, states(tree), a.lives)
        a.hold = None
        await tree.start_child(a.spec())
    assert 1 == autojump_clock.current_time()


async def test_start_that_fails_leaves_its_id() -> None:
    """OTP gen_server_SUITE: loop_start_fail. Again and again, and each time nothing is left."""

    async def fail(life: Lifeline) -> None:
        await trio.lowlevel.checkpoint()
        if life.name == "raises":
            raise Boom

    tree = dynamic(max_children=1)
    async with running(tree):
        for name in ("raises", "returns"):
            for _ in range(5):
                with pytest.raises(StartFailed):
                    await tree.start_child(ChildSpec(name, fail))
        assert (0, 10, 0) == (
            tree.statistics().children,
            tree.statistics().started,
            tree.statistics().restarts,
        )


# Stops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 10])
async def test_terminates_children_with_brutal_kill(count: int, journal: Journal) -> None:
    """Elixir DynamicSupervisor: terminates children with brutal kill."""
    # Also OTP supervisor_SUITE: sup_stop_brutal_kill_dynamic.
    parts, tree = [Part(journal, str(number)) for number in range(count)], dynamic()
    async with running(tree, journal):
        for part in parts:
            await tree.start_child(part.spec(TEMPORARY, shutdown_s=BRUTAL))
        journal.take()
    assert {f"x{part.name}" for part in parts} == set(journal.take().split())
    assert [] == journal.told("actor.killed")


@pytest.mark.parametrize("shutdown_s", [INFINITE, 5])
@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("end", [None, Boom()])
async def test_terminates_children_with_abnormal_reason(
    restart: Restart, shutdown_s: float, end: Exception | None, journal: Journal
) -> None:
    """Elixir DynamicSupervisor: terminates children with infinity shutdown, and abnormal reason."""
    # Also: with integer shutdown and abnormal reason, with permanent restart and normal reason; and
    # OTP supervisor_SUITE: sup_stop_non_shutdown_exit_dynamic. However they answer, they
    # are gone, nothing restarts, and the supervisor ends in peace.
    parts, tree = [Part(journal, name) for name in "abc"], dynamic()
    async with running(tree, journal):
        for part in parts:
            part.last_words = end
            await tree.start_child(part.spec(restart, shutdown_s=shutdown_s))
        journal.take()
    assert {"-a", "-b", "-c"} == set(journal.take().split())
    assert (0 if end is None else 3) == len(journal.told("actor.crashed"))
    assert [] == journal.told("supervisor.escalated")


async def test_terminates_with_mixed_children(journal: Journal) -> None:
    """Elixir DynamicSupervisor: terminates with mixed children. Each is stopped as it wants."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic()
    async with running(tree):
        await tree.start_child(a.spec(shutdown_s=INFINITE))
        await tree.start_child(b.spec(shutdown_s=BRUTAL))
        journal.take()
    assert {"-a", "xb"} == set(journal.take().split())


async def test_sup_stop_race_dynamic(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: sup_stop_race, also here. They may end by themselves."""
    a, b, tree = Part(journal, "a"), Part(journal, "b"), dynamic()
    a.stubborn = True
    crash = trio.Event()

    async def crash_late(life: Lifeline) -> None:
        b.lives += 1
        life.ready()
        await crash.wait()
        raise Boom

    async with running(tree, journal) as stop:
        await tree.start_child(a.spec(shutdown_s=1))
        await tree.start_child(ChildSpec("b", crash_late))
        stop.set()
        await wait_all_tasks_blocked()
        crash.set()
    assert (1, 1, 1) == (b.lives, len(journal.told("actor.crashed")), autojump_clock.current_time())
