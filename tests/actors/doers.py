"""An actor whose messages are what it does, and ways to talk to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from actors import Actor, ActorDown, DynamicSupervisor, Ref, Registry, Reply, Restart, actor_child
from tests.actors.support import Boom, Journal, running

Do = Callable[["Doer", Reply], Any]


class Doer(Actor[Do]):
    """An actor whose messages are what it does."""

    capacity = 4

    def __init__(self) -> None:
        self.kept: list[Reply] = []
        self.ended: list[str] = []

    async def handle(self, message: Do, reply: Reply) -> None:
        """Do it; await what it returns, if that can be awaited."""
        result = message(self, reply)
        if result is not None:
            await result

    async def stopping(self) -> None:
        """Note it."""
        self.ended.append("stopping")


def answer(value: object) -> Do:
    """Answer with a value."""
    return lambda _, reply: reply.send(value)


def keep(doer: Doer, reply: Reply) -> None:
    """Put the reply aside."""
    doer.kept.append(reply)


def crash(_doer: Doer, _reply: Reply) -> None:
    """Crash."""
    raise Boom("told to")


def stop(doer: Doer, _reply: Reply) -> None:
    """End in peace after this message."""
    doer.stop()


def wait_for(event: trio.Event) -> Do:
    """Handle this message until the event is set."""
    return lambda _doer, _reply: event.wait()


@asynccontextmanager
async def one(
    actor: Doer | None = None,
    *,
    journal: Journal | None = None,
    registry: Registry | None = None,
    shutdown_s: float = 5,
) -> AsyncIterator[Ref[Do]]:
    """One temporary actor under a supervisor, as long as the block runs."""
    journal = journal or Journal()
    tree = DynamicSupervisor("dyn", max_children=1)
    async with running(tree, journal):
        ref: Ref[Do] = await tree.start_child(
            actor_child(
                "doer",
                lambda: actor or Doer(),
                restart=Restart.TEMPORARY,
                registry=registry,
                shutdown_s=shutdown_s,
            )
        )
        yield ref


async def down_cause(ref: Ref[Do], message: Do) -> str:
    """What a call that ends with ActorDown names as the cause."""
    with pytest.raises(ActorDown, match="doer is down") as caught:
        await ref.call(message, deadline_s=1)
    return repr(caught.value.__cause__)
