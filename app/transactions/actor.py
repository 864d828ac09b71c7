"""One actor for each live transaction, found by its buyer's key.

Theory of operation. The actor holds the callers, as many as come with this key, and never does
anything that takes time, so each of them is heard at once. The work is done by a *driver*
(`driver.py`) in a task of the actor's own. The driver tells the actor what it learns; the actor
tells the callers. When the driver is done, the actor stops; when it crashes, so does the actor, and
a caller who got no answer reads the state from the database (`service.py`). Who asks a moment too
late begins another life of the actor, whose driver finds out what became of the first.

A caller brings the hash of its request. Until the driver has found out which request the key
stands for, callers are merely kept; then those with another hash are refused. Where this key came
to nothing (a refusal that is not stored), callers with another hash are asked to ask again: to
them, the key is as new.

A stop does not end the driver, but its waiting: a charge under way may come to its end within the
actor's time to shut down, and its callers hear of it. Past that, both are cancelled; the next
server finds the transaction open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import trio

from actors import Actor, Overflow, Reply
from app.domain.errors import Code, Refusal
from app.limits import TRANSACTION_CALLERS_MAX, TRANSACTION_MAILBOX
from app.transactions.driver import Driver, News
from app.transactions.model import Transaction
from app.transactions.store import Order

# What a caller gets who is to ask again: this purchase says nothing about their request.
ASK_AGAIN: Final = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A caller's message: buy this, or say what became of it."""

    order: Order


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Recovery's message: this transaction stands open, and nobody may be driving it."""

    transaction: Transaction


class TransactionActor(Actor[Ask | TakeUp]):
    """Holds the callers of one transaction until it can answer them."""

    __slots__ = ("_done", "_drive", "_news", "_waiting")

    capacity: ClassVar[int] = TRANSACTION_MAILBOX
    overflow: ClassVar[Overflow] = Overflow.BLOCK
    stash: ClassVar[bool] = True
    attempts: ClassVar[int] = 1  # what crashed it is in the database, if anywhere
    runs_tasks: ClassVar[bool] = True

    def __init__(self, drive: Callable[[Order | Transaction], Driver]) -> None:
        """An actor that has no driver yet.

        Args:
            drive: makes the driver of an order, or of a transaction that was found open.
        """
        self._drive = drive
        self._done: trio.Event | None = None  # of the driver, once there is one
        self._news: News | None = None
        self._waiting: list[tuple[bytes, Reply]] = []

    async def handle(self, message: Ask | TakeUp, reply: Reply) -> None:
        """Keeps a caller or answers it. The first message begins the work."""
        if isinstance(message, TakeUp):
            self._begin(message.transaction)
        else:
            self._begin(message.order)
            self._hear(message.order.request.hash, reply)

    async def stopping(self) -> None:
        """Waits for the driver, which was told of the stop."""
        if self._done is not None:
            await self._done.wait()

    def _begin(self, what: Order | Transaction) -> None:
        if self._done is None:
            self._done = trio.Event()
            self.start_soon(self._work, self._drive(what), self._done)

    async def _work(self, driver: Driver, done: trio.Event) -> None:
        await driver.run(self._learn, self.stop_requested)
        done.set()
        self.stop()

    def _learn(self, news: News) -> None:
        """The driver tells everybody who waits."""
        self._news = news
        waiting, self._waiting = self._waiting, []
        for request_hash, reply in waiting:
            if reply.wanted:
                self._hear(request_hash, reply)

    def _hear(self, request_hash: bytes, reply: Reply) -> None:
        """Answers a caller as far as is known, or keeps it."""
        news = self._news
        if news is not None and request_hash != news.request_hash:
            reply.send(Refusal(Code.KEY_REUSED) if news.stored else ASK_AGAIN)
        elif news is not None and news.answer is not None:
            reply.send(news.answer)
        elif self._has_room():
            self._waiting.append((request_hash, reply))
        else:
            reply.send(Refusal(Code.BUSY))

    def _has_room(self) -> bool:
        """Whether one more may wait, once those who went away are forgotten."""
        if len(self._waiting) >= TRANSACTION_CALLERS_MAX:
            self._waiting = [each for each in self._waiting if each[1].wanted]
        return len(self._waiting) < TRANSACTION_CALLERS_MAX
