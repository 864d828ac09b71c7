"""Revocations inside an atomic block."""

from typing import Final

from app.domain.errors import Code, Refusal
from app.identity.model import Identity
from app.identity.revocation_state import Kind, Revocation, Wanted
from app.limits import REVOCATIONS_A_LINE_MAX, REVOCATIONS_A_READ
from app.storage import ReadConnection, Row, WriteConnection, load_queries

_SQL: Final = load_queries(__package__, "revocations.sql")


async def revoke(conn: WriteConnection, identity: Identity, wanted: Wanted) -> Revocation | Refusal:
    """Revokes a session, or a person's tokens up to now; a session that is revoked stays so.

    Returns:
        forbidden for a line that is not there; busy where the line has all that are remembered.
    """
    if wanted.kind is Kind.SESSION:
        row = await conn.fetchrow(_SQL.revoked_session, identity.line, wanted.name)
        if row is not None:
            return _to_revocation(row)
    count = await conn.fetchval(_SQL.count_of_line, identity.line, REVOCATIONS_A_LINE_MAX)
    if count is None:
        return Refusal(Code.FORBIDDEN, "This business line is not known here.")
    if count >= REVOCATIONS_A_LINE_MAX:
        return Refusal(Code.BUSY, "This line has revoked all that is remembered.")
    position = await conn.fetchval(_SQL.next_position)
    row = await conn.fetchrow(
        _SQL.revoke, identity.line, wanted.kind.value, wanted.name, position, wanted.expires_at
    )
    assert row is not None, "an upsert returns its row"
    return _to_revocation(row)


async def newer(conn: ReadConnection, seen: int) -> tuple[list[Revocation], int]:
    """Some of what was revoked after number `seen`, and the number up to which that is all.

    A head below `seen` is that of another database, or of one put back to a backup: everything is
    read again.
    """
    head = await conn.fetchval(_SQL.head)
    if head == seen:
        return [], head
    after = seen if seen < head else 0
    rows = await conn.fetch(_SQL.newer, after, REVOCATIONS_A_READ)
    found = [_to_revocation(row) for row in rows]
    return found, found[-1].position if len(found) == REVOCATIONS_A_READ else head


async def forget(conn: WriteConnection) -> None:
    """Forgets some of what no longer matters."""
    await conn.execute(_SQL.forget, REVOCATIONS_A_READ)


def _to_revocation(row: Row) -> Revocation:
    return Revocation(
        row["line"],
        Kind(row["kind"]),
        row["name"],
        row["position"],
        row["issued_until"],
        row["expires_at"],
    )
