"""Callers of the ledger: what they ask, how many at once, and how long each waits."""

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
import trio.testing

from app.ledger.request import PostingRequest, Transfer

CURRENCY: Final = "EUR"

# That can wait for an answer at once, at a steady rate: a second's worth, and more.
_STEADY_CALLERS: Final = 5_000
_TICK_S: Final = 0.001

# Makes one caller's next unit of work; how many transfers it did is returned.
Work = Callable[[], Awaitable[int]]


class Keys:
    """Keys that no two postings share and that come in their order, as ids made by a clock do."""

    def __init__(self) -> None:
        self._run = time.time_ns()
        self._next = 0

    def next(self) -> str:
        """A fresh one."""
        self._next += 1
        return f"{self._run:x}-{self._next:010d}"


@dataclass(frozen=True, slots=True)
class Spread:
    """Which accounts transfers are between.

    Attributes:
        accounts: how many there are, by number.
        hot: whether the first is debited by every transfer.
    """

    accounts: int
    hot: bool = False

    def pair(self) -> tuple[int, int]:
        """The next transfer's debited and credited account."""
        if self.hot:
            return 0, random.randrange(1, self.accounts)
        debit = random.randrange(self.accounts)
        credit = random.randrange(self.accounts - 1)
        return debit, credit + (credit >= debit)


def path(account: int) -> str:
    """The path of an account of a measured book."""
    return f"customer:c{account}:credit"


def request(keys: Keys, spread: Spread) -> PostingRequest:
    """A posting of one transfer."""
    debit, credit = spread.pair()
    amount = random.randrange(1, 10_000)
    return PostingRequest(keys.next(), (Transfer(path(debit), path(credit), amount, CURRENCY),))


@dataclass(slots=True)
class Load:
    """What callers got done.

    Attributes:
        transfers: how many were recorded in the time that was measured.
        seconds: how long that was.
        waits: of each unit of work, seconds until it was answered.
    """

    transfers: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Transfers a second."""
        return self.transfers / self.seconds

    def wait(self, share: float) -> float:
        """How long all but the given share of the answers took at most."""
        return percentile(self.waits, share)


def percentile(waits: Sequence[float], share: float) -> float:
    """The least of these that at least `share` of them do not pass."""
    ordered = sorted(waits)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def closed(work: Work, callers: int, seconds: float) -> Load:
    """So many callers, each asking again as soon as it was answered."""
    load = Load()
    start = time.perf_counter()
    end = start + seconds

    async def caller() -> None:
        while (asked := time.perf_counter()) < end:
            transfers = await work()
            answered = time.perf_counter()
            load.waits.append(answered - asked)
            if answered <= end:
                load.transfers += transfers

    async with trio.open_nursery() as nursery:
        for _ in range(callers):
            nursery.start_soon(caller)
    load.seconds = seconds
    return load


async def steady(work: Work, rate: float, seconds: float) -> Load:
    """Callers who come at this rate, whether those before were answered or not.

    They come from a pool, a millisecond's together: to begin a task for each would take more of the
    processor than what is measured. Each waits since it was due.
    """
    load = Load()
    due: deque[float] = deque()
    rest = trio.lowlevel.ParkingLot()

    async def caller() -> None:
        while True:
            while not due:
                await rest.park()
            asked = due.popleft()
            transfers = await work()
            load.transfers += transfers
            load.waits.append(time.perf_counter() - asked)

    async with trio.open_nursery() as nursery:
        for _ in range(_STEADY_CALLERS):
            nursery.start_soon(caller)
        await trio.testing.wait_all_tasks_blocked()
        start = time.perf_counter()
        come, all_of_them = 0, int(rate * seconds)
        while len(load.waits) < all_of_them:
            await trio.sleep(_TICK_S)
            now = min(int(rate * (time.perf_counter() - start)), all_of_them)
            due.extend(start + number / rate for number in range(come, now))
            rest.unpark(count=now - come)
            come = now
        nursery.cancel_scope.cancel()
    load.seconds = time.perf_counter() - start
    return load
