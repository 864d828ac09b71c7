"""Who a business line knows, and in which role: a name has one role, the first it was met in.

A token is proof enough to be met: the line gets to know a person when they first do something that
is kept. Reading leaves no trace.
"""

from typing import Final

from app.domain.errors import Code, Refusal
from app.identity.model import Identity, Role
from app.storage import WriteConnection, load_queries

_SQL: Final = load_queries(__package__)


async def upsert_person(conn: WriteConnection, identity: Identity) -> Refusal | None:
    """Makes sure that the line knows this person, in the token's role.

    Returns:
        forbidden where the line is not there, or knows the name in another role.
    """
    return await meet(conn, identity.line, identity.person, identity.role)


async def meet(conn: WriteConnection, line: str, name: str, role: Role) -> Refusal | None:
    """Makes sure that `line` knows `name` in `role`; refuses as `upsert_person` does."""
    known = await conn.fetchval(_SQL.role_of, line, name)
    if known is None:
        await conn.execute(_SQL.meet, line, name, role.value)
        known = await conn.fetchval(_SQL.role_of, line, name)
    if known is None:
        return Refusal(Code.FORBIDDEN, "This business line is not known here.")
    if known != role.value:
        return Refusal(Code.FORBIDDEN, f"The name {name} belongs to a {known}.")
    return None
