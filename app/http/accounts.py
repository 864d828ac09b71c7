"""The ledger over HTTP: accounts with their balances, and the entries of each."""

from typing import Final

import msgspec

from app.domain.errors import Code
from app.domain.moments import moment
from app.domain.page import Page, number_of
from app.http.message import Request, Response
from app.http.reply import granted, read_query, reply
from app.http.router import Operation, Route
from app.http.schemas import (
    AccountAnswer,
    AccountsPage,
    AccountSummary,
    EntriesPage,
    EntryAnswer,
    PageQuery,
    Price,
    ReadQuery,
)
from app.http.services import Services
from app.ledger.model import NO_ACCOUNT, Account, StoredEntry


async def list_accounts(services: Services, request: Request) -> Response:
    """Those the caller may see, in the order in which they were opened."""
    query = await read_query(services, request, PageQuery)
    page = granted(await services.ledger.accounts(request.identity, Page(query.after, query.limit)))
    return reply(
        AccountsPage([summary_of(each) for each in page.items], page.next, str(page.cursor))
    )


async def get_account(services: Services, request: Request) -> Response:
    """One account with its balance."""
    await read_query(services, request, ReadQuery)
    seen = granted(await services.ledger.account(request.identity, number_in(request)))
    summary = msgspec.structs.asdict(summary_of(seen.account))
    return reply(AccountAnswer(**summary, cursor=str(seen.cursor)))


async def list_entries(services: Services, request: Request) -> Response:
    """An account's entries, oldest first."""
    query = await read_query(services, request, PageQuery)
    page = granted(
        await services.ledger.entries(
            request.identity, number_in(request), Page(query.after, query.limit)
        )
    )
    return reply(EntriesPage([_entry(each) for each in page.items], page.next, str(page.cursor)))


def number_in(request: Request) -> int:
    """The account's number; what is none names no account."""
    number = number_of(request.params["account"])
    return granted(NO_ACCOUNT if number is None else number)


def summary_of(account: Account) -> AccountSummary:
    """The account as it is shown."""
    return AccountSummary(
        id=str(account.id),
        book=account.book,
        path=account.path,
        kind=account.kind,
        currency=account.currency,
        owner=account.owner,
        floor=account.floor,
        ceiling=account.ceiling,
        debits_posted=account.debits_posted,
        credits_posted=account.credits_posted,
        debits_pending=account.debits_pending,
        credits_pending=account.credits_pending,
        balance=account.balance,
        available=account.available,
        version=account.version,
        closed_at=None if account.closed_at is None else moment(account.closed_at),
    )


def _entry(entry: StoredEntry) -> EntryAnswer:
    return EntryAnswer(
        version=entry.version,
        side=entry.side,
        amount=Price(entry.amount.amount, entry.amount.currency),
        balance_after=entry.balance_after,
        posting=entry.posting,
        leg=entry.leg,
        type=entry.phase,
        key=entry.key,
        recorded_at=moment(entry.recorded_at),
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/accounts",
        list_accounts,
        Operation(
            id="listAccounts",
            summary="A seller's own accounts, all of the line for an operator.",
            tag="accounts",
            answer=AccountsPage,
            query=PageQuery,
            refusals=(Code.FORBIDDEN,),
        ),
    ),
    Route(
        "GET",
        "/v1/accounts/{account}",
        get_account,
        Operation(
            id="getAccount",
            summary="One account with its balance.",
            tag="accounts",
            answer=AccountAnswer,
            query=ReadQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
    Route(
        "GET",
        "/v1/accounts/{account}/entries",
        list_entries,
        Operation(
            id="listEntries",
            summary="An account's entries, oldest first, each with the balance it left.",
            tag="accounts",
            answer=EntriesPage,
            query=PageQuery,
            refusals=(Code.NOT_FOUND,),
        ),
    ),
)
