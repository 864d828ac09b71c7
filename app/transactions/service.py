"""Purchases, for whoever wants to make one or look at one: the socket, HTTP, and recovery.

Theory of operation. A checkout asks the actor of its key, which begins to live with the first who
asks. The actor is a convenience, the database the truth: where the actor ends before it answered,
the state is read back; where nothing is there, the checkout begins again, a bounded number of
times; where it cannot be read, the caller is told to ask again, under the same key.

Recovery is the same thing without a caller. A loop searches the database for open transactions
that nobody has touched for a while and starts their actors. The first search of a life takes all
that are open, since they were most likely this node's own. A transaction that another node is
driving may be taken up by mistake: that is harmless (`driver.py`), and rare.
"""

import re
from dataclasses import dataclass
from typing import Final

import trio

from actors import (
    ActorDown,
    CallTimeout,
    Emit,
    Lifeline,
    Lives,
    MailboxFull,
    Restart,
    TooManyChildren,
    VirtualActors,
    drop_event,
)
from app.domain.cursor import Cursor
from app.domain.errors import Code, Refusal
from app.domain.page import NO_SUCH_PLACE, Page, Paged
from app.events import store as events
from app.identity.model import Identity, Role
from app.limits import (
    CHECKOUT_S,
    CHECKOUT_TRIES_MAX,
    RECOVER_EVERY_S,
    RECOVER_IDLE_S,
    RECOVER_ROWS_MAX,
    RESERVATION_S,
    TRANSACTION_IDLE_S,
    TRANSACTION_SHUTDOWN_S,
    TRANSACTIONS_MAX,
)
from app.payments.gateway import PaymentGateway
from app.storage import Database, ReadConnection, StorageDown
from app.transactions import rules, store
from app.transactions.actor import ASK_AGAIN, Ask, TakeUp, TransactionActor
from app.transactions.driver import Driver
from app.transactions.model import Answer, CheckoutRequest, Transaction
from app.transactions.store import Order

_ID: Final = re.compile(r"txn_[0-9a-z]{26}", re.ASCII)
_NOT_FOUND: Final = Refusal(Code.NOT_FOUND, "There is no such transaction.")


@dataclass(frozen=True, slots=True)
class TransactionSeen:
    """A transaction, and the log's head in the snapshot it was read from."""

    transaction: Transaction
    cursor: Cursor


class Transactions:
    """Makes purchases and shows them.

    Attributes:
        actors: one for each live transaction; a part of the tree.
    """

    def __init__(
        self,
        database: Database,
        gateway: PaymentGateway,
        *,
        live_max: int = TRANSACTIONS_MAX,
        reservation_s: float = RESERVATION_S,
        emit: Emit = drop_event,
    ) -> None:
        """A service that may be used once its database and its actors run.

        Args:
            database: where transactions are.
            gateway: who takes the buyers' money.
            live_max: how many purchases may be under way.
            reservation_s: seconds for which stock is held without an outcome of its payment.
            emit: takes the events `transaction.settled`, `transactions.recovered` and
                `transactions.recovery_failed`.
        """
        self._database = database
        self._gateway = gateway
        self._reservation_s = reservation_s
        self._emit = emit
        self._recovered_to = ""
        lives = Lives(
            idle_s=TRANSACTION_IDLE_S,
            max_live=live_max,
            restart=Restart.TEMPORARY,  # the database says where it stands, to whoever asks next
            shutdown_s=TRANSACTION_SHUTDOWN_S,
        )
        self.actors = VirtualActors(
            "transactions", TransactionActor, lambda _key: TransactionActor(self._drive), lives
        )

    # Making one ----------------------------------------------------------------------------------

    async def checkout(self, identity: Identity, request: CheckoutRequest) -> Answer:
        """Buys, or says why not; the same key gets the same answer, whoever asks and when.

        Returns:
            A receipt; or a refusal: forbidden, not_found, sale_closed, invalid_request, key_reused,
            sold_out, declined, expired, outcome_unknown, busy or unavailable. What is retryable
            may be asked again with the same key, and never buys twice.
        """
        if identity.role is not Role.BUYER:
            return Refusal(Code.FORBIDDEN, "Only buyers buy.")
        order = Order(identity, request, self._reservation_s)
        with trio.move_on_after(CHECKOUT_S):
            for _ in range(CHECKOUT_TRIES_MAX):
                answer = await self._ask(order)
                if answer is not ASK_AGAIN:
                    return answer
            return Refusal(Code.UNAVAILABLE)
        return Refusal(Code.OUTCOME_UNKNOWN)

    async def _ask(self, order: Order) -> Answer | None:
        """What the actor of this key says; what the database says where there is none to ask."""
        identity = order.identity
        key = _key(identity.line, identity.person, order.request.key)
        answer: Answer | None
        try:
            answer = await self.actors.call(key, Ask(order), deadline_s=CHECKOUT_S)
        except (TooManyChildren, MailboxFull):
            return await self._read_back(order) or Refusal(Code.BUSY)
        except (ActorDown, CallTimeout):
            # Where nothing is kept, the actor had ended just before, or crashed before it began.
            return await self._read_back(order) or ASK_AGAIN
        return answer

    def _drive(self, begin: Order | Transaction) -> Driver:
        return Driver(self._database, self._gateway, begin, self._emit)

    async def _read_back(self, order: Order) -> Answer | None:
        """The answer that the database has; None where it knows nothing of this key."""
        try:
            found = await self._database.read(store.find, order.identity, order.request)
        except StorageDown:
            return Refusal(Code.UNAVAILABLE)
        if found is None or isinstance(found, Refusal):
            return found
        return rules.answer(found) or Refusal(Code.OUTCOME_UNKNOWN)

    # Looking at them -----------------------------------------------------------------------------

    async def get(self, identity: Identity, transaction_id: str) -> TransactionSeen | Refusal:
        """One transaction; what `identity` may not see is not found."""
        if not _ID.fullmatch(transaction_id):
            return _NOT_FOUND
        return await self._database.read(_get, identity, transaction_id)

    async def list(self, identity: Identity, page: Page) -> Paged[Transaction] | Refusal:
        """Transactions, newest first: a buyer's own, those a seller sold, all for an operator."""
        if page.after and not _ID.fullmatch(page.after):
            return NO_SUCH_PLACE
        return await self._database.read(_list, identity, page)

    # Recovery ------------------------------------------------------------------------------------

    async def run(self, life: Lifeline) -> None:
        """Takes up open transactions that have lost their actor, until a stop is asked for."""
        life.ready()
        idle_s = 0.0
        while not life.stopping:
            try:
                await self._recover(idle_s)
                idle_s = RECOVER_IDLE_S
            except StorageDown as error:
                self._emit("transactions.recovery_failed", {"error": error})
            with trio.move_on_after(RECOVER_EVERY_S):
                await life.stop_requested.wait()

    async def _recover(self, idle_s: float) -> None:
        """One search, from where the last one ended; after the end comes the beginning."""
        found = await self._database.read(
            store.open_after, self._recovered_to, idle_s, RECOVER_ROWS_MAX
        )
        self._recovered_to = found[-1].id if len(found) == RECOVER_ROWS_MAX else ""
        started = 0
        for transaction in found:
            key = _key(transaction.line, transaction.buyer, transaction.key)
            if self.actors.whereis(key) is not None:
                continue
            try:
                self.actors.cast(key, TakeUp(transaction))
            except (TooManyChildren, ActorDown):
                break
            started += 1
        if started:
            self._emit("transactions.recovered", {"started": started})


def _key(line: str, buyer: str, key: str) -> str:
    """An actor's key. A line and a buyer have no slash, so no two idempotency keys share one."""
    return f"{line}/{buyer}/{key}"


async def _get(
    conn: ReadConnection, identity: Identity, transaction_id: str
) -> TransactionSeen | Refusal:
    cursor = await events.head(conn)
    found = await store.look(conn, transaction_id)
    if found is None or not _may_see(identity, found):
        return _NOT_FOUND
    return TransactionSeen(found, cursor)


async def _list(conn: ReadConnection, identity: Identity, page: Page) -> Paged[Transaction]:
    cursor = await events.head(conn)
    match identity.role:
        case Role.BUYER:
            found = await store.of_buyer(conn, identity, page.after, page.rows)
        case Role.SELLER:
            found = await store.of_seller(conn, identity, page.after, page.rows)
        case Role.OPERATOR:
            found = await store.of_line(conn, identity.line, page.after, page.rows)
    return page.cut(found, lambda each: each.id, cursor)


def _may_see(identity: Identity, transaction: Transaction) -> bool:
    """Operators see all of their line, buyers what they bought, sellers what they sold."""
    if transaction.line != identity.line:
        return False
    return {
        Role.BUYER: transaction.buyer == identity.person,
        Role.SELLER: transaction.seller == identity.person,
        Role.OPERATOR: True,
    }[identity.role]
