"""Who did what to what: the audit log, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.sql import load_queries, postgres, rows

AUDIT = f"{HOME}/audit"
ROWS_MAX = 50
VALUE_CHARS_MAX = 300
_FILTERS = ("actor", "action", "subject")
_QUERIES = load_queries("people")


class Change(NamedTuple):
    """A field of what was changed: how it was *before* and is *after*; None where it was not, or is not."""

    field: str
    before: str | None
    after: str | None


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
        found = await rows(connection, _QUERIES["audited"], before=from_id, limit=ROWS_MAX + 1, **given)
    lines = [read_line(row) for row in found[:ROWS_MAX]]
    older = f"{AUDIT}?{urlencode({**asked, 'before': lines[-1].id})}" if len(found) > ROWS_MAX else ""
    newest = f"{AUDIT}?{urlencode(asked)}" if from_id is not None else ""
    return visit.render("audit", lines=lines, given=given, asked=asked, older=older, newest=newest)


def read_line(row: Mapping[str, Any]) -> Line:
    """A row of the audit log, its detail taken apart into what changed and what else it says."""
    detail = dict(row["detail"])
    before, after = detail.get("before"), detail.get("after")
    changes: list[Change] = []
    if {"before", "after"} <= detail.keys() and all(isinstance(each, dict | None) for each in (before, after)):
        del detail["before"], detail["after"]
        was, now = before or {}, after or {}
        changes = [
            Change(field, _spelt(was[field]) if field in was else None, _spelt(now[field]) if field in now else None)
            for field in dict.fromkeys((*was, *now))
            if field not in was or field not in now or was[field] != now[field]
        ]
    rest = [(field, _spelt(value)) for field, value in detail.items()]
    return Line(row["id"], row["at"], row["actor"], row["action"], row["subject"], changes, rest)


def _spelt(value: Any) -> str:
    """A value as one reads it: texts as they are, lists with commas, the rest as JSON, none of them endless."""
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        text = ", ".join(map(str, value))
    else:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


PAGES = (Page(path=AUDIT, show=show, roles=("auditor",), menu=N_("Audit log"), section=N_("Administration")),)
