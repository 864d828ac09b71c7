"""A node whose batches can be held, made to fail and looked at, and callers of its posters."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple, cast

import trio
import trio.testing

from app.domain.errors import Refusal
from app.ledger.model import Result
from app.ledger.poster import Posters
from app.ledger.recording import RECORD
from app.ledger.request import PostingRequest
from app.storage import Database, ReadConnection, Row, WriteConnection

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Where the statement that records a batch has the keys of others than it records, and of these.
_OTHERS: Final = 4
_KEYS: Final = 8


class Watched(Database):
    """The database of one node, in which each batch can be held, made to fail, and looked at.

    Attributes:
        batches: the keys of each batch, in the order in which they began; of one that was assumed
            those of what it records, then the others. One that did not hold is there twice.
        ways: how each of them was posted, `assumed` or `locked`.
        gate: batches wait for it before they begin.
        look: who looked at accounts waits for it before it is told.
        looking: is set when somebody looked at accounts.
        before: what is raised instead of the next batches, from the last.
        after: what is raised after the next batches were committed, from the last.
        failing: is set just before a batch fails.
        ended: is set when a batch was committed.
    """

    def __init__(self, beneath: Database) -> None:
        self.batches: list[list[str]] = []
        self.ways: list[str] = []
        self.gate = trio.Event()
        self.gate.set()
        self.look = trio.Event()
        self.look.set()
        self.looking = trio.Event()
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
        """A batch whose book is locked first."""
        (requests,) = cast("tuple[list[PostingRequest]]", args)
        block = fn if self.around is None else partial(self.around, fn)
        batch = partial(self._beneath.write, cast("Any", block), *args)
        result: T = await self._watch("locked", [request.key for request in requests], batch)
        return result

    async def statement(self, query: str, *args: object) -> list[Row]:
        """A batch that was decided before its book is locked, or a look at its accounts."""
        run = partial(self._beneath.statement, query, *args)
        if query != RECORD:
            rows = await run()
            self.looking.set()
            await self.look.wait()
            return rows
        others, recorded = (cast("Sequence[str]", args[place]) for place in (_OTHERS, _KEYS))
        batch: list[Row] = await self._watch("assumed", [*recorded, *others], run)
        return batch

    async def _watch(self, way: str, keys: list[str], batch: Callable[[], Awaitable[Any]]) -> Any:
        self.batches.append(keys)
        self.ways.append(way)
        await self.gate.wait()
        if self.before:
            self.failing.set()
            raise self.before.pop()
        result = await batch()
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
