"""Who did what to what: the audit log by time; and the same as a CSV file."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from starlette.responses import Response

from gateway.campaigns.publish import INITIAL
from gateway.campaigns.register import Register
from gateway.console.access import HOME
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.pages.differing import Change, differences, label, spelt
from gateway.console.pages.leading import leads_to
from gateway.console.pages.waiting import KIND_WORDS, changes_of
from gateway.console.tables import FILE_ROWS, Cell, Noted, Sort, Table, csv_file
from gateway.sql import load_queries, postgres
from gateway.sql import rows as rows_of

AUDIT, EXPORT = f"{HOME}/audit", f"{HOME}/audit.csv"
ROWS_MAX = 50
LINES_LOOKED_AT = 100_000
"""How many lines a filter looks at for one page."""
SORTS = {"at": Sort(N_("When"), falls=True)}
_Number: Any = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_MEANT = {"alert": {"value": "threshold"}, "key": {"name": "display"}, "receiver": {"name": "display"}}
"""What acts are about → fields of it that are called like those of campaigns, and by what name they are known."""
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
    leads_to: str = ""


class _Found(NamedTuple):
    """Acts, and the last one that was looked at where there are more beyond it."""

    rows: list[dict[str, Any]]
    reached: int | None


async def show(visit: Visit) -> Response:
    """Acts, filtered, a page of them."""
    table = _table(visit)
    after = table.after(_Number)
    found = await _look(visit, table, after, ROWS_MAX + 1)
    rows, older, on = found.rows[:ROWS_MAX], "", ""
    if len(found.rows) > ROWS_MAX:
        older = table.following(rows[-1]["id"])
    elif found.reached is not None:
        on = table.following(found.reached)
    return visit.render(
        "audit",
        lines=await _lines(visit, rows),
        table=table,
        given={name: table.given(name) for name in _FILTERS},
        older=older,
        on=on,
        first=table.address() if after is not None else "",
        looked_at=LINES_LOOKED_AT,
    )


def _table(visit: Visit) -> Table:
    return Table(visit, AUDIT, SORTS, {name: visit.asked(name) for name in _FILTERS}, EXPORT)


async def _look(visit: Visit, table: Table, after: int | None, limit: int) -> _Found:
    """Acts from after one; a filter looks at LINES_LOOKED_AT and no more, however long the log is."""
    down = table.down
    given = {name: table.given(name) for name in _FILTERS}
    async with postgres(visit.here.pool) as connection:
        next_one = await rows_of(connection, _QUERIES["audit_last" if down else "audit_first"], after=after)
        begin = next_one[0]["id"] or 0
        far = LINES_LOOKED_AT - 1 if table.filters else 2**62
        first, last = (max(begin - far, 0), begin) if down else (begin, begin + far)
        query = _QUERIES["audited_down" if down else "audited"]
        found = await rows_of(connection, query, limit=limit, first=first, last=last, **given)
        if not table.filters:
            return _Found(found, None)
        reached = first if down else last
        beyond = await rows_of(connection, _QUERIES["audit_last" if down else "audit_first"], after=reached)
    return _Found(found, None if beyond[0]["id"] is None else reached)


async def _lines(visit: Visit, found: Sequence[Mapping[str, Any]]) -> list[Line]:
    about = [_campaign_of(row) for row in found]
    called = await Register(visit.here.pool, visit.here.door).called(sorted({each for each in about if each}))
    is_admin = visit.who.may("admin")
    return [
        read_line(row, visit.words, called[campaign].currency if campaign in called else "")._replace(
            leads_to=leads_to(row["subject"], is_admin=is_admin)
        )
        for row, campaign in zip(found, about, strict=True)
    ]


async def export(visit: Visit) -> Response:
    """Every act that the filters have, as CSV: times in UTC, before and after as JSON; who took it is an act too."""
    table = _table(visit)

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        after: int | None = None
        while True:
            found = await _look(visit, table, after, FILE_ROWS)
            if found.rows:
                yield map(_cells, found.rows)
            after = found.rows[-1]["id"] if len(found.rows) == FILE_ROWS else found.reached
            if after is None:
                return

    heads = ("id", "at", "actor", "action", "subject", "detail")
    return await csv_file(visit, "audit", heads, pages(), Noted("audit.exported", "audit", dict(table.filters)))


def _cells(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    detail = msgspec.json.encode(row["detail"]).decode()
    return row["id"], row["at"], row["actor"], row["action"], row["subject"], detail


def _campaign_of(row: Mapping[str, Any]) -> str:
    """The campaign that an act was about; empty where it was about none."""
    for text in (row["subject"], str(row["detail"].get("about", ""))):
        kind, _, rest = text.partition(":")
        if kind == "campaign":
            return str(rest.partition(" ")[0])
    return ""


def read_line(row: Mapping[str, Any], words: Words, currency: str = "") -> Line:
    """A row of the audit log, its detail taken apart into what changed, in *currency*, and what else it says."""
    detail = _meant(row["action"], row["detail"])
    if row["action"].startswith("proposal."):
        changes = _of_proposal(detail, words, currency)
    else:
        changes = _of_both(detail, words, currency)
    if detail.get("key") == INITIAL:  # nobody asked for it, so its reason is ours
        del detail["key"]
        detail["reason"] = words.say(N_("initial stock"))
    rest = [
        (label(field, words), spelt(field, value, words, currency))
        for field, value in _flat(detail).items()
        if value is not None
    ]
    return Line(row["id"], row["at"], row["actor"], row["action"], row["subject"], changes, rest)


def _meant(action: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """*detail*, its fields renamed that are called like those of campaigns and are none."""
    names = _MEANT.get(action.partition(".")[0], {})
    return {
        names.get(name, name): _meant(action, value) if isinstance(value, dict) else value
        for name, value in detail.items()
    }


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


PAGES = (
    Page(path=AUDIT, show=show, roles=("auditor",), menu=N_("Audit log"), section=N_("Administration")),
    Page(path=EXPORT, show=export, roles=("auditor",), under=AUDIT),
)
