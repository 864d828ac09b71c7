"""One actor for each live transaction, found by its buyer's key.

Theory of operation. A transaction's child is two tasks. The *driver* does the work (`driver.py`);
the *actor* holds the callers, as many as come with this key, and never does anything that takes
time, so each of them is heard at once. The driver tells the actor what it learns; the actor tells
the callers. When the driver is done, or crashes, both end, and a caller who got no answer reads the
state from the database (`service.py`).

A caller brings the hash of its request. Until the driver has found out which request the key
stands for, callers are merely kept; then those with another hash are refused. Where this key came
to nothing (a refusal that is not stored), callers with another hash are asked to ask again: to
them, the key is as new.

A stop does not end the actor, but the driver's waiting: a charge under way may come to its end
within the child's time to shut down, and its callers hear of it. Past that, both are cancelled; the
next server finds the transaction open.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, cast

import trio

from actors import Actor, ChildSpec, Lifeline, Overflow, Ref, Registry, Reply, Restart, actor_child
from app.domain.errors import Code, Refusal
from app.limits import TRANSACTION_CALLERS_MAX, TRANSACTION_MAILBOX, TRANSACTION_SHUTDOWN_S
from app.transactions.driver import Driver, News

# What a caller gets who is to ask again: this purchase says nothing about their request.
ASK_AGAIN: Final = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A caller's message: what became of the purchase under this key?"""

    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Leave:
    """The driver's last message: there is no more news."""


class TransactionActor(Actor[Ask | News | Leave]):
    """Holds the callers of one transaction until it can answer them."""

    __slots__ = ("_news", "_waiting")

    capacity: ClassVar[int] = TRANSACTION_MAILBOX
    overflow: ClassVar[Overflow] = Overflow.BLOCK

    def __init__(self) -> None:
        self._news: News | None = None
        self._waiting: list[tuple[Ask, Reply]] = []

    async def handle(self, message: Ask | News | Leave, reply: Reply) -> None:
        """Keeps a caller or answers it; passes on what the driver learned."""
        match message:
            case Ask():
                self._hear(message, reply)
            case News():
                self._news = message
                waiting, self._waiting = self._waiting, []
                for ask, waiting_reply in waiting:
                    if waiting_reply.wanted:
                        self._hear(ask, waiting_reply)
            case Leave():
                self.stop()

    def _hear(self, ask: Ask, reply: Reply) -> None:
        """Answers a caller as far as is known, or keeps it."""
        news = self._news
        if news is not None and ask.request_hash != news.request_hash:
            reply.send(Refusal(Code.KEY_REUSED) if news.stored else ASK_AGAIN)
        elif news is not None and news.answer is not None:
            reply.send(news.answer)
        elif self._has_room():
            self._waiting.append((ask, reply))
        else:
            reply.send(Refusal(Code.BUSY))

    def _has_room(self) -> bool:
        """Whether one more may wait, once those who went away are forgotten."""
        if len(self._waiting) >= TRANSACTION_CALLERS_MAX:
            self._waiting = [each for each in self._waiting if each[1].wanted]
        return len(self._waiting) < TRANSACTION_CALLERS_MAX


def transaction_child(name: str, driver: Driver, registry: Registry) -> ChildSpec:
    """The child that is a transaction: its actor, registered under `name`, and its driver."""
    return ChildSpec(
        name,
        partial(_live, name, driver, registry),
        restart=Restart.TEMPORARY,
        shutdown_s=TRANSACTION_SHUTDOWN_S,
    )


async def _live(name: str, driver: Driver, registry: Registry, life: Lifeline) -> None:
    """The two tasks; ready with the actor's Ref."""
    up = trio.Event()
    inner = Lifeline(supervisor=life.supervisor, emit=life.emit, on_ready=up.set)
    actor = actor_child(name, TransactionActor, registry=registry)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.start, inner)
        await up.wait()
        ref = cast(Ref[Ask | News | Leave], inner.value)
        life.ready(ref)
        await driver.run(ref.send, life.stop_requested)
        await ref.send(Leave())
