"""Every bound of the product, named, with its reason. `channels.limits` and `actors.limits` hold theirs."""

from typing import Final

# Events a rejoining client is given one by one. Beyond this a fresh snapshot is smaller and sooner.
REPLAY_EVENTS_MAX: Final = 1_000

# Rows of one page of a REST listing: one response stays under 100 KB.
PAGE_ROWS_MAX: Final = 100
