"""What may be asked of a book's accounts and its chart, and why it is refused. Pure."""

from typing import Annotated, Final

import msgspec

from app.domain.errors import Code, Refusal
from app.domain.money import EXPONENTS
from app.ledger.chart import ANY, OWNER, Chart, Pattern, is_pattern
from app.ledger.limits import PATTERNS_MAX
from app.ledger.model import NORMAL, Account, Kind, Side
from app.ledger.request import Amount, Path

# A limit of an account: minor units; None: none.
Limit = Amount | None


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of an account; what is left out stays as it is, or as the chart has it.

    Attributes:
        floor: the least that may be available, in minor units; None: any.
        ceiling: the most that it may hold, what is pending included; None: any.
    """

    floor: Limit | msgspec.UnsetType = msgspec.UNSET
    ceiling: Limit | msgspec.UnsetType = msgspec.UNSET

    def over(self, floor: int | None, ceiling: int | None) -> tuple[int | None, int | None]:
        """Floor and ceiling, with these where they say something."""
        return (
            floor if self.floor is msgspec.UNSET else self.floor,
            ceiling if self.ceiling is msgspec.UNSET else self.ceiling,
        )


class AccountWanted(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account that is to be opened.

    Attributes:
        path: its place in the chart.
        currency: the one currency that it counts.
    """

    path: Path
    currency: Annotated[str, msgspec.Meta(min_length=3, max_length=3)]


class PatternWanted(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of place that a chart is to have; limits are those of accounts opened there later.

    Attributes:
        pattern: words with colons between them; `*` stands for any, `{owner}` for a person's name.
        kind: what its accounts stand for.
    """

    pattern: Path
    kind: Kind


def refuse_limits(
    floor: int | None, ceiling: int | None, account: Account | None = None
) -> Refusal | None:
    """Why an account as it stands, or one without any entry, cannot have these limits."""
    if floor is not None and ceiling is not None and floor > ceiling:
        return Refusal(Code.INVALID_REQUEST, "`floor` is more than `ceiling`.")
    if floor is not None and (account.available if account else 0) < floor:
        return Refusal(Code.BELOW_FLOOR)
    if ceiling is not None and (_held(account) if account else 0) > ceiling:
        return Refusal(Code.ABOVE_CEILING)
    return None


def _held(account: Account) -> int:
    """The balance, with what is pending towards it."""
    debit = NORMAL[account.kind] is Side.DEBIT
    return account.balance + (account.debits_pending if debit else account.credits_pending)


def open_in(chart: Chart, wanted: AccountWanted) -> tuple[Pattern, str | None] | Refusal:
    """The pattern with its limits changed to those of a new account, and its owner."""
    if wanted.currency not in EXPONENTS:
        return Refusal(Code.CURRENCY_UNKNOWN)
    place = chart.find(wanted.path)
    if place is None:
        return Refusal(Code.ACCOUNT_UNKNOWN)
    pattern = place.pattern
    floor, ceiling = wanted.over(pattern.floor, pattern.ceiling)
    return Pattern(pattern.pattern, pattern.kind, floor, ceiling), place.owner


def refuse_close(account: Account) -> Refusal | None:
    """Why an account cannot be closed as it stands."""
    if account.balance or account.debits_pending or account.credits_pending:
        return Refusal(Code.ACCOUNT_NOT_EMPTY)
    return None


def refuse_pattern_limits(floor: int | None, ceiling: int | None) -> Refusal | None:
    """Why no pattern can have these limits: an account begins at 0, and with the pattern's."""
    if (floor or 0) <= 0 <= (ceiling or 0):
        return None
    return Refusal(
        Code.INVALID_REQUEST, "A pattern's `floor` is at most 0, and its `ceiling` at least 0."
    )


def refuse_pattern(chart: Chart, wanted: Pattern) -> Refusal | None:
    """Why a chart cannot have one more pattern, which it does not have.

    Two patterns that fit a same path are of one kind, so that no path is ever of two.
    """
    if not is_pattern(wanted.pattern) or wanted.pattern.count(OWNER) > 1:
        return Refusal(Code.INVALID_REQUEST, "This is no pattern of accounts.")
    refused = refuse_pattern_limits(wanted.floor, wanted.ceiling)
    if refused:
        return refused
    if any(_anonymous(each) == _anonymous(wanted) for each in chart.patterns):
        return Refusal(Code.ALREADY_THERE)
    if any(each.kind != wanted.kind and _overlap(each, wanted) for each in chart.patterns):
        return Refusal(Code.KIND_DIFFERS)
    if len(chart.patterns) >= PATTERNS_MAX:
        return Refusal(Code.INVALID_REQUEST, f"A chart has at most {PATTERNS_MAX} patterns.")
    return None


_PLACEHOLDERS: Final = frozenset({ANY, OWNER})


def _anonymous(pattern: Pattern) -> str:
    return pattern.pattern.replace(OWNER, ANY)


def _overlap(one: Pattern, other: Pattern) -> bool:
    """Whether some path fits both."""
    words, others = one.pattern.split(":"), other.pattern.split(":")
    return len(words) == len(others) and all(
        word == its or word in _PLACEHOLDERS or its in _PLACEHOLDERS
        for word, its in zip(words, others, strict=True)
    )
