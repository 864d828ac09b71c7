"""The ledger's tables. Every function runs on the annex, inside its caller's atomic block.

`post` is the one way in. It locks the accounts of a posting in the order of their ids, so that
two postings never wait for each other in a circle; accounts that do not exist are opened before
any lock is taken, in the order of their paths. What is to be written is decided in memory
(`app.ledger.rules`), then written by one statement, whatever the posting's size: everyone who
wants these accounts is waiting.
"""

import json
from collections.abc import AsyncIterator
from typing import Final

from app.domain.ids import new_id
from app.domain.money import Money
from app.ledger.model import Account, Kind, Posting, PostingRefused, Side, StoredEntry, Violation
from app.ledger.replay import Replay, ReplayedEntry, ReplayedTransfer
from app.ledger.rules import AccountKey, Decision, decide, places
from app.limits import CHECK_ROWS_A_READ, VIOLATIONS_MAX
from app.storage import ReadConnection, Row, WriteConnection, load_queries

_SQL: Final = load_queries(__package__)


async def post(conn: WriteConnection, posting: Posting) -> PostingRefused | None:
    """Records a posting, or says why not: then nothing of it is recorded, and nobody need undo it.

    The caller's block holds the row locks of every account touched until it ends.
    """
    decision = decide(await _lock(conn, posting), posting.transfers)
    if isinstance(decision, PostingRefused):
        recorded = await conn.fetchval(_SQL.posting_recorded, posting.book, posting.key)
        return PostingRefused.ALREADY_POSTED if recorded else decision
    claimed = await _record(conn, posting, decision)
    return None if claimed else PostingRefused.ALREADY_POSTED


async def _lock(conn: WriteConnection, posting: Posting) -> dict[AccountKey, Account]:
    """The accounts of a posting, opened where need be, locked in the order of their ids."""
    wanted = places(posting)
    paths = [path for path, _ in wanted]
    currencies = [currency for _, currency in wanted]
    rows = await conn.fetch(_SQL.lock_accounts, posting.book, paths, currencies)
    if not rows and wanted:
        kinds = [place.kind.value for place in wanted.values()]
        owners = [place.owner for place in wanted.values()]
        await conn.execute(_SQL.open_accounts, posting.book, paths, kinds, currencies, owners)
        rows = await conn.fetch(_SQL.lock_accounts, posting.book, paths, currencies)
    return {(row["path"], row["currency"]): to_account(row) for row in rows}


async def _record(conn: WriteConnection, posting: Posting, decision: Decision) -> bool:
    """Writes what was decided; False, and nothing written, where its key was claimed before."""
    entries, accounts = decision.entries, decision.accounts
    claimed = await conn.fetchval(
        _SQL.record,
        new_id("pst"),
        posting.book,
        posting.key,
        [transfer.amount.currency for transfer in posting.transfers],
        [entry.account for entry in entries if entry.side is Side.DEBIT],
        [entry.account for entry in entries if entry.side is Side.CREDIT],
        [transfer.amount.amount for transfer in posting.transfers],
        [entry.account for entry in entries],
        [entry.version for entry in entries],
        [entry.transfer + 1 for entry in entries],
        [entry.side.value for entry in entries],
        [entry.amount for entry in entries],
        [entry.balance_after for entry in entries],
        [account.id for account in accounts],
        [account.debits for account in accounts],
        [account.credits for account in accounts],
        [account.version for account in accounts],
    )
    return claimed is not None


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
    conn: ReadConnection, account: int, after: int, limit: int
) -> tuple[StoredEntry, ...]:
    """An account's entries with a version above `after`, in the order of their versions."""
    rows = await conn.fetch(_SQL.entries_of_account, account, after, limit)
    return tuple(_to_entry(row) for row in rows)


async def check(conn: ReadConnection) -> list[Violation]:
    """What every inv_* view shows, then what an independent replay finds, in one snapshot.

    At most `VIOLATIONS_MAX` a view and as many of the replay: enough to see what is wrong. Memory
    is bounded by the number of accounts and `CHECK_ROWS_A_READ`, whatever the ledger's length.
    """
    shown = await conn.fetch(_SQL.violations, VIOLATIONS_MAX)
    found = [Violation(row["invariant"], json.loads(row["broken"])) for row in shown]
    replay = Replay()
    async for row in _walk_ids(conn, _SQL.replay_accounts):
        replay.account(to_account(row))
    async for row in _walk_ids(conn, _SQL.replay_transfers):
        replay.transfer(ReplayedTransfer(**row))
    async for row in _walk_entries(conn):
        replay.entry(ReplayedEntry(**{**row, "side": Side(row["side"])}))
    return found + replay.violations()[:VIOLATIONS_MAX]


async def _walk_ids(conn: ReadConnection, query: str) -> AsyncIterator[Row]:
    """Every row of a query that goes by id, a bounded number a read."""
    after = 0
    while rows := await conn.fetch(query, after, CHECK_ROWS_A_READ):
        for row in rows:
            yield row
        after = rows[-1]["id"]


async def _walk_entries(conn: ReadConnection) -> AsyncIterator[Row]:
    """Every entry, account by account, a bounded number a read."""
    after = (0, 0)
    while rows := await conn.fetch(_SQL.replay_entries, *after, CHECK_ROWS_A_READ):
        for row in rows:
            yield row
        after = (rows[-1]["account"], rows[-1]["version"])


def to_account(row: Row) -> Account:
    """The account that a row holds."""
    return Account(**{**row, "kind": Kind(row["kind"])})


def _to_entry(row: Row) -> StoredEntry:
    return StoredEntry(
        version=row["version"],
        transfer=row["transfer"],
        posting=row["posting"],
        key=row["key"],
        side=Side(row["side"]),
        amount=Money(row["amount"], row["currency"]),
        balance_after=row["balance_after"],
        recorded_at=row["recorded_at"],
    )
