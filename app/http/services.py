"""What the handlers stand on, in one value that the node makes and tests make of fakes."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.tree import Vitals
from app.events.service import EventLog
from app.http.readiness import Readiness
from app.identity.callers import Callers
from app.identity.revocations import Revocations
from app.ledger.service import Ledger
from app.sales.service import Sales
from app.socket.audience import Audience
from app.transactions.service import Transactions
from channels.longpoll import LongPoll


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
        log: the event log, for readers that wait for a cursor.
        longpoll: the socket's clients that poll.
        readiness: what `/readyz` says.
        render_metrics: the metrics' text and its content type.
        tree: the supervision tree now, with at most so many children listed of each place; None
            where none runs.
    """

    callers: Callers
    revocations: Revocations
    audience: Audience
    sales: Sales
    transactions: Transactions
    ledger: Ledger
    log: EventLog
    longpoll: LongPoll
    readiness: Readiness
    render_metrics: Callable[[], tuple[bytes, str]]
    tree: Callable[[int], Vitals | None]
