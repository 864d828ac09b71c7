"""What is read of the ledger. Every function runs on the annex, in its caller's block."""

import json
from collections.abc import AsyncIterator
from typing import Final

from app.domain.money import Money
from app.ledger import seal_store
from app.ledger.model import Account, Phase, Side, StoredEntry, Violation
from app.ledger.posting import to_account
from app.ledger.replay import Replay, ReplayedTransfer
from app.limits import CHECK_ROWS_A_READ, VIOLATIONS_MAX
from app.storage import ReadConnection, Row, load_queries

_SQL: Final = load_queries(__package__)

# What the database's bigint holds: no account's number and no posting's is beyond.
ID_MAX: Final = 2**63 - 1


async def accounts_of_line(
    conn: ReadConnection, line: str, after: int, limit: int
) -> tuple[Account, ...]:
    """A line's accounts with an id above `after`, in the order of their ids."""
    rows = await conn.fetch(_SQL.accounts_of_line, line, after, limit)
    return tuple(to_account(row) for row in rows)


async def accounts_of_owner(
    conn: ReadConnection, line: str, owner: str, after: int, limit: int
) -> tuple[Account, ...]:
    """A person's accounts with an id above `after`, in the order of their ids."""
    rows = await conn.fetch(_SQL.accounts_of_owner, line, owner, after, limit)
    return tuple(to_account(row) for row in rows)


async def account_of_line(conn: ReadConnection, line: str, account: int) -> Account | None:
    """One account of a line."""
    row = await conn.fetchrow(_SQL.account_of_line, line, account)
    return to_account(row) if row else None


async def entries_of_account(
    conn: ReadConnection, account: int, after: tuple[int, int], limit: int
) -> tuple[StoredEntry, ...]:
    """An account's entries after a posting's number and leg, in the ledger's order."""
    rows = await conn.fetch(_SQL.entries_of_account, account, *after, limit)
    return tuple(_to_entry(row) for row in rows)


async def check(conn: ReadConnection) -> list[Violation]:
    """What every inv_* view shows, what an independent replay finds, and what is not as sealed.

    All of it in one snapshot.

    At most `VIOLATIONS_MAX` a view and as many of the replay: enough to see what is wrong. Memory
    is bounded by the number of accounts, of open holds, and `CHECK_ROWS_A_READ`.
    """
    shown = await conn.fetch(_SQL.violations, VIOLATIONS_MAX)
    found = [Violation(row["invariant"], json.loads(row["broken"])) for row in shown]
    replay = Replay()
    async for row in _walk_accounts(conn):
        replay.account(to_account(row))
    async for row in _walk_transfers(conn):
        replay.transfer(ReplayedTransfer(**{**row, "phase": Phase(row["phase"])}))
    return [*found, *replay.violations()[:VIOLATIONS_MAX], *await seal_store.check(conn)]


async def _walk_accounts(conn: ReadConnection) -> AsyncIterator[Row]:
    """Every account, a bounded number a read."""
    after = 0
    while rows := await conn.fetch(_SQL.replay_accounts, after, CHECK_ROWS_A_READ):
        for row in rows:
            yield row
        after = rows[-1]["id"]


async def _walk_transfers(conn: ReadConnection) -> AsyncIterator[Row]:
    """Every transfer in the order of its book, a bounded number a read."""
    after: tuple[object, ...] = ("", 0, 0)
    while rows := await conn.fetch(_SQL.replay_transfers, *after, CHECK_ROWS_A_READ):
        for row in rows:
            yield row
        after = (rows[-1]["book"], rows[-1]["posting"], rows[-1]["leg"])


def _to_entry(row: Row) -> StoredEntry:
    return StoredEntry(
        account=row["account"],
        version=row["version"],
        posting=row["posting"],
        leg=row["leg"],
        key=row["key"],
        side=Side(row["side"]),
        phase=Phase(row["phase"]),
        amount=Money(row["amount"], row["currency"]),
        balance_after=row["balance_after"],
        recorded_at=row["recorded_at"],
    )
