"""Amounts as people read and type them. Integers of minor units everywhere else; no float anywhere."""

import re

from gateway.campaigns.currencies import exponent

MAJOR_DIGITS_MAX = 12
"""More than any till needs, and far below what the services take."""

_GROUP = "\u202f"  # a narrow space that does not break: no reader takes it for a decimal mark
_BLANKS = dict.fromkeys(map(ord, " \u00a0\u2009\u202f"))
_AMOUNT = re.compile(rf"([0-9]{{1,{MAJOR_DIGITS_MAX}}})(?:([.,])([0-9]+))?")


class NotAnAmount(ValueError):
    """What was typed is no amount; the text says what to type."""


def parse_money(text: str, currency: str) -> int:
    """
    Minor units of what was typed in major units: 12.50 EUR is 1250, 1200 JPY is 1200.

    A point or a comma is the decimal mark; blanks may group digits. What could be read in two ways is not read.
    Errors: NotAnAmount.
    """
    places = exponent(currency)
    example = "1234." + "5" + "0" * (places - 1) if places else "1234"
    match = _AMOUNT.fullmatch(text.translate(_BLANKS))
    if match is None:
        raise NotAnAmount(f"Type an amount like {example}.")
    whole, mark, part = match[1], match[2], match[3] or ""
    if len(part) > places:
        allowed = f"at most {places} digits after the point" if places else "no digits after the point"
        raise NotAnAmount(f"{currency} has {allowed}: type an amount like {example}.")
    if mark == "," and len(part) == 3:  # in a currency of three places 1,234 may be meant as either
        raise NotAnAmount(f"Type the decimal mark as a point, and no mark between thousands, like {example}.")
    return int(whole + part.ljust(places, "0"))


def show_money(minor: int, currency: str) -> str:
    """An amount with its currency, in major units: 1 234.50 EUR."""
    return f"{show_number(minor, currency)}\u00a0{currency}"


def show_number(minor: int, currency: str) -> str:
    """The same without the currency."""
    places = exponent(currency)
    whole, part = divmod(abs(minor), 10**places)
    text = f"{whole:,}".replace(",", _GROUP) + (f".{part:0{places}d}" if places else "")
    return f"\u2212{text}" if minor < 0 else text
