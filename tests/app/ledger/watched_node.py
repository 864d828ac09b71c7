"""A node whose batches can be held, made to fail and looked at, and callers of its posters."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple, cast

import trio
import trio.testing

from app.domain.errors import Refusal
from app.ledger.model import Result
from app.ledger.poster import Posters
from app.ledger.request import PostingRequest
from app.storage import Database, ReadConnection, WriteConnection

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Watched(Database):
    """The database of one node, in which each batch can be held, made to fail, and looked at.

    Attributes:
        batches: the keys of each batch, in the order in which they began.
        gate: batches wait for it before they begin.
        before: what is raised instead of the next batches, from the last.
        after: what is raised after the next batches were committed, from the last.
        failing: is set just before a batch fails.
        ended: is set when a batch was committed.
    """

    def __init__(self, beneath: Database) -> None:
        self.batches: list[list[str]] = []
        self.gate = trio.Event()
        self.gate.set()
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.failing = trio.Event()
        self.ended = trio.Event()
        self.around: Callable[..., Awaitable[Any]] | None = None
        self._beneath = beneath

    async def read(self, fn: Callable[[ReadConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """A block that reads."""
        return await self._beneath.read(fn, *args)

    async def write(self, fn: Callable[[WriteConnection, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """A batch."""
        (requests,) = cast("tuple[list[PostingRequest]]", args)
        self.batches.append([request.key for request in requests])
        await self.gate.wait()
        if self.before:
            self.failing.set()
            raise self.before.pop()
        block = fn if self.around is None else partial(self.around, fn)
        result: T = await self._beneath.write(cast("Any", block), *args)
        if self.after:
            raise self.after.pop()
        self.ended.set()
        return result


async def post(
    posters: Posters, answers: dict[str, list[Result] | Refusal], *requests: PostingRequest
) -> None:
    """A caller who posts, and keeps the answer under its first key."""
    answers[requests[0].key] = await posters.post("acme", requests)


def told(answer: list[Result] | Refusal) -> list[Result]:
    """The results of an answer that is no refusal."""
    assert isinstance(answer, list), answer
    return answer


async def settle() -> None:
    """Until every task waits for something that is not there yet."""
    await trio.testing.wait_all_tasks_blocked()
