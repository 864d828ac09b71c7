"""Runs one life of an actor: start, messages, end.

Theory of operation. The order of an end matters to those outside. In peace: the mailbox closes
and the calls in it fail, `stopping` runs and may still answer calls that were put aside, then the
name is free and the rest of the calls fail. In a crash: the name is free and every call fails
first, since nobody there can answer any more; `stopping` runs after that, within a deadline, for
the restart waits. When cancelled: all of it at once, without `stopping`. Names are free before
the supervisor learns of the end, so a restart finds its own.

The mailbox is drained whole, and what was drained is worked off message by message without a pause.
A stop is noticed between two messages: the rest is lost, as what still waits is, and counted.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from actors.actor import Actor
from actors.limits import SHUTDOWN_S
from actors.mailbox import Mailbox
from actors.ref import NO_REPLY, Call, Ref, refuse_dropped
from actors.registry import Registry
from actors.restart_state import Backoff
from actors.spec import ChildSpec, Lifeline, Restart

M = TypeVar("M")


def actor_child(
    id: str,  # noqa: A002 - a child spec's own word
    factory: Callable[[], Actor[M]],
    *,
    restart: Restart = Restart.PERMANENT,
    shutdown_s: float = SHUTDOWN_S,
    backoff: Backoff | None = None,
    registry: Registry | None = None,
) -> ChildSpec:
    """The child spec of an actor. Its ready value is the Ref.

    Args:
        id: its name among its siblings, in its Ref, and in the registry.
        factory: makes a new actor for each life.
        restart: whether it is started again when it ends by itself.
        shutdown_s: seconds for the message being handled and for `stopping`, at the end.
        backoff: how long to wait before a restart.
        registry: where it is found under its id while it lives, from before `started` on.
    """
    start = partial(_live, id, factory, registry, shutdown_s)
    return ChildSpec(id, start, restart=restart, shutdown_s=shutdown_s, backoff=backoff)


async def _live(
    name: str,
    factory: Callable[[], Actor[M]],
    registry: Registry | None,
    shutdown_s: float,
    life: Lifeline,
) -> None:
    """One life. Returns after an end in peace, raises what crashed it."""
    actor = factory()
    mailbox: Mailbox[M | Call] = Mailbox(
        actor.capacity, actor.overflow, name=name, on_drop=refuse_dropped
    )
    ref: Ref[M] = Ref(name, mailbox)
    batch: list[M | Call] = []
    goodbye_owed = False
    try:
        if registry is not None:
            registry.register(name, ref)
        actor.enter(ref, mailbox.interrupt)
        life.on_stop(mailbox.interrupt)
        await actor.started()
        life.ready(ref)
        goodbye_owed = True
        while not mailbox.interrupted:
            batch = await mailbox.drain()
            batch.reverse()  # so that taking the next one is cheap, and frees it once handled
            while batch and not mailbox.interrupted:
                item = batch.pop()
                if isinstance(item, Call):
                    await actor.handle(item.message, item)
                else:
                    await actor.handle(item, NO_REPLY)
        _hang_up(ref, batch, life)
        goodbye_owed = False
        await actor.stopping()
    except Exception as crash:
        _hang_up(ref, batch, life, crash)
        ref.mark_down(crash)
        if goodbye_owed:
            await _stop_crashed(actor, crash, shutdown_s)
        raise
    finally:
        _hang_up(ref, batch, life)
        ref.mark_down(None)


def _hang_up(
    ref: Ref[M], batch: list[M | Call], life: Lifeline, crash: Exception | None = None
) -> None:
    """Take no more messages, and tell of those that nobody will handle. Again changes nothing."""
    casts, calls = ref.hang_up(reversed(batch), crash)
    batch.clear()
    if casts or calls:
        fields = {"supervisor": life.supervisor, "actor": ref.name, "casts": casts, "calls": calls}
        life.emit("actor.messages_lost", fields)


async def _stop_crashed(actor: Actor[M], crash: Exception, shutdown_s: float) -> None:
    """Let a crashed actor say goodbye, within its time. Trouble with that joins the crash."""
    try:
        with trio.move_on_after(shutdown_s):
            await actor.stopping()
    except trio.Cancelled as cancelled:  # by its supervisor, or further out: the crash is told too
        raise BaseExceptionGroup("cancelled after a crash", [crash, cancelled]) from None
    except Exception as second:  # noqa: BLE001 - told, with what came first
        raise ExceptionGroup("a crash, and another while stopping", [crash, second]) from None
