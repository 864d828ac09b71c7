"""The account feed: tells those who watch accounts of each posting, once, in the book's order.

Theory of operation. Every node runs one. It knows the accounts that somebody here watches and, of
each, how it stood at the last posting that was told: its *tail*. What it was told of an account and
what it reads next join on by the account's own count of its entries, which has no gaps; and a
book's postings become visible in the order of their numbers, since the book's row is locked by
whoever posts. So reading what lies after the last posting, in order, can miss nothing, whoever
posted it and however it came to be: a poster of this node or of another, a purchase, a sweep.

One task reads. It is woken by posters, who tell all nodes when they have committed a batch, and by
the event log's batches, for purchases post to the ledger in blocks of their own; and it looks at
the books' heads by itself every `BOOKS_LOOK_S`, so that neither is needed: a lost message delays.
Where a book has moved, the accounts watched in it are asked for what they have more, a bounded
number in one read, and each a bounded number of entries; who has yet more comes again after the
others. Where nobody watches, nothing is read, and a poster never does anything here but note its
book's name.

A join reads the account, its book's head and what the client missed in one snapshot. It counts as
watching from before that, and its client's messages are held by the hub from before that, too. Is
its place at or behind the one where the tail began, then all that follows was told or will be; if
it is ahead of it, which another's first join may cause that was faster, the snapshot is read again.

A crash loses nothing: the object outlives its runs, tails stay, and move after what they tell of
was published. That the log was replaced under the node is seen by the feed of the log, which ends
it.
"""

from dataclasses import dataclass
from typing import Final

import trio

from actors import Lifeline, Wakeup
from app.domain.cursor import Cursor
from app.domain.errors import Refusal
from app.events.feed import LOG, Publisher
from app.identity.model import Identity
from app.ledger import tail_store
from app.ledger.limits import BOOKS_LOOK_S, BOOKS_REST_S, TAILS_A_READ
from app.ledger.model import NO_ACCOUNT
from app.ledger.service import may_see
from app.ledger.tail import ACCOUNT, POSTING, AccountJoin, News
from app.ledger.watching import Watching
from app.storage import Database
from channels.broker import Broker

# The broker's raw channel that tells which book was posted to.
BOOKS: Final = "books"


@dataclass(frozen=True, slots=True)
class AccountFeedStatistics:
    """What the account feed does, and its counts since it was made.

    Attributes:
        accounts: accounts that are watched on this node, joins under way included.
        books: the books they are in.
        looked: times that books' heads were looked at.
        told: postings given to this node's members, once for each account.
    """

    accounts: int
    books: int
    looked: int
    told: int


class AccountFeed:
    """Gives postings to the members of this node's `account:` topics."""

    def __init__(self, database: Database, broker: Broker, hub: Publisher) -> None:
        """A feed not running yet; it may run again after a crash, and goes on where it was.

        Args:
            database: where the ledger is.
            broker: tells nodes which books have moved.
            hub: gives events to members.
        """
        self._database = database
        self._broker = broker
        self._hub = hub
        self._watching = Watching()
        self._woken = Wakeup()
        self._moved: dict[str, None] = {}  # books that other nodes are to be told of
        self._tells = Wakeup()
        self._looked = 0
        self._told = 0
        broker.subscribe_raw(BOOKS, self._hear_of_book)
        broker.subscribe_raw(LOG, self._hear_of_events)

    def __repr__(self) -> str:
        return f"<AccountFeed of {len(self._watching)} accounts>"

    def statistics(self) -> AccountFeedStatistics:
        """What it does."""
        watching = self._watching
        return AccountFeedStatistics(
            accounts=len(watching),
            books=len(watching.books),
            looked=self._looked,
            told=self._told,
        )

    async def run(self, life: Lifeline) -> None:
        """Tell members of postings until asked to stop; ready at once.

        Raises, in a group:
            StorageDown: PostgreSQL failed. The next run goes on from the same place.
        """
        self._woken.set()  # an earlier run may have ended in the middle of something
        self._tells.set()
        async with trio.open_nursery() as nursery:
            life.on_stop(nursery.cancel_scope.cancel)
            nursery.start_soon(self._follow)
            nursery.start_soon(self._tell_nodes)
            life.ready()

    # Members.

    def enter(self, account: int) -> bool:
        """Count one more who watches an account; False where this node can watch no more.

        Whoever has entered leaves. Broadcasts of the account's topic reach them already.
        """
        return self._watching.enter(account)

    def leave(self, account: int) -> None:
        """Count one less."""
        self._watching.leave(account)

    async def join(
        self, identity: Identity, account: int, seen: Cursor | None
    ) -> AccountJoin | Refusal:
        """What one who has entered starts from; all that is posted after it will be told.

        Args:
            identity: who joins.
            account: its id.
            seen: the last cursor that they have seen; None: none, or none that can be read.

        Returns:
            The account; not_found where `identity` may not see it.
        """
        while True:
            start = await self._database.read(tail_store.join, identity.line, account, seen)
            if start is None or not may_see(identity, start.account):
                return NO_ACCOUNT
            if self._watching.begin(start):
                self._woken.set()
                return start

    # What wakes it.

    def posted(self, book: str) -> None:
        """Somebody on this node has committed postings to a book. Never waits."""
        self._moved[book] = None
        self._tells.set()

    async def _tell_nodes(self) -> None:
        """Tell all nodes which books have moved, this one too."""
        while True:
            await self._tells.wait()
            moved, self._moved = self._moved, {}
            for book in moved:
                self._broker.publish_raw(BOOKS, book.encode())
            await trio.sleep(BOOKS_REST_S)

    def _hear_of_book(self, data: bytes) -> None:
        if self._watching.has(data.decode(errors="replace")):
            self._woken.set()

    def _hear_of_events(self, _: bytes) -> None:
        """Purchases, which are in the log, post to books."""
        self._woken.set()

    # Following.

    async def _follow(self) -> None:
        """Look at the books that are watched, and read those that have moved."""
        while True:
            await self._sleep()
            books = self._watching.books
            if books:
                self._watching.see(await self._database.read(tail_store.heads, books))
                self._looked += 1
            for book in self._watching.behind():
                await self._read(book)
            if self._watching.behind():
                self._woken.set()
            else:
                await trio.sleep(BOOKS_REST_S)

    async def _sleep(self) -> None:
        """Wait until there is a reason to look."""
        while True:
            with trio.move_on_after(BOOKS_LOOK_S):
                await self._woken.wait()
                return
            if self._watching.books:
                return

    async def _read(self, book: str) -> None:
        """Tell members what the accounts of a book have more, some of each."""
        mark, known = self._watching.reading(book)
        whole = True
        for start in range(0, len(known), TAILS_A_READ):
            asked = known[start : start + TAILS_A_READ]
            found = await self._database.read(tail_store.news, asked)
            for account, news in found.items():
                self._tell(account, news)
                whole = whole and news.whole
                await trio.lowlevel.checkpoint()
        if whole:
            self._watching.done(book, mark)

    def _tell(self, account: int, news: News) -> None:
        """Give an account's postings to its members."""
        for seen, epoch in self._watching.next_of(account, news):
            payload = seen.payload(epoch)
            self._hub.publish(
                f"{ACCOUNT}{account}", POSTING, payload, seen.number, cursor=payload["cursor"]
            )
            self._told += 1
