"""Books of several lines, and what the database says of them."""

from typing import Final

from app.identity.store import add_line
from app.storage import Database, ReadConnection, WriteConnection, load_queries

SQL: Final = load_queries(__package__, "lines.sql")


async def add_books(database: Database, *books: str) -> None:
    """Lines of these names, each with its book."""
    for book in books:
        assert await database.write(add_line, book, book, 0)


async def ask(database: Database, query: str, *args: object) -> list[dict[str, object]]:
    """Every row of a query of `lines.sql`."""

    async def fetch(conn: ReadConnection) -> list[dict[str, object]]:
        return [dict(row) for row in await conn.fetch(getattr(SQL, query), *args)]

    return await database.read(fetch)


async def do(owner: Database, *statements: str) -> None:
    """Runs statements of `lines.sql` as a superuser in one block, with no trigger looking."""

    async def run(conn: WriteConnection) -> None:
        for statement in ("switch_off", *statements):
            await conn.execute(getattr(SQL, statement))

    await owner.write(run)


async def balances(database: Database) -> dict[str, int]:
    """Each account's balance, by its book and path."""
    rows = await ask(database, "balances")
    return {str(row["account"]): int(str(row["balance"])) for row in rows}


async def violations(database: Database) -> set[str]:
    """The views that show something that must not be."""
    return {str(row["invariant"]) for row in await ask(database, "violations")}
