"""How one currency becomes another: through liquidity accounts, at one rate, rounded once. Pure.

The liquidity account has a side in each currency: it takes what is changed and gives what that is
worth, rounded down, so that what rounding leaves is its own, and changing there and back never
gains. The spread is a transfer by itself, so that the rate and the price of changing stay apart.
"""

from typing import Final

from app.domain.money import AMOUNT_MAX, BASIS_POINTS, EXPONENTS
from app.ledger.codes import LedgerCode
from app.ledger.limits import RATE_PART_MAX
from app.ledger.request import Convert, Rate, Transfer

LIQUIDITY: Final = "conversion:liquidity"
SPREAD: Final = "conversion:spread"


def convert(asked: Convert) -> tuple[Transfer, ...] | LedgerCode:
    """The transfers of a conversion that nothing is wrong with, the spread's last.

    Or why there are none: it comes to nothing in the other currency, or to too much.
    """
    spread = asked.amount * asked.spread_bp // BASIS_POINTS
    net = asked.amount - spread
    worth = net * asked.rate.numerator // asked.rate.denominator
    if worth == 0:
        return LedgerCode.CONVERTS_TO_NOTHING
    if worth > AMOUNT_MAX:
        return LedgerCode.AMOUNT_TOO_LARGE
    # After this point, the conversion must succeed.
    source = Transfer(asked.debit, LIQUIDITY, net, asked.currency)
    target = Transfer(LIQUIDITY, asked.credit, worth, asked.target_currency)
    kept = Transfer(asked.debit, SPREAD, spread, asked.currency)
    return (source, target, kept) if spread else (source, target)


def refuse(asked: Convert) -> LedgerCode | None:
    """What is wrong with what is asked, if anything is, whatever it would come to."""
    if asked.amount <= 0:
        return LedgerCode.AMOUNT_NOT_POSITIVE
    if asked.amount > AMOUNT_MAX:
        return LedgerCode.AMOUNT_TOO_LARGE
    if asked.currency not in EXPONENTS or asked.target_currency not in EXPONENTS:
        return LedgerCode.CURRENCY_UNKNOWN
    if asked.currency == asked.target_currency:
        return LedgerCode.SAME_CURRENCY
    return None if _possible(asked.rate, asked.spread_bp) else LedgerCode.RATE_INVALID


def _possible(rate: Rate, spread_bp: int) -> bool:
    parts = (rate.numerator, rate.denominator)
    return all(1 <= part <= RATE_PART_MAX for part in parts) and 0 <= spread_bp < BASIS_POINTS
