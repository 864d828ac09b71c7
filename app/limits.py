"""Every bound of the product, named, with its reason. `channels.limits` and `actors.limits` hold theirs."""

from typing import Final

# Events a rejoining client is given one by one. Beyond this a fresh snapshot is smaller and sooner.
REPLAY_EVENTS_MAX: Final = 1_000

# Rows of one page of a REST listing: one response stays under 100 KB.
PAGE_ROWS_MAX: Final = 100

# Rows that a ledger check holds at once: a read of this size takes the annex a few milliseconds.
CHECK_ROWS_A_READ: Final = 1_000

# Violations of one kind that a check reports. One is too many already; a screenful shows the shape.
VIOLATIONS_MAX: Final = 100

# Pieces in one purchase: no cart is larger, and a price times this still fits an amount's check.
QUANTITY_MAX: Final = 1_000_000

# Characters of an idempotency key or a payment method; Stripe's own bound on a key.
CHECKOUT_TEXT_MAX: Final = 255

# Seconds that stock is held for a purchase whose payment has no outcome. Longer than a provider's
# worst answer, short enough that a lost payment does not empty the shelf for the evening.
RESERVATION_S: Final = 600.0
