"""The posters: one actor for each book that somebody posts to, which posts in batches.

Theory of operation. Callers put what they ask on a desk, wake the poster of their book unless it is
awake, and wait. A poster takes all that lies on the desk for its book, up to a bound, posts it and
answers; what comes meanwhile is the next batch: no timer, small batches when little is asked, large
ones under load. Postings are decided in the order in which they came. A caller costs an append and
a wait, not a message and a deadline: the actor hears one message for many callers, and every wait
within a batch ends by the storage's own deadlines.

A batch is one atomic block (`posting`). The book it was decided on is remembered for the next one,
once the block was committed; before that it is given up, so that a block which fails, or runs once
more after a conflict, reads the book anew. Other nodes may post to the same book at any time: the
book's row is the lock, and says whether what is remembered is still true.

A poster whose batch fails crashes, and all who wait are told at once that it is not known what came
of their postings. They ask again under the same keys, of the next life; a key is posted once. They
wait for the end of the life before, which would take a wake-up with it. Whose wake-up it took all
the same, because they came just then, is woken for by the next caller, or the next sweep.

`Expiries` wakes the posters of books with holds whose time is over, for books that nobody posts to,
and of books for which somebody waits and nobody works.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, TypeAlias

import trio

from actors import (
    Actor,
    ActorDown,
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
    POST_TRIES_MAX,
    POSTER_IDLE_S,
    POSTERS_MAX,
    POSTINGS_WAITING_MAX,
    REVERSAL_COUNTS,
    TRANSFERS_A_BATCH_MAX,
)
from app.ledger.model import Result
from app.ledger.request import PostingRequest
from app.storage import Database, WriteConnection

OnPosted: TypeAlias = Callable[[str], None]
"""Called on the trio loop with a book's id; must neither block nor raise."""

_BUSY: Final = Refusal(Code.BUSY)
_UNKNOWN: Final = Refusal(
    Code.OUTCOME_UNKNOWN, "Whether it was posted is not known; ask again with the same keys."
)


class Asked:
    """What one caller asks, and the caller, who waits for its results.

    Attributes:
        requests: in their order; none: end the holds that are due.
        transfers: how many they bring, a reversal counted as some.
        results: of the requests, once there are any; None where it is not known.
    """

    __slots__ = ("_task", "requests", "results", "transfers")

    def __init__(self, requests: Sequence[PostingRequest]) -> None:
        self.requests = requests
        self.transfers = transfers_of(requests)
        self.results: Sequence[Result] | None = None
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> Sequence[Result] | None:
        """The results, once `answer` was called; a caller who goes away is not missed."""
        self._task = trio.lowlevel.current_task()

        def go_away(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(go_away)
        return self.results

    def answer(self, results: Sequence[Result] | None) -> None:
        """Give the caller its results, or say that they are not known."""
        self.results = results
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None


class Desk:
    """Where callers leave what they ask, for each book a line.

    Attributes:
        served: the books whose poster will look at the desk again before it rests.
    """

    def __init__(self) -> None:
        self.served: set[str] = set()
        self._lines: dict[str, deque[Asked]] = {}
        self._postings: dict[str, int] = {}

    def put(self, book: str, asked: Asked) -> bool:
        """Leave this at the end of the book's line; False where the line is too long."""
        waiting = self._postings.get(book, 0) + len(asked.requests)
        if waiting > POSTINGS_WAITING_MAX:
            return False
        self._postings[book] = waiting
        self._lines.setdefault(book, deque()).append(asked)
        return True

    def take(self, book: str) -> list[Asked]:
        """Those whom the next batch answers: the first in the line, and as many more as fit."""
        line = self._lines.get(book)
        taken: list[Asked] = []
        transfers = 0
        while line:
            transfers += line[0].transfers
            if taken and transfers > TRANSFERS_A_BATCH_MAX:
                break
            taken.append(line.popleft())
            self._postings[book] -= len(taken[-1].requests)
        if not line:
            self._lines.pop(book, None)
            self._postings.pop(book, None)
        return taken

    def left(self) -> list[str]:
        """The books for which somebody waits and nobody works."""
        return [book for book in self._lines if book not in self.served]

    def clear(self, book: str) -> list[Asked]:
        """The whole line, which is then empty."""
        self._postings.pop(book, None)
        return list(self._lines.pop(book, ()))


class PosterActor(Actor[None]):
    """Posts what lies on the desk for one book, a batch at a time; its message is a wake-up."""

    __slots__ = ("_book", "_database", "_desk", "_done", "_posted", "_remembered")

    capacity: ClassVar[int] = 1
    overflow: ClassVar[Overflow] = Overflow.DROP_NEWEST  # one wake-up is as good as two
    stash: ClassVar[bool] = True
    attempts: ClassVar[int] = 1  # callers ask again themselves: theirs is the key
    runs_tasks: ClassVar[bool] = True

    def __init__(self, database: Database, book: str, desk: Desk, posted: OnPosted) -> None:
        self._database = database
        self._book = book
        self._desk = desk
        self._posted = posted
        self._done: trio.Event | None = None  # of the work under way
        self._remembered: BookState | None = None

    async def handle(self, message: None, reply: Reply) -> None:
        """Begins to work, if it does not."""
        if self._done is None:
            self._done = trio.Event()
            self._desk.served.add(self._book)
            self.start_soon(self._work, self._done)

    async def stopping(self) -> None:
        """Waits for the batches of those who are on the desk."""
        if self._done is not None:
            await self._done.wait()

    async def _work(self, done: trio.Event) -> None:
        """Post until nobody waits."""
        try:
            while taken := self._desk.take(self._book):
                await self._post_batch(taken)
        finally:
            self._desk.served.discard(self._book)
        self._done = None
        done.set()

    async def _post_batch(self, taken: list[Asked]) -> None:
        """Post what these ask, and answer them; or tell everybody that nothing is known."""
        requests = [each for asked in taken for each in asked.requests]
        try:
            results, book = await self._database.write(self._post, requests)
        except BaseException:
            for asked in (*taken, *self._desk.clear(self._book)):
                asked.answer(None)
            raise
        self._remembered = book
        self._posted(self._book)
        start = 0
        for asked in taken:
            end = start + len(asked.requests)
            asked.answer(results[start:end])
            start = end

    async def _post(
        self, conn: WriteConnection, requests: Sequence[PostingRequest]
    ) -> tuple[list[Result], BookState | None]:
        """One batch, on the annex."""
        remembered, self._remembered = self._remembered, None
        return await posting.post_on(conn, self._book, requests, remembered)


def transfers_of(requests: Sequence[PostingRequest]) -> int:
    """How many transfers these bring, a reversal counted as some."""
    return sum(map(_transfers_in, requests))


def _transfers_in(request: PostingRequest) -> int:
    return len(request.transfers) or (1 if request.reverses is None else REVERSAL_COUNTS)


class Posters:
    """Posts to books, for whoever may.

    Attributes:
        actors: one for each book that is posted to; a part of the tree.
    """

    def __init__(self, database: Database, posted: OnPosted = lambda _: None) -> None:
        """Posters not running yet.

        Args:
            database: where the books are.
            posted: called with a book's id each time a batch was committed to it.
        """
        lives = Lives(idle_s=POSTER_IDLE_S, max_live=POSTERS_MAX, restart=Restart.TEMPORARY)
        self._desk = desk = Desk()
        self.actors = VirtualActors(
            "posters", PosterActor, lambda book: PosterActor(database, book, desk, posted), lives
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
            answer = await self._ask(book, share)
            if isinstance(answer, Refusal):
                return answer
            results += answer
        return results

    async def expire(self, book: str) -> None:
        """Ends the holds of a book that are due, if its poster can be asked."""
        await self._ask(book, ())

    def wake_all(self) -> None:
        """Have posters look at the desk for all who wait for one that does not."""
        for book in self._desk.left():
            self._wake(book)

    async def _ask(
        self, book: str, requests: Sequence[PostingRequest]
    ) -> Sequence[Result] | Refusal:
        for _ in range(POST_TRIES_MAX):
            asked = Asked(requests)
            if not self._desk.put(book, asked):
                return _BUSY
            refused = None if book in self._desk.served else self._wake(book)
            if refused is not None:
                return refused
            life = self.actors.whereis(book)
            results = await asked.wait()
            if results is not None:
                return results
            if life is not None:
                await life.wait_down()
        return _UNKNOWN

    def _wake(self, book: str) -> Refusal | None:
        """Have the poster of a book look at the desk; why it does not, where it does not."""
        try:
            self.actors.cast(book, None)
        except (MailboxFull, TooManyChildren, ActorDown) as error:
            for asked in self._desk.clear(book):
                asked.answer(None)
            return _UNKNOWN if isinstance(error, ActorDown) else _BUSY
        return None


def _shares(requests: Sequence[PostingRequest]) -> list[Sequence[PostingRequest]]:
    """Requests in their order, cut so that each share fits a batch, or is one posting."""
    if len(requests) == 1:
        return [requests]
    shares: list[Sequence[PostingRequest]] = []
    start = transfers = 0
    for place, request in enumerate(requests):
        count = _transfers_in(request)
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
                self._posters.wake_all()
                for book in await self._database.read(posting.books_due):
                    # No book holds up the others; what is still on its desk wakes the next sweep.
                    with trio.move_on_after(EXPIRY_SWEEP_S):
                        await self._posters.expire(book)
                await trio.sleep(EXPIRY_SWEEP_S)
