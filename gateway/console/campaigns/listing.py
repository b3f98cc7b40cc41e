"""Every campaign there is, with the one state that is true by Redis' clock; and the same as a CSV file."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from starlette.responses import Response

from gateway.campaigns.life import State
from gateway.campaigns.register import Listed, Register
from gateway.campaigns.register import Sort as By
from gateway.console.access import HOME
from gateway.console.campaigns.sentence import sentence
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Read, Sort, Table, csv_file, every_page
from gateway.wire import rfc3339

CAMPAIGNS, NEW, EXPORT = f"{HOME}/campaigns", f"{HOME}/new-campaign", f"{HOME}/campaigns.csv"
SEE = ("marketer", "finance", "auditor", "operator")
ROWS_MAX = 25
_FILE_ROWS = 500
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

SORTS: Mapping[str, Sort] = {
    "changed": Sort(N_("Changed"), falls=True),
    "name": Sort(N_("Campaign name")),
    "id": Sort(N_("Id")),
    "starts": Sort(N_("Starts")),
    "ends": Sort(N_("Ends")),
}


class Line(NamedTuple):
    """A campaign in the list, as of *now_ms*: *left* is None where it can't be told."""

    campaign: Listed
    status: str
    says: str
    left: int | None
    stock: int | None
    now_ms: int


class _Place(NamedTuple):
    """After which campaign a page begins."""

    key: str
    id: str


class Found(NamedTuple):
    """A campaign, and the time of Redis that its state is of."""

    campaign: Listed
    now_ms: int


def _table(visit: Visit) -> Table:
    """What can't be asked for is what nobody asks for."""
    state = visit.asked("state")
    filters = {"text": visit.asked("text"), "state": state if state in list(State) else ""}
    return Table(visit, CAMPAIGNS, SORTS, filters, EXPORT)


def _reader(visit: Visit, table: Table) -> Read[_Place, Found]:
    register = register_of(visit)
    asked = {"text": "", "state": "", **table.filters}

    async def read(after: _Place | None, limit: int) -> list[Found]:
        sort = cast(By, table.by)
        found, now_ms = await register.listed(**asked, sort=sort, down=table.down, after=after or ("", ""), limit=limit)
        return [Found(each, now_ms) for each in found]

    return read


def _place(found: Found) -> _Place:
    return _Place(found.campaign.key, found.campaign.id)


def register_of(visit: Visit) -> Register:
    """Where campaigns are looked up."""
    return Register(visit.here.pool, visit.here.door)


def status(state: State, left: int | None) -> str:
    """The one state that is shown: an active campaign that has nothing left is sold out."""
    return "sold_out" if state is State.ACTIVE and left is not None and left <= 0 else state.value


async def show(visit: Visit) -> Response:
    """A page of campaigns. Errors: Refusal."""
    table = _table(visit)
    shown = await table.page(_reader(visit, table), _place, _Place, ROWS_MAX)
    return visit.render(
        "campaigns/list",
        lines=await _lines(visit, shown.rows),
        table=table,
        shown=shown,
        states=[(state.value, STATE_WORDS[state.value][0]) for state in State],
        may_act=visit.who.may("marketer"),
        state_words=STATE_WORDS,
    )


async def _lines(visit: Visit, many: Sequence[Found]) -> list[Line]:
    lines, register = [], register_of(visit)
    for (here, now_ms), looks in zip(many, await register.looks([each.campaign for each in many]), strict=True):
        known = bool(looks) and all(look.ready for look in looks)
        left = sum(look.stock for look in looks) if known else None
        stock = sum(look.stock + look.claimed for look in looks) if known else None
        says = sentence(here.definition, visit.words)
        lines.append(Line(here, status(here.effective, left), says, left, stock, now_ms))
    return lines


async def export(visit: Visit) -> Response:
    """Every campaign that the list has, as CSV: times in UTC, money in minor units."""
    heads = (
        "id", "name", "state", "version", "currency", "stock", "left", "value", "says", "starts_at", "ends_at",
        "timezone", "legal_entity", "changed_at", "as_of",
    )  # fmt: skip

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, _table(visit)), _place, _FILE_ROWS):
            yield map(_cells, await _lines(visit, page))

    return await csv_file(visit, "campaigns", heads, pages())


def _cells(line: Line) -> tuple[Cell, ...]:
    here, what = line.campaign, line.campaign.definition
    return (
        here.id, what.name, line.status, here.version, what.currency,
        what.stock if line.stock is None else line.stock, line.left, str(what.value.__struct_config__.tag), line.says,
        what.starts_at, what.ends_at, what.timezone, what.legal_entity, here.updated_at, rfc3339(line.now_ms),
    )  # fmt: skip


PAGES = (
    Page(path=CAMPAIGNS, show=show, roles=SEE, menu=N_("Campaigns"), section=N_("Sales")),
    Page(path=EXPORT, show=export, roles=SEE, under=CAMPAIGNS),
)
