"""What was sealed cannot be changed unseen: not a byte, a row, an order, an end, nor a seal."""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncpg
import pytest
import trio

from actors import run_root
from app.ledger import posting, seal_store, sealer
from app.ledger.model import Accepted, Violation
from app.ledger.request import Convert, Pending, Post, PostingRequest, Rate, Transfer
from app.ledger.seal import NOTHING, Break, Broken
from app.ledger.sealer import Sealer, Seals, Verified
from app.ledger.service import Ledger
from app.storage import Database, ReadConnection, WriteConnection, load_queries
from tests.app.ledger.lines import add_books

pytestmark = pytest.mark.servers

SQL: Final = load_queries(__package__, "seals.sql")
SEALS: Final = load_queries("app.ledger", "seals.sql")

GIFT: Final = Transfer("bank:main", "customer:ann:credit", 500, "EUR")
CHANGE: Final = Convert("bank:main", "bank:yen", 100, "EUR", "JPY", Rate(160, 1), 100, "quote-1")
POSTINGS: Final = (
    PostingRequest("key-1", (GIFT,)),
    PostingRequest("key-2", (Pending("customer:ann:credit", "commission", 70, "EUR", 600),)),
    PostingRequest("key-3", (Post("2.0", 60),), meta={"note": "a"}),
    PostingRequest("key-4", (CHANGE,)),
    *(PostingRequest(f"key-{number}", (GIFT,)) for number in (5, 6, 7)),
    PostingRequest("key-8", reverses=5),
    PostingRequest("key-9", (GIFT,)),
)


@dataclass
class Sealed:
    """A ledger that was sealed, three postings a seal."""

    database: Database
    owner: Database

    async def verify(self, *tips: bytes, only: str | None = None) -> tuple[Verified, set[bytes]]:
        """What a verification finds of the one book, and the tips that it does not meet."""
        found: list[Verified] = []
        left = set(tips)
        await Seals(self.database).verify(left, found.append, only=only)
        [one] = found
        return one, left

    async def broken(self) -> Broken:
        """Where the chain does not hold; a check of the ledger finds it, too."""
        found, _ = await self.verify()
        assert found.broken is not None
        seen = [
            each for each in await Ledger(self.database).check() if each.invariant == "seal_broken"
        ]
        assert [each.broken["first"] for each in seen] == [found.broken.first]
        return found.broken

    async def tamper(self, *statements: str, **parts: str) -> None:
        """Runs statements of `seals.sql` as the owner, with triggers and keys silent."""

        async def run(conn: WriteConnection) -> None:
            await conn.execute(SQL.switch_off)
            for statement in statements:
                await conn.execute(getattr(SQL, statement).format(**parts))

        await self.owner.write(run)

    async def rows(self, query: str, *args: object) -> list[dict[str, Any]]:
        """Every row of a query of `seals.sql`."""

        async def fetch(conn: ReadConnection) -> list[dict[str, Any]]:
            return [dict(row) for row in await conn.fetch(getattr(SQL, query), *args)]

        return await self.database.read(fetch)


@pytest.fixture
async def sealed(database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch) -> Sealed:
    """Nine postings of every kind in three seals."""
    monkeypatch.setattr(seal_store, "SEAL_POSTINGS_MAX", 3)
    await add_books(database, "north")
    for request in POSTINGS:
        [result] = await database.write(posting.post, "north", (request,))
        assert isinstance(result, Accepted), result
    assert not await Sealer(database).sweep()
    return Sealed(database, owner)


async def test_what_is_recorded_is_sealed_whole(sealed: Sealed) -> None:
    """The seals follow each other without gaps, and the last one's head is the tip."""
    seals = await sealed.rows("seals")
    assert [(each["first"], each["last"]) for each in seals] == [(1, 3), (4, 6), (7, 9)]
    found, _ = await sealed.verify()
    assert (found.seals, found.last, found.unsealed, found.broken) == (3, 9, 0, None)
    assert found.tip.hex() == seals[-1]["head"]
    assert await Ledger(sealed.database).check() == []


async def test_anybody_can_make_the_content_again(sealed: Sealed) -> None:
    """The canonical form is lines of JSON, as the docs say, and any language writes them."""
    [range_] = await sealed.rows("rows")
    bounds = [range_["book"], range_["first"], range_["last"]]
    lines: list[list[Any]] = [["agio seal 1", *bounds, range_["sealed_at"]]]
    for kind in ("posting", "transfer", "conversion", "account"):
        rows = await sealed.rows(f"{kind}_rows", *bounds)
        lines += [[kind, *row.values()] for row in rows]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert hashlib.sha256(text.encode()).digest() == range_["content"]


OTHER: Final = {
    "text": "coalesce({column}, '') || 'x'",
    "int8": "coalesce({column}, 0) + 7",
    "int4": "coalesce({column}, 0) + 7",
    "int2": "coalesce({column}, 0) + 7",
    "bool": "not {column}",
    "bytea": "set_byte({column}, 0, (get_byte({column}, 0) + 1) % 256)",
    "jsonb": "'7'",
    "timestamptz": "coalesce({column}, now()) + interval '1 microsecond'",
    "transfer_phase": "'void'",
}


async def test_every_column_is_sealed(sealed: Sealed) -> None:
    """Whatever column of whatever is recorded says something else, it is found; back, it is not."""
    columns = await sealed.rows("columns")
    assert len(columns) > 45
    unseen = []
    for column in columns:
        table, name = column["table_name"], column["column_name"]
        value = OTHER[column["udt_name"]].format(column=name)
        if not await _is_seen(sealed, table, name, value):
            unseen.append(f"{table}.{name}")
    assert unseen == []


class _UndoError(Exception):
    """Gives the block up."""


async def _is_seen(sealed: Sealed, table: str, column: str, value: str) -> bool:
    """Whether it is found where one column was changed, in a block that is given up."""
    found: list[Violation] = []

    async def change(conn: WriteConnection) -> None:
        await conn.execute(SQL.switch_off)
        await conn.execute(SQL.drop_checks)
        await conn.execute(SQL.change.format(table=table, column=column, value=value))
        found.extend(await seal_store.check(conn))
        raise _UndoError

    with pytest.raises(_UndoError):
        await sealed.owner.write(change)
    return bool(found)


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("one_byte", Broken(1, 3, Break.CONTENT)),
        ("one_row", Broken(4, 6, Break.CONTENT)),
        ("one_more", Broken(4, 6, Break.CONTENT)),
        ("one_order second_to_first first_to_second", Broken(4, 6, Break.CONTENT)),
        ("truncated", Broken(7, 9, Break.CONTENT)),
        ("account_of_another", Broken(1, 3, Break.CONTENT)),
        ("seal_gone", Broken(4, 6, Break.GAP)),
    ],
)
async def test_tampering_is_found(sealed: Sealed, tampering: str, broken: Broken) -> None:
    """The first range that is not what was sealed is named, and how it is not."""
    await sealed.tamper(*tampering.split())
    assert await sealed.broken() == broken


async def test_a_rewritten_seal_is_found_in_the_next(sealed: Sealed) -> None:
    """A seal that was made to fit changed postings does not fit the seal after it."""
    await sealed.tamper("one_row")

    async def rewrite(conn: WriteConnection) -> None:
        await conn.execute(SQL.switch_off)
        [seal] = await conn.fetch(SEALS.seals, "north", 3, 1)
        content = await conn.fetchval(SEALS.content, "north", 4, 6, seal["sealed_at"], 1_000)
        await conn.execute(SQL.seal_rewritten, content)

    await sealed.owner.write(rewrite)
    assert await sealed.broken() == Broken(7, 9, Break.PREVIOUS)


async def test_a_chain_that_was_made_again_is_found_by_its_tip_alone(sealed: Sealed) -> None:
    """Who may do anything can seal anew what was changed; not so that the old tip is met."""
    before, left = await sealed.verify()
    _, left = await sealed.verify(before.tip)
    assert left == set()
    await sealed.tamper("one_byte", "chain_rewritten")
    await Sealer(sealed.database).sweep()
    found, left = await sealed.verify(before.tip)
    assert (found.seals, found.broken) == (3, None)
    assert left == {before.tip}


async def test_a_tip_is_met_for_ever(sealed: Sealed) -> None:
    """What comes after it changes nothing for what it covers."""
    before, _ = await sealed.verify()
    await sealed.database.write(posting.post, "north", (PostingRequest("key-10", (GIFT,)),))
    found, left = await sealed.verify(before.tip)
    assert (found.last, found.unsealed, left) == (9, 1, set())
    await Sealer(sealed.database).sweep()
    found, left = await sealed.verify(before.tip)
    assert (found.seals, found.last, found.unsealed, left) == (4, 10, 0, set())
    assert found.tip != before.tip


async def test_an_end_that_was_cut_with_its_seal_is_found_by_its_tip_alone(sealed: Sealed) -> None:
    """What is left of the chain holds; it does not lead to where it led."""
    before, _ = await sealed.verify()
    await sealed.tamper("truncated", "last_seal_gone")
    found, left = await sealed.verify(before.tip)
    assert (found.seals, found.last, found.broken, left) == (2, 6, None, {before.tip})


async def test_seals_of_a_book_that_is_gone_are_found(sealed: Sealed) -> None:
    """Its seals still say that there was one."""
    await sealed.tamper("book_gone")
    assert (await sealed.broken()) == Broken(1, 3, Break.CONTENT)


async def test_a_book_without_postings_has_no_tip(database: Database, owner: Database) -> None:
    """There is nothing to seal, and nothing that could be wrong."""
    await add_books(database, "north", "south")
    assert not await Sealer(database).sweep()
    found, _ = await Sealed(database, owner).verify(only="south")
    assert (found.book, found.seals, found.tip) == ("south", 0, NOTHING)


async def test_sealers_of_many_nodes_make_one_chain(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While postings come, the sweeps of all nodes leave seals that follow each other."""
    monkeypatch.setattr(seal_store, "SEAL_POSTINGS_MAX", 2)
    monkeypatch.setattr(sealer, "SEALS_A_TURN", 2)
    await add_books(database, "north")
    sealers = [Sealer(database) for _ in range(3)]

    async def post() -> None:
        for number in range(30):
            request = PostingRequest(f"key-{number}", (GIFT,))
            await database.write(posting.post, "north", (request,))

    async def seal(one: Sealer) -> None:
        for _ in range(8):
            await one.sweep()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(post)
        for one in sealers:
            nursery.start_soon(seal, one)
    while await sealers[0].sweep():
        pass
    found, _ = await Sealed(database, owner).verify()
    assert (found.last, found.unsealed, found.broken) == (30, 0, None)
    made = [each.statistics() for each in sealers]
    assert sum(each.postings for each in made) == 30
    assert sum(each.seals for each in made) == found.seals


async def test_a_book_that_is_locked_is_sealed(sealed: Sealed, database_url: str) -> None:
    """A sealer waits for no posting that is under way: it seals what was committed before."""
    late = tuple(PostingRequest(f"key-{number}", (GIFT,)) for number in (10, 11))
    await sealed.database.write(posting.post, "north", late[:1])

    async def post_and_seal(conn: WriteConnection) -> seal_store.Sealed:
        await posting.post(conn, "north", late[1:])
        other = await asyncpg.connect(database_url, server_settings={"lock_timeout": "1s"})
        async with other.transaction():
            done = await seal_store.seal_next(other, "north")
        await other.close()
        return done

    assert await sealed.database.write(post_and_seal) == (1, False)
    assert (await sealed.verify())[0].unsealed == 1


async def test_a_large_posting_is_sealed_alone(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seal has so many transfers at most, and never a part of a posting."""
    monkeypatch.setattr(seal_store, "SEAL_TRANSFERS_MAX", 4)
    await add_books(database, "north")
    for number, transfers in enumerate((1, 3, 1, 9, 2, 2)):
        request = PostingRequest(f"key-{number}", (GIFT,) * transfers)
        await database.write(posting.post, "north", (request,))
    await Sealer(database).sweep()
    ledger = Sealed(database, owner)
    seals = await ledger.rows("seals")
    assert [(each["first"], each["last"]) for each in seals] == [(1, 2), (3, 3), (4, 4), (5, 6)]
    assert (await ledger.verify())[0].broken is None


@pytest.mark.parametrize(
    ("first", "last", "after", "content", "constraint"),
    [
        (12, 12, 9, "made up", "seal_follows"),
        (10, 10, 6, "made up", "seal_follows"),
        (10, 10, 0, "made up", "seal_follows"),
        (10, 10, 9, "another", "seal_chains"),
        (10, 9, 9, "made up", "seal_has_postings"),
        (10, 11, 9, "made up", "seal_of_postings"),
        (4, 6, 3, "made up", "seal_pkey"),
    ],
)
async def test_a_seal_that_does_not_continue_the_chain_is_not_stored(
    sealed: Sealed, first: int, last: int, after: int, content: str, constraint: str
) -> None:
    """Also the server cannot leave a gap, branch off, cover what is not there, or seal twice."""
    await sealed.database.write(posting.post, "north", (PostingRequest("key-10", (GIFT,)),))

    async def forge(conn: WriteConnection) -> None:
        await conn.execute(SQL.forge, first, last, after, content)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await sealed.database.write(forge)
    assert refused.value.constraint_name == constraint


async def test_it_seals_for_as_long_as_it_runs(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a part of a node it seals by itself, and ends when it is asked to."""
    monkeypatch.setattr(sealer, "SEAL_SWEEP_S", 0.01)
    one = Sealer(sealed.database)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_root, one, stop=stop))
        for number in (10, 11):
            request = PostingRequest(f"key-{number}", (GIFT,))
            await sealed.database.write(posting.post, "north", (request,))
            while (await sealed.verify())[0].last < number:
                pass
        stop.set()
    assert one.statistics().postings == 2
