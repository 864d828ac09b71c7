"""Postings under known keys, asked again until they are answered: what a killed server has to keep.

    python -m tests.faults.postings <database URL> <book> <keys>

asks for all of them from a server process of its own, and prints a line for each answer, its key
and its digest, as soon as it has it.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import trio

from actors.testing import running
from app.domain.errors import Refusal
from app.ledger.model import Accepted, Result
from app.ledger.poster import Posters
from app.ledger.request import PostingRequest, Transfer
from app.storage import Annex, Database, ReadConnection, load_queries

_SQL: Final = load_queries(__package__)

CALLERS: Final = 16
_WALLETS: Final = 7


def request_of(number: int) -> PostingRequest:
    """The posting under a key, the same whoever asks: none is refused."""
    wallet = f"customer:c{number % _WALLETS}:credit"
    legs = [Transfer("bank:a", wallet, amount_of(number), "EUR")]
    if number % 3 == 0:
        legs.append(Transfer(wallet, "commission", 1, "EUR"))
    return PostingRequest(f"k{number}", tuple(legs))


def amount_of(number: int) -> int:
    """What the posting under a key brings to the bank."""
    return 1 + number


def digest_of(result: Result) -> str:
    """What an answer says, whoever was first."""
    assert isinstance(result, Accepted), result
    return hashlib.sha256(msgspec.json.encode(result.posted)).hexdigest()


async def ask_all(
    posters: Posters, book: str, keys: int, heard: Callable[[str, str], None]
) -> None:
    """Ask for every posting by `CALLERS` at a time, each until it is known what came of it."""
    numbers = iter(range(keys))
    async with trio.open_nursery() as nursery:
        for _ in range(CALLERS):
            nursery.start_soon(_ask, posters, book, numbers, heard)


async def _ask(
    posters: Posters, book: str, numbers: Iterator[int], heard: Callable[[str, str], None]
) -> None:
    for number in numbers:
        request = request_of(number)
        while isinstance(results := await posters.post(book, [request]), Refusal):
            await trio.lowlevel.checkpoint()
        heard(request.key, digest_of(results[0]))


async def judge(database: Database, book: str, keys: int) -> None:
    """Each key was posted once, and the balances are theirs."""

    async def ask(conn: ReadConnection) -> tuple[int, int, int]:
        row = await conn.fetchrow(_SQL.posted, book)
        assert row is not None, "there is always a row"
        return row["head"], row["postings"], row["bank"]

    total = sum(map(amount_of, range(keys)))
    assert await database.read(ask) == (keys, keys, total)


async def serve(url: str, book: str, keys: int) -> None:
    """Ask for all of them, from a server of one's own."""
    annex = Annex()
    database = Database(annex, url, pool_size=4)
    posters = Posters(database)
    async with running(annex), running(database), running(posters.actors.as_child()):
        await ask_all(posters, book, keys, lambda key, told: print(key, told, flush=True))  # noqa: T201 - its output


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], sys.argv[2], int(sys.argv[3]))
