"""How the gateways that stand in for a provider treat a card, by its token. Pure.

The names are those of Stripe's test methods, with two of ours that lose the answer.
"""

from typing import Final

APPROVES: Final = "pm_card_visa"
DECLINES: Final = "pm_card_chargeDeclined"
# The charge never reaches the provider, and nobody is told.
LOST_BEFORE: Final = "pm_test_timeout_before"
# The charge is approved, and nobody is told.
LOST_AFTER: Final = "pm_test_timeout_after"

_APPROVED: Final = frozenset({APPROVES, LOST_AFTER})


def approves(payment_method: str) -> bool:
    """Whether a charge of this method that arrives is approved; a token nobody knows is not."""
    return payment_method in _APPROVED
