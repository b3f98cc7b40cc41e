"""Checks of a close and invariants of a verdict in words: what holds, what was counted, what to do where not."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from gateway.console.access import HOME
from gateway.console.books.cells import BOOKS, change_link, journal_link
from gateway.console.locales import N_, Words
from gateway.finance.in_words import CHECK_WORDS, FIGURE_WORDS
from reconciler.periods.report import Check
from reconciler.verdict.figures import currency_of
from reconciler.verdict.judging import Judged

_TAMPERED = N_("Somebody changed the books by hand. Find out who; the documentation says how to get them back.")
TO_DO = {
    "hold": (N_("Put it on hold, with the button above."), ""),
    "order": (N_("Close what comes before it first."), ""),
    "over": (N_("Wait until it is over everywhere its campaigns are, then look again."), ""),
    "drained": (N_("Wait until the reconciler has drained it; the start page says how far behind it is."), HOME),
    "manual": (N_("Approve or reject each of them."), f"{HOME}/waiting"),
    "suspense": (N_("Name the funder, and move it with a journal by hand."), f"{BOOKS}/new-manual"),
    "still": (N_("Sales went on meanwhile. Try again."), ""),
    "settled": (N_("Explain each break, make good what caused it, and resolve it."), f"{BOOKS}/breaks"),
    "live": (N_("Take stock: each difference becomes a break that says what is likely."), f"{BOOKS}/new-stocktake"),
    **dict.fromkeys(
        (
            *("units", "sequence", "limits", "answers", "balanced", "commitment", "control", "redemptions", "once"),
            *("chain", "totals", "roll_forward"),
        ),
        (_TAMPERED, ""),
    ),
}
"""What does not hold → what to do about it, and on which page."""

_NAMED = re.compile(r"\b(break|journal|code) (\w+)")
_CODE = re.compile(r"[0-9A-Za-z-]{1,64}")
_MANUAL = re.compile(r"mj_[0-9a-f]+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FOUND = {
    "hold": (re.compile(r"it is \w+: .*"), N_("It is not on hold.")),
    "order": (re.compile(rf"(?P<day>{_DAY.pattern}) and .*"), N_("%(day)s and what follows it is open.")),
    "over": (re.compile(rf"in (?P<zone>\S+) it is (?P<day>{_DAY.pattern}): .*"), N_("In %(zone)s it is %(day)s.")),
    "still": (re.compile(r"something was booked .*"), N_("Something was booked meanwhile.")),
}
"""What a check of a close finds, as it is kept → as it is said; what else is found are numbers and names."""
_ACCOUNT = re.compile(r"suspense:[^\s]+(?=: )")


class Part(NamedTuple):
    """*name* and *value* of a thing; *link* is the page that shows it."""

    name: str
    value: str
    link: str = ""


class Item(NamedTuple):
    """
    One line of a list of what has to hold.

    *found* is what is in the way, each in its parts. *to_do* says what to do about it, on the page *link*.
    """

    name: str
    says: str
    holds: bool
    figures: list[Part]
    found: list[list[Part]]
    wrong: int
    to_do: str
    link: str


def of_check(one: Check, entity: str, words: Words) -> Item:
    """A check of a close."""
    found = [[_found(one.name, text, entity, words)] for text in one.found]
    return _item(one.name, one.says, one.holds, one.figures, found, len(one.found), words)


def of_invariant(one: Judged, words: Words) -> Item:
    """An invariant of a verdict, with the first row that violates it."""
    found = [] if one.holds else [row_parts(one.first or {})]
    return _item(one.name, one.says, one.holds, one.figures, found, one.wrong, words)


def row_parts(row: Mapping[str, Any]) -> list[Part]:
    """A row of the books, each value with the page of what it names."""
    parts = [Part(name.replace("_", " "), _spelt(value), _link_of(name, value)) for name, value in row.items()]
    match row:
        case {"shard": str(shard), "seq": int(seq)} if not shard.startswith("manual:"):
            return [part._replace(link=change_link(shard, seq)) if part.name == "seq" else part for part in parts]
    return parts


def _item(
    name: str,
    says: str,
    holds: bool,
    figures: Mapping[str, int],
    found: Iterable[list[Part]],
    wrong: int,
    words: Words,
) -> Item:
    to_do, link = ("", "") if holds else TO_DO.get(name, (_TAMPERED, ""))
    counted = [_figure(each, value, words) for each, value in figures.items()]
    said = words.say(CHECK_WORDS[name]) if name in CHECK_WORDS else says
    return Item(name, said, holds, counted, list(found), wrong, words.say(to_do) if to_do else "", link)


def _figure(name: str, value: int, words: Words) -> Part:
    currency = currency_of(name)
    if currency is None:
        return Part(words.say(FIGURE_WORDS.get(name, name)), words.number(value))
    counts = name.removeprefix(f"{currency} ")
    return Part(words.say(FIGURE_WORDS.get(counts, counts)), words.money(value, currency))


def _found(check: str, text: str, entity: str, words: Words) -> Part:
    """What a check found, with the page of the first thing that it names."""
    link = ""
    if manual := _MANUAL.search(text):
        link = f"{BOOKS}/manual/{manual[0]}"
    elif check == "order" and (day := _DAY.search(text)):
        link = f"{BOOKS}/periods/{entity}/day/{day[0]}"
    elif check == "suspense" and (account := _ACCOUNT.search(text)):
        link = f"{BOOKS}/accounts/{quote(account[0], safe=':')}"
    elif named := _NAMED.search(text):
        link = _link_of(named[1], int(named[2]) if named[2].isdecimal() and named[1] != "code" else named[2])
    return Part("", _in_words(check, text, words), link)


def _in_words(check: str, text: str, words: Words) -> str:
    pattern, says = _FOUND.get(check, (_DAY, ""))
    found = pattern.fullmatch(text)
    if not says or not found:
        return text
    named = found.groupdict()
    if "day" in named:
        named["day"] = words.day(date.fromisoformat(named["day"]))
    return words.say(says, **named)


def _link_of(name: str, value: Any) -> str:
    match name:
        case "journal" if isinstance(value, int):
            return journal_link(value)
        case "break" if isinstance(value, int):
            return f"{BOOKS}/breaks/{value}"
        case "code" | "coupon" | "claimed" if isinstance(value, str) and _CODE.fullmatch(value):
            return f"{HOME}/coupons/{value}"
        case "account" if isinstance(value, str):
            return f"{BOOKS}/accounts/{quote(value, safe=':')}"
    return ""


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
