"""
Changing a campaign: at once where no money moves, else as a proposal for a second person.

The form says which version it was made of. Where somebody else has changed the campaign meanwhile, nothing is changed:
what he changed and what you changed are shown, and the form is made anew of his version with your changes in it.
"""

from secrets import token_hex
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.campaigns.definition import Definition
from gateway.campaigns.life import State
from gateway.campaigns.patch import MONEY, DefinitionPatch, difference, patched
from gateway.campaigns.register import Past
from gateway.campaigns.service import Seen
from gateway.console.actors import who_in_words
from gateway.console.campaigns.detail import PENDING, about, campaign_of, proposals_of
from gateway.console.campaigns.differences import differences
from gateway.console.campaigns.fields import FIELDS, STEPS
from gateway.console.campaigns.kept import KEPT_CHARS_MAX, read_kept
from gateway.console.campaigns.listing import CAMPAIGNS, register_of
from gateway.console.campaigns.rules import errors_in, in_order, senseless
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.typed import Typed, filled, given, read_typed, write_typed
from gateway.console.campaigns.versions import changes
from gateway.console.campaigns.wizard import (
    MARKETER,
    OLD_FORM,
    SENTENCE,
    campaigns_of,
    checked_form,
    choices,
    kept_of,
)
from gateway.console.locales import N_, Words
from gateway.console.page import Page, Visit
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.forms import Errors, NotOurs, is_from_elsewhere
from gateway.proposals.asked import REASON_CHARS_MAX, CampaignChange

_MEANWHILE = Trouble(
    N_("Somebody changed it meanwhile."),
    N_("Nothing was changed. The form below is of the newest version, with your changes in it; look, and save again."),
)
_OVER = Trouble(N_("It does not change any more."), N_("A campaign that is ended or archived stays as it is."))


async def show(visit: Visit) -> Response:
    """The form, of the campaign as it is, or with what was typed into it before a session ended."""
    seen = await campaigns_of(visit).see(campaign_of(visit))
    if seen.effective in (State.ENDED, State.ARCHIVED):
        return _render(visit, seen, write_typed(seen.definition, visit.words), 409, notice=_OVER)
    kept, version = read_kept(visit.asked("typed", KEPT_CHARS_MAX + 1)), visit.asked("version")
    if kept is None or not _is_number(version):
        return _render(visit, seen, write_typed(seen.definition, visit.words))
    return _render(visit, seen, filled(kept) | {"id": seen.id}, version=version, reason=visit.asked("reason"))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


async def too_old(visit: Visit) -> Response:
    """The same form again, of this session. Errors: NotOurs for a form of another site; Refusal."""
    if is_from_elsewhere(visit.request):
        raise NotOurs
    seen, version = await campaigns_of(visit).see(campaign_of(visit)), visit.one("version")
    if not _is_number(version):
        raise NotOurs
    return _render(visit, seen, given(visit.fields) | {"id": seen.id}, 403, notice=OLD_FORM, version=version)


async def save(visit: Visit) -> Response:
    """Change it, or propose the change. Errors: Refusal."""
    campaign, text = campaign_of(visit), visit.one("version")
    if not _is_number(text):
        raise Refusal("bad_request", "The form could not be read.")
    base = await register_of(visit).version(campaign, int(text))
    typed = given(visit.fields) | {"id": campaign}
    mine, errors = await _read(visit, typed, base.definition)
    if mine.value != base.definition.value:
        errors = in_order(senseless(mine, visit.words) | errors)
    seen = await campaigns_of(visit).see(campaign)
    if errors:
        return _render(visit, seen, typed, 400, errors=errors, version=base.version)
    changed = _changes(base.definition, mine)
    if not changed:
        return visit.go(f"{CAMPAIGNS}/{campaign}?done=same")
    if seen.version != base.version:
        return await _conflict(visit, seen, base, mine, changed)
    patch = msgspec.convert({**changed, "version": base.version}, DefinitionPatch)
    try:
        if set(changed) & set(MONEY) and seen.effective is not State.DRAFT:
            return await _propose(visit, seen, typed, patch)
        await campaigns_of(visit).patch(campaign, patch, visit.who.actor, two_people=True)
    except Refusal as refusal:
        if refusal.code == "version_conflict":
            return await _conflict(visit, await campaigns_of(visit).see(campaign), base, mine, changed)
        if refusal.code == "proposal_pending":
            return _render(visit, seen, typed, 409, notice=PENDING)
        errors = errors_in(refusal, visit.words, _touched(typed, base.definition, visit.words))
        if not errors:
            raise
        return _render(visit, seen, typed, refusal.status, errors=errors)
    return visit.go(f"{CAMPAIGNS}/{campaign}?done=changed")


async def _read(visit: Visit, typed: Typed, base: Definition) -> tuple[Definition, Errors]:
    """
    What was typed, and what is wrong with it.

    A time that nobody touched stays to the millisecond, also where the clock shows it twice.
    """
    before = write_typed(base, visit.words)
    told = {"starts_at": base.starts_at, "ends_at": base.ends_at, "validity.until": base.validity.until or ""}
    if typed["timezone"] != base.timezone:
        told = {}
    return await checked_form(visit, typed, {name: at for name, at in told.items() if typed[name] == before[name]})


def _touched(typed: Typed, base: Definition, words: Words) -> list[str]:
    before = write_typed(base, words)
    return [name for name in FIELDS if typed[name] != before[name]]


async def _propose(visit: Visit, seen: Seen, typed: Typed, patch: DefinitionPatch) -> Response:
    reason = visit.one("reason")
    if not reason or len(reason) > REASON_CHARS_MAX:
        says = visit.words.say(N_("This moves money: say why, in 1 to %(chars)s characters."), chars=REASON_CHARS_MAX)
        return _render(visit, seen, typed, 400, errors={"reason": says})
    asked = CampaignChange(campaign=seen.id, change=patch, reason=reason)
    await proposals_of(visit).make(visit.one("key") or token_hex(8), asked, visit.who)
    return visit.go(f"{CAMPAIGNS}/{seen.id}?done=proposed")


def _changes(old: Definition, new: Definition) -> dict[str, Any]:
    """The fields of a patch that makes *new* of *old*; limits one by one."""
    before, after = difference(old, new)
    if "limits" in after:
        limits = after["limits"]
        after["limits"] = {name: limits[name] for name in limits if before["limits"][name] != limits[name]}
    return after


async def _conflict(visit: Visit, seen: Seen, base: Past, mine: Definition, changed: dict[str, Any]) -> Response:
    now, words = await register_of(visit).version(seen.id, seen.version), visit.words
    merged = patched(seen.definition, msgspec.convert(changed, DefinitionPatch))
    both = {
        "theirs": changes(base, now, words),
        "mine": differences(base.definition, mine, words),
        "base": base,
        "now": now,
        "who": who_in_words(now.changed_by, words),
    }
    return _render(visit, seen, write_typed(merged, words), 409, notice=_MEANWHILE, both=both)


def _render(visit: Visit, seen: Seen, typed: Typed, status: int = 200, **values: Any) -> Response:
    errors: Errors = values.pop("errors", {})
    given_ = {
        **about(visit, seen),
        "steps": STEPS,
        "typed": typed,
        "says": sentence(read_typed(typed, visit.words)[0], visit.words),
        "version": seen.version,
        "both": None,
        "key": token_hex(8),
        "reason": visit.one("reason"),
        **choices(visit, ""),
        "sentence_at": SENTENCE,
        "is_draft": seen.effective is State.DRAFT,
        **values,
    }
    return visit.render("campaigns/change", status, errors=errors, **given_)


PAGES = (
    Page(
        path=f"{CAMPAIGNS}/{{campaign}}/change",
        show=show,
        act=save,
        too_old=too_old,
        kept=kept_of,
        roles=MARKETER,
        under=CAMPAIGNS,
    ),
)
