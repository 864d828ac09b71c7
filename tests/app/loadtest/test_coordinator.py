"""A whole load test: real processes, which begin together and are added up."""

import signal
import sys

import msgspec
import pytest
import trio
from wsproto.events import CloseConnection, Event

from app.loadtest.coordinator import Stage, load_test
from app.loadtest.errors import LoadTestError
from app.loadtest.model import Plan
from app.loadtest.target import read_target
from tests.app.loadtest.hall import Hall, hall

pytestmark = pytest.mark.slow


def ignore(_stage: Stage) -> None:
    """Nobody looks on."""


PLAN = Plan(
    connections=7, rate=40.0, window=None, duration_s=0.5, warm_up_s=0.1, late_s=60.0, topic="room"
)


@pytest.mark.parametrize("processes", [1, 3])
async def test_processes_share_a_room(processes: int) -> None:
    """Every message goes to the members in all of them, and is sent by one."""
    shown: list[Stage] = []
    async with hall(Hall()) as made:
        with trio.fail_after(60):
            plan = msgspec.structs.replace(PLAN, processes=processes)
            found = await load_test(plan, read_target(made.url), shown.append)
    assert (20, 140, 140) == tuple(map(found.sum_of, ("sent", "expected", "delivered")))
    assert (140, 0) == (found.on_time, found.lost)
    assert (140, 7, 20) == (found.latency.total, found.join.total, found.lag.total)
    assert processes == len(found.results)
    assert 7 == len(made.joins)
    assert 7 == sum(progress.joined for progress in shown[-1].heard.values())


async def test_a_failing_process_ends_the_test() -> None:
    """With its reason, and with all the others."""
    plan = msgspec.structs.replace(PLAN, processes=2)
    async with hall(Hall(refuse=403)) as made:
        with trio.fail_after(60), pytest.raises(LoadTestError, match="refuses with 403"):
            await load_test(plan, read_target(made.url), ignore)
        with trio.fail_after(60):
            await made.wait_empty()


async def test_a_process_that_ends_by_itself_ends_the_test() -> None:
    """It is not waited for."""
    command = (sys.executable, "-c", "")
    with trio.fail_after(60), pytest.raises(LoadTestError, match="ended by itself"):
        await load_test(PLAN, read_target("ws://127.0.0.1"), ignore, command)


async def test_a_signal_ends_the_test() -> None:
    """And its processes."""

    def interrupt(_stage: Stage) -> None:
        signal.raise_signal(signal.SIGINT)

    async with hall(Hall()) as made:
        with trio.fail_after(60), pytest.raises(KeyboardInterrupt):
            await load_test(PLAN, read_target(made.url), interrupt)
        with trio.fail_after(60):
            await made.wait_empty()


async def test_a_server_that_goes_ends_the_test() -> None:
    """There is nothing left to measure."""

    def close(_member: int, _seq: int, _text: str) -> list[Event]:
        return [CloseConnection(1012)]

    async with hall(Hall(close)) as made:
        with trio.fail_after(60), pytest.raises(LoadTestError, match="ended all connections"):
            await load_test(PLAN, read_target(made.url), ignore)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ws://no-such-host.invalid", "cannot find no-such-host.invalid: "),
        ("ws://a..b", "cannot find a..b: "),
    ],
)
async def test_a_host_that_is_none_is_told(url: str, reason: str) -> None:
    """In one line."""
    with trio.fail_after(60), pytest.raises(LoadTestError, match=reason):
        await load_test(PLAN, read_target(url), ignore)


async def test_descriptors_are_counted_before() -> None:
    """Rather than found missing in the middle."""
    plan = msgspec.structs.replace(PLAN, connections=250_000)
    with pytest.raises(LoadTestError, match="descriptors and may have"):
        await load_test(plan, read_target("ws://127.0.0.1"), ignore)
