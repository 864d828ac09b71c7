"""Loads the demo into an empty database, inside one atomic block."""

from typing import Final

from app.storage import WriteConnection, load_queries

_SQL: Final = load_queries(__package__)


async def load_demo(conn: WriteConnection) -> bool:
    """Add the demo line, its people, its sale and its listings, unless the line is there.

    A demo that was used keeps what was sold: nothing of it is ever put back.

    Returns:
        Whether it was loaded now.
    """
    if await conn.fetchval(_SQL.add_line) is None:
        return False
    for query in (_SQL.add_people, _SQL.add_sale, _SQL.add_listings):
        await conn.execute(query)
    return True
