"""Every reason for which the ledger refuses a posting, in the order in which they are looked for.

The first that applies is the answer, and nothing was changed. Those from `AMOUNT_NOT_POSITIVE` to
`EXCEEDS_PENDING` are looked for transfer by transfer, and what a conversion comes to, nothing or
too much, once its quote was; the limits of accounts are looked at once all
transfers of the posting are done, since a posting is one step.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class LedgerCode(StrEnum):
    """Why a posting was refused, by the name that callers match on; in order."""

    BOOK_UNKNOWN = "book_unknown"
    KEY_RESERVED = "key_reserved"
    KEY_REUSED = "key_reused"
    BOOK_CLOSED = "book_closed"
    BOOK_IMPORTING = "book_importing"
    BOOK_NOT_IMPORTING = "book_not_importing"
    EFFECTIVE_IN_FUTURE = "effective_in_future"
    PERIOD_LOCKED = "period_locked"
    POSTING_EMPTY = "posting_empty"
    REVERSAL_HAS_TRANSFERS = "reversal_has_transfers"
    REVERSED_UNKNOWN = "reversed_unknown"
    NOT_REVERSIBLE = "not_reversible"
    ALREADY_REVERSED = "already_reversed"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_TOO_LARGE = "amount_too_large"
    CURRENCY_UNKNOWN = "currency_unknown"
    SAME_CURRENCY = "same_currency"
    RATE_INVALID = "rate_invalid"
    QUOTE_EXPIRED = "quote_expired"
    QUOTE_USED = "quote_used"
    CONVERTS_TO_NOTHING = "converts_to_nothing"
    SAME_ACCOUNT = "same_account"
    ACCOUNT_RESERVED = "account_reserved"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_CLOSED = "account_closed"
    PENDING_UNKNOWN = "pending_unknown"
    PENDING_ALREADY_POSTED = "pending_already_posted"
    PENDING_ALREADY_VOIDED = "pending_already_voided"
    PENDING_EXPIRED = "pending_expired"
    EXCEEDS_PENDING = "exceeds_pending"
    OVERFLOW = "overflow"
    BELOW_FLOOR = "below_floor"
    ABOVE_CEILING = "above_ceiling"


class LedgerMeaning(NamedTuple):
    """What a code says to a person, and whether the same request may succeed later."""

    message: str
    retryable: bool = False


LEDGER_MEANINGS: Final = {
    LedgerCode.BOOK_UNKNOWN: LedgerMeaning("There is no such book."),
    LedgerCode.KEY_RESERVED: LedgerMeaning(
        "Keys that begin with `capture:` or `expire:` are the ledger's own."
    ),
    LedgerCode.KEY_REUSED: LedgerMeaning("This key was used before, for another posting."),
    LedgerCode.BOOK_CLOSED: LedgerMeaning("The book is closed."),
    LedgerCode.BOOK_IMPORTING: LedgerMeaning(
        "The book takes past postings only, until it is promoted.", retryable=True
    ),
    LedgerCode.BOOK_NOT_IMPORTING: LedgerMeaning("The book takes no past postings any more."),
    LedgerCode.EFFECTIVE_IN_FUTURE: LedgerMeaning("`effective_at` is later than now."),
    LedgerCode.PERIOD_LOCKED: LedgerMeaning("`effective_at` lies in a period that is locked."),
    LedgerCode.POSTING_EMPTY: LedgerMeaning("A posting has at least one transfer."),
    LedgerCode.REVERSAL_HAS_TRANSFERS: LedgerMeaning(
        "A reversal's transfers are those that it reverses; it names none."
    ),
    LedgerCode.REVERSED_UNKNOWN: LedgerMeaning("There is no posting of the number to reverse."),
    LedgerCode.NOT_REVERSIBLE: LedgerMeaning(
        "Only transfers that moved money are reversed; not holds, other reversals, nor half of a "
        "posting between two books."
    ),
    LedgerCode.ALREADY_REVERSED: LedgerMeaning("The posting was reversed before."),
    LedgerCode.AMOUNT_NOT_POSITIVE: LedgerMeaning("`amount` is more than 0."),
    LedgerCode.AMOUNT_TOO_LARGE: LedgerMeaning("`amount` is at most 10^15 minor units."),
    LedgerCode.CURRENCY_UNKNOWN: LedgerMeaning("This is no currency with minor units."),
    LedgerCode.SAME_CURRENCY: LedgerMeaning("A conversion is between two currencies."),
    LedgerCode.RATE_INVALID: LedgerMeaning(
        "A rate is a numerator and a denominator of 1 to 10^15, a spread 0 to 9,999 basis points."
    ),
    LedgerCode.QUOTE_EXPIRED: LedgerMeaning("The quote is no longer valid."),
    LedgerCode.QUOTE_USED: LedgerMeaning("The quote was used before."),
    LedgerCode.CONVERTS_TO_NOTHING: LedgerMeaning("At this rate the amount is less than one unit."),
    LedgerCode.SAME_ACCOUNT: LedgerMeaning("A transfer is between two accounts."),
    LedgerCode.ACCOUNT_RESERVED: LedgerMeaning(
        "`due-to:` and `due-from:` accounts are moved by postings between two books only."
    ),
    LedgerCode.ACCOUNT_UNKNOWN: LedgerMeaning("The book's chart has no such account."),
    LedgerCode.ACCOUNT_CLOSED: LedgerMeaning("The account is closed."),
    LedgerCode.PENDING_UNKNOWN: LedgerMeaning("There is no such pending transfer."),
    LedgerCode.PENDING_ALREADY_POSTED: LedgerMeaning("The pending transfer was posted before."),
    LedgerCode.PENDING_ALREADY_VOIDED: LedgerMeaning("The pending transfer was voided before."),
    LedgerCode.PENDING_EXPIRED: LedgerMeaning("The pending transfer has expired."),
    LedgerCode.EXCEEDS_PENDING: LedgerMeaning("More than was pending cannot be posted."),
    LedgerCode.OVERFLOW: LedgerMeaning("An account would count beyond 4.6 x 10^18."),
    LedgerCode.BELOW_FLOOR: LedgerMeaning(
        "Less would be available on an account than it must have.", retryable=True
    ),
    LedgerCode.ABOVE_CEILING: LedgerMeaning(
        "An account would hold more than it may.", retryable=True
    ),
}
