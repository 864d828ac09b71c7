"""The ledger at a moment, over HTTP: balances, statements, trial balances; as JSON or CSV.

CSV has the rows of the page that JSON would have, amounts in minor units too. Where another page
follows, a `Link` header of the relation `next` says where it is.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlencode

from app.domain.errors import Code
from app.domain.moments import moment
from app.domain.page import Page
from app.http.accounts import number_in, summary_of
from app.http.csv_text import csv_of
from app.http.message import CSV, JSON, Request, Response
from app.http.moments import read_moment
from app.http.negotiate import preferred
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route, Success
from app.http.schemas_reads import (
    BalanceAnswer,
    LineAnswer,
    MomentQuery,
    StandingAnswer,
    StandingsPage,
    StandingsQuery,
    StatementAnswer,
    StatementQuery,
    TotalAnswer,
    TrialBalanceAnswer,
    TrialBalanceQuery,
)
from app.http.services import Services
from app.ledger.seen import (
    AsOf,
    Clock,
    Period,
    Standing,
    Standings,
    Statement,
    StatementLine,
    Total,
    TrialBalance,
)

Row = Sequence[str | int | None]
_AS_CSV: Final = (Success(200, str, CSV),)


async def get_balance(services: Services, request: Request) -> Response:
    """How an account stood at a moment."""
    query = await read_query(services, request, MomentQuery)
    as_of = _as_of(query)
    seen = granted(await services.ledger.standing(request.identity, number_in(request), as_of))
    standing = seen.standing
    return reply(
        BalanceAnswer(
            account=str(standing.account.id),
            path=standing.account.path,
            currency=standing.account.currency,
            balance=standing.balance,
            available=standing.available,
            debits_pending=standing.debits_pending,
            credits_pending=standing.credits_pending,
            posting=seen.posting,
            head=seen.head,
            cursor=str(seen.cursor),
        )
    )


async def get_statement(services: Services, request: Request) -> Response:
    """A page of an account's statement."""
    query = await read_query(services, request, StatementQuery)
    period = Period(
        None if query.since is None else read_moment("from", query.since),
        None if query.until is None else read_moment("to", query.until),
    )
    found = granted(
        await services.ledger.statement(
            request.identity, number_in(request), period, Page(query.after, query.limit)
        )
    )
    if _wants_csv(request, query.format):
        follows = {"from": query.since, "to": query.until, "limit": str(query.limit)}
        rows = _statement_rows(found)
        return _csv(request, _STATEMENT, rows, str(found.cursor), follows, found.next)
    return reply(
        StatementAnswer(
            summary_of(found.account),
            found.opening,
            [_line(each) for each in found.lines],
            found.closing,
            found.next,
            found.head,
            str(found.cursor),
        )
    )


async def get_trial_balance(services: Services, request: Request) -> Response:
    """What a book's accounts came to at a moment, by currency and kind."""
    query = await read_query(services, request, TrialBalanceQuery)
    found = granted(
        await services.ledger.trial_balance(request.identity, request.params["book"], _as_of(query))
    )
    if _wants_csv(request, query.format):
        return _csv(request, _TOTALS, _total_rows(found), str(found.cursor))
    return reply(
        TrialBalanceAnswer(
            found.book,
            [_total(each) for each in found.totals],
            found.balanced,
            found.posting,
            found.head,
            str(found.cursor),
        )
    )


async def list_standings(services: Services, request: Request) -> Response:
    """A book's accounts as they stood at a moment."""
    query = await read_query(services, request, StandingsQuery)
    found = granted(
        await services.ledger.standings(
            request.identity,
            request.params["book"],
            _as_of(query),
            Page(query.after, query.limit),
        )
    )
    if _wants_csv(request, query.format):
        follows = {"at": query.at, "by": query.by, "limit": str(query.limit)}
        rows = _standing_rows(found)
        return _csv(request, _STANDINGS, rows, str(found.cursor), follows, found.next)
    items = [_standing(each) for each in found.items]
    return reply(StandingsPage(items, found.next, found.posting, found.head, str(found.cursor)))


def _as_of(query: MomentQuery | StandingsQuery) -> AsOf:
    at = None if query.at is None else read_moment("at", query.at)
    return AsOf(at, Clock(query.by))


# JSON ---------------------------------------------------------------------------------------------


def _line(line: StatementLine) -> LineAnswer:
    return LineAnswer(
        line.posting,
        line.leg,
        line.key,
        line.side,
        line.phase,
        line.amount,
        line.balance_after,
        line.pending_after,
        moment(line.recorded_at),
        moment(line.effective_at),
    )


def _total(total: Total) -> TotalAnswer:
    return TotalAnswer(
        total.currency,
        total.kind,
        total.accounts,
        total.debit,
        total.credit,
        total.debits_pending,
        total.credits_pending,
    )


def _standing(standing: Standing) -> StandingAnswer:
    account = standing.account
    return StandingAnswer(
        str(account.id),
        account.path,
        account.kind,
        account.currency,
        standing.balance,
        standing.available,
        standing.debit,
        standing.credit,
        standing.debits_pending,
        standing.credits_pending,
    )


# CSV ----------------------------------------------------------------------------------------------

_STATEMENT: Final = (
    "posting",
    "leg",
    "key",
    "side",
    "type",
    "amount",
    "balance_after",
    "pending_after",
    "currency",
    "recorded_at",
    "effective_at",
)
_TOTALS: Final = (
    "currency",
    "kind",
    "accounts",
    "debit",
    "credit",
    "debits_pending",
    "credits_pending",
)
_STANDINGS: Final = (
    "account",
    "path",
    "kind",
    "currency",
    "balance",
    "available",
    "debit",
    "credit",
    "debits_pending",
    "credits_pending",
)


def _statement_rows(found: Statement) -> Iterable[Row]:
    """The lines, between the balances that the page opens and closes with."""
    currency = found.account.currency
    yield _balance_row("opening", found.opening, currency)
    for line in found.lines:
        yield (
            line.posting,
            line.leg,
            line.key,
            line.side.value,
            line.phase.value,
            line.amount,
            line.balance_after,
            line.pending_after,
            currency,
            moment(line.recorded_at),
            moment(line.effective_at),
        )
    yield _balance_row("closing", found.closing, currency)


def _balance_row(name: str, balance: int, currency: str) -> Row:
    return (None, None, None, None, name, None, balance, None, currency, None, None)


def _total_rows(found: TrialBalance) -> Iterable[Row]:
    for each in found.totals:
        told = _total(each)
        yield (
            told.currency,
            told.kind.value,
            told.accounts,
            told.debit,
            told.credit,
            told.debits_pending,
            told.credits_pending,
        )


def _standing_rows(found: Standings) -> Iterable[Row]:
    for each in found.items:
        told = _standing(each)
        yield (
            told.account,
            told.path,
            told.kind.value,
            told.currency,
            told.balance,
            told.available,
            told.debit,
            told.credit,
            told.debits_pending,
            told.credits_pending,
        )


def _wants_csv(request: Request, wished: str | None) -> bool:
    if wished is not None:
        return wished == "csv"
    return preferred(request.headers.get("accept", ""), [JSON, CSV]) == CSV


def _csv(
    request: Request,
    names: Sequence[str],
    rows: Iterable[Row],
    cursor: str,
    follows: dict[str, str | None] | None = None,
    after: str | None = None,
) -> Response:
    """The rows; where another page follows, with the query that asks for it."""
    headers = [("Content-Type", f"{CSV}; charset=utf-8; header=present"), ("Agio-Cursor", cursor)]
    if after is not None:
        query = {"format": "csv", **(follows or {}), "after": after}
        told = urlencode({name: value for name, value in query.items() if value is not None})
        headers.append(("Link", f'<{request.path}?{told}>; rel="next"'))
    return Response(200, tuple(headers), csv_of(names, rows))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/accounts/{account}/balance",
        get_balance,
        Operation(
            id="getBalance",
            summary="How an account stood at a moment.",
            tag="accounts",
            answer=BalanceAnswer,
            query=MomentQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "GET",
        "/v1/accounts/{account}/statement",
        get_statement,
        Operation(
            id="getStatement",
            summary="An account's entries in a period, between the balances around them.",
            tag="accounts",
            answer=StatementAnswer,
            others=_AS_CSV,
            query=StatementQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}/trial-balance",
        get_trial_balance,
        Operation(
            id="getTrialBalance",
            summary="What a book's accounts came to at a moment, by currency and kind.",
            tag="books",
            answer=TrialBalanceAnswer,
            others=_AS_CSV,
            query=TrialBalanceQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}/accounts",
        list_standings,
        Operation(
            id="listStandings",
            summary="A book's accounts as they stood at a moment, in the order of their paths.",
            tag="books",
            answer=StandingsPage,
            others=_AS_CSV,
            query=StandingsQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
)
