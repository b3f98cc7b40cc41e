"""
Making a campaign, in five steps.

Each step is an address that has all that was typed so far, so it can be reloaded, gone back to and sent on, nothing is
lost on the way back nor while signing in anew, and no step needs JavaScript. A step is left forwards only when its own
fields are right; a draft is made when all of them are.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.campaigns.bounds import ID_PATTERN
from gateway.campaigns.check import broken_rules, checked
from gateway.campaigns.currencies import CURRENCIES
from gateway.campaigns.days import zone_names
from gateway.campaigns.definition import Definition
from gateway.campaigns.service import Campaigns
from gateway.campaigns.shards import Shards
from gateway.console.access import HOME
from gateway.console.campaigns.fields import STEP_OF, STEPS
from gateway.console.campaigns.kept import KEPT_CHARS_MAX, read_kept, write_kept
from gateway.console.campaigns.listing import CAMPAIGNS, NEW, register_of
from gateway.console.campaigns.rules import errors_in, errors_of, in_order, senseless
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.typed import NO_INSTANTS, Typed, blank, filled, given, read_typed, write_typed
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.forms import Errors, Fields, NotOurs, is_from_elsewhere, one
from lua.keys import CampaignId

SENTENCE = f"{HOME}/campaign-sentence"
MARKETER = ("marketer",)
_NAMES = [step.name for step in STEPS]
OLD_FORM = Trouble(
    N_("This page was open for longer than you were signed in."),
    N_("Nothing was done. What you typed is here; go on."),
)


async def show(visit: Visit) -> Response:
    """A step, with what was typed so far; empty at first, or with what another campaign has. Errors: Refusal."""
    at, of = visit.asked("step"), visit.asked("from")
    kept = read_kept(visit.asked("typed", KEPT_CHARS_MAX + 1))
    typed = filled(kept) if kept is not None else await _cloned(visit, of) if of else blank(_zone(visit))
    if at not in _NAMES:
        return _render(visit, _NAMES[0], typed)
    errors, up_to = Errors(), visit.asked("checked")
    if up_to in _NAMES:
        looked_at = _NAMES[: _NAMES.index(up_to) + 1]  # what nobody has been asked yet is not wrong
        errors = {name: says for name, says in (await _wrong(visit, typed)).items() if STEP_OF[name] in looked_at}
    return _render(visit, at, typed, errors=errors)


def _zone(visit: Visit) -> str:
    return visit.words.zone if visit.words.zone in zone_names() else "UTC"


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
    if to == "create":
        return await _create(visit, typed)
    here = _NAMES.index(at)
    target = _NAMES[min(here + 1, len(_NAMES) - 1)] if to == "next" else to
    if _NAMES.index(target) > here:
        ahead = _NAMES[: _NAMES.index(target)]
        wrong = {STEP_OF[name] for name in await _wrong(visit, typed)}.intersection(ahead)
        if wrong:
            return _at(visit, min(wrong, key=_NAMES.index), typed, checked_to=ahead[-1])
    return _at(visit, target, typed)


def _at(visit: Visit, step: str, typed: Typed, checked_to: str = "") -> Response:
    """Lead the browser on to a step; where an address can't have all of it, the step itself."""
    kept = write_kept(typed)
    if not kept:
        return _render(visit, step, typed)
    query = {"step": step, "checked": checked_to, "typed": kept}
    return visit.go(f"{NEW}?{urlencode({name: text for name, text in query.items() if text})}")


def kept_of(fields: Fields) -> str:
    """The query that has a form again, of the wizard or of a change, that nobody is signed in for any more."""
    kept = write_kept(given(fields))
    about = {"step": one(fields, "at"), "version": one(fields, "version"), "reason": one(fields, "reason")}
    return urlencode({**{name: text[:100] for name, text in about.items() if text}, "typed": kept}) if kept else ""


async def too_old(visit: Visit) -> Response:
    """The same step again, with a form of this session. Errors: NotOurs for a form of another site."""
    if is_from_elsewhere(visit.request):
        raise NotOurs
    at = visit.one("at")
    return _render(visit, at if at in _NAMES else _NAMES[0], given(visit.fields), 403, notice=OLD_FORM)


async def checked_form(
    visit: Visit, typed: Typed, instants: Mapping[str, str] = NO_INSTANTS
) -> tuple[Definition, Errors]:
    """What was typed as a definition, with *instants* as read_typed() takes them, and what is wrong with it."""
    definition, unread = read_typed(typed, visit.words, instants)
    broken = errors_of(broken_rules(definition, await _now_ms(visit)), visit.words)
    return definition, in_order(broken | unread)


async def _now_ms(visit: Visit) -> int:
    return await Shards(visit.here.door).now_ms(CampaignId("clock"))


async def _checked(visit: Visit, typed: Typed) -> tuple[Definition, Errors]:
    """A form of a new campaign, which has to make sense too."""
    definition, errors = await checked_form(visit, typed)
    return definition, in_order(senseless(definition, visit.words) | errors)


async def _wrong(visit: Visit, typed: Typed) -> Errors:
    """What is wrong with a form of a new campaign, by the books too."""
    definition, errors = await _checked(visit, typed)
    known = await register_of(visit).refused(definition)
    return in_order(errors_of(known, visit.words) | errors)


async def _create(visit: Visit, typed: Typed) -> Response:
    definition, errors = await _checked(visit, typed)
    if errors:
        return _at(visit, STEP_OF[next(iter(errors))], typed, _NAMES[-1])
    try:
        await campaigns_of(visit).create(definition, visit.who.actor)
    except Refusal as refusal:
        if refusal.code == "campaign_exists":
            if not await _made_before(visit, definition):
                return _at(visit, STEP_OF["id"], typed, _NAMES[-1])
        elif errors := errors_in(refusal, visit.words):
            return _at(visit, STEP_OF[next(iter(errors))], typed, _NAMES[-1])
        else:
            raise
    return visit.go(f"{CAMPAIGNS}/{definition.id}?done=created")


async def _made_before(visit: Visit, definition: Definition) -> bool:
    """Whether it is this very form that made the campaign: somebody pressed the button twice."""
    first = await register_of(visit).version(definition.campaign, 1)
    return (first.changed_by, first.definition) == (visit.who.actor, checked(definition, await _now_ms(visit)))


def _render(visit: Visit, at: str, typed: Typed, status: int = 200, **more: Any) -> Response:
    step, errors = next(step for step in STEPS if step.name == at), more.pop("errors", {})
    wrong = {name: says for name, says in errors.items() if STEP_OF[name] == at}
    values: dict[str, Any] = {
        "step": step,
        "steps": STEPS,
        "number_of_step": _NAMES.index(at),
        "typed": typed,
        "errors": wrong,
        "wrong_steps": {STEP_OF[name] for name in errors},
        "is_moved": "step" in visit.request.query_params,
        "says": sentence(read_typed(typed, visit.words)[0], visit.words),
    }
    return visit.render("campaigns/wizard", status, sentence_at=SENTENCE, **choices(visit, step.name), **values, **more)


def choices(visit: Visit, step: str) -> dict[str, Any]:
    """The zones and currencies to choose from, on the step that asks for one; of no step, all."""
    names = visit.words.currencies(CURRENCIES) if step in ("worth", "") else []
    zones = sorted(name for name in zone_names() if "/" in name or name == "UTC") if step in ("when", "") else []
    return {"zones": zones, "currencies": names}


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
    Page(path=NEW, show=show, act=go, too_old=too_old, kept=kept_of, roles=MARKETER, under=CAMPAIGNS),
    Page(path=SENTENCE, show=say, act=say, kept=kept_of, roles=MARKETER, under=CAMPAIGNS),
)
