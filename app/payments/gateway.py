"""The port to a payment provider: what Agio asks of one, and all it may rely on.

An *attempt* is one intended charge. It is committed here before the provider hears of it, and its
id is the provider's idempotency key, so that a call may be repeated by anyone, at any time:

- An attempt takes effect at most once. The first of `charge` and `cancel` to arrive decides it for
  good, and every later call of any kind tells that same outcome.
- `cancel` is a fence: after it has answered `Cancelled`, no charge of this attempt, not even one
  that is still on its way, can move money.
- `lookup` changes nothing. `NotFound` says that nothing had happened when it was asked; a charge
  may still be on its way.
- Whenever the answer is lost the call raises `OutcomeUnknown`. The effect may have taken place.

`tests/app/payments/test_gateways.py` holds every implementation against these sentences.
"""

from dataclasses import dataclass
from typing import Protocol

from app.domain.money import Money


@dataclass(frozen=True, slots=True)
class Attempt:
    """One intended charge.

    Attributes:
        id: the idempotency key, unique forever.
        amount: what to charge, more than nothing.
        payment_method: the provider's token for the buyer's card, such as `pm_card_visa`.
    """

    id: str
    amount: Money
    payment_method: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The money moved; `reference` is the provider's own name for it."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """No money moved, and none will."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """No money moved, and none can any more: `cancel` came first."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The provider knows nothing of the attempt, so far."""


Outcome = Approved | Declined | Cancelled


class OutcomeUnknown(Exception):  # noqa: N818  # it names an outcome, which is no error
    """The provider's answer was lost: the effect may or may not have taken place."""


class AttemptReusedError(Exception):
    """An attempt's id came back with another amount or payment method: a fault of ours."""


class PaymentGateway(Protocol):
    """What a payment provider does for us. Each call may raise `OutcomeUnknown`."""

    @property
    def provider(self) -> str:
        """Its name in the ledger's chart, lower-case letters only."""

    async def charge(self, attempt: Attempt) -> Outcome:
        """Takes the money. Raises `AttemptReusedError` where the id was used for something else."""

    async def lookup(self, attempt_id: str) -> Outcome | NotFound:
        """What became of an attempt, without changing anything."""

    async def cancel(self, attempt_id: str) -> Outcome:
        """Ends an attempt that has no outcome yet; tells the outcome of one that has."""
