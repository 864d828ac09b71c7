"""Who a business line knows, and in which role: a name has one role, the first it was met in.

A token is proof enough to be met: the line gets to know a person when they first do something that
is kept. Reading leaves no trace.
"""

from typing import Final

from app.domain.errors import Code, Refusal
from app.identity.model import Identity, Role
from app.storage import WriteConnection, load_queries

_SQL: Final = load_queries(__package__)


async def meet_caller(
    conn: WriteConnection, identity: Identity, known: str | None = None
) -> Refusal | None:
    """Makes sure that the line knows the caller, in the token's role; see `meet`."""
    return await meet(conn, identity.line, identity.person, identity.role, known)


async def meet(
    conn: WriteConnection, line: str, name: str, role: Role, known: str | None = None
) -> Refusal | None:
    """Makes sure that `line` knows `name` in `role`.

    Args:
        conn: of the block that keeps something of theirs.
        line: the business line.
        name: the person's.
        role: the one they are to have.
        known: the role that the line knows them in, where this block has read it already.

    Returns:
        forbidden where the line is not there, or knows the name in another role.
    """
    known = known or await conn.fetchval(_SQL.role_of, line, name)
    if known is None:
        await conn.execute(_SQL.meet, line, name, role.value)
        known = await conn.fetchval(_SQL.role_of, line, name)
    if known is None:
        return Refusal(Code.FORBIDDEN, "This business line is not known here.")
    if known != role.value:
        return Refusal(Code.FORBIDDEN, f"The name {name} belongs to a {known}.")
    return None


async def add_line(
    conn: WriteConnection, line: str, name: str, commission_bp: int, mode: str = "live"
) -> bool:
    """Add a business line and its book; one that is there stays as it is.

    Args:
        conn: of the block.
        line: its id.
        name: what people call it.
        commission_bp: what it keeps of each sale, 0 to 10,000 basis points.
        mode: what its book takes at first: present postings (live), or past ones (importing).

    Returns:
        Whether it was added now.
    """
    return await conn.fetchval(_SQL.add_line, line, name, commission_bp, mode) is not None
