"""Amounts as people read and type them: exact, by the currency's places, and never read in two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.campaigns.currencies import CURRENCIES, exponent
from gateway.till.money import MAJOR_DIGITS_MAX, NotAnAmount, parse_money, show_money, show_number

PLACES = {"EUR": 2, "CNY": 2, "HUF": 2, "TWD": 2, "IDR": 2, "JPY": 0, "KRW": 0, "ISK": 0, "KWD": 3, "IQD": 3, "BHD": 3}


@pytest.mark.parametrize(("currency", "places"), PLACES.items())
def test_the_places_are_those_of_iso_4217(currency: str, places: int) -> None:
    """Yen have none, dinars three, and where coins have gone out of use the standard's two stay."""
    assert exponent(currency) == places


def test_every_currency_has_its_places() -> None:
    """The table knows each currency: 16 without, 7 with three, all others with two."""
    places = [exponent(currency) for currency in CURRENCIES]

    assert {each: places.count(each) for each in (0, 3)} == {0: 16, 3: 7}
    assert set(places) == {0, 2, 3}


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", "EUR", 1250),
        ("12,5", "EUR", 1250),
        ("12", "EUR", 1200),
        ("0.01", "EUR", 1),
        ("1 234 567.89", "EUR", 123_456_789),
        ("1\u202f234.50", "EUR", 123_450),
        ("1200", "JPY", 1200),
        ("1.250", "KWD", 1250),
        ("0.1", "EUR", 10),
        ("999999999999.99", "EUR", 99_999_999_999_999),
    ],
)
def test_what_is_typed_is_read_exactly(text: str, currency: str, minor: int) -> None:
    """Point or comma, blanks between groups, fewer places than there are."""
    assert parse_money(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "EUR"),
        ("-1", "EUR"),
        ("1e3", "EUR"),
        ("12.", "EUR"),
        (".5", "EUR"),
        ("1,234", "EUR"),
        ("1,234.50", "EUR"),
        ("1.234,50", "EUR"),
        ("12.505", "EUR"),
        ("12.5", "JPY"),
        ("1,234", "KWD"),
        ("１２", "EUR"),
        ("9999999999999", "EUR"),
        ("12 EUR", "EUR"),
        ("nan", "EUR"),
    ],
)
def test_what_could_be_something_else_is_not_read(text: str, currency: str) -> None:
    """Too many places, marks between thousands, signs, other digits: refused with an example of the currency."""
    with pytest.raises(NotAnAmount) as caught:
        parse_money(text, currency)

    example = str(caught.value).rpartition(" ")[2].rstrip(".")
    assert show_number(parse_money(example, currency), currency).replace("\u202f", "") == example


@given(st.integers(0, 10**MAJOR_DIGITS_MAX - 1), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_shown_is_read_as_the_same(minor: int, currency: str) -> None:
    """Any amount that may be typed, in any currency, shown and typed again is the same."""
    assert parse_money(show_number(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(123_450, "EUR", "1 234.50 EUR"), (5, "KWD", "0.005 KWD"), (1234, "JPY", "1 234 JPY"), (-500, "CNY", "−5.00 CNY")],
)
def test_amounts_are_shown_in_major_units(minor: int, currency: str, shown: str) -> None:
    """By the currency's places, grouped, with a true minus."""
    assert show_money(minor, currency).replace("\u202f", " ").replace("\u00a0", " ") == shown
