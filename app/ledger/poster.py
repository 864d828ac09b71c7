"""The posters: one actor for each book that somebody posts to, which posts in batches.

Theory of operation. A poster keeps what comes while a batch is under way, and the next batch takes
all of it, up to a bound: no timer, small batches when little is asked, large ones under load. One
task of the actor's own does the work, batch after batch, so postings are decided in the order in
which they came, and the actor hears everybody at once meanwhile.

A batch is one atomic block (`posting`). The book it was decided on is remembered for the next one,
once the block was committed; before that it is given up, so that a block which fails, or runs once
more after a conflict, reads the book anew. Other nodes may post to the same book at any time: the
book's row is the lock, and says whether what is remembered is still true.

A poster whose batch fails crashes, and all who wait are told at once that it is not known what came
of their postings. They ask again under the same keys, of the next life; a key is posted once.

`Expiries` wakes the posters of books with holds whose time is over, for books that nobody posts to.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import trio

from actors import (
    Actor,
    ActorDown,
    CallTimeout,
    Lifeline,
    Lives,
    MailboxFull,
    Overflow,
    Reply,
    Restart,
    TooManyChildren,
    VirtualActors,
)
from app.domain.errors import Code, Refusal
from app.ledger import posting
from app.ledger.book import BookState
from app.ledger.limits import (
    EXPIRY_SWEEP_S,
    POST_S,
    POST_TRIES_MAX,
    POSTER_IDLE_S,
    POSTER_MAILBOX,
    POSTERS_MAX,
    POSTINGS_WAITING_MAX,
    TRANSFERS_A_BATCH_MAX,
)
from app.ledger.model import Result
from app.ledger.request import PostingRequest
from app.storage import Database, WriteConnection

_BUSY = Refusal(Code.BUSY)
_UNKNOWN = Refusal(
    Code.OUTCOME_UNKNOWN, "Whether it was posted is not known; ask again with the same keys."
)


@dataclass(frozen=True, slots=True)
class PostAll:
    """A caller's message: post these, in this order; none: end the holds that are due."""

    requests: Sequence[PostingRequest]


class PosterActor(Actor[PostAll]):
    """Posts to one book, a batch at a time. It answers with a list of results, or a `Refusal`."""

    __slots__ = ("_book", "_database", "_done", "_postings", "_remembered", "_waiting")

    capacity: ClassVar[int] = POSTER_MAILBOX
    overflow: ClassVar[Overflow] = Overflow.REJECT
    stash: ClassVar[bool] = True
    attempts: ClassVar[int] = 1  # callers ask again themselves: theirs is the key
    runs_tasks: ClassVar[bool] = True

    def __init__(self, database: Database, book: str) -> None:
        self._database = database
        self._book = book
        self._waiting: deque[tuple[PostAll, Reply]] = deque()
        self._postings = 0  # that wait
        self._done: trio.Event | None = None  # of the work under way
        self._remembered: BookState | None = None

    async def handle(self, message: PostAll, reply: Reply) -> None:
        """Keeps a caller for the next batch."""
        if self._postings + len(message.requests) > POSTINGS_WAITING_MAX:
            reply.send(_BUSY)
            return
        self._postings += len(message.requests)
        self._waiting.append((message, reply))
        if self._done is None:
            self._done = trio.Event()
            self.start_soon(self._work, self._done)

    async def stopping(self) -> None:
        """Waits for the batches of those who were heard."""
        if self._done is not None:
            await self._done.wait()

    async def _work(self, done: trio.Event) -> None:
        """Post until nobody waits."""
        while self._waiting:
            taken = self._take()
            requests = [each for message, _ in taken for each in message.requests]
            results = await self._database.write(self._post, requests)
            start = 0
            for message, reply in taken:
                end = start + len(message.requests)
                reply.send(results[start:end])
                start = end
        self._done = None
        done.set()

    def _take(self) -> list[tuple[PostAll, Reply]]:
        """Those whom the next batch answers: the first who waits, and as many more as fit."""
        taken: list[tuple[PostAll, Reply]] = []
        transfers = 0
        while self._waiting:
            message, reply = self._waiting[0]
            transfers += transfers_of(message.requests)
            if taken and transfers > TRANSFERS_A_BATCH_MAX:
                break
            self._waiting.popleft()
            self._postings -= len(message.requests)
            taken.append((message, reply))
        return taken

    async def _post(
        self, conn: WriteConnection, requests: Sequence[PostingRequest]
    ) -> list[Result]:
        """One batch, on the annex."""
        remembered, self._remembered = self._remembered, None
        results, book = await posting.post_on(conn, self._book, requests, remembered)
        self._remembered = book
        return results


def transfers_of(requests: Sequence[PostingRequest]) -> int:
    """How many transfers these bring, a reversal counted as one."""
    return sum(len(request.transfers) or 1 for request in requests)


class Posters:
    """Posts to books, for whoever may.

    Attributes:
        actors: one for each book that is posted to; a part of the tree.
    """

    def __init__(self, database: Database) -> None:
        lives = Lives(idle_s=POSTER_IDLE_S, max_live=POSTERS_MAX, restart=Restart.TEMPORARY)
        self.actors = VirtualActors(
            "posters", PosterActor, lambda book: PosterActor(database, book), lives
        )

    async def post(self, book: str, requests: Sequence[PostingRequest]) -> list[Result] | Refusal:
        """Posts to a book, in this order, and says what came of each request.

        The same key and body get the same answer, whoever asks and when.

        Returns:
            The results; or a refusal, busy or outcome_unknown, after which each posting may be
            asked for again under its key and is posted once.
        """
        results: list[Result] = []
        for share in _shares(requests):
            answer = await self._ask(book, PostAll(share))
            if isinstance(answer, Refusal):
                return answer
            results += answer
        return results

    async def expire(self, book: str) -> None:
        """Ends the holds of a book that are due, if its poster can be asked."""
        await self._ask(book, PostAll(()))

    async def _ask(self, book: str, message: PostAll) -> list[Result] | Refusal:
        for _ in range(POST_TRIES_MAX):
            try:
                answer: list[Result] | Refusal = await self.actors.call(
                    book, message, deadline_s=POST_S
                )
            except (MailboxFull, TooManyChildren):
                return _BUSY
            except CallTimeout:
                return _UNKNOWN
            except ActorDown:
                continue
            return answer
        return _UNKNOWN


def _shares(requests: Sequence[PostingRequest]) -> list[Sequence[PostingRequest]]:
    """Requests in their order, cut so that each share fits a batch, or is one posting."""
    shares: list[Sequence[PostingRequest]] = []
    start = transfers = 0
    for place, request in enumerate(requests):
        count = transfers_of([request])
        if transfers and transfers + count > TRANSFERS_A_BATCH_MAX:
            shares.append(requests[start:place])
            start, transfers = place, 0
        transfers += count
    return [*shares, requests[start:]]


class Expiries:
    """Wakes the posters of books with holds whose time is over."""

    def __init__(self, database: Database, posters: Posters) -> None:
        self._database = database
        self._posters = posters

    async def run(self, life: Lifeline) -> None:
        """Look every `EXPIRY_SWEEP_S`, until asked to stop.

        Raises:
            StorageDown: PostgreSQL failed.
        """
        with trio.CancelScope() as scope:
            life.on_stop(scope.cancel)
            life.ready()
            while True:
                for book in await self._database.read(posting.books_due):
                    await self._posters.expire(book)
                await trio.sleep(EXPIRY_SWEEP_S)
