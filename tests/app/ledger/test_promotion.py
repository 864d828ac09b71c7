"""A book takes past postings, or present ones, and goes from the one to the other once."""

import io
import json
from typing import Final

import asyncpg
import pytest
import trio

from app.identity.store import add_line
from app.ledger import posting
from app.ledger.codes import LedgerCode
from app.ledger.import_model import NotLoadable, RowRefused
from app.ledger.importer import Importer, PastPostings
from app.ledger.model import Accepted, PostingRefused
from app.ledger.request import Post, PostingRequest, Transfer
from app.storage import Database, WriteConnection
from tests.app.ledger.lines import SQL, ask, balances, violations
from tests.app.ledger.past import ROWS, TOTALS, Past, row, totals

pytestmark = pytest.mark.servers

LIVE: Final = PostingRequest("live-1", (Transfer("bank:main", "opening", 1, "EUR"),))


@pytest.fixture
async def past(database: Database) -> Past:
    """The book north, which takes past postings."""
    assert await database.write(add_line, "north", "North", 0, "importing")
    return Past(database, Importer(database))


async def test_no_present_posting_is_taken_until_the_book_is_promoted(past: Past) -> None:
    """It is refused before, taken afterwards, and then past ones are not."""
    await past.load()
    assert await past.post(LIVE) == PostingRefused(LedgerCode.BOOK_IMPORTING)
    assert await past.importer.promote("north") is None
    assert isinstance(await past.post(LIVE), Accepted)
    assert await past.try_to_load() is NotLoadable.NOT_IMPORTING
    assert await past.importer.promote("north") is NotLoadable.NOT_IMPORTING
    assert await past.keys() == ["row-1", "row-2", "row-3", "row-4", "live-1"]
    assert await violations(past.database) == set()


async def test_a_poster_that_knows_the_book_learns_that_it_is_live(past: Past) -> None:
    """What it remembers of the book is not what the book is any more."""
    await past.load()
    remembered = None

    async def post(conn: WriteConnection) -> Accepted | PostingRefused:
        nonlocal remembered
        [result], remembered = await posting.post_on(conn, "north", (LIVE,), remembered)
        return result

    assert await past.database.write(post) == PostingRefused(LedgerCode.BOOK_IMPORTING)
    assert await past.importer.promote("north") is None
    assert isinstance(await past.database.write(post), Accepted)


async def test_a_load_needs_a_book_that_takes_past_postings(past: Past) -> None:
    """It is refused whole by a live book and by none, before a row is read."""
    await past.database.write(add_line, "south", "South", 0)
    file = PastPostings("past.ndjson", io.BytesIO(b"{"))
    for book, why in (
        ("south", NotLoadable.NOT_IMPORTING),
        ("nowhere", NotLoadable.BOOK_UNKNOWN),
    ):
        assert await past.importer.load(book, file, totals(), past.refused.append) is why
    assert past.refused == []
    assert await past.importer.promote("nowhere") is NotLoadable.BOOK_UNKNOWN


async def test_what_was_posted_after_the_last_load_is_none_of_it(past: Past) -> None:
    """A load under way, or cut short, has posted what no totals were held against."""
    await past.load()
    late = row(5, "bank:main", "opening", 7)
    file = PastPostings("late.ndjson", io.BytesIO(json.dumps(late).encode() + b"\n{"))

    class Cut(Exception):  # noqa: N818 - what happens to it, and no fault
        """The run is cut short."""

    def cut(_: RowRefused) -> None:
        raise Cut

    with pytest.raises(Cut):
        await past.importer.load("north", file, totals(), cut)
    assert await past.importer.promote("north") is NotLoadable.POSTED_SINCE


async def test_a_promotion_that_races_present_postings_is_before_or_after_each(
    past: Past,
) -> None:
    """Each of them is refused whole or taken whole, and none is among the past ones."""
    await past.load()
    results: dict[int, Accepted | PostingRefused] = {}
    promoted: list[NotLoadable | None] = []

    async def post(number: int) -> None:
        request = PostingRequest(f"live-{number}", LIVE.transfers)
        [results[number]] = await past.database.write(posting.post, "north", (request,))

    async def promote() -> None:
        promoted.append(await past.importer.promote("north"))

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(post, number)
            if number in {4, 8}:
                nursery.start_soon(promote)
    assert set(promoted) == {None, NotLoadable.NOT_IMPORTING}
    taken = [each for each in results.values() if isinstance(each, Accepted)]
    refused = {each.code for each in results.values() if isinstance(each, PostingRefused)}
    assert refused <= {LedgerCode.BOOK_IMPORTING}
    rows = await ask(past.database, "postings")
    assert [each["imported"] for each in rows] == [True] * 4 + [False] * len(taken)
    assert await violations(past.database) == set()


async def test_a_hold_that_was_under_way_goes_on_after_the_promotion(past: Past) -> None:
    """It is loaded as a hold, and ended by a present posting."""
    hold = {**ROWS[0]["transfers"][0], "type": "pending", "amount": 40}
    held = {**row(5, "", "", 1), "transfers": [hold]}
    wanted = json.loads(json.dumps(TOTALS))
    wanted["EUR"]["asset"]["postings"] += 1
    wanted["EUR"]["equity"]["postings"] += 1
    run = await past.load((*ROWS, held), wanted)
    assert run.complete
    assert await past.importer.promote("north") is None
    assert isinstance(await past.post(PostingRequest("post-1", (Post("5.0"),))), Accepted)
    assert (await balances(past.database))["north bank:main"] == 915


@pytest.mark.parametrize(
    "statement", ["make_importing", "make_live", "close_and_open", "change_run", "drop_run"]
)
async def test_the_database_itself_holds_a_book_to_its_mode(
    past: Past, owner: Database, statement: str
) -> None:
    """No client makes a live book take past postings, nor an incomplete one present ones."""
    await past.load(ROWS[:2])
    await past.database.write(add_line, "south", "South", 0)

    async def change(conn: WriteConnection) -> None:
        for each in getattr(SQL, statement).split(";"):
            await conn.execute(each)

    with pytest.raises(asyncpg.RestrictViolationError):
        await owner.write(change)
