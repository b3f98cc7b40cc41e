"""Who did what to what: the audit log, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.campaigns.register import Register
from gateway.console.access import HOME
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change, differences, label, spelt
from gateway.console.pages.waiting import KIND_WORDS, changes_of
from gateway.sql import load_queries, postgres, rows

AUDIT = f"{HOME}/audit"
ROWS_MAX = 50
LINES_LOOKED_AT = 100_000
"""How many lines a filter looks at for one page."""
_FILTERS = ("actor", "action", "subject")
_QUERIES = load_queries("people")


class Line(NamedTuple):
    """One act."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    changes: list[Change]
    rest: list[tuple[str, str]]


async def show(visit: Visit) -> Response:
    """Acts, filtered, a page of them."""
    asked = {name: value for name in _FILTERS if (value := visit.asked(name))}
    before = visit.asked("before")
    # PostgreSQL's bigint; what is no number, or a longer one, is the first page
    from_id = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    given = {name: asked.get(name, "") for name in _FILTERS}
    async with postgres(visit.here.pool) as connection:
        last = (await rows(connection, _QUERIES["audit_last"], before=from_id))[0]["id"] or 0
        reach = {"last": last, "first": last - LINES_LOOKED_AT + 1 if asked else 0}
        found = await rows(connection, _QUERIES["audited"], limit=ROWS_MAX + 1, **reach, **given)
        goes_on = bool(asked) and last > LINES_LOOKED_AT
    campaigns = {campaign for row in found if (campaign := _campaign_of(row))}
    called = await Register(visit.here.pool, visit.here.door).called(sorted(campaigns))
    lines = [
        read_line(row, visit.words, called[campaign].currency if (campaign := _campaign_of(row)) in called else "")
        for row in found[:ROWS_MAX]
    ]
    older, on = "", ""
    if len(found) > ROWS_MAX:
        older = f"{AUDIT}?{urlencode({**asked, 'before': lines[-1].id})}"
    elif goes_on:  # a filter looks at so many lines and no more, however long the log is
        on = f"{AUDIT}?{urlencode({**asked, 'before': reach['first']})}"
    newest = f"{AUDIT}?{urlencode(asked)}" if from_id is not None else ""
    pages: dict[str, Any] = {"older": older, "on": on, "newest": newest, "looked_at": LINES_LOOKED_AT}
    return visit.render("audit", lines=lines, given=given, asked=asked, **pages)


def _campaign_of(row: Mapping[str, Any]) -> str:
    """The campaign that an act was about; empty where it was about none."""
    for text in (row["subject"], str(row["detail"].get("about", ""))):
        kind, _, rest = text.partition(":")
        if kind == "campaign":
            return str(rest.partition(" ")[0])
    return ""


def read_line(row: Mapping[str, Any], words: Words, currency: str = "") -> Line:
    """A row of the audit log, its detail taken apart into what changed, in *currency*, and what else it says."""
    detail = dict(row["detail"])
    if row["action"].startswith("proposal."):
        changes = _of_proposal(detail, words, currency)
    else:
        changes = _of_both(detail, words, currency)
    rest = [
        (label(field, words), spelt(field, value, words, currency))
        for field, value in _flat(detail).items()
        if value is not None
    ]
    return Line(row["id"], row["at"], row["actor"], row["action"], row["subject"], changes, rest)


def _of_both(detail: dict[str, Any], words: Words, currency: str) -> list[Change]:
    """What differs between before and after, which are taken out of *detail*."""
    before, after = detail.get("before"), detail.get("after")
    if not ({"before", "after"} <= detail.keys() and all(isinstance(each, dict | None) for each in (before, after))):
        return []
    del detail["before"], detail["after"]
    return differences(before, after, words, currency)


def _of_proposal(detail: dict[str, Any], words: Words, currency: str) -> list[Change]:
    """What a proposal would change, or did, which is taken out of *detail*."""
    before, after, asked = detail.pop("before", None) or {}, detail.pop("after", None), detail.pop("asked", None)
    kind = str(detail.get("kind"))
    if kind in KIND_WORDS:
        detail["kind"] = words.say(KIND_WORDS[kind])
    if asked is not None:
        return changes_of(kind, asked, before, words, currency)
    if after is None:
        return []
    both = before.keys() & after.keys()
    detail |= {name: value for name, value in after.items() if name not in both}
    old, new = ({name: each[name] for name in each if name in both} for each in (before, after))
    return differences(old, new, words, currency)


def _flat(detail: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """*detail* with the parts of its parts by name."""
    found: dict[str, Any] = {}
    for name, value in detail.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


PAGES = (Page(path=AUDIT, show=show, roles=("auditor",), menu=N_("Audit log"), section=N_("Administration")),)
