"""A KeyboardInterrupt, wherever it comes, stops the tree in order and comes out."""

import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from actors import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    Registry,
    Reply,
    Supervisor,
    System,
    actor_child,
    run_root,
    running,
)


def interrupting(names: Registry) -> list[ChildSpec]:
    """Two actors, of which one takes its time to end, and the other is interrupted by a message."""

    class Slow(Actor[object]):
        async def stopping(self) -> None:
            await trio.sleep(3)

    class Interrupted(Actor[object]):
        async def handle(self, message: object, reply: Reply) -> None:
            raise KeyboardInterrupt

    return [actor_child("slow", Slow), actor_child("interrupted", Interrupted, registry=names)]


async def interrupt_static() -> None:
    """Interrupt an actor of a static supervisor."""
    names = Registry()
    async with running(Supervisor("shop", interrupting(names))):
        (await names.wait_for("interrupted")).cast(1)
        await trio.sleep_forever()


async def interrupt_dynamic() -> None:
    """Interrupt an actor of a dynamic supervisor."""
    names, shop = Registry(), DynamicSupervisor("shop", max_children=2)
    async with running(shop):
        for spec in interrupting(names):
            await shop.start_child(spec)
        (await names.wait_for("interrupted")).cast(1)
        await trio.sleep_forever()


@pytest.mark.parametrize("interrupt", [interrupt_static, interrupt_dynamic])
def test_an_interrupt_is_not_lost_to_a_cancellation_while_the_tree_stops(
    interrupt: Callable[[], Awaitable[None]],
) -> None:
    """Whoever pressed Ctrl-C did not want the program to go on behind the timeout."""

    async def main() -> None:
        with trio.move_on_after(1):
            await interrupt()

    with pytest.raises(BaseExceptionGroup) as group:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert group.value.subgroup(KeyboardInterrupt) is not None
    assert group.value.subgroup(trio.Cancelled) is None


class Polite(Actor[object]):
    """Says goodbye."""

    said: ClassVar[list[str]] = []

    async def stopping(self) -> None:
        """Say it."""
        await trio.sleep(1)
        self.said.append("goodbye")


async def interrupt() -> None:
    """For a system task: those are protected, so that the interrupt goes to the main task."""
    await trio.sleep(1)
    signal.raise_signal(signal.SIGINT)


async def idle_in_a_block() -> None:
    """The main task is in the block."""
    async with running(actor_child("polite", Polite)):
        await trio.sleep_forever()


async def idle_in_a_root() -> None:
    """The main task is the supervisor's."""
    await run_root(Supervisor("shop", [actor_child("polite", Polite)]))


async def idle_in_a_dynamic_root() -> None:
    """The same for a dynamic one, which somebody else gives a child."""
    shop = DynamicSupervisor("shop", max_children=1)

    async def fill() -> None:
        await trio.testing.wait_all_tasks_blocked()
        await shop.start_child(actor_child("polite", Polite))

    trio.lowlevel.spawn_system_task(fill)
    await run_root(shop)


async def interrupted_in_a_timer() -> None:
    """A timer fires in that moment."""
    system = System()
    system.timers.after(0.5, partial(signal.raise_signal, signal.SIGINT))
    async with running(actor_child("polite", Polite), system):
        await trio.sleep_forever()


async def interrupted_while_idle(main: Callable[[], Awaitable[None]]) -> None:
    """Run this, and interrupt it."""
    trio.lowlevel.spawn_system_task(interrupt)
    await main()


IDLE = [
    partial(interrupted_while_idle, main)
    for main in (idle_in_a_block, idle_in_a_root, idle_in_a_dynamic_root)
]


@pytest.mark.parametrize("main", [*IDLE, interrupted_in_a_timer])
def test_an_interrupt_of_an_idle_program_stops_its_tree_in_order(
    main: Callable[[], Awaitable[None]],
) -> None:
    """Where nothing of the program's runs, trio has the interrupt come to the main task."""
    Polite.said.clear()
    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert Polite.said == ["goodbye"]
