"""
The messages of the console, as they stand in its templates and in Python, beside its catalogues.

    python -m tests.messages    writes each catalogue anew: what is gone is left out, what is new has no translation yet
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from gateway.console.locales import CATALOGUES, DOMAIN, LANGUAGES

ROOT = Path(__file__).parent.parent
ROOMS = ("gateway/console", "gateway/alerts", "gateway/people", "gateway/demo", "gateway/finance")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "say_many": (1, 2), "N_": None, "InvalidUser": (2,)}
_METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
_OPTIONS = {"**/templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
_HEADERS_LEFT_OUT = tuple(
    f'"{name}' for name in ("Project", "Report", "POT", "PO-", "Last-Translator", "Language-Team", "Generated-By")
)


def extracted() -> Catalog:
    """Every message there is, with the places it is used in."""
    found = Catalog(project="Fairclaim", fuzzy=False)
    for room in ROOMS:
        for file, line, message, comments, context in extract_from_dir(
            ROOT / room, _METHODS, _OPTIONS, keywords=KEYWORDS, comment_tags=()
        ):
            found.add(message, None, [(f"{room}/{file}", line)], auto_comments=comments, context=context)
    return found


def path_of(language: str) -> Path:
    """Where the catalogue of *language* is."""
    return CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def kept(language: str) -> Catalog:
    """The catalogue of *language* as it is."""
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN, abort_invalid=True)


def translated() -> Iterator[str]:
    """The languages that have a catalogue: all but the one that messages are written in."""
    yield from list(LANGUAGES)[1:]


def renew(language: str) -> int:
    """Write the catalogue of *language* anew; how many of its messages have no translation."""
    template, path = extracted(), path_of(language)
    catalogue = kept(language) if path.exists() else Catalog(locale=language, domain=DOMAIN, fuzzy=False)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.header_comment = f"# Messages of the Fairclaim console: {LANGUAGES[language]}."
    written = BytesIO()
    write_po(written, catalogue, width=110, no_location=True, sort_output=True)
    lines = written.getvalue().decode().splitlines(keepends=True)
    # Who, when and with what version is what the version control knows better.
    path.write_text("".join(line for line in lines if not line.startswith(_HEADERS_LEFT_OUT)), encoding="utf-8")
    return sum(not all(_strings(message.string)) for message in catalogue if message.id)


def _strings(string: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (string or "",) if isinstance(string, str | None) else tuple(string)


if __name__ == "__main__":
    left = {language: renew(language) for language in translated()}
    print(left)
    sys.exit(any(left.values()))
