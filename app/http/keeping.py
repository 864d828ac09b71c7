"""What is done to a book other than by a posting, over HTTP: accounts, chart, period locks."""

from typing import Final

import msgspec

from app.domain.errors import Code, Refusal
from app.domain.moments import moment
from app.http.accounts import number_in, summary_of
from app.http.books import pattern_of
from app.http.decode import decode_body, decode_query
from app.http.message import Request, Response
from app.http.moments import read_moment
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route
from app.http.schemas import AccountSummary, NoQuery, ReadQuery
from app.http.schemas_ledger import (
    AccountChange,
    ChartAnswer,
    LockAnswer,
    NewLock,
    PatternAnswer,
    PatternChange,
)
from app.http.services import Services
from app.identity.model import Scope
from app.ledger.keeping import AccountWanted, Limits, PatternWanted


async def open_account(services: Services, request: Request) -> Response:
    """Open an account."""
    decode_query(request, NoQuery)
    wanted = decode_body(request, AccountWanted)
    keeper, book = services.keeper, request.params["book"]
    account = granted(await keeper.open_account(request.identity, book, wanted))
    return reply(summary_of(account), status=201, location=f"/v1/accounts/{account.id}")


async def change_account(services: Services, request: Request) -> Response:
    """Limit an account, or close it."""
    decode_query(request, NoQuery)
    change = decode_body(request, AccountChange)
    keeper, number = services.keeper, number_in(request)
    limits = Limits(floor=change.floor, ceiling=change.ceiling)
    if change.closed is msgspec.UNSET:
        account = await keeper.limit_account(request.identity, number, limits)
    elif limits == Limits():
        account = await keeper.close_account(request.identity, number)
    else:
        account = Refusal(Code.INVALID_REQUEST, "`closed` comes without limits.")
    return reply(summary_of(granted(account)))


async def get_chart(services: Services, request: Request) -> Response:
    """A book's chart."""
    await read_query(services, request, ReadQuery)
    seen = granted(await services.books.get(request.identity, request.params["book"]))
    return reply(ChartAnswer([pattern_of(each) for each in seen.chart], str(seen.cursor)))


async def add_pattern(services: Services, request: Request) -> Response:
    """Add a pattern to a book's chart."""
    decode_query(request, NoQuery)
    wanted = decode_body(request, PatternWanted)
    keeper, book = services.keeper, request.params["book"]
    return reply(pattern_of(granted(await keeper.add_pattern(request.identity, book, wanted))))


async def limit_pattern(services: Services, request: Request) -> Response:
    """Change the limits of a pattern."""
    decode_query(request, NoQuery)
    change = decode_body(request, PatternChange)
    keeper, book = services.keeper, request.params["book"]
    limits = Limits(floor=change.floor, ceiling=change.ceiling)
    return reply(
        pattern_of(
            granted(await keeper.limit_pattern(request.identity, book, change.pattern, limits))
        )
    )


async def lock_period(services: Services, request: Request) -> Response:
    """Lock a book's periods up to a moment."""
    decode_query(request, NoQuery)
    before = read_moment("before", decode_body(request, NewLock).before)
    keeper, book = services.keeper, request.params["book"]
    lock = granted(await keeper.lock_period(request.identity, book, before))
    return reply(
        LockAnswer(lock.book, moment(lock.locked_before), lock.locked_by, moment(lock.locked_at))
    )


ROUTES: Final = (
    Route(
        "POST",
        "/v1/books/{book}/accounts",
        open_account,
        Operation(
            id="openAccount",
            summary="Open an account that the chart has; one that is there is the answer.",
            tag="books",
            answer=AccountSummary,
            status=201,
            body=AccountWanted,
            scope=Scope.LEDGER_ACCOUNTS,
            refusals=(
                Code.NOT_FOUND,
                Code.CURRENCY_UNKNOWN,
                Code.ACCOUNT_UNKNOWN,
                Code.ALREADY_THERE,
                Code.BELOW_FLOOR,
                Code.ABOVE_CEILING,
            ),
        ),
    ),
    Route(
        "PATCH",
        "/v1/accounts/{account}",
        change_account,
        Operation(
            id="changeAccount",
            summary="Limit an account, or close it for good.",
            tag="accounts",
            answer=AccountSummary,
            body=AccountChange,
            scope=Scope.LEDGER_ACCOUNTS,
            refusals=(
                Code.NOT_FOUND,
                Code.ACCOUNT_CLOSED,
                Code.ACCOUNT_NOT_EMPTY,
                Code.BELOW_FLOOR,
                Code.ABOVE_CEILING,
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/books/{book}/chart",
        get_chart,
        Operation(
            id="getChart",
            summary="Which accounts a book may have.",
            tag="books",
            answer=ChartAnswer,
            query=ReadQuery,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
    Route(
        "POST",
        "/v1/books/{book}/chart",
        add_pattern,
        Operation(
            id="addPattern",
            summary="Let a book have more accounts; a pattern that is there is the answer.",
            tag="books",
            answer=PatternAnswer,
            body=PatternWanted,
            scope=Scope.LEDGER_ACCOUNTS,
            refusals=(Code.NOT_FOUND, Code.ALREADY_THERE, Code.KIND_DIFFERS),
        ),
    ),
    Route(
        "PATCH",
        "/v1/books/{book}/chart",
        limit_pattern,
        Operation(
            id="limitPattern",
            summary="Change the limits of accounts that are opened at a pattern from now on.",
            tag="books",
            answer=PatternAnswer,
            body=PatternChange,
            scope=Scope.LEDGER_ACCOUNTS,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "POST",
        "/v1/books/{book}/lock",
        lock_period,
        Operation(
            id="lockPeriod",
            summary="Lock a period for good: nothing takes effect before a moment any more.",
            tag="books",
            answer=LockAnswer,
            body=NewLock,
            scope=Scope.LEDGER_LOCK,
            refusals=(Code.NOT_FOUND, Code.LOCK_MOVES_BACK),
        ),
    ),
)
