"""Messages to actors, and the same over bare memory channels. Each function returns seconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio

from actors import Actor, Ref, Reply, actor_child
from bench.meters import Stopwatch
from bench.trees import dynamic

# Messages in a row before others run: they fit a mailbox of the usual size.
BATCH: Final = 1000
CALLERS: Final = 64
DEADLINE_S: Final = 60.0


class Zero:
    """A number that messages count down, and whoever waits for the last of them.

    Attributes:
        left: messages still to come.
        reached: set with the last.
    """

    __slots__ = ("left", "reached")

    def __init__(self, left: int) -> None:
        self.left = left
        self.reached = trio.Event()


class Sink(Actor[int]):
    """Counts messages down."""

    __slots__ = ("_zero",)
    capacity = 1 << 20

    def __init__(self, zero: Zero) -> None:
        self._zero = zero

    async def handle(self, message: int, reply: Reply) -> None:
        """One less."""
        zero = self._zero
        zero.left -= 1
        if not zero.left:
            zero.reached.set()


async def casts(count: int) -> float:
    """Casts in a row; what happens to them later is not measured."""
    async with dynamic() as supervisor:
        sink = await supervisor.start_child(actor_child("sink", partial(Sink, Zero(-1))))
        with Stopwatch() as watch:
            for number in range(count):
                sink.cast(number)
    return watch.seconds


async def sends(count: int) -> float:
    """Messages put into an open channel with room."""
    send, receive = trio.open_memory_channel[int](count)
    with send, receive, Stopwatch() as watch:
        for number in range(count):
            send.send_nowait(number)
    return watch.seconds


async def handled_casts(count: int) -> float:
    """Casts in batches, each handled before the next."""
    zero = Zero(0)
    async with dynamic() as supervisor:
        sink = await supervisor.start_child(actor_child("sink", partial(Sink, zero)))
        with Stopwatch() as watch:
            for _ in range(count // BATCH):
                zero.left, zero.reached = BATCH, trio.Event()
                for number in range(BATCH):
                    sink.cast(number)
                await zero.reached.wait()
    return watch.seconds


async def _handled_sends(count: int, drains: bool) -> float:  # noqa: FBT001 - one of two loops
    zero = Zero(0)
    send, receive = trio.open_memory_channel[int](BATCH)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_drain if drains else iterate, receive, zero)
        with Stopwatch() as watch:
            for _ in range(count // BATCH):
                zero.left, zero.reached = BATCH, trio.Event()
                for number in range(BATCH):
                    send.send_nowait(number)
                await zero.reached.wait()
        nursery.cancel_scope.cancel()
    return watch.seconds


async def iterated_sends(count: int) -> float:
    """Messages in batches, to a task that does `async for`."""
    return await _handled_sends(count, drains=False)


async def drained_sends(count: int) -> float:
    """Messages in batches, to a task that takes all there is at each wake-up."""
    return await _handled_sends(count, drains=True)


async def iterate(channel: trio.MemoryReceiveChannel[int], zero: Zero) -> None:
    """Count messages down, for ever."""
    async for _ in channel:
        zero.left -= 1
        if not zero.left:
            zero.reached.set()


async def _drain(channel: trio.MemoryReceiveChannel[int], zero: Zero) -> None:
    while True:
        await channel.receive()
        taken = True
        while taken:
            zero.left -= 1
            if not zero.left:
                zero.reached.set()
            try:
                channel.receive_nowait()
            except trio.WouldBlock:
                taken = False


class Player(Actor[int]):
    """Plays ping-pong: hands on one less, until nothing is left."""

    __slots__ = ("_over", "peer")
    peer: Ref[int]

    def __init__(self, over: trio.Event) -> None:
        self._over = over

    async def handle(self, message: int, reply: Reply) -> None:
        """Play on."""
        if message:
            self.peer.cast(message - 1)
        else:
            self._over.set()


async def actor_ping_pong(count: int) -> float:
    """Casts to an idle actor, one at a time: two of them play."""
    over = trio.Event()
    players = Player(over), Player(over)
    async with dynamic() as supervisor:
        one, other = [
            await supervisor.start_child(
                actor_child(f"player {place}", partial(players.__getitem__, place))
            )
            for place in range(2)
        ]
        players[0].peer, players[1].peer = other, one
        with Stopwatch() as watch:
            one.cast(count)
            await over.wait()
    return watch.seconds


async def task_ping_pong(count: int) -> float:
    """The same between two tasks."""
    over = trio.Event()

    async def play(
        receive: trio.MemoryReceiveChannel[int], send: trio.MemorySendChannel[int]
    ) -> None:
        while True:
            message = await receive.receive()
            if message:
                send.send_nowait(message - 1)
            else:
                over.set()

    to_one, of_one = trio.open_memory_channel[int](1)
    to_other, of_other = trio.open_memory_channel[int](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, of_one, to_other)
        nursery.start_soon(play, of_other, to_one)
        with Stopwatch() as watch:
            to_one.send_nowait(count)
            await over.wait()
        nursery.cancel_scope.cancel()
    return watch.seconds


class Echo(Actor[Any]):
    """Answers what it is asked."""

    __slots__ = ()

    async def handle(self, message: Any, reply: Reply) -> None:
        """Answer."""
        reply.send(message)


async def calls(count: int) -> float:
    """Calls, one after the other."""
    async with dynamic() as supervisor:
        echo = await supervisor.start_child(actor_child("echo", Echo))
        with Stopwatch() as watch:
            for number in range(count):
                await echo.call(number, deadline_s=DEADLINE_S)
    return watch.seconds


async def channel_calls(count: int) -> float:
    """Requests in one channel and answers in another, each with a deadline."""
    ask, asked = trio.open_memory_channel[int](1)
    answer, answered = trio.open_memory_channel[int](1)

    async def serve() -> None:
        while True:
            answer.send_nowait(await asked.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with Stopwatch() as watch:
            for number in range(count):
                with trio.fail_after(DEADLINE_S):
                    ask.send_nowait(number)
                    await answered.receive()
        nursery.cancel_scope.cancel()
    return watch.seconds


async def shared_calls(count: int) -> float:
    """Calls of one actor by many callers."""
    async with dynamic() as supervisor:
        echo = await supervisor.start_child(actor_child("echo", Echo))

        async def caller() -> None:
            for number in range(count // CALLERS):
                await echo.call(number, deadline_s=DEADLINE_S)

        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(CALLERS):
                    nursery.start_soon(caller)
    return watch.seconds


class Question:
    """What one asks a bare task: a message, and a place and a sign for the answer."""

    __slots__ = ("answer", "answered", "message")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.answer: Any = None
        self.answered = trio.Event()


async def ask(channel: trio.MemorySendChannel[Question], message: Any) -> Any:
    """A call without an actor, with a deadline."""
    question = Question(message)
    with trio.fail_after(DEADLINE_S):
        channel.send_nowait(question)
        await question.answered.wait()
    return question.answer


async def echo_questions(channel: trio.MemoryReceiveChannel[Question]) -> None:
    """Answer what is asked."""
    async for question in channel:
        question.answer = question.message
        question.answered.set()


@asynccontextmanager
async def echo_task() -> AsyncIterator[trio.MemorySendChannel[Question]]:
    """A task that answers, as long as it is needed."""
    send, receive = trio.open_memory_channel[Question](BATCH)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo_questions, receive)
        yield send
        nursery.cancel_scope.cancel()


async def event_calls(count: int) -> float:
    """Questions to one task, one after the other."""
    async with echo_task() as channel:
        with Stopwatch() as watch:
            for number in range(count):
                await ask(channel, number)
    return watch.seconds


async def shared_event_calls(count: int) -> float:
    """Questions to one task by many."""
    async with echo_task() as channel:

        async def asker() -> None:
            for number in range(count // CALLERS):
                await ask(channel, number)

        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(CALLERS):
                    nursery.start_soon(asker)
    return watch.seconds
