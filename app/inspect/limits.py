"""Every bound of `agio inspect`, named, with its reason."""

from typing import Final

# Seconds that a node has to answer `agio inspect`: it answers in milliseconds, unless it is stuck.
INSPECT_ANSWER_S: Final = 5.0

# Bytes of such an answer: ten times what the places of one can take. A longer one is not Agio's.
INSPECT_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024

# Characters of a refusal that a terminal is shown: two lines of it.
INSPECT_REASON_MAX: Final = 200

# Seconds that a change stays marked in the live picture: long enough to be seen, whatever the rate.
INSPECT_MARK_S: Final = 5.0

# Seconds that a token made for one look is valid: clocks of two machines may differ by minutes.
INSPECT_TOKEN_S: Final = 3_600

# Seconds between two pictures, at least and at most: below it is a flicker, above it a report.
INSPECT_EVERY_MIN_S: Final = 0.1
INSPECT_EVERY_MAX_S: Final = 3_600.0
