"""For who runs sales: what is wrong, who has seen it, and how far is too far."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.alerts.alerts import NOTE_CHARS_MAX, OF_CAMPAIGNS, bounds
from gateway.alerts.kinds import ACTORS, KINDS, READERS, KindName, Severity, Unit, seen_by
from gateway.alerts.payload import told
from gateway.alerts.rules import Level
from gateway.alerts.store import After, By, Chosen, Delivery
from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.campaigns.bounds import Id, told_text
from gateway.errors import Refusal
from gateway.keys import ROLES
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.wire import body, json_response, rfc3339, time_ms

SEE = tuple(role for role in ROLES if role in READERS)
ACT = tuple(role for role in ROLES if role in ACTORS)
CHOOSE = tuple(role for role in ROLES if role in OF_CAMPAIGNS)

State = Literal["open", "over"]


class AlertView(msgspec.Struct, kw_only=True):
    """
    An alert. *figure* is the last one, *worst* the one furthest beyond *threshold*, all of them in *unit*.

    *campaign* is null where it is the system's. It is open while *cleared_at* is null, acknowledged or not.
    """

    id: int
    kind: KindName
    severity: Severity
    campaign: str | None
    says: str
    to_do: str
    figure: float
    worst: float
    threshold: float
    unit: Unit
    about: dict[str, Any]
    raised_at: Time
    cleared_at: Time | None
    acknowledged_by: str | None
    acknowledged_at: Time | None
    note: str | None
    url: str | None


class DeliveryView(msgspec.Struct):
    """What was sent of an alert to one receiver; *error* is why the last try failed, *next_at* when the next one is."""

    id: str
    receiver: str
    name: str
    by: By
    type: str
    state: Literal["pending", "sent", "failed", "dropped"]
    tries: int
    error: str | None
    made_at: Time
    next_at: Time | None
    ended_at: Time | None


class SeenAlert(AlertView, kw_only=True):
    """An alert, and what was sent of it."""

    deliveries: list[DeliveryView]


class NoteBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of an acknowledgement: what there is to say, if anything."""

    note: Annotated[str | None, told_text(NOTE_CHARS_MAX)] = None


class ThresholdView(msgspec.Struct):
    """
    How far is too far. *value* is null where it is not watched, *default* where nobody has chosen another one.

    *campaign* is null where it is of everything that has none of its own.
    """

    kind: KindName
    campaign: str | None
    value: float | None
    default: float
    unit: Unit
    low: float
    high: float
    is_floor: bool
    changed_by: str | None
    changed_at: Time | None


class ThresholdList(msgspec.Struct):
    """Those of everything in the order of the kinds, then those of campaigns."""

    items: list[ThresholdView]


class ThresholdBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A threshold: null is the default again; *is_off* stops watching."""

    kind: KindName
    value: float | None = None
    campaign: Id | None = None
    is_off: bool = False


async def see_alerts(request: Request) -> Response:
    """Alerts that you may see, the newest first."""
    who, here = await staff(request, *SEE), services(request)
    kind, state, campaign = (query_value(request, name) for name in ("kind", "state", "campaign"))
    if kind is not None and kind not in KINDS:
        raise Refusal("bad_request", f"kind: one of {', '.join(KINDS)}.", field="kind")
    if state not in (None, "open", "over"):
        raise Refusal("bad_request", "state: open or over.", field="state")
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"alerts {kind} {state} {campaign}"
    number: Any = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    before: int | None = read_cursor(request, number, of_list)
    found = await here.alerts.found(
        who,
        kind=kind,
        is_open=None if state is None else state == "open",
        campaign=campaign,
        after=None if before is None else After(before, before),
        limit=limit + 1,
    )
    more = make_cursor(found[limit - 1].id, of_list) if len(found) > limit else None
    return json_response({"items": [told(each, here.settings.public_url) for each in found[:limit]], "next": more})


async def see_alert(request: Request) -> Response:
    """An alert, and what was sent of it."""
    who, here = await staff(request, *SEE), services(request)
    found, sent = await here.alerts.see(who, request.path_params["alert"])
    deliveries = [_delivery(each) for each in sent]
    return json_response({**told(found, here.settings.public_url), "deliveries": deliveries})


async def acknowledge_alert(request: Request) -> Response:
    """Say that you have seen an alert of your role; it stays open until it is over."""
    who, here = await staff(request, *ACT), services(request)
    asked = await body(request, NoteBody, here.settings.body_bytes_max)
    done = await here.alerts.acknowledge(who, request.path_params["alert"], asked.note)
    here.background.wake()
    return json_response(told(done, here.settings.public_url))


async def see_thresholds(request: Request) -> Response:
    """How far is too far, of everything and of campaigns that have a threshold of their own."""
    who, here = await staff(request, *SEE), services(request)
    levels, chosen = await here.alerts.levels(), await here.alerts.chosen()
    by_kind = {each.kind: each for each in chosen if not each.campaign}
    mine = seen_by(who)
    items = [_level(name, levels[name], by_kind.get(name)) for name in KINDS if name in mine]
    items += [_own(each) for each in chosen if each.campaign and each.kind in mine]
    return json_response(ThresholdList(items))


async def choose_threshold(request: Request) -> Response:
    """Choose how far is too far: of one campaign, or of everything, which an admin does."""
    who, here = await staff(request, *CHOOSE), services(request)
    asked = await body(request, ThresholdBody, here.settings.body_bytes_max)
    await here.alerts.choose(who, asked.kind, asked.campaign or "", asked.value, asked.is_off)
    for each in await here.alerts.chosen():
        if (each.kind, each.campaign) == (asked.kind, asked.campaign or "") and each.campaign:
            return json_response(_own(each))
    levels = await here.alerts.levels()
    return json_response(_level(asked.kind, levels[asked.kind], None))


def _delivery(each: Delivery) -> DeliveryView:
    return DeliveryView(
        id=each.id,
        receiver=each.receiver,
        name=each.name,
        by=each.by,
        type=each.type,
        state=each.state,
        tries=each.tries,
        error=each.error,
        made_at=rfc3339(time_ms(each.made_at)),
        next_at=time_or_none(each.next_at) if each.state == "pending" else None,
        ended_at=time_or_none(each.ended_at),
    )


def _level(name: str, level: Level | None, chosen: Chosen | None) -> ThresholdView:
    kind = KINDS[name]
    by, at = (chosen.changed_by, time_or_none(chosen.changed_at)) if chosen else (None, None)
    value = level.value if level else None
    return ThresholdView(kind.name, None, value, kind.threshold, kind.unit, kind.low, kind.high, kind.is_floor, by, at)


def _own(each: Chosen) -> ThresholdView:
    kind = KINDS[each.kind]
    unit, (low, high) = kind.own_unit or kind.unit, bounds(kind, is_own=True)
    value, at = (None if each.is_off else each.value), time_or_none(each.changed_at)
    return ThresholdView(
        kind.name, each.campaign, value, kind.threshold, unit, low, high, kind.is_floor, each.changed_by, at
    )


def time_or_none(at: datetime | None) -> str | None:
    """As answers say a time."""
    return None if at is None else rfc3339(time_ms(at))


routes = [
    Operation(
        "GET",
        "/v1/alerts",
        see_alerts,
        under="Alerts",
        who=SEE,
        gives={200: Page[AlertView]},
        query=(
            Parameter("state", State, "Only those that are open, or over."),
            Parameter("kind", KindName, "Only those of this kind."),
            Parameter("campaign", str, "Only those of this campaign."),
            *PAGE,
        ),
    ),
    Operation(
        "GET",
        "/v1/alerts/{alert}",
        see_alert,
        under="Alerts",
        who=SEE,
        gives={200: SeenAlert},
        refuses=("alert_not_found",),
    ),
    Operation(
        "POST",
        "/v1/alerts/{alert}/acknowledge",
        acknowledge_alert,
        under="Alerts",
        who=ACT,
        takes=NoteBody,
        example={"note": "Second pallet is on its way"},
        gives={200: AlertView},
        refuses=("alert_not_found", "invalid_state"),
    ),
    Operation("GET", "/v1/alert-thresholds", see_thresholds, under="Alerts", who=SEE, gives={200: ThresholdList}),
    Operation(
        "POST",
        "/v1/alert-thresholds",
        choose_threshold,
        under="Alerts",
        who=CHOOSE,
        takes=ThresholdBody,
        example={"kind": "low_stock", "campaign": "flash-1", "value": 500},
        gives={200: ThresholdView},
        refuses=("campaign_not_found",),
    ),
]
