"""Money counts whole minor units of one currency, and never loses one."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.money import AMOUNT_MAX, BASIS_POINTS, EXPONENTS, Money

currencies = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(0, AMOUNT_MAX)


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1250, "EUR"), "12.50 EUR"),
        (Money(5, "EUR"), "0.05 EUR"),
        (Money(-5, "EUR"), "-0.05 EUR"),
        (Money(0, "EUR"), "0.00 EUR"),
        (Money(5800, "JPY"), "5800 JPY"),
        (Money(-1, "JPY"), "-1 JPY"),
        (Money(5124, "KWD"), "5.124 KWD"),
        (Money(-7, "KWD"), "-0.007 KWD"),
        (Money(12345, "CLF"), "1.2345 CLF"),
        (Money(AMOUNT_MAX, "JPY"), "1000000000000000 JPY"),
    ],
)
def test_a_person_reads_major_units(money: Money, text: str) -> None:
    """An amount is shown with exactly as many decimals as its currency has."""
    assert str(money) == text


@pytest.mark.parametrize(
    ("currency", "exponent"), [("JPY", 0), ("EUR", 2), ("MGA", 2), ("KWD", 3), ("CLF", 4)]
)
def test_exponents(currency: str, exponent: int) -> None:
    """A currency's exponent is ISO's, not a guess of two."""
    assert EXPONENTS[currency] == exponent


def test_every_exponent_is_there() -> None:
    """The snapshot has as many codes of each exponent as ISO's list."""
    counts = Counter(EXPONENTS.values())
    assert counts == {0: 17, 2: 139, 3: 7, 4: 2}


@pytest.mark.parametrize("amount", [1.5, "1", True, None, float("nan")])
def test_only_whole_numbers_are_amounts(amount: object) -> None:
    """Anything but an int is a bug of ours, a bool too."""
    with pytest.raises(AssertionError, match="whole minor units"):
        Money(amount, "EUR")  # type: ignore[arg-type]  # what the type forbids is the case


@pytest.mark.parametrize("amount", [AMOUNT_MAX + 1, -AMOUNT_MAX - 1, 2**63 - 1])
def test_amounts_are_bounded(amount: int) -> None:
    """An amount beyond the bound is never made."""
    with pytest.raises(AssertionError, match="beyond"):
        Money(amount, "EUR")


@pytest.mark.parametrize("currency", ["XAU", "XTS", "eur", "EURO", ""])
def test_only_money_is_money(currency: str) -> None:
    """Metals, test codes and what is no code at all have no exponent."""
    with pytest.raises(AssertionError, match="no currency"):
        Money(1, currency)


def test_sums_keep_to_one_currency() -> None:
    """Amounts of one currency add up; those of two never meet."""
    assert Money(700, "KWD") + Money(300, "KWD") == Money(1000, "KWD")
    assert Money(700, "KWD") - Money(900, "KWD") == Money(-200, "KWD")
    with pytest.raises(AssertionError, match="EUR meets JPY"):
        Money(1, "EUR") + Money(1, "JPY")
    with pytest.raises(AssertionError, match="EUR meets JPY"):
        Money(1, "EUR") - Money(1, "JPY")


def test_a_price_times_a_quantity() -> None:
    """A total beyond the bound is None, for the caller to refuse."""
    assert Money(999, "JPY").times(3) == Money(2997, "JPY")
    assert Money(AMOUNT_MAX, "EUR").times(1) == Money(AMOUNT_MAX, "EUR")
    assert Money(AMOUNT_MAX, "EUR").times(2) is None
    assert Money(AMOUNT_MAX // 2 + 1, "EUR").times(2) is None


@pytest.mark.parametrize(
    ("amount", "basis_points", "share"),
    [
        (0, 1000, 0),
        (1, 0, 0),
        (1, 5000, 1),  # a half goes up
        (1, 4999, 0),
        (5800, 850, 493),
        (99, 1000, 10),
        (94, 1000, 9),
        (95, 1000, 10),
        (AMOUNT_MAX, 1, 10**11),
        (AMOUNT_MAX, BASIS_POINTS, AMOUNT_MAX),
    ],
)
def test_shares_round_half_up(amount: int, basis_points: int, share: int) -> None:
    """A share is rounded once, half up, to a minor unit."""
    assert Money(amount, "JPY").share(basis_points) == Money(share, "JPY")


@pytest.mark.parametrize("basis_points", [-1, BASIS_POINTS + 1])
def test_a_share_is_a_part(basis_points: int) -> None:
    """Less than nothing and more than the whole are no shares."""
    with pytest.raises(AssertionError, match="no share"):
        Money(1, "EUR").share(basis_points)


def test_a_debt_is_not_shared() -> None:
    """Sharing less than nothing is a bug of ours."""
    with pytest.raises(AssertionError, match="what is there"):
        Money(-1, "EUR").share(1)


@given(amounts, currencies, st.integers(0, BASIS_POINTS))
def test_a_split_loses_nothing(amount: int, currency: str, basis_points: int) -> None:
    """A share and its remainder sum to the whole, and the share is within half a unit of exact."""
    whole = Money(amount, currency)
    share = whole.share(basis_points)
    assert share + (whole - share) == whole
    assert 0 <= share.amount <= whole.amount
    assert abs(share.amount * BASIS_POINTS - amount * basis_points) * 2 <= BASIS_POINTS


def test_the_wire_form() -> None:
    """On the wire, money is an integer and a code."""
    assert Money(5124, "KWD").to_wire() == {"amount": 5124, "currency": "KWD"}
