"""Takes one transaction from where it stands to its end, step by step as `rules` say.

Theory of operation. A driver holds no truth. What it learns it writes down in one atomic block, and
each block is guarded by the state that stands in the database. So it may be cancelled or crash
between any two steps, on any node, and another may drive the same transaction at the same time:

- before the accepting block commits, nothing happened;
- after it, the attempt's id is known, and every call to the provider carries it: repeated calls
  are one charge (`app.payments.gateway`);
- after the provider's effect and before the settling block, the transaction stands open with its
  stock held, and whoever takes it up looks up the attempt first;
- the settling block is the end, for everyone.

It answers its callers through `tell`, as soon as there is an answer: also while it goes on looking
for an outcome that was lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from actors import Emit
from app.domain.errors import Code, Refusal
from app.limits import GATEWAY_CALL_S, HOLD_CEILING_S, HOLD_FIRST_S
from app.payments.gateway import Approved, NotFound, Outcome, OutcomeUnknown, PaymentGateway
from app.storage import Database
from app.transactions import rules, store
from app.transactions.model import Answer, Transaction
from app.transactions.rules import NEXT, OPEN, SETTLES, Fact, Step
from app.transactions.store import Order


@dataclass(frozen=True, slots=True)
class News:
    """What a driver has learned.

    Attributes:
        request_hash: of the request that this tells of.
        answer: what those who asked for it are told; None before there is an answer.
        stored: whether the key stands for that request, forever.
    """

    request_hash: bytes
    answer: Answer | None
    stored: bool


Tell = Callable[[News], None]


class Driver:
    """Drives the transaction of an order, or one that was found open."""

    def __init__(
        self, database: Database, gateway: PaymentGateway, begin: Order | Transaction, emit: Emit
    ) -> None:
        """A driver that has not begun; it drives once."""
        self._database = database
        self._gateway = gateway
        self._begin = begin
        self._emit = emit
        self._approved: Approved | None = None
        self._pause_s = HOLD_FIRST_S

    async def run(self, tell: Tell, stop_requested: trio.Event) -> None:
        """Drives until the end, or until a stop is asked for while there is nothing to do but wait.

        Raises:
            StorageDown: the database failed; recovery will find the transaction, if it is there.
            CaptureNotPostedError: the ledger refused a capture.
        """
        found = await self._accept()
        if isinstance(found, Refusal):
            assert isinstance(self._begin, Order), "what was found open is not refused"
            tell(News(self._begin.request.hash, found, stored=False))
            return
        transaction, fresh = found
        tell(_news(transaction))
        if transaction.state in OPEN:
            step = rules.first_step(fresh=fresh, overdue=transaction.overdue)
            await self._drive(transaction, step, tell, stop_requested)

    async def _accept(self) -> tuple[Transaction, bool] | Refusal:
        """The transaction to drive, and whether it was made just now."""
        if isinstance(self._begin, Transaction):
            return self._begin, False
        accepted = await self._database.write(store.accept, self._begin)
        if isinstance(accepted, Refusal):
            return accepted
        return accepted.transaction, accepted.fresh

    async def _drive(
        self, transaction: Transaction, step: Step, tell: Tell, stop_requested: trio.Event
    ) -> None:
        """Does one step after another."""
        while step not in SETTLES:
            if step is not Step.HOLD:
                step = NEXT[step][await self._ask(step, transaction)]
                continue
            transaction = await self._database.write(store.mark_unknown, transaction.id)
            tell(_news(transaction))
            if transaction.state not in OPEN or await self._pause(stop_requested):
                return
            transaction = await self._database.read(store.load, transaction.id)
            step = rules.step_after_hold(overdue=transaction.overdue)
        transaction = await self._settle(step, transaction)
        assert transaction.state not in OPEN, f"{transaction.id} was settled"
        tell(_news(transaction))
        self._report(transaction)

    async def _ask(self, step: Step, transaction: Transaction) -> Fact:
        """Asks the provider; an answer that does not come in time is lost."""
        attempt = transaction.to_attempt()
        outcome: Outcome | NotFound | None = None
        with trio.move_on_after(GATEWAY_CALL_S):
            try:
                if step is Step.CHARGE:
                    outcome = await self._gateway.charge(attempt)
                elif step is Step.CANCEL:
                    outcome = await self._gateway.cancel(attempt.id)
                else:
                    outcome = await self._gateway.lookup(attempt.id)
            except OutcomeUnknown:
                return Fact.LOST
        if outcome is None:
            return Fact.LOST
        if isinstance(outcome, Approved):
            self._approved = outcome
        return rules.fact_of(outcome)

    async def _settle(self, step: Step, transaction: Transaction) -> Transaction:
        """Writes down the end; where another did so before, this is theirs."""
        if step is Step.CAPTURE:
            assert self._approved is not None, "only an approval captures"
            return await self._database.write(
                store.settle_captured, transaction.id, self._gateway.provider, self._approved
            )
        refusal = Code.DECLINED if step is Step.DECLINE else Code.EXPIRED
        return await self._database.write(store.settle_refused, transaction.id, refusal)

    async def _pause(self, stop_requested: trio.Event) -> bool:
        """Waits before asking again, longer each time. True where a stop was asked for."""
        with trio.move_on_after(self._pause_s):
            await stop_requested.wait()
        self._pause_s = min(2 * self._pause_s, HOLD_CEILING_S)
        return stop_requested.is_set()

    def _report(self, transaction: Transaction) -> None:
        outcome = transaction.refusal or transaction.state
        self._emit(
            "transaction.settled",
            {"transaction": transaction.id, "line": transaction.line, "outcome": outcome.value},
        )


def _news(transaction: Transaction) -> News:
    return News(
        transaction.request_hash,
        rules.answer(transaction),
        stored=True,
    )
