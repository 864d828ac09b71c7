"""`agio ledger trial-balance` and `agio ledger statement`: the ledger as CSV on standard output.

Rows go out as they are read, some at a time, and a reader that has seen enough ends the reading.
Amounts are minor units.
"""

import argparse
import sys
from collections import Counter
from contextlib import aclosing
from datetime import datetime
from typing import Final

import trio

from app.config import Settings
from app.http.csv_text import Cell, csv_rows
from app.ledger import reads, reports
from app.ledger.model import Account
from app.ledger.seen import AsOf, Clock, Period, Standing, StatementLine
from app.once import read_ledger
from app.storage import Database
from app.storage.errors import StartupError

_TRIAL_BALANCE: Final = (
    "account",
    "path",
    "kind",
    "currency",
    "debit",
    "credit",
    "debits_pending",
    "credits_pending",
)
_STATEMENT: Final = (
    "transfer",
    "recorded_at",
    "effective_at",
    "key",
    "type",
    "side",
    "amount",
    "currency",
    "balance",
    "pending",
)


def take_report_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add both commands to those of `agio ledger`."""
    trial = commands.add_parser(
        "trial-balance", help="Print how every account of a book stands, as CSV."
    )
    trial.add_argument("book", help="the book's id")
    trial.add_argument("--at", type=_moment, metavar="MOMENT", help="as of then (default: now)")
    trial.add_argument(
        "--by",
        type=Clock,
        choices=list(Clock),
        default=Clock.RECORDED,
        help="which time of postings that is (default: recorded)",
    )
    trial.set_defaults(command=_trial_balance, reads=True)
    statement = commands.add_parser("statement", help="Print an account's entries, as CSV.")
    statement.add_argument(
        "account", type=int, help="the account's id, as a trial balance prints it"
    )
    statement.add_argument("--since", type=_moment, metavar="MOMENT", help="recorded after then")
    statement.add_argument("--until", type=_moment, metavar="MOMENT", help="recorded by then")
    statement.set_defaults(command=_statement, reads=True)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment with an offset from UTC, such as 2026-01-31T00:00:00Z"
        )
    return moment


def _trial_balance(arguments: argparse.Namespace, settings: Settings) -> int:
    out = _Output()
    apart: Counter[str] = Counter()

    async def work(database: Database) -> None:
        as_of = AsOf(arguments.at, arguments.by)
        point = await database.read(reads.find_point, arguments.book, as_of)
        if point is None:
            raise StartupError(f"there is no book {arguments.book}")
        await out.write(csv_rows([_TRIAL_BALANCE]))
        async with aclosing(reports.trial_balance(database, point)) as pages:
            async for page in pages:
                for each in page:
                    apart[each.account.currency] += each.debit - each.credit
                if not await out.write(csv_rows(map(_standing, page))):
                    break

    trio.run(read_ledger, settings, work)
    out.finish()
    unequal = [f"{currency} by {by}" for currency, by in sorted(apart.items()) if by]
    if unequal:
        sys.stderr.write(f"agio: debits and credits differ: {', '.join(unequal)}\n")
    return int(bool(unequal))


def _statement(arguments: argparse.Namespace, settings: Settings) -> int:
    out = _Output()

    async def work(database: Database) -> None:
        period = Period(arguments.since, arguments.until)
        begun = await database.read(reports.begin_statement, arguments.account, period)
        if begun is None:
            raise StartupError(f"there is no account {arguments.account}")
        account, balance = begun.account, begun.opening
        await out.write(csv_rows([_STATEMENT, _balance("opening", account, balance)]))
        async with aclosing(reports.statement(database, begun)) as pages:
            async for page in pages:
                balance = page[-1].balance_after
                if not await out.write(csv_rows(_line(account, line) for line in page)):
                    break
        await out.write(csv_rows([_balance("closing", account, balance)]))

    trio.run(read_ledger, settings, work)
    out.finish()
    return 0


def _standing(each: Standing) -> tuple[Cell, ...]:
    account = each.account
    what = (account.id, account.path, account.kind.value, account.currency)
    return (*what, each.debit, each.credit, each.debits_pending, each.credits_pending)


def _line(account: Account, line: StatementLine) -> tuple[Cell, ...]:
    return (
        str(line.name),
        line.recorded_at.isoformat(),
        line.effective_at.isoformat(),
        line.key,
        line.phase.value,
        line.side.value,
        line.amount,
        account.currency,
        line.balance_after,
        line.pending_after,
    )


def _balance(name: str, account: Account, balance: int) -> tuple[Cell, ...]:
    return (None, None, None, None, name, None, None, account.currency, balance, None)


class _Output:
    """Standard output, written to by a thread, so that a reader who is slow holds up nothing."""

    def __init__(self) -> None:
        self._closed = False

    async def write(self, chunk: bytes) -> bool:
        """Writes it; False where nobody reads any more."""
        if not self._closed:
            await trio.to_thread.run_sync(self._write, chunk)
        return not self._closed

    def _write(self, chunk: bytes) -> None:
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self._closed = True

    def finish(self) -> None:
        """Says what became of the output.

        Raises:
            BrokenPipeError: the reader had seen enough.
        """
        if self._closed:
            raise BrokenPipeError
