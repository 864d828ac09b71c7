"""Changing money: exact, rounded once for who changes it, and never a gain there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import AMOUNT_MAX, EXPONENTS
from app.ledger.codes import LedgerCode
from app.ledger.conversion import LIQUIDITY, SPREAD, convert, refuse
from app.ledger.limits import RATE_PART_MAX
from app.ledger.request import Convert, Rate, Transfer

AMOUNTS = st.integers(1, AMOUNT_MAX)
PARTS = st.integers(1, RATE_PART_MAX)
SPREADS = st.integers(0, 9_999)
HERE, THERE = "bank:here", "bank:there"

# One currency of each exponent: 0, 2, 3 and 4 decimals.
SORTS = ("JPY", "EUR", "KWD", "CLF")


def asked(amount: int, rate: Rate, spread_bp: int = 0, *, source: str = "EUR") -> Convert:
    """A conversion of this much."""
    target = "JPY" if source != "JPY" else "EUR"
    return Convert(HERE, THERE, amount, source, target, rate, spread_bp)


def worth(conversion: Convert) -> int:
    """What it comes to; 0 where it is not made."""
    transfers = convert(conversion)
    return 0 if isinstance(transfers, LedgerCode) else transfers[1].amount


@given(AMOUNTS, PARTS, PARTS, SPREADS)
def test_all_of_it_is_somewhere(amount: int, numerator: int, denominator: int, spread: int) -> None:
    """The source is what is changed and the spread; the target is rounded down, by less than 1."""
    transfers = convert(asked(amount, Rate(numerator, denominator), spread))
    if isinstance(transfers, LedgerCode):
        net = amount - amount * spread // 10_000
        exact = net * numerator // denominator
        assert (transfers, exact) in {
            (LedgerCode.CONVERTS_TO_NOTHING, 0),
            (LedgerCode.AMOUNT_TOO_LARGE, max(exact, AMOUNT_MAX + 1)),
        }
        return
    source, target, *kept = transfers
    assert source.amount + sum(each.amount for each in kept) == amount
    assert (source.debit, source.credit, source.currency) == (HERE, LIQUIDITY, "EUR")
    assert (target.debit, target.credit, target.currency) == (LIQUIDITY, THERE, "JPY")
    assert [(each.debit, each.credit, each.currency) for each in kept] == [
        (HERE, SPREAD, "EUR")
    ] * bool(amount * spread // 10_000)
    assert 0 <= source.amount * numerator - target.amount * denominator < denominator


@given(AMOUNTS, PARTS, PARTS, SPREADS, SPREADS)
def test_there_and_back_never_gains(
    amount: int, numerator: int, denominator: int, spread: int, back: int
) -> None:
    """At a rate and its inverse, whatever the spreads."""
    there = worth(asked(amount, Rate(numerator, denominator), spread))
    if there:
        assert worth(asked(there, Rate(denominator, numerator), back, source="JPY")) <= amount


@pytest.mark.parametrize("source", SORTS)
@pytest.mark.parametrize("target", SORTS)
def test_exponents(source: str, target: str) -> None:
    """One major unit at one for one, whatever the decimals of the two currencies."""
    one, other = 10 ** EXPONENTS[source], 10 ** EXPONENTS[target]
    conversion = Convert(HERE, THERE, one, source, target, Rate(other, one))
    if source == target:
        assert refuse(conversion) is LedgerCode.SAME_CURRENCY
        return
    assert refuse(conversion) is None
    assert convert(conversion) == (
        Transfer(HERE, LIQUIDITY, one, source),
        Transfer(LIQUIDITY, THERE, other, target),
    )


@pytest.mark.parametrize("metal", ["XAU", "XDR", "XXX", "XTS", "eur", "", "EURO"])
def test_what_is_no_money_is_not_changed(metal: str) -> None:
    """On either side."""
    for source, target in ((metal, "EUR"), ("EUR", metal)):
        conversion = Convert(HERE, THERE, 1, source, target, Rate(1, 1))
        assert refuse(conversion) is LedgerCode.CURRENCY_UNKNOWN


@pytest.mark.parametrize(
    ("amount", "spread", "kept"),
    [
        (1, 9_999, 0),
        (2, 5_000, 1),
        (3, 5_000, 1),
        (10_000, 1, 1),
        (9_999, 1, 0),
        (10**15, 50, 5 * 10**12),
    ],
)
def test_the_spread_is_rounded_down(amount: int, spread: int, kept: int) -> None:
    """A spread of nothing leaves no transfer, and something is always left to change."""
    transfers = convert(asked(amount, Rate(1, 1), spread))
    assert not isinstance(transfers, LedgerCode)
    assert [each.amount for each in transfers[2:]] == ([kept] if kept else [])
    assert transfers[0].amount == amount - kept > 0
