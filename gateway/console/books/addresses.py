"""The addresses of the pages of the books, each with what is asked of it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from gateway.console.access import HOME
from gateway.console.locales import Words
from gateway.routes.paging import make_cursor
from reconciler.periods.calendar import parse_period

BOOKS = f"{HOME}/books"
NONE = "none"
"""Names what is asked for as having none: a form sends every field, so an empty one is not asked for."""
MAY_BE_NONE = ("channel", "store", "merchant", "funder")
"""What something may have none of."""


def query(asked: Mapping[str, Any]) -> str:
    """*asked* as the query of an address; an empty name asks for what has none."""
    told = [(name, value) for name, value in asked.items() if value != ""]
    told += [(NONE, name) for name, value in asked.items() if value == ""]
    return f"?{urlencode(told)}" if told else ""


def account_link(account: str, asked: Mapping[str, str]) -> str:
    """The page of *account*, keeping to what was asked for."""
    kept = {name: asked[name] for name in ("since", "until", "entity", "campaign") if asked.get(name)}
    return f"{BOOKS}/accounts/{quote(account, safe=':')}{query(kept)}"


def journal_link(journal: int) -> str:
    """The page of a journal."""
    return f"{BOOKS}/journals/{journal}"


def report_link(report: str, asked: Mapping[str, Any]) -> str:
    """The page of *report*, asked so."""
    return f"{BOOKS}/reports/{report}{query(asked)}"


def period_told(entity: str, text: str, words: Words) -> tuple[str, str]:
    """The days of the period of *entity* that is written as *text*, and its page."""
    period = parse_period(entity, text)
    days = dict.fromkeys(words.day(each) for each in (period.starts, period.ends))
    return " – ".join(days), f"{BOOKS}/periods/{entity}/{period.kind}/{period.starts}"


def change_link(shard: str, seq: int) -> str:
    """The state changes of *shard*, from the one numbered *seq* on."""
    told = {"campaign": shard.rpartition("/")[0]}
    cursor = make_cursor([shard, seq - 1], list_name("entries", told))
    return report_link("entries", {**told, "cursor": cursor})


def list_name(report: str, told: Mapping[str, str]) -> str:
    """What the cursors of a report's page are good for."""
    return f"report {report} {sorted(told.items())}"
