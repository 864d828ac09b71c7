"""What one node knows of the accounts that are watched on it: the account feed without its IO."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.ledger.limits import ACCOUNTS_WATCHED_MAX
from app.ledger.model import Account
from app.ledger.tail import AccountJoin, Known, News, PostingSeen, follow


@dataclass(slots=True)
class _Tail:
    """An account whose members are told of what is posted.

    Attributes:
        account: as it stood at the last posting that they were told of.
        epoch: of their cursors.
        began: the place after which they are told all.
        posting: the last place that they were told of.
    """

    account: Account
    epoch: str
    began: int
    posting: int


@dataclass(slots=True)
class _Watched:
    """An account that somebody watches, or is about to.

    Attributes:
        members: how many do.
        tail: once one of them knows how it stands.
    """

    members: int = 0
    tail: _Tail | None = None


@dataclass(slots=True)
class _Book:
    """A book with accounts that are watched.

    Attributes:
        head: the last posting known to be in it.
        asked: counts the times that there was a reason to read.
        read: the count up to which that was done.
        accounts: those of them that have tails.
    """

    head: int
    asked: int = 0
    read: int = 0
    accounts: dict[int, _Watched] = field(default_factory=dict)


class Watching:
    """The accounts that are watched on one node, by book."""

    def __init__(self) -> None:
        """Nobody watches."""
        self._watched: dict[int, _Watched] = {}
        self._books: dict[str, _Book] = {}

    def __len__(self) -> int:
        """How many accounts are watched."""
        return len(self._watched)

    @property
    def books(self) -> Sequence[str]:
        """The books that these are in."""
        return list(self._books)

    def has(self, book: str) -> bool:
        """Whether an account of this book is watched."""
        return book in self._books

    # Members.

    def enter(self, account: int) -> bool:
        """Count one more who watches, before it is read how the account stands.

        Returns:
            Whether that is possible: False where too many accounts are watched.
        """
        watched = self._watched.get(account)
        if watched is None:
            if len(self._watched) >= ACCOUNTS_WATCHED_MAX:
                return False
            watched = self._watched[account] = _Watched()
        watched.members += 1
        return True

    def begin(self, start: AccountJoin) -> bool:
        """Let what follows `start` be told to one who has entered.

        Returns:
            False where it was begun at a later place by somebody else: it is to be read again.
        """
        account, cursor = start.account, start.cursor
        watched = self._watched[account.id]
        if watched.tail is not None:
            return cursor.position >= watched.tail.began
        watched.tail = _Tail(account, cursor.epoch, cursor.position, cursor.position)
        book = self._books.setdefault(account.book, _Book(cursor.position))
        book.accounts[account.id] = watched
        book.asked += 1  # something may have been posted since
        return True

    def leave(self, account: int) -> None:
        """Count one less."""
        watched = self._watched[account]
        watched.members -= 1
        if watched.members:
            return
        del self._watched[account]
        if watched.tail is not None:
            name = watched.tail.account.book
            del self._books[name].accounts[account]
            if not self._books[name].accounts:
                del self._books[name]

    # Postings.

    def see(self, heads: Mapping[str, int]) -> None:
        """Learn of books' last postings."""
        for name, head in heads.items():
            book = self._books.get(name)
            if book is not None and head > book.head:
                book.head = head
                book.asked += 1

    def behind(self) -> list[str]:
        """The books that are to be read."""
        return [name for name, book in self._books.items() if book.read < book.asked]

    def reading(self, book: str) -> tuple[int, list[Known]]:
        """What to read of a book: the mark that `done` takes afterwards, and what is known."""
        found = self._books.get(book)
        if found is None:  # nobody watches any more
            return 0, []
        tails = [watched.tail for watched in found.accounts.values()]
        known = [
            Known(tail.account.id, tail.account.version, tail.posting)
            for tail in tails
            if tail is not None
        ]
        return found.asked, known

    def done(self, book: str, mark: int) -> None:
        """All that was to be read when `reading` gave this mark, was."""
        found = self._books.get(book)
        if found is not None:
            found.read = max(found.read, mark)

    def next_of(self, account: int, news: News) -> Iterator[tuple[PostingSeen, str]]:
        """The postings that come next on an account, with the epoch of their cursors.

        The account moves on past each when the next is asked for: when it has been told.
        """
        watched = self._watched.get(account)
        tail = watched.tail if watched is not None else None
        if tail is None:  # nobody watches any more
            return
        steps = [step for step in news.steps if step.posting > tail.posting]
        for seen in follow(tail.account, steps):
            yield seen, tail.epoch
            tail.account, tail.posting = seen.account, seen.number
