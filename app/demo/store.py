"""Loads the demo into an empty database, inside one atomic block."""

from typing import Final

from app.identity.store import add_line
from app.storage import WriteConnection, load_queries

_SQL: Final = load_queries(__package__)

# What the demo line keeps of each sale, in basis points.
_COMMISSION_BP: Final = 800


async def load_demo(conn: WriteConnection) -> bool:
    """Add the demo line, its people, its sale and its listings, unless the line is there.

    A demo that was used keeps what was sold: nothing of it is ever put back.

    Returns:
        Whether it was loaded now.
    """
    if not await add_line(conn, "demo", "Demo", _COMMISSION_BP):
        return False
    for query in (_SQL.add_people, _SQL.add_sale, _SQL.add_listings):
        await conn.execute(query)
    return True
