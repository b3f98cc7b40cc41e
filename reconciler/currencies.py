"""
How many decimal places the minor unit of a currency is away, by ISO 4217.

Whoever writes amounts for people or for other programs needs it. It is not taken from a library: the tables of the
CLDR say how much of an amount is usually shown, which is less than what is owed (15 currencies differ).
"""

from decimal import Decimal

_PLACES = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(),  # noqa: SIM905 - a table to read
    0,
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)  # noqa: SIM905 - as above

PLACES_MAX = 3
"""As many as any of them has."""


def places(currency: str) -> int:
    """2 for EUR, 0 for JPY, 3 for KWD."""
    return _PLACES.get(currency, 2)


def major(minor: int, currency: str) -> Decimal:
    """*minor* units as an amount: 1250 EUR is 12.50, 1250 JPY is 1250."""
    return Decimal(minor).scaleb(-places(currency))


def major_text(minor: int, currency: str) -> str:
    """The same as text, with all its places and never an exponent."""
    digits = places(currency)
    if not digits:
        return str(minor)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{digits}d}"
