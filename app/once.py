"""Commands that do one thing to a database, and what brings the database for as long as they do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import trio

from actors import (
    INFINITE,
    ChildSpec,
    Lifeline,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Supervisor,
    run_root,
)
from app.config import Settings
from app.identity.store import add_line
from app.ledger.model import Mode
from app.ledger.service import Ledger
from app.limits import CHECK_STATEMENT_S
from app.storage import Annex, Database, StorageDown
from app.storage.embedded import EmbeddedPostgres, StateFolder, StateFolderInUse, read_kept
from app.storage.errors import StartupError
from app.storage.migrations import check_schema, migrate

# The names under which a state folder keeps the URLs of its database: as the role that serves, and
# as the one that owns it.
DATABASE_URL: Final = "database_url"
DATABASE_OWNER_URL: Final = "database_owner_url"

T = TypeVar("T")


async def migrate_only(database_url: str) -> tuple[str, ...]:
    """Bring the schema up to date; returns the names of what was applied."""

    async def work(database: Database) -> tuple[str, ...]:
        return await migrate(database)

    return await with_database(database_url, work)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check of the ledger found, as lines for a person."""

    clean: bool
    lines: tuple[str, ...]


async def check_ledger(settings: Settings) -> Report:
    """Replay the ledger and compare it with what is cached.

    Without a database URL it is that of the state folder: of the running `agio up`, or else
    started for the check.
    """

    async def work(database: Database) -> Report:
        await check_schema(database)
        found = await Ledger(database).check()
        return Report(
            not found,
            (
                f"ledger of {database.place}: "
                + (f"{len(found)} violations" if found else "clean"),
                *(f"  {each.invariant}: {dict(each.broken)}" for each in found),
            ),
        )

    return await with_settings(settings, work)


async def read_ledger(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` returns, given the database that `check_ledger` would look at."""

    async def on_ours(database: Database) -> T:
        await check_schema(database)
        return await work(database)

    return await with_settings(settings, on_ours)


async def new_line(
    settings: Settings, line: str, name: str, commission_bp: int, mode: Mode
) -> bool:
    """Add a business line to the database that `check_ledger` would look at; False: it is there."""

    async def work(database: Database) -> bool:
        await check_schema(database)
        return await database.write(add_line, line, name, commission_bp, mode.value)

    return await with_settings(settings, work)


async def with_settings(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` returns, given the settings' database, or else the state folder's."""
    if settings.database_url is not None:
        return await with_database(settings.database_url, work)
    if not StateFolder.is_at(settings.state_dir):
        raise StartupError(
            f"no database: AGIO_DATABASE_URL is not set, and {settings.state_dir} is no state "
            "folder of `agio up`"
        )
    try:
        state = StateFolder(settings.state_dir)
    except StateFolderInUse:
        kept = read_kept(settings.state_dir, DATABASE_URL)
        if kept is None:
            raise
        return await with_database(kept, work)
    with state:
        postgres = await trio.to_thread.run_sync(EmbeddedPostgres, state)
        return await with_database(postgres.url, work, ChildSpec("postgres", postgres.run))


async def with_database(
    database_url: str, work: Callable[[Database], Awaitable[T]], *servers: ChildSpec
) -> T:
    """What `work` returns, given a database, and the servers beneath it, for as long as it runs.

    Raises:
        StartupError: the database is not there, or not of this version.
    """
    annex = Annex()
    database = Database(annex, database_url, pool_size=1, statement_s=CHECK_STATEMENT_S)
    results: list[T] = []

    async def main(life: Lifeline) -> None:
        results.append(await work(database))
        life.ready()

    children = [
        *servers,
        ChildSpec("annex", annex.run),
        ChildSpec("database", database.run),
        ChildSpec("work", main, restart=Restart.TEMPORARY, start_s=INFINITE),
    ]
    stop = trio.Event()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_root, Supervisor("once", children), stop=stop))
            stop.set()
    except* StartFailed as group:
        raise reason_of(group) from group
    return results[0]


def reason_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Why a tree did not start, or gave up: one line for a person.

    What is a fault of ours stays as it is, to be shown with its traceback.
    """
    error: BaseException | None = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    while error is not None:
        if isinstance(error, StartupError):
            return error
        if isinstance(error, StorageDown | RestartIntensityExceeded | SystemExit):
            return StartupError(str(error))
        error = error.__cause__
    return group
