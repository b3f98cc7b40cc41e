"""How far is too far: of everything, which operators choose, and of one campaign, which marketers do too."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from starlette.responses import Response

from gateway.alerts.alerts import EVERYWHERE, OF_CAMPAIGNS, bounds, is_counted
from gateway.alerts.kinds import KINDS, READERS, Kind, seen_by
from gateway.alerts.payload import SEVERITY_WORDS, shown
from gateway.alerts.rules import Level
from gateway.alerts.store import Chosen
from gateway.console.access import HOME
from gateway.console.alerts.pages import ALERTS, BADGES
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Sort, Table, csv_file, every_page, read_few
from gateway.errors import Refusal

THRESHOLDS, EXPORT = f"{HOME}/alert-thresholds", f"{HOME}/alert-thresholds.csv"
ROWS_MAX = 50
SORTS = {"campaign": Sort(N_("Campaign")), "kind": Sort(N_("Kind")), "by": Sort(N_("Changed by"))}
UNIT_WORDS = {
    "%": "%",
    "s": N_("seconds"),
    "coupons": N_("coupons"),
    "breaks": N_("breaks"),
    "failures": N_("codes a minute"),
}


class Row(NamedTuple):
    """A kind and its threshold of everything; *value* is as it is typed, empty where it is not watched."""

    kind: Kind
    value: str
    default: str
    level: Level | None
    chosen: Chosen | None


async def show(visit: Visit) -> Response:
    """Both tables."""
    done = visit.words.say(N_("The threshold is changed.")) if visit.asked("done") else ""
    return await _render(visit, done=done)


async def choose(visit: Visit) -> Response:
    """Choose one, or the default again. Errors: Refusal."""
    step, name, campaign = visit.one("step"), visit.one("kind"), visit.one("campaign").strip()
    if step not in ("choose", "off", "default") or name not in KINDS:
        raise Refusal("bad_request", "The form could not be read.")
    of_one = visit.one("of_one") == "1"
    field = "value" if of_one else f"value-{name}"
    typed, is_off = visit.one("value").strip(), step == "off" or (step == "choose" and visit.one("is_off") == "1")
    kind, kept = KINDS[name], {"kind": name, "campaign": campaign, "value": typed}
    low, high = bounds(kind, is_own=of_one)
    value = None
    if step == "choose" and not is_off and not (kind.setting and not of_one):
        read = visit.words.read_number(typed)
        whole = is_counted(kind, is_own=of_one)
        if read is None or not low <= read <= high or (whole and read != int(read)):
            number = visit.words.number
            says = N_("A whole number from %(low)s to %(high)s.") if whole else N_("A number from %(low)s to %(high)s.")
            wrong = visit.words.say(says, low=number(low), high=number(high))
            return await _render(visit, 400, errors={field: wrong}, typed=kept)
        value = float(read)
    try:
        if of_one and not campaign:
            raise Refusal("campaign_not_found")
        await visit.here.alerts.choose(visit.who, name, campaign, value, is_off)
    except Refusal as refusal:
        wrong_field = refusal.context.get("field", "campaign")
        if refusal.code == "campaign_not_found" or (refusal.code == "bad_request" and wrong_field == "campaign"):
            wrong = visit.words.say(N_("There is no such campaign."))
            return await _render(visit, 400, errors={"campaign": wrong}, typed=kept)
        raise
    return visit.go(f"{THRESHOLDS}?done=1")


def _table(visit: Visit) -> Table:
    return Table(visit, THRESHOLDS, SORTS, {}, EXPORT)


def _key(table: Table) -> Callable[[Chosen], tuple[str, ...]]:
    """What thresholds of campaigns are sorted by, and told apart."""
    first = attrgetter({"campaign": "campaign", "kind": "kind", "by": "changed_by"}[table.by])
    return lambda each: (first(each), each.campaign, each.kind)


async def export(visit: Visit) -> Response:
    """Every threshold that the page has, those of everything first, as CSV."""
    alerts, mine, table = visit.here.alerts, seen_by(visit.who), _table(visit)
    levels, chosen = await alerts.levels(), await alerts.chosen()
    everywhere = {each.kind: each for each in chosen if not each.campaign}
    own = [each for each in chosen if each.campaign and each.kind in mine]

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        yield [_everywhere(KINDS[name], levels[name], everywhere.get(name)) for name in mine]
        async for page in every_page(read_few(own, _key(table), down=table.down), _key(table)):
            yield map(_own, page)

    heads = ("campaign", "kind", "severity", "is_watched", "threshold", "unit", "changed_by", "changed_at")
    return await csv_file(visit, "alert-thresholds", heads, pages())


def _everywhere(kind: Kind, level: Level | None, chosen: Chosen | None) -> tuple[Cell, ...]:
    watched = ("no", None, None) if level is None else ("yes", level.value, level.unit)
    who = (None, None) if chosen is None else (chosen.changed_by, chosen.changed_at)
    return ("", kind.name, kind.severity, *watched, *who)


def _own(each: Chosen) -> tuple[Cell, ...]:
    kind = KINDS[each.kind]
    watched = ("no", None, None) if each.is_off else ("yes", each.value, kind.own_unit or kind.unit)
    return (each.campaign, each.kind, kind.severity, *watched, each.changed_by, each.changed_at)


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    alerts, words, mine = visit.here.alerts, visit.words, seen_by(visit.who)
    levels, chosen = await alerts.levels(), await alerts.chosen()
    everywhere = {each.kind: each for each in chosen if not each.campaign}
    rows = [_row(KINDS[name], levels[name], everywhere.get(name), words) for name in mine]
    table = _table(visit)
    own = [each for each in chosen if each.campaign and each.kind in mine]
    shown_own = await table.page(read_few(own, _key(table), down=table.down), _key(table), tuple[str, ...], ROWS_MAX)
    given = {"done": "", "typed": {"kind": "", "campaign": visit.asked("campaign", 63), "value": ""}, **values}
    return visit.render(
        "alerts_thresholds",
        status,
        rows=rows,
        table=table,
        own=shown_own,
        kinds=KINDS,
        of_campaigns=[KINDS[name] for name in mine if KINDS[name].of_campaigns],
        units={unit: words.say(text) for unit, text in UNIT_WORDS.items()},
        severities=SEVERITY_WORDS,
        amount=lambda value, unit: shown(value, unit, words),
        badges=BADGES,
        may_choose=visit.who.may(*EVERYWHERE),
        may_choose_one=visit.who.may(*OF_CAMPAIGNS),
        **given,
    )


def _row(kind: Kind, level: Level | None, chosen: Chosen | None, words: Words) -> Row:
    default = words.number(kind.threshold)
    return Row(kind, "" if level is None else words.number(level.value), default, level, chosen)


PAGES = (
    Page(path=THRESHOLDS, show=show, act=choose, roles=READERS, actors=OF_CAMPAIGNS, under=ALERTS),
    Page(path=EXPORT, show=export, roles=READERS, under=ALERTS),
)
