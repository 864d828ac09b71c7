"""What the role that serves may do in PostgreSQL, beyond what it should.

Migrations grant to the group `agio_server`, table by table, what the server does; `migrations/`
says what, and `docs/decisions/0014-append-only-by-privilege.md` why.
"""

from typing import Final

from app.storage.connections import ReadConnection
from app.storage.named_sql import load_queries

_SQL: Final = load_queries("app.storage")


async def may_rewrite(connection: ReadConnection) -> bool:
    """Whether this connection's role could change or delete what is append-only."""
    return bool(await connection.fetchval(_SQL.may_rewrite))
