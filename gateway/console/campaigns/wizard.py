"""
Making a campaign, in five steps.

All that was typed goes with the form from step to step, so nothing is lost on the way back, nor without JavaScript. A
step is left forwards only when its own fields are right; a draft is made when all of them are.
"""

from typing import Any

from starlette.responses import Response

from gateway.campaigns.bounds import ID_PATTERN
from gateway.campaigns.check import broken_rules
from gateway.campaigns.days import zone_names
from gateway.campaigns.definition import Definition
from gateway.campaigns.service import Campaigns
from gateway.campaigns.shards import Shards
from gateway.console.access import HOME
from gateway.console.campaigns.fields import STEP_OF, STEPS
from gateway.console.campaigns.listing import CAMPAIGNS, NEW
from gateway.console.campaigns.rules import errors_in, errors_of, in_order
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.typed import Typed, blank, given, read_typed, write_typed
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.errors import Refusal
from gateway.forms import Errors
from lua.keys import CampaignId

SENTENCE = f"{HOME}/campaign-sentence"
MARKETER = ("marketer",)
_NAMES = [step.name for step in STEPS]


async def show(visit: Visit) -> Response:
    """The first step, empty, or with what another campaign has. Errors: Refusal("campaign_not_found")."""
    zone = visit.words.zone
    typed = blank(zone if zone in zone_names() else "UTC")
    of = visit.asked("from")
    if of:
        typed = await _cloned(visit, of)
    return _render(visit, _NAMES[0], typed)


async def _cloned(visit: Visit, of: str) -> Typed:
    if not ID_PATTERN.fullmatch(of):
        raise Refusal("campaign_not_found")
    seen = await campaigns_of(visit).see(CampaignId(of))
    typed = write_typed(seen.definition, visit.words) | {"id": ""}
    if seen.definition.ends_ms <= seen.now_ms:  # a window that is over is no use to anybody
        typed |= {"starts_at": "", "ends_at": "", "validity.until": ""}
    return typed


async def go(visit: Visit) -> Response:
    """To another step, or the draft. Errors: Refusal."""
    typed, at, to = given(visit.fields), visit.one("at"), visit.one("to")
    if at not in _NAMES or to not in (*_NAMES, "next", "create"):
        raise Refusal("bad_request", "The form could not be read.")
    definition, errors = await checked_form(visit, typed)
    here = _NAMES.index(at)
    if to == "create":
        if not errors:
            return await _create(visit, typed, definition)
        return _render(visit, _first_wrong(errors), typed, 400, errors)
    target = _NAMES[min(here + 1, len(_NAMES) - 1)] if to == "next" else to
    ahead = _NAMES[: _NAMES.index(target)]
    wrong = {name: says for name, says in errors.items() if STEP_OF[name] in ahead}
    if wrong and _NAMES.index(target) > here:
        return _render(visit, _first_wrong(wrong), typed, 400, wrong)
    return _render(visit, target, typed)


async def checked_form(visit: Visit, typed: Typed) -> tuple[Definition, Errors]:
    """What was typed as a definition, and what is wrong with it, by the checks of the API."""
    definition, unread = read_typed(typed, visit.words)
    now_ms = await Shards(visit.here.door).now_ms(CampaignId("clock"))
    broken = errors_of(broken_rules(definition, now_ms), visit.words)
    return definition, in_order(broken | unread)


def _first_wrong(errors: Errors) -> str:
    return min((STEP_OF[name] for name in errors), key=_NAMES.index)


async def _create(visit: Visit, typed: Typed, definition: Definition) -> Response:
    try:
        created = await campaigns_of(visit).create(definition, visit.who.actor)
    except Refusal as refusal:
        if refusal.code == "campaign_exists":
            errors = {"id": visit.words.say(N_("There is a campaign of this id."))}
            return _render(visit, STEP_OF["id"], typed, 409, errors)
        errors = errors_in(refusal, visit.words)
        if not errors:
            raise
        return _render(visit, _first_wrong(errors), typed, 400, errors)
    return visit.go(f"{CAMPAIGNS}/{created.id}?done=created")


def _render(visit: Visit, at: str, typed: Typed, status: int = 200, errors: Errors | None = None) -> Response:
    step = next(step for step in STEPS if step.name == at)
    wrong = {name: says for name, says in (errors or {}).items() if STEP_OF[name] == at}
    values: dict[str, Any] = {
        "step": step,
        "steps": STEPS,
        "number_of_step": _NAMES.index(at),
        "typed": typed,
        "errors": wrong,
        "says": sentence(read_typed(typed, visit.words)[0], visit.words),
    }
    return visit.render("campaigns/wizard", status, sentence_at=SENTENCE, zones=zones_for(step.name), **values)


def zones_for(step: str) -> list[str]:
    """The zones to choose from, on the step that asks for one."""
    return sorted(name for name in zone_names() if "/" in name or name == "UTC") if step in ("when", "") else []


async def say(visit: Visit) -> Response:
    """The sentence alone, of what is typed at this moment."""
    typed = given(visit.fields)
    return visit.render(
        "campaigns/sentence", says=sentence(read_typed(typed, visit.words)[0], visit.words), typed=typed
    )


def campaigns_of(visit: Visit) -> Campaigns:
    """What the staff does with campaigns."""
    return Campaigns(visit.here.pool, visit.here.door)


PAGES = (
    Page(path=NEW, show=show, act=go, roles=MARKETER, under=CAMPAIGNS),
    Page(path=SENTENCE, show=say, act=say, roles=MARKETER, under=CAMPAIGNS),
)
