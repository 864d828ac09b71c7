"""Children of a nursery that somebody else has: started, terminated, stopped, seen in the tree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors import (
    ActorDown,
    AlreadyStarted,
    Brood,
    Child,
    ChildSpec,
    Lifeline,
    Restart,
    TooManyChildren,
)

MOOD: ContextVar[str] = ContextVar("MOOD", default="none")


class Nest:
    """A brood of two at most, and what became of its children."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.gone: list[tuple[str, bool]] = []
        self.began: list[str] = []
        self.moods: list[str] = []
        self.life = Lifeline("owner")
        self.brood = Brood(self.life.part("nest"), nursery, max_children=2, on_gone=self._note)

    def start(self, name: str, shutdown_s: float = 1.0, *, stays: bool = False) -> None:
        """A child that lives until it is asked to end, or longer."""

        async def live(life: Lifeline) -> None:
            self.began.append(name)
            self.moods.append(MOOD.get())
            life.ready(name)
            if name == "crash":
                raise ValueError(name)
            if name == "interrupt":
                raise KeyboardInterrupt
            if stays:
                await trio.sleep_forever()
            await life.stop_requested.wait()

        spec = ChildSpec(name, live, restart=Restart.TEMPORARY, shutdown_s=shutdown_s)
        self.brood.start_child_nowait(spec)

    def _note(self, child: Child) -> None:
        self.gone.append((child.name, child.in_peace))


@asynccontextmanager
async def nested() -> AsyncIterator[Nest]:
    """A nest, whose nursery ends with the block."""
    async with trio.open_nursery() as nursery:
        yield Nest(nursery)
        nursery.cancel_scope.cancel()


async def test_a_child_lives_until_it_is_terminated() -> None:
    """And its owner hears how it ended."""
    async with nested() as nest:
        nest.start("a")
        await trio.testing.wait_all_tasks_blocked()
        assert nest.brood.census(9)[0][0].state == "running"
        assert await nest.brood.terminate_child("a")
        assert nest.gone == [("a", True)]
        assert not await nest.brood.terminate_child("a")


async def test_a_crash_ends_one_child_alone() -> None:
    """Nobody starts it again."""
    async with nested() as nest:
        nest.start("a")
        nest.start("crash")
        await trio.testing.wait_all_tasks_blocked()
        assert nest.gone == [("crash", False)]
        assert [life.name for life in nest.brood.lives()] == ["a"]


async def test_the_bound_and_the_names_hold() -> None:
    """As of any supervisor."""
    async with nested() as nest:
        nest.start("a")
        with pytest.raises(AlreadyStarted):
            nest.start("a")
        nest.start("b")
        with pytest.raises(TooManyChildren):
            nest.start("c")
        await nest.brood.stop()
        with pytest.raises(ActorDown):
            nest.start("d")


async def test_stopping_asks_all_at_once_and_each_has_its_time(autojump_clock: MockClock) -> None:
    """One that does not end is cancelled, which is no end in peace."""
    async with nested() as nest:
        nest.start("a")
        nest.start("b", shutdown_s=3.0, stays=True)
        await trio.testing.wait_all_tasks_blocked()
        began = autojump_clock.current_time()
        await nest.brood.stop()
        assert autojump_clock.current_time() - began == 3.0
        assert nest.gone == [("a", True), ("b", False)]
        await nest.brood.stop()


async def test_a_child_asked_to_end_before_it_began_never_begins() -> None:
    """Its owner hears of it all the same."""
    async with nested() as nest:
        nest.start("a")
        await nest.brood.terminate_child("a")
        assert (nest.began, nest.gone) == ([], [("a", True)])


async def test_a_child_does_not_carry_the_context_of_who_started_it() -> None:
    """Which is the request of whoever came first."""
    async with nested() as nest:
        MOOD.set("bad")
        nest.start("a")
        await trio.testing.wait_all_tasks_blocked()
        assert nest.moods == ["none"]


async def test_an_escalation_is_raised_in_the_nursery() -> None:
    """It is not for a brood to keep."""
    with pytest.RaisesGroup(KeyboardInterrupt):
        async with nested() as nest:
            nest.start("interrupt")
            await trio.sleep_forever()
    assert nest.gone == [("interrupt", False)]


async def test_a_nursery_that_is_cancelled_ends_them_all() -> None:
    """Each is told of once."""
    async with nested() as nest:
        nest.start("a")
        nest.start("b")
        await trio.testing.wait_all_tasks_blocked()
    assert sorted(nest.gone) == [("a", False), ("b", False)]


async def test_a_brood_is_seen_in_the_tree() -> None:
    """Below its owner, with what lives in it, as far as there is room to list."""
    async with nested() as nest:
        nest.start("a")
        nest.start("b")
        await trio.testing.wait_all_tasks_blocked()
        seen = dict(nest.life.vitals(1).walk())
        assert seen["owner/nest"].detail == "brood"
        assert (list(seen), seen["owner/nest"].hidden) == (
            ["owner", "owner/nest", "owner/nest/a"],
            1,
        )
        assert repr(nest.brood) == "<Brood nest [2 of 2]>"
