"""Several actors beside each other, which do as they are told and note whose end they hear of."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from actors import (
    Actor,
    Belonging,
    Down,
    DynamicSupervisor,
    Ref,
    Reply,
    Restart,
    System,
    actor_child,
)
from tests.actors.doers import Do, Doer, stop
from tests.actors.support import Boom, Journal, running


class Social(Doer):
    """A doer that notes every end it is told of."""

    def __init__(self) -> None:
        super().__init__()
        self.downs: list[Down] = []

    async def handle_down(self, down: Down) -> None:
        """Note it."""
        self.downs.append(down)


class Trapper(Social):
    """One that hears of the crash of a linked actor instead of following it."""

    traps_links = True


class Tasked(Social):
    """One that has tasks of its own."""

    runs_tasks = True


@asynccontextmanager
async def company(
    *actors: Callable[[], Actor[Do]],
    told: Journal | System | None = None,
    restart: Restart = Restart.TEMPORARY,
    shutdown_s: float = 5,
) -> AsyncIterator[list[Ref[Do]]]:
    """Actors named a, b and so on under one supervisor, as long as the block runs."""
    tree = DynamicSupervisor("dyn", max_children=len(actors))
    async with running(tree, told):
        specs = [
            actor_child(chr(ord("a") + place), actor, restart=restart, shutdown_s=shutdown_s)
            for place, actor in enumerate(actors)
        ]
        yield [await tree.start_child(spec) for spec in specs]


async def tell(ref: Ref[Do], act: Callable[[Any], Any]) -> Any:
    """Have an actor do something in the midst of a message, and give what came of it."""

    def handle(actor: Any, reply: Reply) -> None:
        reply.send(act(actor))

    return await ref.call(handle, deadline_s=9)


def boom(error: Exception | None = None) -> Do:
    """Crash with this very error."""

    def handle(_doer: Doer, _reply: Reply) -> None:
        raise error or Boom("told to")

    return handle


async def down_of(ref: Ref[Do]) -> str:
    """How an actor ended, once it has: the end and what crashed it."""
    down = await ref.wait_down()
    return down.end.value if down.crash is None else f"{down.end.value} {down.crash!r}"


def watch(ref: Ref[Do]) -> Callable[[Social], Belonging]:
    """Monitor that one."""
    return lambda social: social.monitor(ref)


def tie(ref: Ref[Do]) -> Callable[[Social], None]:
    """Link that one."""
    return lambda social: social.link(ref)


def untie(ref: Ref[Do]) -> Callable[[Social], None]:
    """Unlink that one."""
    return lambda social: social.unlink(ref)


async def heard(ref: Ref[Do]) -> list[str]:
    """Whose end an actor heard of, and how they ended."""

    def act(social: Social) -> list[str]:
        return [f"{down.ref.name} {down.end.value}" for down in social.downs]

    told: list[str] = await tell(ref, act)
    return told


async def stop_in_peace(ref: Ref[Do]) -> None:
    """Have it end by itself."""
    ref.cast(stop)
    await ref.wait_down()


async def kill(ref: Ref[Do]) -> None:
    """Have it end by an error that is not its own."""
    ref.crash(Boom("imposed"))
    await ref.wait_down()
