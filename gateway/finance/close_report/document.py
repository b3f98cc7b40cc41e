"""What the page and the PDF of a close report are made of, and whose numbers and words they have."""

from collections.abc import Sequence
from typing import NamedTuple

from babel import Locale, UnknownLocaleError

from gateway.console.locales import LANGUAGES


class Column(NamedTuple):
    """
    A column; a *number* stands to the right, a *code* is set in a fixed width and may break anywhere.

    Neither a number nor what is *whole* is ever broken.
    """

    name: str
    number: bool = False
    code: bool = False
    whole: bool = False


class Section(NamedTuple):
    """
    A heading with a table under it. *totals* are rows that sum those above; *none* is what to say without rows.
    """

    title: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[Sequence[str]] = ()
    none: str = ""


class Document(NamedTuple):
    """
    The whole report. *facts* are names and what they are, *stamp* says that it is closed, *signed* where to sign.

    *language* is that of its words, as HTML names it.
    """

    title: str
    period: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    stamp: str
    signed: Sequence[str]
    language: str


class BadLocale(ValueError):
    """No locale of CLDR is called so."""


def locale_of(name: str) -> Locale:
    """The locale *name*, such as en, zh-CN or de_AT. Errors: BadLocale."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise BadLocale(f"{name!r} is no locale; en, de_AT and zh_CN are some") from None


def language_of(locale: Locale) -> str:
    """The language of the catalogues that people of *locale* read; the first where there is none of theirs."""
    if locale.language == "zh" and (locale.script or "Hans") == "Hans" and locale.territory not in ("TW", "HK", "MO"):
        return "zh_Hans"
    return next(iter(LANGUAGES))
