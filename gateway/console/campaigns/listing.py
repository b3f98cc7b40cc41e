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
from gateway.console.tables import Cell, Read, Shown, Sort, Table, csv_file
from gateway.wire import rfc3339

CAMPAIGNS, NEW, EXPORT = f"{HOME}/campaigns", f"{HOME}/new-campaign", f"{HOME}/campaigns.csv"
SEE = ("marketer", "finance", "auditor", "operator")
ROWS_MAX = 25
_FILE_ROWS, _AT_ONCE = 500, 100
LOOKED_AT = 500
"""How many active campaigns Redis is asked about for one page of those that are sold out."""
SOLD_OUT = "sold_out"
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
    filters = {"text": visit.asked("text"), "state": state if state in STATE_WORDS else ""}
    return Table(visit, CAMPAIGNS, SORTS, filters, EXPORT)


def _reader(visit: Visit, table: Table) -> Read[_Place, Found]:
    register = register_of(visit)
    state = table.given("state")
    asked = {"text": table.given("text"), "state": State.ACTIVE if state == SOLD_OUT else state}

    async def read(after: _Place | None, limit: int) -> list[Found]:
        sort = cast(By, table.by)
        found, now_ms = await register.listed(**asked, sort=sort, down=table.down, after=after or ("", ""), limit=limit)
        return [Found(each, now_ms) for each in found]

    return read


def _place(found: Found | Line) -> _Place:
    return _Place(found.campaign.key, found.campaign.id)


def register_of(visit: Visit) -> Register:
    """Where campaigns are looked up."""
    return Register(visit.here.pool, visit.here.door)


def status(state: State, left: int | None) -> str:
    """The one state that is shown: an active campaign that has nothing left is sold out."""
    return SOLD_OUT if state is State.ACTIVE and left is not None and left <= 0 else state.value


async def show(visit: Visit) -> Response:
    """A page of campaigns. Errors: Refusal."""
    table = _table(visit)
    after = table.after(_Place)
    lines, reached = await _look(visit, table, after, ROWS_MAX + 1)
    more = reached and table.following(reached)
    if len(lines) > ROWS_MAX:
        more = table.following(_place(lines[ROWS_MAX - 1]))
    return visit.render(
        "campaigns/list",
        lines=lines[:ROWS_MAX],
        table=table,
        shown=Shown(lines[:ROWS_MAX], more or "", "" if after is None else table.address()),
        states=STATE_WORDS,
        may_act=visit.who.may("marketer"),
        state_words=STATE_WORDS,
        looked_at=LOOKED_AT,
    )


async def _look(visit: Visit, table: Table, after: _Place | None, limit: int) -> tuple[list[Line], _Place | None]:
    """
    Campaigns from after a place, and the last one that was looked at where there may be more beyond it.

    Which are sold out only Redis can tell: LOOKED_AT of those that are active are asked about, and no more.
    """
    read = _reader(visit, table)
    if table.given("state") != SOLD_OUT:
        return await _lines(visit, await read(after, limit)), None
    lines, looked_at = list[Line](), 0
    while len(lines) < limit and looked_at < LOOKED_AT:
        some = await read(after, _AT_ONCE)
        lines += [each for each in await _lines(visit, some) if each.status == SOLD_OUT]
        if len(some) < _AT_ONCE:
            return lines, None
        after, looked_at = _place(some[-1]), looked_at + len(some)
    return lines, after


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
        table, after = _table(visit), None
        while True:
            lines, reached = await _look(visit, table, after, _FILE_ROWS)
            if lines:
                yield map(_cells, lines)
            after = reached or (_place(lines[-1]) if len(lines) == _FILE_ROWS else None)
            if after is None:
                return

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
