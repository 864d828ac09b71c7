"""Starts, stops and administration of children: cases of OTP's supervisor_SUITE.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    BRUTAL,
    INFINITE,
    ActorDown,
    AlreadyStarted,
    AutoShutdown,
    ChildRuns,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Lifeline,
    NoSuchChild,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
)
from tests.actors.looks import states
from tests.actors.support import Boom, Journal, Part, dynamic, running

TEMPORARY, TRANSIENT, PERMANENT = Restart.TEMPORARY, Restart.TRANSIENT, Restart.PERMANENT


async def live(life: Lifeline) -> None:
    """A life that ends when asked to."""
    life.ready("extra")
    await life.stop_requested.wait()


def named(name: str) -> ChildSpec:
    """A child of that name."""
    return ChildSpec(name, live)


# Starts -------------------------------------------------------------------------------------------


async def test_sup_start_normal() -> None:
    """OTP supervisor_SUITE: sup_start_normal. One without children starts, and stops in peace."""
    tree = Supervisor("sup", [])
    async with running(tree):
        assert "<Supervisor sup [0 of 0 children live]>" == repr(tree)


async def test_sup_start_child_returns_error(journal: Journal) -> None:
    """OTP supervisor_SUITE: sup_start_child_returns_error. Nothing of a failed start is kept."""
    a, tree = Part(journal, "a"), Supervisor("sup", [])
    a.faults = [Boom("no")]
    async with running(tree):
        with pytest.raises(StartFailed) as caught:
            await tree.start_child(a.spec())
        assert ("a", "Boom('no')") == (caught.value.child, repr(caught.value.__cause__))
        await wait_all_tasks_blocked()
        assert ("", 0, 1) == (states(tree), tree.statistics().restarts, a.lives)
        assert a is await tree.start_child(a.spec())


async def test_sup_start_restart_child_returns_error(journal: Journal) -> None:
    """OTP supervisor_SUITE: sup_start_restart_child_returns_error. The child stays, terminated."""
    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec()])
    async with running(tree):
        await tree.terminate_child("a")
        a.faults = [Boom("no")]
        with pytest.raises(StartFailed) as caught:
            await tree.restart_child("a")
        assert "Boom('no')" == repr(caught.value.__cause__)
        await wait_all_tasks_blocked()
        assert ("a ended", 2) == (states(tree), a.lives)
        assert a is await tree.restart_child("a")


def test_sup_start_map() -> None:
    """OTP supervisor_SUITE: sup_start_map. A child is permanent and has five seconds to stop."""
    spec, supervisor = named("a"), Supervisor("sup", []).as_child()
    assert (PERMANENT, 5, False) == (spec.restart, spec.shutdown_s, spec.significant)
    assert (PERMANENT, inf, False) == (
        supervisor.restart,
        supervisor.shutdown_s,
        supervisor.significant,
    )


def test_child_specs() -> None:
    """OTP supervisor_SUITE: child_specs, child_specs_map. What means nothing is refused."""
    # Also sup_start_map_faulty_specs. What is of the wrong type is a checker's to find.
    nonsense: list[Callable[[], object]] = [
        lambda: named(""),
        lambda: replace(named("a"), shutdown_s=-10),
        lambda: replace(named("a"), significant=True),
        lambda: Supervisor("sup", [named("a"), named("a")]),
        lambda: Supervisor("sup", [replace(named("a"), restart=TEMPORARY, significant=True)]),
    ]
    for each in nonsense:
        with pytest.raises(AssertionError):
            each()


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("shutdown_s", [BRUTAL, 1, INFINITE])
@pytest.mark.parametrize("significant", [False, True])
@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown))
def test_child_specs_map(
    restart: Restart, shutdown_s: float, auto_shutdown: AutoShutdown, *, significant: bool
) -> None:
    """OTP supervisor_SUITE: child_specs_map. All combinations but two are fine."""
    refused = significant and (auto_shutdown is AutoShutdown.NEVER or restart is PERMANENT)
    try:
        spec = ChildSpec("a", live, restart, shutdown_s, significant=significant)
        Supervisor("sup", [spec], auto_shutdown=auto_shutdown)
    except AssertionError:
        assert refused
    else:
        assert not refused


async def test_child_specs_of_start_child() -> None:
    """OTP supervisor_SUITE: child_specs_map. A child that comes later is held to the same."""
    tree = Supervisor("sup", [])
    async with running(tree):
        with pytest.raises(AssertionError, match="never shuts down by itself"):
            await tree.start_child(replace(named("a"), restart=TEMPORARY, significant=True))
        assert states(tree) == ""


# Stops --------------------------------------------------------------------------------------------


async def test_sup_stop_infinity(autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: sup_stop_infinity. Workers and supervisors may have all the time."""

    async def linger(life: Lifeline) -> None:
        await live(life)
        await trio.sleep(1000)

    inner = Supervisor("inner", [ChildSpec("b", linger, shutdown_s=INFINITE)])
    specs = [ChildSpec("a", linger, shutdown_s=INFINITE), inner.as_child()]
    async with running(Supervisor("sup", specs)):
        pass
    assert 2000 == autojump_clock.current_time()


async def test_sup_stop_brutal_kill(journal: Journal) -> None:
    """OTP supervisor_SUITE: sup_stop_brutal_kill. One is asked, the other is cancelled."""
    a, b = (Part(journal, name) for name in "ab")
    async with running(Supervisor("sup", [a.spec(), b.spec(shutdown_s=BRUTAL)])):
        journal.take()
    assert journal.take() == "xb -a"


async def test_sup_stop_race(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: sup_stop_race. Children that end by themselves disturb no stop."""
    kinds = [(restart, error) for restart in Restart for error in (None, Boom())]
    racers = [Part(journal, f"racer{number}") for number in range(len(kinds))]
    a, z = Part(journal, "a"), Part(journal, "z")
    z.stubborn = True
    specs = [part.spec(kind[0]) for part, kind in zip(racers, kinds, strict=True)]
    tree = Supervisor("sup", [a.spec(), *specs, z.spec(shutdown_s=1)])
    async with running(tree, journal) as stop:
        journal.take()
        stop.set()
        await wait_all_tasks_blocked()
        for racer, (_, error) in zip(racers, kinds, strict=True):
            racer.die_soon(error)
    assert ("-z xz -a", 1) == (journal.take(), autojump_clock.current_time())
    assert [1] * len(kinds) == [racer.lives for racer in racers]
    assert len(kinds) // 2 == len(journal.told("actor.crashed"))


async def test_order_of_children(journal: Journal) -> None:
    """OTP supervisor_SUITE: order_of_children. The order is the one given, not that of ids."""
    ids = ["7", "3", "10", "2", "5"]
    parts = {id_: Part(journal, id_) for id_ in ids}
    specs = [part.spec() for part in parts.values()]
    async with running(Supervisor("sup", specs, strategy=Strategy.REST_FOR_ONE)):
        assert journal.take() == "+7 7! +3 3! +10 10! +2 2! +5 5!"
        await parts["10"].crash()
        assert journal.take() == "-5 -2 +10 10! +2 2! +5 5!"
    assert journal.take() == "-5 -2 -10 -3 -7"


async def test_child_unlink(journal: Journal, autojump_clock: MockClock) -> None:
    """OTP supervisor_SUITE: child_unlink. One that will not end hangs nobody for ever."""
    a, b = (Part(journal, name) for name in "ab")
    a.stubborn = True
    tree = Supervisor("sup", [a.spec(shutdown_s=1), b.spec()])
    async with running(tree):
        await tree.terminate_child("a")
        assert ("a ended, b running", 1) == (states(tree), autojump_clock.current_time())


# Administration -----------------------------------------------------------------------------------


async def test_child_adm(journal: Journal) -> None:
    """OTP supervisor_SUITE: child_adm. Start, terminate, restart, delete, and what each refuses."""
    a = Part(journal, "a")
    tree = Supervisor("sup", [a.spec()])
    async with running(tree):
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(a.spec())
        assert caught.value.value is a
        await tree.terminate_child("a")
        await tree.terminate_child("a")
        assert states(tree) == "a ended"
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(a.spec())
        assert caught.value.value is None
        assert a is await tree.restart_child("a")
        for refused in (tree.restart_child, tree.delete_child):
            with pytest.raises(ChildRuns, match="a is not terminated"):
                await refused("a")
        await tree.terminate_child("a")
        await tree.delete_child("a")
        assert states(tree) == ""
        assert a is await tree.start_child(a.spec())
        assert (states(tree), a.lives) == ("a running", 3)


@pytest.mark.parametrize("what", ["terminate_child", "restart_child", "delete_child"])
async def test_child_adm_of_nobody(what: str) -> None:
    """OTP supervisor_SUITE: child_adm. An unknown child, and a supervisor that does not run."""
    tree = Supervisor("sup", [])
    with pytest.raises(ActorDown, match="sup is down"):
        await getattr(tree, what)("a")
    async with running(tree):
        with pytest.raises(NoSuchChild, match="sup has no child a"):
            await getattr(tree, what)("a")
    with pytest.raises(ActorDown, match="sup is down"):
        await tree.start_child(named("a"))


async def test_extra_return() -> None:
    """OTP supervisor_SUITE: extra_return. Every way to start a child gives its value back."""
    tree = Supervisor("sup", [named("a")])
    async with running(tree):
        assert "extra" == tree.value_of("a")
        await tree.terminate_child("a")
        assert "extra" == await tree.restart_child("a")
        await tree.terminate_child("a")
        await tree.delete_child("a")
        assert ("extra", ("extra",)) == (await tree.start_child(named("a")), tree.values())


async def test_which_children() -> None:
    """OTP supervisor_SUITE: which_children. The list and the look-up follow what happens."""
    tree = Supervisor("sup", [])
    async with running(tree):
        for name, listed in (("a", "a running"), ("b", "a running, b running")):
            await tree.start_child(named(name))
            assert states(tree) == listed
        await tree.terminate_child("a")
        assert states(tree) == "a ended, b running"
        with pytest.raises(ActorDown, match="sup/a is down"):
            tree.value_of("a")
        await tree.delete_child("a")
        assert states(tree) == "b running"
        with pytest.raises(NoSuchChild):
            tree.value_of("a")


# Temporary and transient children -----------------------------------------------------------------


@pytest.mark.parametrize("error", [None, Boom()])
async def test_temporary_normal(error: Exception | None, journal: Journal) -> None:
    """OTP supervisor_SUITE: temporary_normal, temporary_shutdown, temporary_abnormal."""
    # A temporary child that ended is forgotten, and its id is free.
    a, tree = Part(journal, "a"), Supervisor("sup", [])
    async with running(tree):
        for lives in (1, 2):
            await tree.start_child(a.spec(TEMPORARY))
            await a.die(error)
            assert ("", lives) == (states(tree), a.lives)


async def test_transient_shutdown(journal: Journal) -> None:
    """OTP supervisor_SUITE: transient_shutdown. One that returned comes back by `restart_child`."""
    a, tree = Part(journal, "a"), Supervisor("sup", [])
    async with running(tree):
        await tree.start_child(a.spec(TRANSIENT))
        await a.die(None)
        assert (states(tree), a.lives) == ("a ended", 1)
        await tree.restart_child("a")
        await a.crash()
        assert (states(tree), a.lives) == ("a running", 3)


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("how", ["return", "crash", "terminate"])
@pytest.mark.parametrize("restart", list(Restart))
async def test_do_not_save_child_specs_for_temporary_children(
    strategy: Strategy, how: str, restart: Restart, journal: Journal
) -> None:
    """OTP supervisor_SUITE: do_not_save_child_specs_for_temporary_children."""
    # After its end, the id of a temporary child is free; others restarted, or wait to be.
    a, tree = Part(journal, "a"), Supervisor("sup", [], strategy=strategy)
    async with running(tree):
        await tree.start_child(a.spec(restart))
        if how == "terminate":
            await tree.terminate_child("a")
        else:
            await a.die(Boom() if how == "crash" else None)
        if restart is TEMPORARY:
            assert a is await tree.start_child(a.spec(restart))
            return
        with pytest.raises(AlreadyStarted) as caught:
            await tree.start_child(a.spec(restart))
        waits = how == "terminate" or (how == "return" and restart is TRANSIENT)
        assert (None if waits else a) is caught.value.value


@pytest.mark.parametrize("error", [None, Boom()])
@pytest.mark.parametrize("tree", [Supervisor("sup", []), dynamic()])
async def test_do_not_save_start_parameters_for_temporary_children(
    error: Exception | None, tree: Supervisor | DynamicSupervisor
) -> None:
    """OTP supervisor_SUITE: do_not_save_start_parameters_for_temporary_children."""
    # Also simple_one_for_one_corruption: whatever a temporary child was started with goes with it.
    async with running(tree):
        for _ in range(2):
            a = Part(Journal(), "a")
            await tree.start_child(a.spec(TEMPORARY))
            await a.die(error)
            trace, a = weakref.ref(a), Part(Journal(), "another")
            if error is not None:
                error.__traceback__ = None
            gc.collect()
            assert trace() is None


async def test_sup_flags() -> None:
    """OTP supervisor_SUITE: sup_flags. A rule that means nothing is refused where it is written."""
    for restarts, window_s in ((-1, 5), (3, 0), (3, -5)):
        with pytest.raises(AssertionError):
            Supervisor("sup", [], intensity=Intensity(restarts, window_s))
