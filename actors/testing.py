"""What the tests of an application's actors are made of: a probe, trees, crashes, virtual time.

    async def test_a_sale_that_is_over_tells_its_owner(autojump_clock):
        async with probing() as owner, running(actor_child("sale", lambda: Sale(owner.ref))):
            await owner.expect(Opened)
            assert await owner.expect(Closed) == Closed("sold out")
            await owner.expect_nothing()

A *probe* is an actor that stands for whoever the actor under test talks to. `running` runs a tree,
or one child of a tree, for a block. `crash` ends one place of a running tree, found by its path,
as an exception would that left it; a `CrashPlan` does so by itself, at the n-th start or message.

Nothing here sleeps, and no test has to. In virtual time (`virtual_clock`; the `autojump_clock` of
pytest-trio) a timeout of an hour is over as soon as nothing is left to do. `under_seeds` runs one
test under many orders of events, each of which can be had again; `run_watched` fails a test whose
step blocked the loop.
"""

import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar, Final, Self, TypeVar, cast

import trio
import trio.testing

from actors.actor import Actor
from actors.call import NO_REPLY, Reply
from actors.host import actor_child
from actors.ref import Down
from actors.root import running
from actors.seeded import explore, run_seeded, under_seeds
from actors.spec import ChildSpec, Lifeline, Restart
from actors.step_watch import LoopBlocked, StepLimit, run_watched
from actors.system import Living, System

__all__ = [
    "PATIENCE_S",
    "CrashPlan",
    "LoopBlocked",
    "PlannedCrash",
    "Probe",
    "StepLimit",
    "crash",
    "explore",
    "life_at",
    "probing",
    "run_seeded",
    "run_watched",
    "running",
    "under_seeds",
    "virtual_clock",
]

T = TypeVar("T")
A = TypeVar("A", bound=Actor[Any])

# Seconds until what did not come is a failure. In virtual time the wait is free; in real time it is
# far beyond anything that a test waits for.
PATIENCE_S: Final = 60.0


# Trees --------------------------------------------------------------------------------------------


def life_at(system: System, path: str) -> Living:
    """The life at a place of a running tree.

    Args:
        system: of the tree.
        path: names from the root down, joined by slashes, as in `root/shop/till`.

    Raises:
        AssertionError: nothing lives there; it says what lives where.
    """
    lives = dict(system.lives())
    assert path in lives, f"nothing lives at {path}, but at: {', '.join(lives) or 'no tree runs'}"
    return lives[path]


def crash(system: System, path: str, error: Exception) -> None:
    """End the life at a place of a running tree, at once, as if this error had left it.

    Raises:
        AssertionError: nothing lives there; or it is the root, or a part, which has no supervisor.
    """
    life_at(system, path).crash(error)


def virtual_clock() -> trio.testing.MockClock:
    """A clock for `trio.run` that jumps to the next deadline when nothing is left to do.

    Not for tests that wait for threads, sockets or processes: it takes that for idleness.
    """
    return trio.testing.MockClock(autojump_threshold=0)


# A probe ------------------------------------------------------------------------------------------


class Probe(Actor[Any]):
    """An actor that a test holds by both ends: it hands out the Ref, and reads what comes.

    Messages, and the `Down` of what it monitors or is linked to, come out in the order in which
    they were handled. A call waits until the test answers it by `reply`.

    Attributes:
        seen: everything that came so far, read or not.
    """

    __slots__ = ("_asked", "_inbox", "_news", "seen")

    traps_links: ClassVar[bool] = True

    def __init__(self) -> None:
        """A probe not running yet: run its `child`, or use `probing`."""
        self.seen: list[Any] = []
        self._inbox: deque[tuple[Any, Reply]] = deque()
        self._asked: Reply = NO_REPLY
        self._news = trio.Event()

    def child(self, id: str = "probe") -> ChildSpec:  # noqa: A002 - a child spec's own word
        """What a supervisor needs to run it. It lives once."""
        return actor_child(id, lambda: self, restart=Restart.TEMPORARY)

    # For the test.

    async def receive(self) -> Any:
        """The next message, or `Down`; waits for it.

        Raises:
            AssertionError: nothing came.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(PATIENCE_S):
            while not self._inbox:
                self._news = trio.Event()
                await self._news.wait()
        assert self._inbox, f"{self.ref.name} was sent nothing for {PATIENCE_S:g} s"
        message, self._asked = self._inbox.popleft()
        return message

    async def expect(self, kind: type[T]) -> T:
        """The next message, which is of this kind."""
        message = await self.receive()
        assert isinstance(message, kind), f"{self.ref.name} was sent {message!r}, no {kind}"
        return message

    async def expect_nothing(self) -> None:
        """Nothing waits, and nothing comes while anybody on this loop has anything left to do."""
        await trio.testing.wait_all_tasks_blocked()
        assert not self._inbox, f"{self.ref.name} was sent {self._inbox[0][0]!r}"

    def reply(self, answer: object) -> None:
        """Answer the call that was received last."""
        assert self._asked is not NO_REPLY, "what was received last is no call, or was answered"
        asked, self._asked = self._asked, NO_REPLY
        asked.send(answer)

    # The actor.

    async def handle(self, message: Any, reply: Reply) -> None:
        """Keeps what comes for the test."""
        self._keep(message, reply)

    async def handle_down(self, down: Down) -> None:
        """Keeps the news for the test."""
        self._keep(down, NO_REPLY)

    def _keep(self, message: Any, reply: Reply) -> None:
        self.seen.append(message)
        self._inbox.append((message, reply))
        self._news.set()


@asynccontextmanager
async def probing() -> AsyncIterator[Probe]:
    """A probe that lives while the block runs, in a tree of its own."""
    probe = Probe()
    async with running(probe.child()):
        yield probe


# Crashes on purpose -------------------------------------------------------------------------------


class PlannedCrash(Exception):  # noqa: N818 - it names what happened
    """A crash that a test has planned."""


class CrashPlan:
    """Which starts and which messages of something end in a crash.

    Both are counted from 1, over all lives, and in all that one plan is given to: a message that
    is given to the next life again (see `Actor.stash`) counts again.

    Attributes:
        crashes: what it did, such as "start 1" or "message 3", in order.
    """

    def __init__(
        self,
        *,
        starts: Iterable[int] = (),
        messages: Iterable[int] = (),
        handled: Iterable[int] = (),
    ) -> None:
        """A plan.

        Args:
            starts: those that fail, before anything is ready.
            messages: those that crash the actor before it handled them.
            handled: those that crash the actor after it handled them.
        """
        self.crashes: list[str] = []
        self._due = {f"start {number}" for number in starts}
        self._due |= {f"message {number}" for number in messages}
        self._due |= {f"handled {number}" for number in handled}
        self._starts = 0
        self._messages = 0

    @classmethod
    def seeded(cls, seed: int, *, crashes: int, messages: int) -> Self:
        """A plan of so many crashes, drawn by the seed among the first so many messages.

        Each is before or after its message was handled. Starts do not fail: one that does ends a
        tree that is starting for the first time.
        """
        chance = random.Random(seed)  # noqa: S311 - a seed is no secret
        drawn = chance.sample(range(1, messages + 1), crashes)
        before = {number for number in drawn if chance.random() < 1 / 2}
        return cls(messages=before, handled=set(drawn) - before)

    def child(self, spec: ChildSpec) -> ChildSpec:
        """This child, whose starts go by the plan."""

        async def start(life: Lifeline) -> None:
            self._begin()
            await spec.start(life)

        return replace(spec, start=start)

    def actor(self, kind: type[A]) -> type[A]:
        """This class of actors, whose starts and messages go by the plan."""
        plan = self

        async def started(self: Actor[Any]) -> None:
            plan._begin()
            await kind.started(cast(A, self))

        async def handle(self: Actor[Any], message: Any, reply: Reply) -> None:
            plan._messages += 1
            number = plan._messages
            plan._reach(f"message {number}")
            await kind.handle(cast(A, self), message, reply)
            plan._reach(f"handled {number}")

        body = {"__slots__": (), "started": started, "handle": handle}
        return cast("Callable[..., type[A]]", type)(kind.__name__, (kind,), body)

    def _begin(self) -> None:
        self._starts += 1
        self._reach(f"start {self._starts}")

    def _reach(self, place: str) -> None:
        if place in self._due:
            self.crashes.append(place)
            raise PlannedCrash(place)
