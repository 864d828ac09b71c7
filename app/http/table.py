"""Every route of Agio, in one table."""

from typing import Final

from app.http import (
    accounts,
    books,
    interline,
    keeping,
    ledger_reads,
    longpoll,
    operations,
    postings,
    revocations,
    sales,
    sockets,
    transactions,
    tree,
)
from app.http.openapi import route_of_itself

_API: Final = (
    *operations.ROUTES,
    *tree.ROUTES,
    *sales.ROUTES,
    *transactions.ROUTES,
    *accounts.ROUTES,
    *books.ROUTES,
    *postings.ROUTES,
    *interline.ROUTES,
    *keeping.ROUTES,
    *ledger_reads.ROUTES,
    *revocations.ROUTES,
    *longpoll.ROUTES,
    *sockets.ROUTES,
)

# What one worker answers for itself alone, at a port of its own.
LOCAL_ROUTES: Final = (*operations.ROUTES, *tree.ROUTES)

ROUTES: Final = (*_API, route_of_itself(_API))
