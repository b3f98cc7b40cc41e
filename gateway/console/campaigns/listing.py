"""Every campaign there is, with the one state that is true by Redis' clock; and the same as a CSV file."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, cast, get_args
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from gateway.campaigns.life import State
from gateway.campaigns.register import Listed, Register, Sort
from gateway.console.access import HOME
from gateway.console.campaigns.sentence import sentence
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.render import HEADERS
from gateway.issuing.csv_lines import row as csv_row
from gateway.routes.paging import make_cursor, read_cursor
from gateway.wire import rfc3339, time_ms

CAMPAIGNS, NEW, EXPORT = f"{HOME}/campaigns", f"{HOME}/new-campaign", f"{HOME}/campaigns.csv"
SEE = ("marketer", "finance", "auditor", "operator")
ROWS_MAX = 25
_EXPORT_ROWS = 500
STATE_WORDS: Mapping[str, tuple[str, str]] = {
    "draft": (N_("Draft"), "note"),
    "scheduled": (N_("Scheduled"), "note"),
    "active": (N_("Active"), "good"),
    "sold_out": (N_("Sold out"), "bad"),
    "paused": (N_("Paused"), "note"),
    "ended": (N_("Ended"), ""),
    "archived": (N_("Archived"), ""),
}
"""What is shown as the state → its message, and how it looks."""

SORT_WORDS: Mapping[str, str] = {
    "changed": N_("Changed"),
    "name": N_("Campaign name"),
    "id": N_("Id"),
    "starts": N_("Starts"),
    "ends": N_("Ends"),
}


class Line(NamedTuple):
    """A campaign in the list: *left* is None where it can't be told."""

    campaign: Listed
    status: str
    says: str
    left: int | None
    stock: int | None


class _Place(NamedTuple):
    """After which campaign a page begins."""

    key: str
    id: str


_BEGINNING = _Place("", "")


class Asked(NamedTuple):
    """What the address asks for."""

    text: str
    state: str
    sort: Sort
    down: bool

    def query(self, **more: str) -> str:
        """The same as an address says it."""
        named = {"text": self.text, "state": self.state, "sort": self.sort, "down": "1" if self.down else "0"}
        return urlencode({name: value for name, value in {**named, **more}.items() if value})


def asked_of(visit: Visit) -> Asked:
    """What *visit* asks for; what it can't ask for is what nobody asks for."""
    state, sort = visit.asked("state"), visit.asked("sort")
    sort = sort if sort in get_args(Sort) else "changed"
    down = visit.asked("down")
    return Asked(
        visit.asked("text"),
        state if state in list(State) else "",
        cast(Sort, sort),
        down == "1" if down in ("0", "1") else sort == "changed",
    )


def register_of(visit: Visit) -> Register:
    """Where campaigns are looked up."""
    return Register(visit.here.pool, visit.here.door)


def status(state: State, left: int | None) -> str:
    """The one state that is shown: an active campaign that has nothing left is sold out."""
    return "sold_out" if state is State.ACTIVE and left is not None and left <= 0 else state.value


async def show(visit: Visit) -> Response:
    """A page of campaigns. Errors: Refusal."""
    asked, register = asked_of(visit), register_of(visit)
    after = read_cursor(visit.request, _Place, asked.query())
    found, _ = await register.listed(**asked._asdict(), after=after or _BEGINNING, limit=ROWS_MAX + 1)
    shown = found[:ROWS_MAX]
    more = ""
    if len(found) > ROWS_MAX:
        cursor = make_cursor(_Place(shown[-1].key, shown[-1].id), asked.query())
        more = f"{CAMPAIGNS}?{asked.query(cursor=cursor)}"
    values: dict[str, Any] = {
        "lines": await _lines(visit, register, shown),
        "asked": asked,
        "more": more,
        "first": f"{CAMPAIGNS}?{asked.query()}" if after else "",
    }
    return visit.render(
        "campaigns/list",
        **values,
        states=[(state.value, STATE_WORDS[state.value][0]) for state in State],
        sorts=SORT_WORDS,
        sorted_by={sort: f"{CAMPAIGNS}?{_turned(asked, sort).query()}" for sort in get_args(Sort)},
        may_act=visit.who.may("marketer"),
        is_filtered=bool(asked.text or asked.state),
        export=f"{EXPORT}?{asked.query()}",
        state_words=STATE_WORDS,
    )


def _turned(asked: Asked, sort: Sort) -> Asked:
    """The same sorted by *sort*; the other way round where it is so already."""
    down = not asked.down if asked.sort == sort else sort == "changed"
    return asked._replace(sort=sort, down=down)


async def _lines(visit: Visit, register: Register, many: Sequence[Listed]) -> list[Line]:
    lines = []
    for here, looks in zip(many, await register.looks(many), strict=True):
        known = bool(looks) and all(look.ready for look in looks)
        left = sum(look.stock for look in looks) if known else None
        stock = sum(look.stock + look.claimed for look in looks) if known else None
        lines.append(Line(here, status(here.effective, left), sentence(here.definition, visit.words), left, stock))
    return lines


async def export(visit: Visit) -> Response:
    """Every campaign that the list has, as CSV: times in UTC, money in minor units."""
    headers = {**HEADERS, "content-disposition": 'attachment; filename="campaigns.csv"'}
    asked, register = asked_of(visit), register_of(visit)
    first, now_ms = await register.listed(**asked._asdict(), after=_BEGINNING, limit=_EXPORT_ROWS)

    async def lines() -> AsyncIterator[str]:
        yield csv_row(
            "id", "name", "state", "version", "currency", "stock", "left", "value", "says", "starts_at", "ends_at",
            "timezone", "legal_entity", "changed_at", "as_of",
        )  # fmt: skip
        page, as_of = first, rfc3339(now_ms)
        while page:
            for each in await _lines(visit, register, page):
                yield csv_row(*_cells(each), as_of)
            place = (page[-1].key, page[-1].id)
            page, now = await register.listed(**asked._asdict(), after=place, limit=_EXPORT_ROWS)
            as_of = rfc3339(now)

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _cells(line: Line) -> tuple[str, ...]:
    here, what = line.campaign, line.campaign.definition
    stock = what.stock if line.stock is None else line.stock
    return (
        here.id, what.name, line.status, str(here.version), what.currency, str(stock),
        "" if line.left is None else str(line.left), str(what.value.__struct_config__.tag), line.says, what.starts_at,
        what.ends_at, what.timezone, what.legal_entity, rfc3339(time_ms(here.updated_at)),
    )  # fmt: skip


PAGES = (
    Page(path=CAMPAIGNS, show=show, roles=SEE, menu=N_("Campaigns"), section=N_("Sales")),
    Page(path=EXPORT, show=export, roles=SEE, under=CAMPAIGNS),
)
