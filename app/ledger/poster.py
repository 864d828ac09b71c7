"""The posters: one actor for each book that somebody posts to, which posts in batches.

Theory of operation. Callers put what they ask on a desk, wake the poster of their book unless it is
busy, and wait. A poster takes all that lies on the desk for its book, up to a bound, posts it and
answers; what comes meanwhile is the next batch: no timer, small batches when little is asked, large
ones under load. Postings are decided in the order in which they came. A caller costs an append and
a wait, not a message and a deadline: the actor hears one message for many callers, and every wait
within a batch ends by the storage's own deadlines.

Other nodes may post to the same book at any time: the book's row is the lock, and its head and
revision say whether what is remembered of it is still true. There are two ways to post a batch.

*Assuming* that it is, as long as that was so: the batch is decided on the spot, and one statement
records it if the book is as it was taken to be (`assuming`, migration 0006). While PostgreSQL does
that, and if many wait, one more batch is decided ahead, on what this one leaves, and waits for its
turn: batches have their turns in the order in which they came. Where one did not find the book as
it was to be, what was decided after it is given up with it, and each is posted in its turn by the
other way.

*Locking* the book first, in a block (`posting`): where something has to be read that only holds
under the lock, and where somebody else moves the book, until a batch finds it unmoved. What is
remembered is lent to the block, so that nothing is decided on it meanwhile, and comes back when the
block was committed. A block which fails, or runs once more after a conflict, reads the book anew.

A poster whose batch fails crashes, before another is posted, and all who wait are told at once that
it is not known what came of their postings. They ask again under the same keys, of the next life; a
key is posted once. They wait for the end of the life before, which would take a wake-up with it.
Whose wake-up it took all the same, because they came just then, is woken for by the next caller, or
the next sweep.

`Expiries` wakes the posters of books with holds whose time is over, for books that nobody posts to,
and of books for which somebody waits and nobody works.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

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
from app.ledger.assuming import decide, may_assume, unknown
from app.ledger.book import AccountKey, AccountState, BookState
from app.ledger.desk import Asked, Desk, shares
from app.ledger.limits import (
    EXPIRY_SWEEP_S,
    POST_TRIES_MAX,
    POSTER_IDLE_S,
    POSTERS_MAX,
)
from app.ledger.model import Result
from app.ledger.recording import RECORD, arguments_if_so
from app.ledger.request import PostingRequest
from app.ledger.rules import Batch, Decision
from app.storage import Database, StorageDown, WriteConnection

OnPosted: TypeAlias = Callable[[str], None]
"""Called on the trio loop with a book's id; must neither block nor raise."""

_BUSY: Final = Refusal(Code.BUSY)
_UNKNOWN: Final = Refusal(
    Code.OUTCOME_UNKNOWN, "Whether it was posted is not known; ask again with the same keys."
)


class _Decided(NamedTuple):
    """A batch that was decided on what is remembered of the book, which it moved along."""

    state: BookState
    batch: Batch
    decisions: Sequence[Decision]
    arguments: Sequence[Any]


class PosterActor(Actor[None]):
    """Posts what lies on the desk for one book, in batches; its message is a wake-up."""

    __slots__ = (
        "_at_rest",
        "_book",
        "_database",
        "_deciding",
        "_desk",
        "_doubt",
        "_failed",
        "_lent",
        "_posted",
        "_remembered",
        "_turn",
        "_under_way",
    )

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
        self._under_way = 0  # batches
        self._deciding: list[Asked] | None = None  # who the batch is for that has no turn yet
        self._at_rest = trio.Event()
        self._turn = trio.StrictFIFOLock()
        self._remembered: BookState | None = None
        self._lent: BookState | None = None  # to the block that has locked the book
        self._doubt = False
        self._failed = False

    async def handle(self, message: None, reply: Reply) -> None:
        """Begins what may begin."""
        self._begin()

    async def stopping(self) -> None:
        """Waits for the batches of those who are on the desk."""
        while self._under_way:
            await self._at_rest.wait()

    def _begin(self) -> None:
        """Begin a batch if somebody waits, and one more ahead of it if many do.

        Not before it is decided: each is decided on what those before it leave.
        """
        desk, book = self._desk, self._book
        desk.leave(book)
        if self._failed:
            return
        is_next = self._under_way == 0 or (self._has_room_ahead() and desk.has_many(book))
        if is_next and (taken := desk.take(book)):
            self._under_way += 1
            self._deciding = taken
            self.start_soon(self._post_batch, taken)
        if self._under_way:
            desk.served.add(book)
        if self._has_room_ahead():
            desk.spare.add(book)

    def _has_room_ahead(self) -> bool:
        """Whether the next batch may be decided while this one is recorded."""
        unmoved = self._remembered is not None and not self._doubt
        return unmoved and self._under_way == 1 and self._deciding is None

    async def _post_batch(self, taken: list[Asked]) -> None:
        """Post what these ask, and answer them; or tell everybody that nothing is known."""
        requests = [each for asked in taken for each in asked.requests]
        try:
            results = await self._post_in_turn(requests)
        except BaseException:
            # Others may run on for a moment, before this life is over.
            self._failed = True
            self._desk.leave(self._book)
            for asked in (*taken, *self._desk.clear(self._book)):
                asked.answer(None)
            raise
        self._under_way -= 1
        if self._deciding is taken:
            self._deciding = None
        self._begin()
        self._posted(self._book)
        start = 0
        for asked in taken:
            end = start + len(asked.requests)
            asked.answer(results[start:end])
            start = end
        if not self._under_way:
            self._at_rest.set()
            self._at_rest = trio.Event()

    async def _post_in_turn(self, requests: Sequence[PostingRequest]) -> list[Result]:
        """Post on what is remembered of the book, or lock it; either way in the same turn."""
        decided = await self._decide(requests)
        if decided is not None:
            self._deciding = None
            self._begin()  # what runs when this one waits for its turn, or has it
        async with self._turn:
            if self._failed:
                raise StorageDown("of the batch before this one nothing is known")
            recorded_at = None if decided is None else await self._record(decided)
            results = None if recorded_at else await self._post_locked(requests)
        # The next batch is sent before callers are answered, who have more to ask.
        await trio.lowlevel.checkpoint()
        if decided is not None and recorded_at is not None:
            return decided.batch.answers(decided.decisions, recorded_at)
        assert results is not None, "it was posted one way or the other"
        return results

    async def _decide(self, requests: Sequence[PostingRequest]) -> _Decided | None:
        """What comes of these on what is remembered of the book, where they may be decided so."""
        state = self._remembered
        if state is None or self._doubt or not may_assume(state, requests):
            return None
        wanted = unknown(state, requests)
        if wanted and not await self._look_up(state, wanted):
            return None
        batch, decisions = decide(state, requests)
        return _Decided(state, batch, decisions, arguments_if_so(state, batch, requests))

    async def _record(self, decided: _Decided) -> datetime | None:
        """Record what was decided, and say when; None if the book is not as it was taken to be."""
        if self._remembered is not decided.state:
            return None
        (row,) = await self._database.statement(RECORD, *decided.arguments)
        recorded_at: datetime | None = row["recorded_at"]
        if recorded_at is None:
            self._remembered, self._doubt = None, True
            return None
        if decided.batch.recorded:
            decided.state.recorded_at = recorded_at
        return recorded_at

    async def _look_up(self, state: BookState, wanted: set[AccountKey]) -> bool:
        """Learn how accounts stand of which nothing is known; whether all of them are open.

        They stand so since `state` was true, or somebody else has moved the book, which is seen
        when the batch is recorded.
        """
        asked = posting.accounts_asked(self._book, wanted)
        rows = [] if asked is None else await self._database.statement(posting.ACCOUNTS, *asked)
        if self._remembered is not state:
            return False
        for row in rows:
            state.add(AccountState.of(posting.to_account(row)))
        return len(rows) == len(wanted)

    async def _post_locked(self, requests: Sequence[PostingRequest]) -> list[Result]:
        """Post in a block that locks the book, and reads what it has to."""
        remembered, self._remembered = self._remembered, None
        self._lent = remembered
        results, book = await self._database.write(self._post, requests)
        self._remembered = book
        self._doubt = book is not remembered if remembered is not None else self._doubt
        return results

    async def _post(
        self, conn: WriteConnection, requests: Sequence[PostingRequest]
    ) -> tuple[list[Result], BookState | None]:
        """One batch, on the annex."""
        remembered, self._lent = self._lent, None
        return await posting.post_on(conn, self._book, requests, remembered)


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
        left = shares(requests)
        tries = 0
        while left:
            told = await self._ask(book, left)
            if isinstance(told, Refusal):
                return told
            tries = 0 if told else tries + 1
            if tries == POST_TRIES_MAX:
                return _UNKNOWN
            results += (result for share in told for result in share)
            left = left[len(told) :]
        return results

    async def expire(self, book: str) -> None:
        """Ends the holds of a book that are due, if its poster can be asked."""
        await self._ask(book, [()])

    def wake_all(self) -> None:
        """Have posters look at the desk for all who wait for one that does not."""
        for book in self._desk.left():
            self._wake(book)

    async def _ask(
        self, book: str, shares: Sequence[Sequence[PostingRequest]]
    ) -> list[Sequence[Result]] | Refusal:
        """The results of these, up to the first of which nothing is known."""
        waiting = [Asked(share) for share in shares]
        if not self._desk.put(book, waiting):
            return _BUSY
        is_told = self._desk.needs_poster(book, self.actors.whereis(book))
        refused = self._wake(book) if is_told else None
        if refused is not None:
            return refused
        life = self.actors.whereis(book)
        told: list[Sequence[Result]] = []
        for asked in waiting:
            results = await asked.wait()
            if results is None:
                if life is not None:
                    await life.wait_down()
                break
            told.append(results)
        return told

    def _wake(self, book: str) -> Refusal | None:
        """Have the poster of a book look at the desk; why it does not, where it does not."""
        try:
            self.actors.cast(book, None)
        except (MailboxFull, TooManyChildren, ActorDown) as error:
            for asked in self._desk.clear(book):
                asked.answer(None)
            return _UNKNOWN if isinstance(error, ActorDown) else _BUSY
        self._desk.woken[book] = self.actors.whereis(book)
        return None


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
