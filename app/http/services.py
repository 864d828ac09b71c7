"""What the handlers stand on, in one value that the node makes and tests make of fakes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.tree import Vitals
from app.events.service import EventLog
from app.http.message import Request
from app.http.readiness import Readiness
from app.identity.callers import Callers
from app.identity.revocations import Revocations
from app.ledger.books import Books
from app.ledger.interline import Interline
from app.ledger.keeper import Keeper
from app.ledger.poster import Posters
from app.ledger.service import Ledger
from app.sales.service import Sales
from app.socket.audience import Audience
from app.transactions.service import Transactions
from channels.longpoll import LongPoll


class Siblings(Protocol):
    """How a worker answers for all workers of its server."""

    async def metrics(self, own: bytes) -> bytes:
        """The metrics of all, given this worker's own."""

    async def tree(self, own: Vitals, request: Request, path: str) -> Vitals | None:
        """What lives on all from the place at `path` on, given this worker's own whole tree."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind HTTP.

    Attributes:
        callers: tells who calls.
        revocations: who may not call any more.
        audience: those who are connected, on all nodes.
        sales: sales, listings and stock.
        transactions: purchases.
        ledger: accounts and entries.
        books: the books of each line, and what was posted.
        posters: post to books.
        interline: posts between two books.
        keeper: opens accounts, tends charts, locks periods.
        log: the event log, for readers that wait for a cursor.
        longpoll: the socket's clients that poll.
        readiness: what `/readyz` says.
        render_metrics: the metrics' text and its content type.
        tree: the supervision tree now, with at most so many children listed of each place; None
            where none runs.
        siblings: the other workers of this server, where there are any.
    """

    callers: Callers
    revocations: Revocations
    audience: Audience
    sales: Sales
    transactions: Transactions
    ledger: Ledger
    books: Books
    posters: Posters
    interline: Interline
    keeper: Keeper
    log: EventLog
    longpoll: LongPoll
    readiness: Readiness
    render_metrics: Callable[[], tuple[bytes, str]]
    tree: Callable[[int], Vitals | None]
    siblings: Siblings | None = None
