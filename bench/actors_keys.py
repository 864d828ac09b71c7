"""Virtual actors, and a table of tasks that are started by the first question to their key."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from actors import Actor, Lives, Reply, VirtualActors
from bench.actors_messages import BATCH, DEADLINE_S, Question
from bench.meters import Stopwatch
from bench.trees import WIDE_OPEN, running

LIVE_MAX: Final = 1000
# Asked to go before so many others came, which leaves time to do so.
_KEPT: Final = LIVE_MAX - 100

# The message with which an actor goes.
GO: Final = "go"


class Passing(Actor[str]):
    """Answers, and goes when told to."""

    __slots__ = ()
    stash = True

    async def handle(self, message: str, reply: Reply) -> None:
        """Answer."""
        reply.send(message)
        if message == GO:
            self.stop()


def _virtual() -> VirtualActors[str]:
    lives = Lives(idle_s=3600.0, max_live=LIVE_MAX, intensity=WIDE_OPEN)
    return VirtualActors("bench", Passing, lambda _key: Passing(), lives)


class Table:
    """Tasks by key, each there from the first question until it is told to go."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._channels: dict[str, trio.MemorySendChannel[Question]] = {}

    async def ask(self, key: str, message: str) -> Any:
        """Ask the task of this key, with a deadline."""
        question = Question(message)
        with trio.fail_after(DEADLINE_S):
            self.tell(key, question)
            await question.answered.wait()
        return question.answer

    def tell(self, key: str, question: Question) -> None:
        """Put a question to the task of this key."""
        channel = self._channels.get(key)
        if channel is None:
            channel, receive = trio.open_memory_channel[Question](BATCH)
            self._channels[key] = channel
            self._nursery.start_soon(self._live, key, receive)
        channel.send_nowait(question)

    async def _live(self, key: str, channel: trio.MemoryReceiveChannel[Question]) -> None:
        async for question in channel:
            question.answer = question.message
            question.answered.set()
            if question.message == GO:
                break
        del self._channels[key]


async def _touch(
    count: int, call: Callable[[str, str], Awaitable[Any]], cast: Callable[[str, str], None]
) -> float:
    """Ask one key after the other, and have those go that were asked long ago."""
    with Stopwatch() as watch:
        for number in range(count):
            await call(str(number), "touch")
            if number >= _KEPT:
                cast(str(number - _KEPT), GO)
        await trio.lowlevel.checkpoint()
    return watch.seconds


async def activations(count: int) -> float:
    """Calls of one key after the other, each of which goes when it has answered."""
    actors = _virtual()
    async with running(actors):
        with Stopwatch() as watch:
            for number in range(count):
                await actors.call(str(number), GO, deadline_s=DEADLINE_S)
    return watch.seconds


async def bare_activations(count: int) -> float:
    """The same with a table of tasks."""
    async with trio.open_nursery() as nursery:
        table = Table(nursery)
        with Stopwatch() as watch:
            for number in range(count):
                await table.ask(str(number), GO)
    return watch.seconds


async def touches(count: int) -> float:
    """So many keys called, of which at most `LIVE_MAX` live at a time."""
    actors = _virtual()

    async def call(key: str, message: str) -> Any:
        return await actors.call(key, message, deadline_s=DEADLINE_S)

    async with running(actors):
        return await _touch(count, call, actors.cast)


async def bare_touches(count: int) -> float:
    """The same with a table of tasks."""
    async with trio.open_nursery() as nursery:
        table = Table(nursery)
        seconds = await _touch(
            count, table.ask, lambda key, message: table.tell(key, Question(message))
        )
        nursery.cancel_scope.cancel()
    return seconds
