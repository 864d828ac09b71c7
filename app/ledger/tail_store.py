"""What those who watch accounts read. Every function runs on the annex, in its caller's block."""

from collections.abc import Sequence
from typing import Final

from app.domain.cursor import Cursor
from app.ledger.limits import ACCOUNT_REPLAY_MAX, TAIL_ENTRIES_A_READ
from app.ledger.model import Phase, Side
from app.ledger.posting import to_account
from app.ledger.tail import AccountJoin, Known, News, Step, before, follow
from app.storage import ReadConnection, Row, load_queries

_SQL: Final = load_queries(__package__, "tails.sql")


async def join(
    conn: ReadConnection, line: str, account: int, seen: Cursor | None
) -> AccountJoin | None:
    """An account of a line and what it had since `seen`; None where the line has none such."""
    row = await conn.fetchrow(_SQL.account, line, account)
    if row is None:
        return None
    fields = dict(row)
    cursor = Cursor(fields.pop("epoch"), fields.pop("head"))
    found = to_account(fields)
    if seen is None or seen.epoch != cursor.epoch or seen.position > cursor.position:
        return AccountJoin(found, cursor, None)
    rows = await _steps(conn, [Known(account, -1, seen.position)], ACCOUNT_REPLAY_MAX + 1)
    if len(rows) > ACCOUNT_REPLAY_MAX:
        return AccountJoin(found, cursor, None)
    steps = [_to_step(row) for row in rows]
    return AccountJoin(found, cursor, tuple(follow(before(found, steps), steps)))


async def heads(conn: ReadConnection, books: Sequence[str]) -> dict[str, int]:
    """The numbers of books' last postings."""
    return {row["id"]: row["head"] for row in await conn.fetch(_SQL.heads, books)}


async def news(conn: ReadConnection, known: Sequence[Known]) -> dict[int, News]:
    """What these accounts have more than is known of them; those that have nothing are left out."""
    rows = await _steps(conn, known, TAIL_ENTRIES_A_READ)
    steps: dict[int, list[Step]] = {}
    versions: dict[int, int] = {}
    for row in rows:
        steps.setdefault(row["account"], []).append(_to_step(row))
        versions[row["account"]] = row["versions"]
    return {
        account: News(own, whole=own[-1].version == versions[account])
        for account, own in steps.items()
    }


async def _steps(conn: ReadConnection, known: Sequence[Known], limit: int) -> list[Row]:
    """The next entries of accounts, so many of each and the rest of the last posting."""
    await conn.fetchrow(_SQL.by_index)
    return await conn.fetch(
        _SQL.steps,
        [each.account for each in known],
        [each.version for each in known],
        [each.posting for each in known],
        limit,
    )


def _to_step(row: Row) -> Step:
    fields = {name: value for name, value in row.items() if name != "versions"}
    return Step(**{**fields, "side": Side(fields["side"]), "phase": Phase(fields["phase"])})
