"""Where callers leave what they ask of a book's poster, and wait. It runs on the trio loop."""

from collections import deque
from collections.abc import Sequence

import trio

from app.ledger.limits import (
    POSTINGS_AHEAD_MIN,
    POSTINGS_WAITING_MAX,
    REVERSAL_COUNTS,
    TRANSFERS_A_BATCH_MAX,
)
from app.ledger.model import Result
from app.ledger.request import PostingRequest


class Asked:
    """What one caller asks, and the caller, who waits for its results.

    Attributes:
        requests: in their order; none: end the holds that are due.
        transfers: how many they bring, a reversal counted as some.
        results: of the requests, once there are any; None where it is not known.
    """

    __slots__ = ("_answered", "_task", "requests", "results", "transfers")

    def __init__(self, requests: Sequence[PostingRequest]) -> None:
        self.requests = requests
        self.transfers = transfers_of(requests)
        self.results: Sequence[Result] | None = None
        self._answered = False
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> Sequence[Result] | None:
        """The results, once `answer` was called; a caller who goes away is not missed."""
        if self._answered:
            await trio.lowlevel.checkpoint()
            return self.results
        self._task = trio.lowlevel.current_task()

        def go_away(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(go_away)
        return self.results

    def answer(self, results: Sequence[Result] | None) -> None:
        """Give the caller its results, or say that they are not known."""
        self.results = results
        self._answered = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None


class Desk:
    """Where callers leave what they ask, for each book a line.

    Attributes:
        served: the books whose poster will look at the desk again before it rests.
        spare: of these, the ones whose poster takes another batch before, if it is worth it.
        woken: the posters that were told to look at the desk, and have not begun to, by book.
    """

    def __init__(self) -> None:
        self.served: set[str] = set()
        self.spare: set[str] = set()
        self.woken: dict[str, object] = {}
        self._lines: dict[str, deque[Asked]] = {}
        self._postings: dict[str, int] = {}

    def put(self, book: str, asked: Sequence[Asked]) -> bool:
        """Leave these at the end of the book's line; False, and none, where it is too long."""
        waiting = self._postings.get(book, 0) + sum(len(each.requests) for each in asked)
        if waiting > POSTINGS_WAITING_MAX:
            return False
        self._postings[book] = waiting
        self._lines.setdefault(book, deque()).extend(asked)
        return True

    def needs_poster(self, book: str, poster: object) -> bool:
        """Whether the book's poster, this one if any, has to be told to look at the desk."""
        if poster is not None and self.woken.get(book) is poster:
            return False
        return book not in self.served or (book in self.spare and self.has_many(book))

    def has_many(self, book: str) -> bool:
        """Whether so much waits that it is worth a batch ahead."""
        return self._postings.get(book, 0) >= POSTINGS_AHEAD_MIN

    def leave(self, book: str) -> None:
        """The book's poster does not work."""
        self.served.discard(book)
        self.spare.discard(book)
        self.woken.pop(book, None)

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


def transfers_of(requests: Sequence[PostingRequest]) -> int:
    """How many transfers these bring, a reversal counted as some."""
    return sum(map(_transfers_in, requests))


def _transfers_in(request: PostingRequest) -> int:
    return len(request.transfers) or (1 if request.reverses is None else REVERSAL_COUNTS)


def shares(requests: Sequence[PostingRequest]) -> list[Sequence[PostingRequest]]:
    """Requests in their order, cut so that each share fits a batch, or is one posting."""
    if len(requests) == 1:
        return [requests]
    cut: list[Sequence[PostingRequest]] = []
    start = transfers = 0
    for place, request in enumerate(requests):
        count = _transfers_in(request)
        if transfers and transfers + count > TRANSFERS_A_BATCH_MAX:
            cut.append(requests[start:place])
            start, transfers = place, 0
        transfers += count
    return [*cut, requests[start:]]
