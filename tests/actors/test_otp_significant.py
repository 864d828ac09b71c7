"""Supervisors that end with their significant children: cases of OTP's supervisor_SUITE.

Each test names its case; `otp_cases` lists them all, with those that have their test elsewhere.
"""

from dataclasses import replace

import pytest

from actors import (
    ActorDown,
    AutoShutdown,
    ChildSpec,
    Intensity,
    Restart,
    Strategy,
    Supervisor,
)
from tests.actors.looks import states
from tests.actors.support import Boom, Journal, Part, dynamic, running

ANY, EVERY = AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT
TEMPORARY, TRANSIENT = Restart.TEMPORARY, Restart.TRANSIENT


def significant(part: Part, restart: Restart) -> ChildSpec:
    """A child whose end for good counts."""
    return replace(part.spec(restart), significant=True)


def supervisor(
    *specs: ChildSpec, auto_shutdown: AutoShutdown, strategy: Strategy = Strategy.ONE_FOR_ONE
) -> Supervisor:
    """A supervisor that allows many restarts."""
    intensity = Intensity(99, 5)
    return Supervisor(
        "sup", specs, strategy=strategy, intensity=intensity, auto_shutdown=auto_shutdown
    )


def is_down(tree: Supervisor) -> bool:
    """Whether it runs no more."""
    try:
        tree.value_of("keeper")
    except ActorDown:
        return True
    return False


@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown))
async def test_nonsignificant_temporary(auto_shutdown: AutoShutdown, journal: Journal) -> None:
    """OTP supervisor_SUITE: nonsignificant_temporary. However it ends, its supervisor goes on."""
    a, keeper = Part(journal, "a"), Part(journal, "keeper")
    tree = supervisor(keeper.spec(), auto_shutdown=auto_shutdown)
    async with running(tree, journal):
        for end in (None, Boom()):
            await tree.start_child(a.spec(TEMPORARY))
            await a.die(end)
        await tree.start_child(a.spec(TEMPORARY))
        await tree.terminate_child("a")
        assert (3, 1, "keeper running") == (a.lives, keeper.lives, states(tree))
    assert [] == journal.told("supervisor.shut_down")


@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown))
async def test_nonsignificant_transient(auto_shutdown: AutoShutdown, journal: Journal) -> None:
    """OTP supervisor_SUITE: nonsignificant_transient. Neither does the end of a transient one."""
    a, keeper = Part(journal, "a"), Part(journal, "keeper")
    tree = supervisor(keeper.spec(), a.spec(TRANSIENT), auto_shutdown=auto_shutdown)
    async with running(tree, journal):
        await tree.terminate_child("a")
        await tree.restart_child("a")
        await a.crash()
        assert (3, "keeper running, a running") == (a.lives, states(tree))
        await a.die(None)
        assert (3, "keeper running, a ended") == (a.lives, states(tree))
    assert [] == journal.told("supervisor.shut_down")


@pytest.mark.parametrize("auto_shutdown", [ANY, EVERY])
@pytest.mark.parametrize("restart", [TEMPORARY, TRANSIENT])
async def test_significant_terminated(
    auto_shutdown: AutoShutdown, restart: Restart, journal: Journal
) -> None:
    """OTP supervisor_SUITE: significant_temporary, significant_transient. Terminated by hand."""
    # That was not its own end, so it counts for nothing.
    a, b = Part(journal, "a"), Part(journal, "b")
    specs = [significant(part, restart) for part in (a, b)]
    tree = supervisor(*specs, auto_shutdown=auto_shutdown)
    async with running(tree, journal):
        for part in (a, b):
            await tree.terminate_child(part.name)
        assert ("" if restart is TEMPORARY else "a ended, b ended") == states(tree)
    assert [] == journal.told("supervisor.shut_down")


@pytest.mark.parametrize(
    ("restart", "end"), [(TEMPORARY, None), (TEMPORARY, Boom()), (TRANSIENT, None)]
)
async def test_significant_temporary(
    restart: Restart, end: Exception | None, journal: Journal
) -> None:
    """OTP supervisor_SUITE: significant_temporary, significant_transient. Any of them ends it."""
    # Its other children are stopped in order, and it ends in peace.
    a, b, keeper = (Part(journal, name) for name in ("a", "b", "keeper"))
    specs = [significant(a, restart), significant(b, restart), keeper.spec()]
    tree = supervisor(*specs, auto_shutdown=ANY)
    async with running(tree, journal):
        journal.take()
        await a.die(end)
        assert (journal.take(), is_down(tree)) == ("-keeper -b", True)
    assert [{"supervisor": "sup", "child": "a"}] == journal.told("supervisor.shut_down")
    assert [] == journal.told("supervisor.escalated")


@pytest.mark.parametrize("auto_shutdown", [ANY, EVERY])
async def test_significant_transient(auto_shutdown: AutoShutdown, journal: Journal) -> None:
    """OTP supervisor_SUITE: significant_transient. After a crash it restarts, and nothing ends."""
    a, keeper = Part(journal, "a"), Part(journal, "keeper")
    tree = supervisor(significant(a, TRANSIENT), keeper.spec(), auto_shutdown=auto_shutdown)
    async with running(tree, journal):
        await a.crash()
        assert (states(tree), a.lives) == ("a running, keeper running", 2)
        await a.die(None)
        assert is_down(tree)


@pytest.mark.parametrize("restart", [TEMPORARY, TRANSIENT])
async def test_significant_all(restart: Restart, journal: Journal) -> None:
    """OTP supervisor_SUITE: significant_temporary, significant_transient. All of them end it."""
    a, b, keeper = (Part(journal, name) for name in ("a", "b", "keeper"))
    specs = [significant(a, restart), significant(b, restart), keeper.spec()]
    tree = supervisor(*specs, auto_shutdown=EVERY)
    async with running(tree, journal):
        await a.die(None)
        assert (True, True, False) == (b.alive, keeper.alive, is_down(tree))
        await b.die(None)
        assert (False, True) == (keeper.alive, is_down(tree))
    assert [{"supervisor": "sup", "child": "b"}] == journal.told("supervisor.shut_down")


async def test_significant_simple(journal: Journal) -> None:
    """OTP supervisor_SUITE: significant_simple. Children that come and go signify nothing."""
    tree = dynamic()
    async with running(tree):
        with pytest.raises(AssertionError, match="none of its children is significant"):
            await tree.start_child(significant(Part(journal, "a"), TEMPORARY))
        assert states(tree) == ""


@pytest.mark.parametrize("auto_shutdown", [ANY, EVERY])
@pytest.mark.parametrize("restart", [TEMPORARY, TRANSIENT])
@pytest.mark.parametrize(
    ("strategy", "stopped"),
    [(Strategy.ONE_FOR_ONE, ""), (Strategy.ONE_FOR_ALL, "ac"), (Strategy.REST_FOR_ONE, "c")],
)
async def test_significant_bystander(
    strategy: Strategy,
    stopped: str,
    auto_shutdown: AutoShutdown,
    restart: Restart,
    journal: Journal,
) -> None:
    """OTP supervisor_SUITE: significant_bystander. One stopped with others counts for nothing."""
    a, b, c = parts = [Part(journal, name) for name in "abc"]
    specs = [significant(a, restart), b.spec(TRANSIENT), significant(c, restart)]
    tree = supervisor(*specs, auto_shutdown=auto_shutdown, strategy=strategy)
    async with running(tree, journal):
        await b.crash()
        for part in parts:
            again = part is b or (part.name in stopped and restart is TRANSIENT)
            assert (2 if again else 1) == part.lives
            assert part.alive == (again or part.name not in stopped)
        assert [] == journal.told("supervisor.shut_down")


@pytest.mark.parametrize("signifies", [True, False])
async def test_significant_escalation(journal: Journal, *, signifies: bool) -> None:
    """OTP supervisor_SUITE: significant_escalation. The end of such a supervisor goes on up."""
    # It ends in peace, so the one above ends with it if it is significant, and else does not.
    a, keeper = Part(journal, "a"), Part(journal, "keeper")
    inner = Supervisor("inner", [significant(a, TRANSIENT)], auto_shutdown=ANY)
    spec = inner.as_child(restart=TRANSIENT, significant=signifies)
    tree = supervisor(keeper.spec(), spec, auto_shutdown=ANY)
    async with running(tree, journal):
        await a.die(None)
        assert (signifies, not signifies) == (is_down(tree), keeper.alive)
        assert 1 == a.lives
    told = [fields["supervisor"] for fields in journal.told("supervisor.shut_down")]
    assert (["inner", "sup"] if signifies else ["inner"]) == told
