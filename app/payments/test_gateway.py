"""A gateway for tests and demos whose memory is a table, so that it outlives any of our processes.

It plays a provider on the other side of a network: it writes in atomic blocks of its own, which
commit whatever becomes of the caller, and nothing of ours refers to its schema. A database that is
away is a provider that does not answer.
"""

from typing import Final

from app.domain.ids import new_id
from app.domain.money import Money
from app.payments import cards
from app.payments.gateway import (
    Approved,
    Attempt,
    AttemptReusedError,
    Cancelled,
    Declined,
    NotFound,
    Outcome,
    OutcomeUnknown,
)
from app.storage import (
    Database,
    ReadConnection,
    Row,
    StorageDown,
    WriteConnection,
    load_queries,
)

_SQL: Final = load_queries(__package__)


class TestGateway:
    """Implements `PaymentGateway` over the schema `test_gateway`; `app.payments.cards` decides."""

    __test__ = False  # its name is not that of a test
    provider: Final = "test"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, attempt: Attempt) -> Outcome:
        """Approves or declines by the card's token, once an attempt."""
        if attempt.payment_method == cards.LOST_BEFORE:
            raise OutcomeUnknown(attempt.id)
        try:
            outcome = await self._database.write(_charge, attempt)
        except StorageDown as lost:
            raise OutcomeUnknown(attempt.id) from lost
        if attempt.payment_method == cards.LOST_AFTER:
            raise OutcomeUnknown(attempt.id)
        return outcome

    async def lookup(self, attempt_id: str) -> Outcome | NotFound:
        """What became of an attempt."""
        try:
            return await self._database.read(_lookup, attempt_id)
        except StorageDown as lost:
            raise OutcomeUnknown(attempt_id) from lost

    async def cancel(self, attempt_id: str) -> Outcome:
        """Ends an attempt that has no outcome yet."""
        try:
            return await self._database.write(_cancel, attempt_id)
        except StorageDown as lost:
            raise OutcomeUnknown(attempt_id) from lost


async def _charge(conn: WriteConnection, attempt: Attempt) -> Outcome:
    approved = cards.approves(attempt.payment_method)
    await conn.execute(
        _SQL.decide,
        attempt.id,
        "approved" if approved else "declined",
        attempt.amount.amount,
        attempt.amount.currency,
        attempt.payment_method,
        new_id("tch") if approved else None,
    )
    row = await conn.fetchrow(_SQL.decided, attempt.id)
    assert row is not None, "what was just decided is there"
    if row["outcome"] != "cancelled":
        asked = Attempt(attempt.id, Money(row["amount"], row["currency"]), row["payment_method"])
        if asked != attempt:
            raise AttemptReusedError(attempt.id)
    return _to_outcome(row)


async def _lookup(conn: ReadConnection, attempt_id: str) -> Outcome | NotFound:
    row = await conn.fetchrow(_SQL.decided, attempt_id)
    return _to_outcome(row) if row else NotFound()


async def _cancel(conn: WriteConnection, attempt_id: str) -> Outcome:
    await conn.execute(_SQL.decide, attempt_id, "cancelled", None, None, None, None)
    row = await conn.fetchrow(_SQL.decided, attempt_id)
    assert row is not None, "what was just decided is there"
    return _to_outcome(row)


def _to_outcome(row: Row) -> Outcome:
    if row["outcome"] == "approved":
        return Approved(row["reference"])
    return Declined() if row["outcome"] == "declined" else Cancelled()
