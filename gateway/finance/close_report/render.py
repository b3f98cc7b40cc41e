"""A close report and its number → bytes, in one of the forms there are."""

from collections.abc import Callable

import msgspec

from gateway.finance.close_report.document import locale_of
from gateway.finance.close_report.page import page
from gateway.finance.close_report.paper import paper
from gateway.finance.close_report.wording import word
from reconciler.periods.listing import Signed
from reconciler.periods.report import CloseReport


class Given(msgspec.Struct, frozen=True):
    """A report as it was signed."""

    signed: Signed
    report: CloseReport


def html(given: Given, locale: str) -> bytes:
    """The page. Errors: BadLocale."""
    return page(word(given.signed, given.report, locale_of(locale)))


def pdf(given: Given, locale: str) -> bytes:
    """
    The PDF. Errors: BadLocale.

    Its words are English: the font that has others is not in the file, and not every reader has it.
    """
    return paper(word(given.signed, given.report, locale_of(locale), in_english=True))


RENDERERS: dict[str, Callable[[Given, str], bytes]] = {"html": html, "pdf": pdf}
"""Form → what makes it."""
