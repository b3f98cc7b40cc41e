"""
The console's languages: catalogues of messages, and numbers, money and times as people of a place write them.

A message is written in English where it is used. Templates say ``_("…")`` or ``ngettext()``, Python marks one by N_()
and says it with Words.say(). A catalogue is a .po file, which is read once. ``python -m tests.messages`` brings it
up to date.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_interval, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import (
    NumberFormatError,
    format_currency,
    format_decimal,
    format_percent,
    get_currency_name,
    get_currency_precision,
    parse_decimal,
)
from babel.support import NullTranslations, Translations

from gateway.console.isolating import isolated

LANGUAGES: Mapping[str, str] = {"en": "English", "zh_Hans": "简体中文"}
"""Each language there is, and its name in itself. The first is what messages are written in."""
DOMAIN = "console"
CATALOGUES = Path(__file__).parent / "locale"
KEPT_MAX = 4096
"""Prices, days and minutes that are kept as they are written."""


def N_(text: str) -> str:  # noqa: N802 - as gettext has it
    """*text*, marked as a message of the catalogues."""
    return text


@cache
def catalogue(language: str) -> NullTranslations:
    """The messages of *language*."""
    path = CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        read = read_po(file, locale=language, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, read)
    compiled.seek(0)
    return Translations(compiled, DOMAIN)


def apart(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* for a message: texts isolated from it."""
    return {name: isolated(value) if isinstance(value, str) else value for name, value in values.items()}


def choose(chosen: str, accepted: str) -> tuple[str, Locale]:
    """
    A language and how people of a place write numbers and times in it.

    The language is *chosen* where there is such a one, else the best of what a browser accepts (RFC 9110 §12.5.4), and
    the place is the best that it accepts in that language.
    """
    wishes = [(wish, _language_of(wish)) for wish in _wishes(accepted)]
    language = chosen if chosen in LANGUAGES else next((each for _, each in wishes if each), next(iter(LANGUAGES)))
    for wish, each in wishes:
        if each == language:
            try:
                return language, Locale.parse(wish, sep="-")
            except (ValueError, UnknownLocaleError):
                continue
    return language, Locale.parse(language)


def _wishes(accepted: str) -> list[str]:
    """The tags of an Accept-Language header, best first."""
    found = []
    for part in accepted[:200].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            found.append((float(quality or 1), tag.strip()))
        except ValueError:
            continue
    return [tag for _, tag in sorted(found, key=lambda wish: -wish[0])]


def _language_of(tag: str) -> str | None:
    short = tag.lower().partition("-")[0]
    return next((language for language in LANGUAGES if language.partition("_")[0] == short), None)


class Words:
    """One language, the habits of one place, and one zone: everything that is said to one person."""

    def __init__(self, language: str, locale: Locale, zone: str) -> None:
        self.language, self.zone = language, zone
        self.tag = language.replace("_", "-")
        self.place = str(locale).replace("_", "-")
        """For a browser's Intl: en-GB."""
        self._locale, self._place = locale, ZoneInfo(zone)
        self._catalogue = catalogue(language)

    def say(self, text: str, **values: Any) -> str:
        """The message *text* in this language, with *values* in their places: what they say can't turn it round."""
        said: str = self._catalogue.ugettext(text)
        return said % apart(values) if values else said

    def say_many(self, one: str, many: str, count: int) -> str:
        """The message *one* or *many*, by *count*, which is in them as ``%(num)s``."""
        said: str = self._catalogue.ungettext(one, many, count)
        return said % {"num": self.number(count)}

    def number(self, value: int | float | Decimal) -> str:
        """12,345.6"""
        return format_decimal(value, locale=self._locale)

    def money(self, minor: int, currency: str) -> str:
        """Minor units as an amount: 500 of CNY as CN¥5.00."""
        amount = Decimal(minor).scaleb(-get_currency_precision(currency))
        return format_currency(amount, currency, locale=self._locale)

    def amount(self, minor: int, currency: str) -> str:
        """Minor units as money() has them, for where the currency stands beside: 1,234.50"""
        places = get_currency_precision(currency)
        shape = "#,##0" + ("." + "0" * places if places else "")
        return format_decimal(Decimal(minor).scaleb(-places), shape, locale=self._locale)

    def price(self, minor: int, currency: str) -> str:
        """Minor units as customers read them: money(), without decimals where there are none, 500 of CNY as CN¥5."""
        return _price(self._locale, minor, currency)

    def currencies(self, codes: Iterable[str]) -> list[tuple[str, str]]:
        """Currencies and their names, by code."""
        return [(code, get_currency_name(code, locale=self._locale)) for code in sorted(codes)]

    def share(self, basis_points: int) -> str:
        """Basis points as a percentage: 1250 as 12.5%."""
        return format_percent(Decimal(basis_points) / 10_000, "#,##0.##%", locale=self._locale)

    def read_number(self, text: str) -> Decimal | None:
        """What somebody typed, as a number; None where it is none, has an exponent or an underscore."""
        if any(letter.isalpha() or letter == "_" for letter in text):
            return None
        try:
            return parse_decimal(text, locale=self._locale, strict=True)
        except (NumberFormatError, ValueError):
            return None

    def typed(self, value: Decimal | int) -> str:
        """A number as it is typed: read_number() of it is the same."""
        return format_decimal(value, "0.##################", locale=self._locale, decimal_quantization=False)

    def span(self, starts: datetime, ends: datetime) -> str:
        """From when to when in this zone, to the minute; the day is said once where both are of one."""
        first, last = starts.astimezone(self._place), ends.astimezone(self._place)
        if first.date() == last.date():
            hours = "hm" if "a" in self._locale.time_formats["short"].pattern else "Hm"
            return f"{self.day(first)} {format_interval(first, last, hours, locale=self._locale)}"
        each = (f"{self.day(at)} {_minute(self._locale, at.hour, at.minute)}" for at in (first, last))
        return " – ".join(each)

    def in_zone(self, zone: str) -> "Words":
        """The same person's words, with the times of *zone*."""
        return Words(self.language, self._locale, zone)

    def time(self, at: datetime) -> str:
        """Day and time to the second in this zone, without the zone: a page says once which one it is."""
        return format_datetime(at.astimezone(self._place), "medium", locale=self._locale)

    def day(self, at: datetime | date) -> str:
        """The day in this zone."""
        return _day(self._locale, at.astimezone(self._place).date() if isinstance(at, datetime) else at)

    def month(self, at: date) -> str:
        """The month of a day."""
        return format_skeleton("yMMM", at, locale=self._locale)

    def iso(self, at: datetime) -> str:
        """For programs: what stands in <time datetime>."""
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# Kept, because a list of thousands of campaigns has few prices, days and minutes, and Babel takes a while for each.


@lru_cache(KEPT_MAX)
def _price(locale: Locale, minor: int, currency: str) -> str:
    amount = Decimal(minor).scaleb(-get_currency_precision(currency))
    whole = amount == amount.to_integral_value()
    shape = locale.currency_formats["standard"].pattern.replace(".00", "") if whole else None
    return format_currency(amount, currency, shape, locale=locale, currency_digits=not whole)


@lru_cache(KEPT_MAX)
def _day(locale: Locale, day: date) -> str:
    return format_date(day, "medium", locale=locale)


@lru_cache(KEPT_MAX)
def _minute(locale: Locale, hour: int, minute: int) -> str:
    return format_time(time(hour, minute), "short", locale=locale)
