"""Money between two books moves in both or in neither, and what one owes the other is owed."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio

from app.domain.errors import Code, Refusal
from app.ledger import interline, posting
from app.ledger.codes import LedgerCode
from app.ledger.interline import Interline
from app.ledger.interline_request import End, InterlinePosted, InterlineRefused, InterlineRequest
from app.ledger.model import Accepted, PostingRefused
from app.ledger.request import Pending, PostingRequest, Transfer
from app.storage import Annex, Database, WriteConnection
from tests.app.ledger.lines import SQL, add_books, ask, balances, do, violations

pytestmark = pytest.mark.servers

NORTH = End("north", "expense:help")
SOUTH = End("south", "commission")
MOVE = InterlineRequest("move-1", "EUR", 250, NORTH, SOUTH)


@dataclass
class Lines:
    """Two lines whose books are empty, and who posts between them."""

    database: Database
    owner: Database
    interline: Interline

    async def move(self, asked: InterlineRequest = MOVE) -> InterlinePosted:
        """A move that is recorded."""
        posted = await self.interline.post(asked)
        assert isinstance(posted, InterlinePosted), posted
        return posted

    async def refused(self, asked: InterlineRequest) -> tuple[LedgerCode, str]:
        """Why a move is not recorded, and by which book; nothing was changed."""
        before = await ask(self.database, "everything")
        refused = await self.interline.post(asked)
        assert isinstance(refused, InterlineRefused), refused
        assert await ask(self.database, "everything") == before
        assert f"Book {refused.book}: " in refused.message
        return refused.code, refused.book

    async def post(self, book: str, *requests: PostingRequest) -> list[Accepted | PostingRefused]:
        """What comes of postings to one book."""
        return await self.database.write(posting.post, book, requests)


@pytest.fixture
async def lines(database: Database, owner: Database) -> Lines:
    """Two lines, north and south."""
    await add_books(database, "north", "south")
    return Lines(database, owner, Interline(database))


def other(**changed: Any) -> InterlineRequest:
    """The same move, but for this."""
    return msgspec.structs.replace(MOVE, **changed)


async def test_a_move_is_a_posting_in_each_book(lines: Lines) -> None:
    """The book that is debited owes what the other is owed, and each half names the other."""
    posted = await lines.move()
    assert posted.fresh
    assert await balances(lines.database) == {
        "north due-to:south": 250,
        "north expense:help": 250,
        "south commission": 250,
        "south due-from:north": 250,
    }
    assert [tuple(row.values()) for row in await ask(lines.database, "postings")] == [
        ("north", 1, "move-1", "south", 1, False),
        ("south", 1, "move-1", "north", 1, False),
    ]
    assert (posted.debit.book, posted.credit.book) == ("north", "south")
    assert await violations(lines.database) == set()


async def test_the_same_key_and_body_get_the_same_answer(lines: Lines) -> None:
    """Asked again it is not posted again, and the answer is the one that was given."""
    first = await lines.move()
    before = await ask(lines.database, "everything")
    again = await lines.move()
    assert (again.debit, again.credit, again.fresh) == (first.debit, first.credit, False)
    assert await ask(lines.database, "everything") == before


@pytest.mark.parametrize(
    ("changed", "book"),
    [
        ({"amount": 251}, "north"),
        ({"debit": End("north", "expense:other")}, "north"),
        ({"credit": End("south", "opening")}, "south"),
        ({"debit": SOUTH, "credit": NORTH}, "south"),
        ({"meta": {"why": "another"}}, "north"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_a_key_has_one_body(lines: Lines, changed: dict[str, object], book: str) -> None:
    """Whatever differs, and in whichever book, the key was used for something else."""
    await lines.move()
    assert await lines.refused(other(**changed)) == (LedgerCode.KEY_REUSED, book)


async def test_a_key_that_one_book_has_used_is_used(lines: Lines) -> None:
    """A posting of one book alone has the key: neither book takes the move."""
    alone = PostingRequest("move-1", (Transfer("bank:a", "opening", 1, "EUR"),))
    await lines.post("south", alone)
    assert await lines.refused(MOVE) == (LedgerCode.KEY_REUSED, "south")


@pytest.mark.parametrize(
    ("changed", "code", "book"),
    [
        ({"amount": 0}, LedgerCode.AMOUNT_NOT_POSITIVE, "north"),
        ({"amount": 10**15 + 1}, LedgerCode.AMOUNT_TOO_LARGE, "north"),
        ({"currency": "XAU"}, LedgerCode.CURRENCY_UNKNOWN, "north"),
        ({"key": "expire:1.0"}, LedgerCode.KEY_RESERVED, "north"),
        ({"debit": End("nowhere", "opening")}, LedgerCode.BOOK_UNKNOWN, "nowhere"),
        ({"credit": End("nowhere", "opening")}, LedgerCode.BOOK_UNKNOWN, "nowhere"),
        ({"debit": End("north", "no-such")}, LedgerCode.ACCOUNT_UNKNOWN, "north"),
        ({"credit": End("south", "no-such")}, LedgerCode.ACCOUNT_UNKNOWN, "south"),
        ({"debit": End("north", "due-from:south")}, LedgerCode.ACCOUNT_RESERVED, "north"),
        ({"debit": End("north", "due-to:east")}, LedgerCode.ACCOUNT_RESERVED, "north"),
        ({"credit": End("south", "due-to:north")}, LedgerCode.ACCOUNT_RESERVED, "south"),
        ({"debit": End("north", "due-to:south")}, LedgerCode.SAME_ACCOUNT, "north"),
    ],
)
async def test_what_either_book_refuses_neither_takes(
    lines: Lines, changed: dict[str, object], code: LedgerCode, book: str
) -> None:
    """One half refused is the move refused, and not a byte of either book is changed."""
    await lines.move()
    assert await lines.refused(other(**{"key": "move-2", **changed})) == (code, book)


async def test_of_two_refusals_the_first_of_the_list_is_told(lines: Lines) -> None:
    """What each book says is weighed by the order of the codes, not of the books."""
    await lines.move()
    asked = other(debit=End("north", "no-such"), credit=End("south", "opening"))
    assert await lines.refused(asked) == (LedgerCode.KEY_REUSED, "north")
    asked = other(key="move-2", debit=End("north", "no-such"), credit=End("south", "due-to:x"))
    assert await lines.refused(asked) == (LedgerCode.ACCOUNT_RESERVED, "south")


async def test_a_floor_in_the_second_book_refuses_both(lines: Lines) -> None:
    """The first half alone would stand; it is not recorded, since the second would not."""
    await lines.move(other(debit=End("north", "bank:a"), credit=End("south", "bank:b")))

    async def limit(conn: WriteConnection) -> None:
        await conn.execute(SQL.set_floor, "bank:b", -300)
        await conn.execute(SQL.bump, "south")

    await lines.database.write(limit)
    asked = other(key="move-2", debit=End("north", "bank:a"), credit=End("south", "bank:b"))
    assert await lines.refused(asked) == (LedgerCode.BELOW_FLOOR, "south")


async def test_a_move_is_undone_by_one_the_other_way_round(lines: Lines) -> None:
    """Then each owes the other as much; a half alone is not reversible."""
    await lines.move()
    [refused] = await lines.post("north", PostingRequest("undo", reverses=1))
    assert refused == PostingRefused(LedgerCode.NOT_REVERSIBLE)
    await lines.move(other(key="undo", debit=SOUTH, credit=NORTH))
    found = await balances(lines.database)
    assert (found["north expense:help"], found["south commission"]) == (0, 0)
    assert found["north due-to:south"] == found["north due-from:south"] == 250
    assert found["south due-to:north"] == found["south due-from:north"] == 250
    assert await violations(lines.database) == set()


async def test_holds_that_are_due_end_first(lines: Lines) -> None:
    """What a hold kept is there for the move, and the halves still name each other."""
    gift = Transfer("bank:a", "opening", 1_000, "EUR")
    await lines.post("north", PostingRequest("gift", (gift,)))
    hold = Pending("expense:x", "bank:a", 900, "EUR", expires_after_s=60)
    await lines.post("north", PostingRequest("hold", (hold,)))

    async def limit(conn: WriteConnection) -> None:
        await conn.execute(SQL.set_floor, "bank:a", 0)
        await conn.execute(SQL.bump, "north")

    await lines.database.write(limit)
    asked = other(debit=SOUTH, credit=End("north", "bank:a"))
    assert await lines.refused(asked) == (LedgerCode.BELOW_FLOOR, "north")
    await do(lines.owner, "due_now", "hold_due_now")
    posted = await lines.move(asked)
    assert (posted.credit.number, posted.debit.number) == (4, 1)
    rows = await ask(lines.database, "postings")
    assert [row["key"] for row in rows] == ["gift", "hold", "expire:2.0", "move-1", "move-1"]
    assert [row["pair_number"] for row in rows] == [None, None, None, 1, 4]
    assert await violations(lines.database) == set()


async def test_moves_in_opposite_directions_do_not_wait_for_each_other_in_a_circle(
    lines: Lines,
) -> None:
    """Beside postings to both books, all are recorded, and both books net to zero."""
    results: list[object] = []

    async def one(number: int) -> None:
        ends = (
            {"debit": NORTH, "credit": SOUTH} if number % 2 else {"debit": SOUTH, "credit": NORTH}
        )
        asked = other(key=f"move-{number}", **ends)
        results.append(await lines.database.write(interline.post_between, asked))
        gift = PostingRequest(f"gift-{number}", (Transfer("bank:a", "opening", 1, "EUR"),))
        book = "north" if number % 2 else "south"
        results.extend(await lines.database.write(posting.post, book, (gift,)))

    async with trio.open_nursery() as nursery:
        for number in range(16):
            nursery.start_soon(one, number)
    assert len(results) == 32
    assert all(isinstance(each, InterlinePosted | Accepted) for each in results)
    assert len(await ask(lines.database, "postings")) == 48
    assert await violations(lines.database) == set()


async def test_one_move_asked_for_by_many_is_one_move(lines: Lines) -> None:
    """Sixteen callers with one key: one records it, and all have the same answer."""
    answers: list[InterlinePosted] = []

    async def one() -> None:
        answers.append(await lines.move())

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(one)
    assert sum(each.fresh for each in answers) == 1
    assert len({msgspec.json.encode((each.debit, each.credit)) for each in answers}) == 1


async def test_too_many_who_wait_are_told_that_it_is_busy(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many moves wait for a place is bounded; who is told so may ask again."""
    monkeypatch.setattr(interline, "INTERLINE_WAITING_MAX", 0)
    assert await lines.interline.post(MOVE) == Refusal(Code.BUSY)
    assert await ask(lines.database, "postings") == []


async def test_a_database_that_fails_leaves_the_outcome_open(
    annex: Annex, database_url: str
) -> None:
    """Nobody says that nothing was posted, where that is not known."""
    refused = await Interline(Database(annex, database_url)).post(MOVE)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.retryable) == (Code.OUTCOME_UNKNOWN, True)


@pytest.mark.parametrize(
    ("damage", "view"),
    [
        ("half_of_another", "inv_interline_not_paired"),
        ("half_alone", "inv_interline_not_paired"),
        ("owes_more", "inv_interline_not_zero"),
        ("owed_by_nobody", "inv_interline_not_zero"),
    ],
)
async def test_damage_between_books_is_seen(lines: Lines, damage: str, view: str) -> None:
    """Halves that do not belong together, and books that do not agree on what is owed, show."""
    await lines.move()
    await do(lines.owner, damage)
    assert view in await violations(lines.database)


def test_a_move_within_one_book_is_none() -> None:
    """It is a posting: the shape of what is asked says so."""
    body = msgspec.json.encode(MOVE).replace(b"south", b"north")
    with pytest.raises(msgspec.ValidationError, match="two books"):
        msgspec.json.decode(body, type=InterlineRequest)
