"""Money is an integer count of minor units together with a currency, everywhere.

A currency's *exponent* is the number of decimals between its major and minor unit: JPY 0, EUR 2,
KWD 3, CLF 4. The table is a snapshot of ISO 4217 (amendment list of 2026-01); precious metals,
funds units and test codes have no exponent and are not money here.
"""

from dataclasses import dataclass
from typing import Final

# One amount, in minor units. Far above any sale, and far enough below 2**63 that nine thousand of
# them still fit a PostgreSQL bigint: a sum overflows in no realistic batch.
AMOUNT_MAX: Final = 10**15

# The largest share in basis points: the whole.
BASIS_POINTS: Final = 10_000

_CODES_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR "
    "LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD "
    "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC "
    "SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR "
    "ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: Final = {
    code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount of one currency.

    Attributes:
        amount: minor units, an int in ±`AMOUNT_MAX`.
        currency: an ISO 4217 code that has an exponent.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        assert type(self.amount) is int, f"money counts whole minor units, got {self.amount!r}"
        assert abs(self.amount) <= AMOUNT_MAX, f"{self.amount} is beyond ±{AMOUNT_MAX}"
        assert self.currency in EXPONENTS, f"{self.currency!r} is no currency with an exponent"

    def __add__(self, other: "Money") -> "Money":
        self._assert_same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._assert_same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __str__(self) -> str:
        """The amount in major units, such as `12.50 EUR`, for people to read."""
        exponent = EXPONENTS[self.currency]
        sign = "-" if self.amount < 0 else ""
        digits = f"{abs(self.amount):0{exponent + 1}d}"
        point = len(digits) - exponent
        fraction = f".{digits[point:]}" if exponent else ""
        return f"{sign}{digits[:point]}{fraction} {self.currency}"

    def times(self, quantity: int) -> "Money | None":
        """This price for `quantity` pieces, or None where that is beyond `AMOUNT_MAX`."""
        total = self.amount * quantity
        return Money(total, self.currency) if abs(total) <= AMOUNT_MAX else None

    def share(self, basis_points: int) -> "Money":
        """The given share in basis points, rounded half up to a minor unit.

        A split is made exact by giving the remainder, `whole - whole.share(x)`, to the other
        party: the two always sum to the whole.
        """
        assert 0 <= basis_points <= BASIS_POINTS, f"{basis_points} bp is no share of a whole"
        assert self.amount >= 0, "only what is there can be shared"
        return Money(
            (self.amount * basis_points * 2 + BASIS_POINTS) // (2 * BASIS_POINTS), self.currency
        )

    def to_wire(self) -> dict[str, int | str]:
        """The wire form, `{"amount": minor units, "currency": code}`."""
        return {"amount": self.amount, "currency": self.currency}

    def _assert_same_currency(self, other: "Money") -> None:
        assert self.currency == other.currency, f"{self.currency} meets {other.currency}"
