"""What commands do to a ledger once, told to a person line by line as it is found."""

from collections.abc import Callable
from functools import partial

from app.config import Settings
from app.ledger.import_model import NotLoadable, RowRefused, Run, Totals
from app.ledger.importer import Importer, PastPostings
from app.ledger.sealer import Seals, Verified
from app.once import with_settings
from app.storage import Database
from app.storage.errors import StartupError
from app.storage.migrations import check_schema

Say = Callable[[str], None]


async def verify_ledger(
    settings: Settings, tips: frozenset[bytes], book: str | None, say: Say
) -> bool:
    """Verify the seals of each book, or of one; whether all of them hold.

    Args:
        settings: say where the database is, as for `check_ledger`.
        tips: heads that somebody kept; each must be in a chain.
        book: the one to verify; None: all.
        say: is told what was found, a line a book.
    """
    return await with_settings(settings, partial(_verify, tips=set(tips), book=book, say=say))


async def _verify(database: Database, tips: set[bytes], book: str | None, say: Say) -> bool:
    await check_schema(database)
    seen: list[bool] = []

    def tell(found: Verified) -> None:
        seen[:] = [all(seen) and found.broken is None]
        say(_line(found))

    await Seals(database).verify(tips, tell, only=book)
    if book is not None and not seen:
        raise StartupError(f"there is no book {book}")
    for tip in sorted(tips):
        say(f"tip {tip.hex()}: no chain leads through it; something it covered was changed")
    return all(seen) and not tips


def _line(found: Verified) -> str:
    broken = found.broken
    if broken is not None:
        return f"{found.book}: postings {broken.first} to {broken.last}: {broken.how.value}"
    if not found.seals:
        return f"{found.book}: nothing is sealed, {found.unsealed:,} postings are not"
    return (
        f"{found.book}: {found.last:,} postings in {found.seals:,} seals hold, "
        f"{found.unsealed:,} are not sealed; tip {found.tip.hex()}"
    )


async def import_past(
    settings: Settings, book: str, postings: PastPostings, wanted: Totals, say: Say
) -> bool:
    """Post what a file has and the book has not; whether no row was refused and the totals match.

    Args:
        settings: say where the database is, as for `check_ledger`.
        book: takes past postings.
        postings: the file.
        wanted: what the book is to come to.
        say: is told each row that was refused, and at last how many were not and what differs.

    Raises:
        StartupError: nothing can be loaded into the book.
    """

    def tell(refused: RowRefused) -> None:
        say(f"line {refused.line}: {refused.code}: {refused.message}")

    async def work(database: Database) -> Run | NotLoadable:
        await check_schema(database)
        return await Importer(database).load(book, postings, wanted, tell)

    run = await with_settings(settings, work)
    if isinstance(run, NotLoadable):
        raise StartupError(f"{book}: {run.value}")
    tally = run.tally
    say(f"{book}: {tally.posted:,} posted, {tally.found:,} were there, {tally.refused:,} refused")
    for each in run.differences:
        place = f"{each.currency} {each.kind.value}"
        say(f"{book}: {place}: {each.total} is {each.has}, not {each.wanted}")
    if not run.differences:
        say(f"{book}: the totals are as wanted")
    return run.complete


async def promote_book(settings: Settings, book: str) -> None:
    """Let a book take present postings, for good.

    Raises:
        StartupError: it does not yet, and why.
    """

    async def work(database: Database) -> NotLoadable | None:
        await check_schema(database)
        return await Importer(database).promote(book)

    refused = await with_settings(settings, work)
    if refused is not None:
        raise StartupError(f"{book}: {refused.value}")
